"""Logs of pods that are gone, as the operators kept them; `argosy logs` shows them beside those of pods that are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from argosy import kinds
from argosy.client.client import Client
from argosy.errors import ApiError
from argosy.meta.json import Obj
from argosy.meta.objects import labels_of, name_of, namespace_of, uid_of
from argosy.operators.watching import keeping
from argosy.operators.watching.keeping import Kept
from argosy.sdk.ownership import Family

_ATTEMPTS = (keeping.EPOCH, "jobset.sigs.k8s.io/restart-attempt")


@dataclass(frozen=True, slots=True)
class Gang:
    """The pods of one epoch of a job: those that are there, and what is left of those that are gone."""

    epoch: int
    epochs: tuple[int, ...]
    """All of which something can be read."""
    pods: tuple[Obj, ...]
    texts: Mapping[str, bytes]
    """The logs of those that are gone, by uid; lines with their times."""


async def kept_of(client: Client, family: Family) -> list[Kept]:
    """What is kept of a job; nothing where it may not be read. The job's namespace is asked."""
    selector = f"{keeping.LABEL_LOGS}={name_of(family.obj)}"
    try:
        listed = await client.list(kinds.CONFIG_MAP, namespace_of(family.obj), labels=selector)
    except ApiError:
        return []
    return keeping.read(listed.items, frozenset(_makers(family)))


def gang(pods: Sequence[Obj], kept: Sequence[Kept], epoch: int | None = None) -> Gang | None:
    """The gang of an epoch, by default of the last; None where there is none. Pure."""
    live = {uid_of(pod): pod for pod in pods}
    epochs = sorted({epoch_of(pod) for pod in pods} | {one.epoch for one in kept})
    if not epochs:
        return None
    chosen = epochs[-1] if epoch is None else epoch
    texts, gone = {}, []
    for one in kept:
        for pod in one.pods if one.epoch == chosen else ():
            if uid_of(pod) not in live:
                gone.append(pod)
                texts[uid_of(pod)] = one.texts[name_of(pod)]
    there = [pod for pod in pods if epoch_of(pod) == chosen]
    return Gang(chosen, tuple(epochs), (*gone, *there), texts) if gone or there else None


def epoch_of(pod: Obj) -> int:
    """How often its gang had been started again; 0 where the pod does not say."""
    return next((int(labels_of(pod)[name]) for name in _ATTEMPTS if labels_of(pod).get(name, "").isdigit()), 0)


def shown(text: bytes, *, tail: int | None, timestamps: bool) -> bytes:
    """A kept log as the API would give it: its last lines, with or without their times."""
    lines = text.splitlines(keepends=True)
    lines = lines[max(len(lines) - tail, 0) :] if tail is not None else lines
    return b"".join(lines if timestamps else (line.partition(b" ")[2] for line in lines))


def _makers(family: Family) -> Iterator[str]:
    if family.kind.kind != "Pod":
        yield uid_of(family.obj)
        for child in family.children:
            yield from _makers(child)
