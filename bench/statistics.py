"""Pure: percentiles and word error rate."""

import re
from collections.abc import Iterable, Sequence

import jiwer
import numpy as np

_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_ONES += ["eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"]
_ONES += ["eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return the percentile by linear interpolation; None for no values."""
    return float(np.percentile(values, percent)) if values else None


def wilson_interval(hits: int, count: int, deviations: float = 1.96) -> tuple[float, float]:
    """Return the interval of a share (Wilson 1927), 95 % by default; 0..1 for no trials."""
    if not count:
        return 0.0, 1.0
    share, spread = hits / count, deviations**2 / count
    middle = (share + spread / 2) / (1 + spread)
    reach = deviations / (1 + spread) * (share * (1 - share) / count + spread / count / 4) ** 0.5
    return max(0.0, middle - reach), min(1.0, middle + reach)


def normalised(text: str) -> str:
    """Return a transcript as plain words: lower case, no punctuation, numbers below 100 spelled."""
    words = re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("\u2019", "'")).split()
    return " ".join(_spelled(word) for word in words)


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> float | None:
    """Return the word errors of (reference, transcript) pairs per reference word; None for none."""
    references, transcripts = [], []
    for reference, transcript in pairs:
        references.append(normalised(reference))
        transcripts.append(normalised(transcript))
    if not references:
        return None
    return float(jiwer.wer(references, transcripts))


def _spelled(word: str) -> str:
    if not word.isdigit() or int(word) >= 100:
        return word
    number = int(word)
    if number < len(_ONES):
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens - 2] + (f" {_ONES[ones]}" if ones else "")
