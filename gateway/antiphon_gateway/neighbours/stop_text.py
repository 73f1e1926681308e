"""Cutting a streamed text at the first of some strings, wherever its deltas are cut. Pure."""

from collections.abc import Sequence


class StopText:
    """Passes text on until a stop string comes; holds back what may be the beginning of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False
        """A stop string was found; nothing that comes after it is passed on."""

    def feed(self, delta: str) -> str:
        """Return what of the text so far is new and certain to stand before any stop string."""
        if self.stopped:
            return ""
        text = self._held + delta
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self.stopped = True
            self._held = ""
            return text[: min(places)]
        certain = len(text) - max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[certain:]
        return text[:certain]

    def finish(self) -> str:
        """Return what was held back: no stop string came of it."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
