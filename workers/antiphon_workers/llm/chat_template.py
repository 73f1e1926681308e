"""What a model's chat template writes around messages, learned from its renderings. Pure."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from antiphon_proto.conversation import ChatMessage
from antiphon_workers.llm.context import START

Render = Callable[[Sequence[ChatMessage]], str | None]
"""Renders a conversation up to where the assistant's answer begins; None: it cannot."""

_CONVERSATIONS = (
    ("system", "user", "assistant", "user"),
    ("user", "assistant", "user"),
    ("system", "user", "user", "assistant", "assistant", "user"),
)
"""Together they hold every pair of neighbours; the last one is refused by strict templates."""


class ChatTemplate(NamedTuple):
    """The pieces of a template."""

    between: dict[tuple[str, str], str]
    """What stands between messages of these roles; the first role may be `start`."""
    closing: str
    """What follows the user's last message, up to where the answer begins."""

    def open_prompt(self, messages: Sequence[ChatMessage]) -> str | None:
        """Return the prompt up to the last word of the last message, which may be unfinished.

        None when the template was never seen with such a conversation.
        """
        prompt, before = "", START
        for message in messages:
            piece = self.between.get((before, message.role))
            if piece is None:
                return None
            prompt += piece + message.content
            before = message.role
        return prompt


def learn(render: Render) -> ChatTemplate | None:
    """Learn a template from how it renders a few conversations; None when that is impossible.

    A piece that is not the same everywhere, because the template counts messages or knows dates,
    is left out.
    """
    between: dict[tuple[str, str], str] = {}
    changing: set[tuple[str, str]] = set()
    closings: set[str] = set()
    for roles in _CONVERSATIONS:
        pieces = _pieces(roles, render)
        if pieces is None:
            continue
        closings.add(pieces[-1])
        for pair, piece in zip(zip((START, *roles), roles, strict=False), pieces, strict=False):
            if between.setdefault(pair, piece) != piece:
                changing.add(pair)
    if len(closings) != 1:
        return None
    kept = {pair: piece for pair, piece in between.items() if pair not in changing}
    return ChatTemplate(kept, closings.pop())


def _pieces(roles: Sequence[str], render: Render) -> list[str] | None:
    """Return what a rendering has before, between and after messages of these roles."""
    texts = [f"probe{place}text" for place in range(len(roles))]
    rest = render(
        [ChatMessage(role, text) for role, text in zip(roles, texts, strict=True)]  # type: ignore[arg-type]
    )
    if rest is None:
        return None
    pieces: list[str] = []
    for text in texts:
        piece, found, rest = rest.partition(text)
        if not found:
            return None
        pieces.append(piece)
    return [*pieces, rest]
