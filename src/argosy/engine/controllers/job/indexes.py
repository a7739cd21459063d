"""Completion indexes as Kubernetes writes them: `0-2,5`. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from argosy.meta.json import Obj
from argosy.meta.objects import annotations_of, labels_of

INDEX = "batch.kubernetes.io/job-completion-index"


def parse(text: str, limit: int) -> set[int]:
    """The set that `text` writes; what lies at or beyond `limit` (completions were lowered) or makes no sense is left out."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdigit() and (not last or last.isdigit()):
            found.update(range(int(first), min(int(last or first) + 1, limit)))
    return {index for index in found if index < limit}


def write(indexes: Iterable[int]) -> str:
    """The shortest text for a set: two in a row are `1,2`, three `1-3`."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(_run(first, last) for first, last in runs)


def _run(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def index_of(pod: Obj) -> int | None:
    """A pod's completion index, None when it carries none."""
    text = annotations_of(pod).get(INDEX) or labels_of(pod).get(INDEX) or ""
    return int(text) if text.isdigit() else None
