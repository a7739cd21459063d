"""What went wrong in a gang, and what went wrong *first*.

When one rank dies, its peers follow within moments with errors of their own (gloo and NCCL report a closed connection).
Only the first failure says whether a retry can help and what a person needs to read, so every failure is ranked by
its time and, within the API's whole seconds, by how likely it is to be a consequence of another. `autopsy` adds what the
logs say: the words of the first error, and its time to the nanosecond.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from argosy.clock import parse_time
from argosy.meta.conditions import find
from argosy.meta.json import Obj, dig
from argosy.meta.objects import is_deleting, name_of

_RETRYABLE_FROM = 128
_SIGNALS = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
    10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 15: "SIGTERM",
}  # fmt: skip
_FROM_OUTSIDE = (9, 15)
_OF_THE_KERNEL = (4, 6, 7, 8, 9, 11, 15)
"""Signals that an exit code over 128 is taken for where the container's status names none; programs choose codes too."""
_SENTENCE_MAX = 300
_NOT_BY_ITSELF = (
    "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError",
)  # fmt: skip
_SENT_AWAY = ("Evicted", "NodeLost", "Preempting", "Preempted", "Shutdown", "NodeShutdown", "Terminated", "Terminating")
"""Reasons of a pod that a kubelet or a controller ended, and not what ran in it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How one pod failed."""

    pod: str
    type: str
    what: str
    """Completes the sentence `pod NAME …`."""
    code: int | None = None
    """The training container's exit code; None when the pod was lost as a whole."""
    at: str = ""
    """When, as the API writes it; empty sorts first."""
    lost: bool = False
    """Whether somebody took the pod away, rather than that it failed."""
    out_of_memory: bool = False
    """Whether the kernel ended it for want of memory: its own doing, on any machine."""
    disrupted: bool = False
    """Whether the cluster sent the pod away (drained, preempted, evicted, its node lost): nobody's mistake."""
    container: str = ""
    """The container that ended, whose log may say more; empty where none did."""
    ran: float | None = None
    """Seconds for which it had run."""
    error: str = ""
    """The line that its program ended with, as far as its log tells."""
    said_at: str = ""
    """When it said so."""
    consequence: bool = False
    """Whether that line speaks of a lost peer."""

    @property
    def by_the_cluster(self) -> bool:
        """Whether it was no failure at all: upstream does not count pods that are made again after a deletion."""
        return self.lost or self.disrupted

    @property
    def from_outside(self) -> bool:
        """Whether somebody or the kernel killed the program, and not for its own want of memory."""
        return self.code is not None and self.code - _RETRYABLE_FROM in _FROM_OUTSIDE and not self.out_of_memory

    @property
    def by_the_program(self) -> bool:
        """Whether the program ended itself; then another machine is no better."""
        return self.code is not None and self.code < _RETRYABLE_FROM and not self.by_the_cluster

    @property
    def retryable(self) -> bool:
        """Upstream's rule for `ExitCode`: killed by a signal, or not the program's doing at all."""
        return self.code is None or self.code >= _RETRYABLE_FROM

    def __str__(self) -> str:
        return f"pod {self.pod} {self.what}"


def first(failures: Iterable[Failure]) -> Failure | None:
    """The failure that the others follow from."""
    return min(failures, key=rank, default=None)


def of(pod: Obj, type: str, container: str) -> Failure | None:
    """How a pod failed whose training container has this name, None when it did not (or not yet)."""
    name = name_of(pod)
    if dig(pod, "status", "phase") == "Succeeded":
        return None
    ended = training_end(pod, container)
    sent_away = find(pod, "DisruptionTarget") or {}
    disrupted = sent_away.get("status") == "True" or dig(pod, "status", "reason") in _SENT_AWAY
    if ended is not None and ended.get("exitCode") and not _after_deletion(pod, ended):
        code = int(ended["exitCode"])
        return Failure(
            name,
            type,
            _exit(ended, code) + (f" ({sent_away.get('message')})" if sent_away.get("message") else ""),
            code,
            str(ended.get("finishedAt") or ""),
            out_of_memory=ended.get("reason") == "OOMKilled",
            disrupted=disrupted,
            container=container or str(dig(pod, "spec", "containers", 0, "name", default="")),
            ran=_ran(ended),
        )
    if is_deleting(pod):
        why = f" ({sent_away['message']})" if sent_away.get("message") else ""
        return Failure(name, type, f"was deleted{why}", at=str(pod["metadata"]["deletionTimestamp"]), lost=True)
    if dig(pod, "status", "phase") != "Failed":
        return None
    other = _other_end(pod)
    if other is not None:
        return Failure(name, type, other, disrupted=disrupted)
    reason, message = dig(pod, "status", "reason", default=""), dig(pod, "status", "message", default="")
    said = _clip(f"failed ({reason or 'no reason given'})" + (f": {message}" if message else ""))
    return Failure(name, type, said, disrupted=disrupted)


def cannot_start(pod: Obj) -> str:
    """Why a container of the pod waits for something that does not come by itself; empty where none does."""
    for field in ("initContainerStatuses", "containerStatuses"):
        for status in dig(pod, "status", field, default=()):
            waiting = dig(status, "state", "waiting", default={})
            if waiting.get("reason") in _NOT_BY_ITSELF and waiting.get("message"):
                return _clip(f"pod {name_of(pod)} cannot start: {waiting['message']}")
    return ""


def training_end(pod: Obj, container: str) -> Obj | None:
    """The `terminated` state of the training container: the one of this name, or the pod's first where it may have any."""
    container = container or str(dig(pod, "spec", "containers", 0, "name", default=""))
    for status in dig(pod, "status", "containerStatuses", default=()):
        if status.get("name") == container:
            ended = dig(status, "state", "terminated")
            return ended if isinstance(ended, dict) else None
    return None


def _after_deletion(pod: Obj, ended: Obj) -> bool:
    """Whether a container only ended because its pod was being deleted: what it exits with then is its answer to SIGTERM."""
    if not is_deleting(pod) or not ended.get("finishedAt"):
        return False
    grace = int(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
    asked = parse_time(pod["metadata"]["deletionTimestamp"]) - timedelta(seconds=grace)
    return parse_time(ended["finishedAt"]) >= asked.replace(microsecond=0)


def _ran(ended: Obj) -> float | None:
    if not ended.get("startedAt") or not ended.get("finishedAt"):
        return None
    return (parse_time(ended["finishedAt"]) - parse_time(ended["startedAt"])).total_seconds()


def _other_end(pod: Obj) -> str | None:
    """How a container other than the training one brought the pod down."""
    for field, kind in (("initContainerStatuses", "init container"), ("containerStatuses", "container")):
        for status in dig(pod, "status", field, default=()):
            ended = dig(status, "state", "terminated", default={})
            if ended.get("exitCode"):
                return f"failed in its {kind} {status.get('name')}, which {_exit(ended, int(ended['exitCode']))}"
    return None


def _exit(ended: Obj, code: int) -> str:
    if ended.get("reason") == "OOMKilled":
        return f"ran out of memory (exit code {code}); raise resources.limits.memory"
    if ended.get("reason") in ("StartError", "ContainerCannotRun"):
        return _clip(f"could not start: {ended.get('message') or 'no message'}")
    number = int(ended.get("signal") or 0) or (code - 128 if code - 128 in _OF_THE_KERNEL else 0)
    if number:
        what = f"was killed by signal {number} ({_SIGNALS.get(number, 'unnamed')}, exit code {code})"
    else:
        what = f"exited with code {code}"
    return worded(what, last_line(str(ended.get("message") or "")))


def worded(what: str, said: str) -> str:
    """How it ended, and what its program said last."""
    return _clip(f"{what}: {said}" if said else what)


def last_line(text: str) -> str:
    """The line of a termination message that says most: a Python error's last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _clip(text: str) -> str:
    return text if len(text) <= _SENTENCE_MAX else text[: _SENTENCE_MAX - 1] + "…"


def seconds_since(failure: Failure, now: datetime) -> float:
    """How long ago it happened; a failure of unknown time is long ago."""
    return (now - parse_time(failure.at)).total_seconds() if failure.at else float("inf")


def rank(failure: Failure) -> tuple[bool, str, int, str, str]:
    """Errors that speak of a lost peer come last. Otherwise earlier first; within a second: lost or killed from outside,
    then the program's own error by the time of its words, then crashes that follow from a peer's death (SIGABRT of a
    watchdog).
    """
    if failure.code is None or failure.code - 128 in _FROM_OUTSIDE:
        order = 0
    else:
        order = 1 if failure.code < _RETRYABLE_FROM else 2
    return failure.consequence, failure.at, order, failure.said_at or "~", failure.pod
