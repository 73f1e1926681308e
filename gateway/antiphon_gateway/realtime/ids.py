"""Identifiers as clients see them."""

import secrets


def new_id(prefix: str) -> str:
    """Return a fresh identifier such as `item_5f0c...`: the prefix and 80 random bits."""
    return f"{prefix}_{secrets.token_hex(10)}"
