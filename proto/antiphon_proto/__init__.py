"""The contracts every Antiphon process shares: messages, codec, channels, configuration."""

__version__ = "0.1.0"
