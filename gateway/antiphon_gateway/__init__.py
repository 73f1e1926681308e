"""The gateway: clients on one side, workers on the other."""
