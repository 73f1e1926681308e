"""What the configured engines can do on this machine, for `antiphon plan`."""
