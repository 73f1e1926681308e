"""How long a speaker pauses, by the mark that ends a text. Pure."""

import re

LEAD_MS = 5
"""Silence left before the first sound."""
LONGEST_PAUSE_MS = 400
"""Silence left between two sounds."""
PAUSES_MS = {".": 240, "!": 240, "?": 240, ":": 180, ";": 180, ",": 140, "\N{EM DASH}": 140}
"""Silence behind a text by the mark that ends it, as a speaker would pause."""
PHRASE_PAUSE_MS = 80
"""Silence behind a text that ends without a mark."""

_LAST_MARK = re.compile(r"([.!?:;,\N{EM DASH}])[^\w.!?:;,]*$")


def pause_after_ms(text: str) -> int:
    """Return how long a speaker pauses after `text`, which may be a part of a sentence."""
    mark = _LAST_MARK.search(text)
    return PAUSES_MS[mark[1]] if mark else PHRASE_PAUSE_MS
