"""From tokens to text as it grows, and where it has to stop. Pure: decoding is a function that is handed in.

A token may be half a character, and a stop string may come in pieces; nothing is given out that the next token could
take back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

_HALF = "\ufffd"
_HALVES_MAX = 4
"""A character has at most four bytes: what stays undecodable longer is not half a character."""


class TextStream:
    """The text of one answer."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stops: Sequence[str] = ()) -> None:
        self._decode, self._stops = decode, tuple(stops)
        self._tokens: list[int] = []
        self._from = 0
        """Decoding begins here: early enough that a token's text does not depend on what is left out."""
        self._told = 0
        """Tokens before this one have been turned into text."""
        self._held = ""
        self.stopped = False
        """Whether a stop string was met; the text ends before it."""

    def push(self, token: int) -> str:
        """The text that one more token makes certain; often empty, never a part of a stop string."""
        self._tokens.append(token)
        text = self._decode(self._tokens[self._from :])
        if text.endswith(_HALF) and len(self._tokens) - self._told < _HALVES_MAX:
            return ""
        before = self._decode(self._tokens[self._from : self._told])
        self._from, self._told = self._told, len(self._tokens)
        return self._release(text[len(before) :])

    def finish(self) -> str:
        """What was held back, once no token follows."""
        if self.stopped:
            return ""
        rest = self._decode(self._tokens[self._from :])[len(self._decode(self._tokens[self._from : self._told])) :]
        self._told = len(self._tokens)
        given = self._release(rest)
        if not self.stopped:
            given, self._held = given + self._held, ""
        return given

    def _release(self, more: str) -> str:
        if not self._stops:
            return more
        text = self._held + more
        found = [position for stop in self._stops if (position := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :] if keep else ""
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """How much of the end of `text` is a beginning of `stop`."""
    for size in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:size]):
            return size
    return 0
