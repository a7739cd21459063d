"""The lines of several pods as one story, in order of time. Pure; what error began it is found by `watching.errors`."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping

from argosy.operators.watching.errors import FirstError, Line, first_error, stamped

__all__ = ["FirstError", "Line", "first_error", "merged", "stamped"]


def merged(logs: Mapping[str, Iterable[Line]]) -> Iterator[Line]:
    """All lines in order of time; of one source in its own order, and equal times in the order of the sources."""
    return heapq.merge(*logs.values(), key=lambda line: line.time)
