"""Which pods a running Job should have: how many, on which indexes, and which are too many. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from argosy.engine.controllers.job import backoff, indexes
from argosy.engine.controllers.job.census import INDEX_FAILURES, Census
from argosy.engine.controllers.job.make import Indexed, make_pod
from argosy.engine.controllers.job.verdict import Tallies
from argosy.engine.controllers.pods import fresh_names, soonest, suffix
from argosy.engine.controllers.ranking import deletion_order
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, name_of, uid_of


@dataclass(slots=True)
class Change:
    """The difference between the pods that run and those that should."""

    make: list[Obj] = field(default_factory=list)
    discard: list[Obj] = field(default_factory=list)
    wait_seconds: float | None = None


def tally(job: Obj, census: Census) -> Tallies:
    """What is known of each index: by the status already written, and by the pods that exist."""
    spec = job["spec"]
    completions = int(spec.get("completions") or 0)
    succeeded = indexes.parse(str(dig(job, "status", "completedIndexes", default="")), completions)
    succeeded |= {i for pod in census.succeeded if (i := indexes.index_of(pod)) is not None and i < completions}
    failed = indexes.parse(str(dig(job, "status", "failedIndexes", default="")), completions)
    limit = spec.get("backoffLimitPerIndex")
    if limit is not None:
        failed |= census.failed_indexes
        failed |= {i for i, times in failures_by_index(census).items() if times > int(limit)}
    return Tallies(frozenset(succeeded), frozenset(failed - succeeded))


def failures_by_index(census: Census) -> dict[int, int]:
    """How often each index has failed, as its newest failed pod tells."""
    counts: dict[int, int] = {}
    for pod in census.failed:
        index = indexes.index_of(pod)
        if index is not None:
            counts[index] = max(counts.get(index, 0), _earlier_failures(pod) + 1)
    return counts


def change(job: Obj, census: Census, tallies: Tallies | None, now: datetime) -> Change:
    """What to make and what to end."""
    spec = job["spec"]
    parallelism = int(spec.get("parallelism", 1))
    if tallies is not None:
        return _indexed(job, census, tallies, now)
    completions = spec.get("completions")
    if completions is None:
        target = parallelism if not census.succeeded_count else min(parallelism, len(census.active))
    else:
        target = min(parallelism, int(completions) - census.succeeded_count)
    excess = len(census.active) - target
    if excess > 0:
        return Change(discard=_victims(census.active, excess))
    missing = -excess - (len(census.terminating) if _waits_for_the_end(spec) else 0)
    if missing <= 0:
        return Change()
    left = backoff.wait_seconds(census, now)
    if left > 0:
        return Change(wait_seconds=left)
    names = fresh_names(job, now, missing, census.everybody)
    return Change(make=[make_pod(job, name, None) for name in names])


def _indexed(job: Obj, census: Census, tallies: Tallies, now: datetime) -> Change:
    spec = job["spec"]
    completions = int(spec.get("completions") or 0)
    over = tallies.succeeded | tallies.failed
    target = min(int(spec.get("parallelism", 1)), completions - len(over))
    by_index: dict[int, list[Obj]] = defaultdict(list)
    discard: list[Obj] = []
    for pod in census.active:
        index = indexes.index_of(pod)
        if index is None or index >= completions or index in over:
            discard.append(pod)
        else:
            by_index[index].append(pod)
    for twins in by_index.values():
        discard += _victims(twins, len(twins) - 1)
    kept = [pod for twins in by_index.values() for pod in twins if pod not in discard]
    if len(kept) > target:
        discard += _victims(kept, len(kept) - target)
        return Change(discard=discard)
    taken = set(by_index)
    room = target - len(kept)
    if _waits_for_the_end(spec):
        ending = {i for pod in census.terminating if (i := indexes.index_of(pod)) is not None}
        taken |= ending
        room -= len(ending - set(by_index))
    free = [i for i in range(completions) if i not in over and i not in taken]
    return _fill(job, census, Change(discard=discard), (free, room), now)


def _fill(job: Obj, census: Census, result: Change, free: tuple[list[int], int], now: datetime) -> Change:
    """Make pods for free indexes, each after its own back-off where failures are counted by index."""
    candidates, room = free
    per_index = job["spec"].get("backoffLimitPerIndex") is not None
    if room <= 0 or not candidates:
        return result
    if not per_index and (left := backoff.wait_seconds(census, now)) > 0:
        result.wait_seconds = left
        return result
    failures = failures_by_index(census) if per_index else {}
    used = {name_of(pod) for pod in census.everybody}
    for index in candidates:
        if len(result.make) >= room:
            break
        if per_index and index in failures:
            mine = [pod for pod in census.failed if indexes.index_of(pod) == index]
            left = backoff.after_failures(mine, (), now) if mine else 0.0
            if left > 0:
                result.wait_seconds = soonest(result.wait_seconds, left)
                continue
        tries = (f"{name_of(job)[:50]}-{index}-{suffix(uid_of(job), now.timestamp(), index, n)}" for n in count())
        name = next(name for name in tries if name not in used)
        result.make.append(make_pod(job, name, Indexed(index, failures.get(index, 0) if per_index else None)))
    return result


def _victims(pods: Sequence[Obj], count: int) -> list[Obj]:
    return sorted(pods, key=lambda pod: deletion_order(pod, 0))[: max(0, count)]


def _waits_for_the_end(spec: Obj) -> bool:
    """Whether a pod that is being deleted is replaced only when it has ended."""
    return bool(spec.get("podReplacementPolicy") == "Failed" or spec.get("podFailurePolicy"))


def _earlier_failures(pod: Obj) -> int:
    text = annotations_of(pod).get(INDEX_FAILURES, "0")
    return int(text) if text.isdigit() else 0
