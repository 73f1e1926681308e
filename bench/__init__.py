"""Measurements behind the figures in the documentation; see README.md."""
