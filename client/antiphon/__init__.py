"""The Python client and the `antiphon` command."""
