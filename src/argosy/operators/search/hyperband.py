"""Hyperband (Li et al. 2016) as Katib offers it: brackets of rounds, each round with fewer trials that are given more. Pure.

One parameter is the resource (epochs, say). A bracket begins with random trials of little resource; each of its further
rounds runs the best of the round before again with `eta` times as much. The brackets go from many trials with little to few
with everything, and then the search is over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

_TINY = 1e-9


class Later(Enum):
    """In place of a suggestion: there will be one when trials that run have ended."""

    WAIT = auto()


@dataclass(frozen=True, slots=True)
class Past:
    """A trial that was tried. `loss`: lower is better; None while it is not known."""

    assignments: dict[str, str]
    loss: float | None
    ended: bool = True


@dataclass(frozen=True, slots=True)
class Round:
    """So many trials with so much resource; `first` in its bracket, or made of the best of the round before."""

    count: int
    resource: int
    first: bool


@dataclass(frozen=True, slots=True)
class Hyperband:
    """The settings `resource_name`, `eta` and `r_l`, the most that one trial is given."""

    resource: str
    most: float
    eta: float = 3.0

    def rounds(self) -> list[Round]:
        """Every round in order."""
        found = []
        top = self._brackets()
        for bracket in range(top, -1, -1):
            count = math.ceil((top + 1) * self.eta**bracket / (bracket + 1) - _TINY)
            least = self.most * self.eta**-bracket
            for number in range(bracket + 1):
                size = math.ceil(count * self.eta**-number - _TINY)
                found.append(Round(size, int(least * self.eta**number + _TINY), number == 0))
        return found

    def _brackets(self) -> int:
        top = 0
        while self.eta ** (top + 1) <= self.most * (1 + _TINY):
            top += 1
        return top


def suggest(
    band: Hyperband, past: Sequence[Past], number: int, draw: Callable[[int], dict[str, str]]
) -> dict[str, str] | Later | None:
    """The assignments of the trial of this number, given those before it; None when every round is over."""
    start = 0
    before: list[Past] = []
    best: list[Past] = []
    for round in band.rounds():
        if round.first:
            size = round.count
        elif not all(one.ended for one in before):
            return Later.WAIT
        else:
            best = sorted((one for one in before if one.loss is not None), key=lambda one: one.loss or 0.0)
            size = min(round.count, len(best))
        if number < start + size:
            chosen = draw(number) if round.first else dict(best[number - start].assignments)
            return {**chosen, band.resource: str(round.resource)}
        before = list(past[start : start + size])
        if len(before) < size:
            return Later.WAIT
        start += size
    return None
