"""How many tokens a conversation is, by the model's own tokenizer. Pure, but for the tokenizer."""

import hashlib
import json
import threading
from collections.abc import Callable, Sequence

from antiphon_proto.conversation import ChatMessage, Function
from antiphon_workers.llm.chat_template import ChatTemplate
from antiphon_workers.llm.context import START, TOKENS_PER_BYTE, TOKENS_PER_MESSAGE, size_bytes
from antiphon_workers.llm.openai_form import tool_json

Tokenize = Callable[[str], int | None]
"""Returns how many tokens a text is, special ones included; None: it cannot be known."""

_KEPT_COUNTS = 10_000


class TokenCounter:
    """Counts each message once. What stands around messages is known where the template is."""

    def __init__(self, tokenize: Tokenize, template: ChatTemplate | None) -> None:
        self._tokenize = tokenize
        self._between = template.between if template is not None else {}
        self._known: dict[bytes, int] = {}
        self._lock = threading.Lock()
        self.around = self._text(template.closing) if template is not None else TOKENS_PER_MESSAGE
        """Tokens of a prompt that are no message's."""

    def correct(self, messages: Sequence[ChatMessage], tokens: int) -> None:
        """Learn from a prompt of known length what is written around every conversation."""
        self.around += tokens - self.prompt(messages)

    def message(self, before: str, message: ChatMessage) -> float:
        """Return the tokens of a message behind one of this role, `start` for none."""
        piece = self._between.get((before, message.role))
        if piece is None or message.calls:
            calls = size_bytes([message]) - len(message.content.encode())
            return self._text(message.content) + calls * TOKENS_PER_BYTE + TOKENS_PER_MESSAGE
        return self._text(piece + message.content)

    def functions(self, functions: Sequence[Function]) -> int:
        """Return about how many tokens the definitions of functions are."""
        return sum(self._text(json.dumps(tool_json(one))) for one in functions)

    def prompt(self, messages: Sequence[ChatMessage]) -> int:
        """Return the tokens of a whole prompt."""
        roles = [START, *(message.role for message in messages)]
        counted = zip(roles, messages, strict=False)
        return round(sum(self.message(before, said) for before, said in counted)) + self.around

    def _text(self, text: str) -> int:
        key = hashlib.blake2b(text.encode(), digest_size=16).digest()
        with self._lock:
            known = self._known.get(key)
        if known is not None:
            return known
        tokens = self._tokenize(text)
        if tokens is None:
            return round(len(text.encode()) * TOKENS_PER_BYTE)
        with self._lock:
            self._known[key] = tokens
            if len(self._known) > _KEPT_COUNTS:
                del self._known[next(iter(self._known))]
        return tokens
