"""What the engine and the batch say to each other: rows, and what can be done with them. No torch in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from argosy.programs.model_server.openai import Params


@dataclass(slots=True)
class Row:
    """One sequence. `adapter` is empty for the base model."""

    prompt: Sequence[int]
    params: Params
    adapter: str = ""
    length: int = 0
    """Tokens in the cache."""
    last: int = 0
    """The newest token, which is not in the cache yet."""
    said: Counter[int] = field(default_factory=Counter)
    """How often each token was generated, for the penalties."""
    random: Any = None
    """A generator of its own, when a seed was given."""


class Rows(Protocol):
    """Rows that are generated together."""

    rows: list[Row]

    def admit(self, new: Sequence[Row]) -> None:
        """Take in new rows; each has its first token in `last` afterwards."""
        ...

    def step(self) -> None:
        """One more token for every row."""
        ...

    def keep(self, kept: Sequence[int]) -> None:
        """Drop all rows but these."""
        ...
