"""Identifiers as clients see them."""

import secrets

_RANDOM_BYTES = 16


def new_id(prefix: str) -> str:
    """Return a fresh identifier such as `item_3kP-...`: the prefix and 128 random bits.

    In 22 letters, not the 32 of hexadecimal: OpenAI takes an item's id from a client up to 32
    characters, so one of ours can be sent there again.
    """
    return f"{prefix}_{secrets.token_urlsafe(_RANDOM_BYTES)}"
