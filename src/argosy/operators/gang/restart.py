"""Restarting the whole gang: what the operator remembers of it, and when it does so.

A process group that lost a member cannot be mended in place, and a kubelet that restarts one container leaves its peers
hanging. So a retryable failure begins a new *epoch*: every pod of the job is deleted and made anew, and training code
continues from its last complete checkpoint. What must outlive the pods is kept in annotations of the job, because its
status is upstream's and has no room for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from argosy.clock import parse_time, rfc3339
from argosy.meta.json import Obj
from argosy.meta.objects import annotations_of
from argosy.operators.gang import datasets
from argosy.operators.gang.autopsy import signature
from argosy.operators.gang.elsewhere import remembered, struck
from argosy.operators.gang.env import entries
from argosy.operators.gang.failure import Failure
from argosy.operators.gang.job import Job
from argosy.operators.settings import PREFIX
from argosy.operators.watching import goodput

EPOCH_ENV = "ARGOSY_RESTART_EPOCH"
NOTICE_ENV = "ARGOSY_NOTICE"
EPOCH = f"{PREFIX}restart-epoch"
REPLACED = f"{PREFIX}pods-replaced"
BECAUSE = f"{PREFIX}restart-because"
NOT_BEFORE = f"{PREFIX}restart-not-before"
AVOID = f"{PREFIX}avoid-nodes"
EXCUSED = f"{PREFIX}restarts-excused"
SAME = f"{PREFIX}same-error"
GOODPUT = goodput.GOODPUT
STRIKES = f"{PREFIX}node-strikes"
FORMED = f"{PREFIX}gang-formed"
KEPT = f"{PREFIX}logs-kept"
_BACKOFF_SECONDS, _BACKOFF_MAX_SECONDS = 10, 300
_HEALTHY_SECONDS = 600
_RAN_SECONDS = 30
"""A gang that ran for as long got on: what its machine ends then is neither counted nor waited for."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the job's annotations say."""

    epoch: int = 0
    """How often the gang was restarted."""
    because: str = ""
    """What ended the epoch before this one."""
    not_before: datetime | None = None
    """New pods wait until then: repeated failures back off."""
    replaced: int = 0
    """How many pods were replaced alone, while the rest of their gang went on."""
    avoid: tuple[str, ...] = ()
    """Nodes whose pods were ended by their machine: later pods prefer others."""
    formed: str = ""
    """`<epoch>/<pods>` once every pod of that epoch existed: from then on a missing pod is a lost one."""

    excused: int = 0
    """How many of the epochs were not the program's doing and do not count."""
    same: int = 0
    """How many failures in a row had the error `error`."""
    error: str = ""
    strikes: tuple[tuple[str, int], ...] = ()
    """How often pods were ended by their machine, by node."""

    data: str = ""
    """The versions of the data sets that came."""
    kept: int = 0
    """How many gangs' logs were kept."""
    totals: goodput.Totals | None = None
    """What the epochs before came to, as far as their logs told."""

    @property
    def restarts(self) -> int:
        """What `backoffLimit` counts."""
        return self.epoch + self.replaced - self.excused

    def has_formed(self, job: Job) -> bool:
        """Whether the present epoch's gang was complete once."""
        return self.formed == _formed(self.epoch, job.total)


def environment(job: Job, epoch: int) -> list[Obj]:
    """Our contract with training code; what a template sets itself goes before these."""
    env = {EPOCH_ENV: str(epoch)}
    if job.checkpoint_dir:
        notice = f"{job.checkpoint_dir.rstrip('/')}/.notice-{epoch}"
        env |= {"CHECKPOINT_DIR": job.checkpoint_dir, "RESUME_FROM": "latest", NOTICE_ENV: notice}
    return entries(env)


def remember(subject: Obj) -> Memory:
    """Read the annotations; nonsense in them counts as absent."""
    annotations = annotations_of(subject)
    epoch, replaced = annotations.get(EPOCH, ""), annotations.get(REPLACED, "")
    try:
        not_before = parse_time(annotations[NOT_BEFORE]) if NOT_BEFORE in annotations else None
    except ValueError:
        not_before = None
    return Memory(
        epoch=int(epoch) if epoch.isdigit() else 0,
        replaced=int(replaced) if replaced.isdigit() else 0,
        because=annotations.get(BECAUSE, ""),
        not_before=not_before,
        avoid=tuple(filter(None, annotations.get(AVOID, "").split(","))),
        formed=annotations.get(FORMED, ""),
        excused=_number(annotations.get(EXCUSED, "")),
        same=_number(annotations.get(SAME, "").partition(" ")[0]),
        error=annotations.get(SAME, "").partition(" ")[2],
        strikes=_counts(annotations.get(STRIKES, "")),
        kept=_number(annotations.get(KEPT, "")),
        data=annotations.get(datasets.VERSIONS, ""),
        totals=goodput.read(annotations.get(GOODPUT, "")),
    )


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _counts(text: str) -> tuple[tuple[str, int], ...]:
    pairs = (entry.rpartition("=") for entry in text.split(",") if "=" in entry)
    return tuple((node, int(count)) for node, _, count in pairs if node and count.isdigit())


def patch(before: Memory, after: Memory) -> Obj | None:
    """The merge patch that turns one memory into the other, None when they are equal."""
    old, new = _annotations(before), _annotations(after)
    changed = {name: new[name] for name in new if new[name] != old[name]}
    return {"metadata": {"annotations": changed}} if changed else None


def next_epoch(memory: Memory, failure: Failure, began: datetime | None, now: datetime, suspect: str = "") -> Memory:
    """The memory after a restart. The first restart, and one after ten healthy minutes, is immediate. `suspect` is the
    node that the failure speaks against.
    """
    ran = (now - began).total_seconds() if began else 0.0
    excused = is_excused(failure, began, now)
    fresh = ran >= _HEALTHY_SECONDS
    error = signature(failure)
    return Memory(
        epoch=memory.epoch + 1,
        replaced=memory.replaced,
        because=str(failure),
        not_before=None if excused and ran >= _RAN_SECONDS else _not_before(memory, began, now),
        avoid=remembered(memory.avoid, suspect),
        excused=memory.excused + excused,
        same=_same(memory, error, fresh=fresh),
        error=error,
        strikes=struck(memory.strikes, suspect),
        kept=memory.kept,
        data=memory.data,
        totals=memory.totals,
    )


def is_excused(failure: Failure, began: datetime | None, now: datetime) -> bool:
    """Whether a failure is none that `backoffLimit` counts: the cluster took the pod away, or something killed a gang that
    got on. One that is killed at once each time is counted, lest it begin anew for ever.
    """
    ran = (now - began).total_seconds() if began else 0.0
    return failure.by_the_cluster or (failure.from_outside and ran >= _RAN_SECONDS)


def alike(memory: Memory, failure: Failure, began: datetime | None, now: datetime) -> int:
    """How many failures in a row, this one among them, had the same error; 0 where it was not the program's."""
    ran = (now - began).total_seconds() if began else 0.0
    return _same(memory, signature(failure), fresh=ran >= _HEALTHY_SECONDS)


def _same(memory: Memory, error: str, *, fresh: bool) -> int:
    if not error:
        return 0
    return memory.same + 1 if error == memory.error and not fresh else 1


def replaced_one(memory: Memory, began: datetime | None, now: datetime) -> Memory:
    """The memory after one pod was replaced alone, its predecessor made at `began`; the pauses grow alike. The gang has to
    form again, so that the missing pod is not lost a second time.
    """
    return replace(memory, replaced=memory.replaced + 1, formed="", not_before=_not_before(memory, began, now))


def when(memory: Memory) -> str:
    """The time before which no new pod is made, as the API writes times; empty for at once."""
    return rfc3339(memory.not_before) if memory.not_before else ""


def forming(memory: Memory, job: Job) -> Memory:
    """The memory once every pod of the epoch exists."""
    return replace(memory, formed=_formed(memory.epoch, job.total))


def scattered(memory: Memory) -> Memory:
    """The memory of a job whose pods were taken away on purpose (suspended): the epoch stays."""
    return replace(memory, because="", not_before=None, formed="")


def _not_before(memory: Memory, began: datetime | None, now: datetime) -> datetime | None:
    """When the next pods may be made, None for at once; `began` is when those that failed were made."""
    ran = (now - began).total_seconds() if began else 0.0
    before = memory.epoch + memory.replaced
    if before == 0 or ran >= _HEALTHY_SECONDS:
        return None
    wait = min(_BACKOFF_SECONDS * 2 ** min(before - 1, 16), _BACKOFF_MAX_SECONDS)
    return _whole_second_after(now + timedelta(seconds=wait))


def _whole_second_after(moment: datetime) -> datetime:
    return moment.replace(microsecond=0) + timedelta(seconds=1 if moment.microsecond else 0)


def _formed(epoch: int, total: int) -> str:
    return f"{epoch}/{total}"


def _annotations(memory: Memory) -> dict[str, str | None]:
    return {
        EPOCH: str(memory.epoch) if memory.epoch else None,
        REPLACED: str(memory.replaced) if memory.replaced else None,
        BECAUSE: memory.because or None,
        NOT_BEFORE: when(memory) or None,
        AVOID: ",".join(memory.avoid) or None,
        FORMED: memory.formed or None,
        KEPT: str(memory.kept) if memory.kept else None,
        datasets.VERSIONS: memory.data or None,
        EXCUSED: str(memory.excused) if memory.excused else None,
        SAME: f"{memory.same} {memory.error}" if memory.same else None,
        GOODPUT: goodput.write(memory.totals) if memory.totals else None,
        STRIKES: ",".join(f"{node}={count}" for node, count in memory.strikes) or None,
    }
