"""Facts about pods, and pods made from templates: what every workload controller asks and makes.

Pure. Names of new pods are drawn from the owner's uid and the moment, so that the same observation yields the same plan and
no name is used twice, which keeps the logs of a dead pod apart from those of its successor.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from argosy.clock import parse_time
from argosy.intent import Create, Reason
from argosy.kinds import POD
from argosy.meta.conditions import find
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import is_deleting, name_of, namespace_of, owner_reference, pod_is_ready, uid_of

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no look-alikes: a suffix never spells a word."""

BURST = 500
"""How many pods one plan creates or deletes at most; the rest follows in the next."""


def phase(pod: Obj) -> str:
    """`status.phase`, Pending before there is one."""
    return str(dig(pod, "status", "phase", default="Pending"))


def is_finished(pod: Obj) -> bool:
    """Whether the pod has run its course."""
    return phase(pod) in {"Succeeded", "Failed"}


def is_active(pod: Obj) -> bool:
    """Whether the pod counts towards a replica count: neither finished nor being deleted."""
    return not is_finished(pod) and not is_deleting(pod)


def moment(text: str | None) -> datetime | None:
    """A timestamp of the API, None where it is absent."""
    return parse_time(text) if text else None


class Availability(NamedTuple):
    """Whether a pod is available, and if it is merely ready, after how many seconds it will be."""

    available: bool
    wait_seconds: float | None = None


def availability(pod: Obj, min_ready_seconds: int, now: datetime) -> Availability:
    """Ready for at least `min_ready_seconds`."""
    if not pod_is_ready(pod):
        return Availability(False)
    if min_ready_seconds <= 0:
        return Availability(True)
    since = moment((find(pod, "Ready") or {}).get("lastTransitionTime")) or now
    left = (since + timedelta(seconds=min_ready_seconds) - now).total_seconds()
    return Availability(True) if left <= 0 else Availability(False, left)


class Tally(NamedTuple):
    """How many of some pods are ready and available, and when that may next change by itself."""

    ready: int
    available: int
    wait_seconds: float | None


def tally(pods: Iterable[Obj], min_ready_seconds: int, now: datetime) -> Tally:
    """Count readiness."""
    ready = available = 0
    wait: float | None = None
    for pod in pods:
        ready += pod_is_ready(pod)
        state = availability(pod, min_ready_seconds, now)
        available += state.available
        wait = soonest(wait, state.wait_seconds)
    return Tally(ready, available, wait)


def soonest(*seconds: float | None) -> float | None:
    """The smallest of some waits, None meaning never."""
    return min((s for s in seconds if s is not None), default=None)


def suffix(*parts: object, length: int = 5) -> str:
    """A short name suffix that is a function of its parts."""
    number = int.from_bytes(hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=16).digest(), "big")
    letters = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return "".join(letters)


def fresh_names(owner: Obj, now: datetime, count: int, taken: Iterable[Obj]) -> list[str]:
    """`count` distinct names for pods of `owner` that no earlier moment has given, nor any of the pods in `taken`."""
    stamp = now.timestamp()
    prefix = name_of(owner)[:57]
    used = {name_of(pod) for pod in taken}
    names: list[str] = []
    number = 0
    while len(names) < count:
        name = f"{prefix}-{suffix(uid_of(owner), stamp, number)}"
        number += 1
        if name not in used:
            used.add(name)
            names.append(name)
    return names


def template_hash(template: Obj, *, but_label: str = "pod-template-hash", salt: object = "") -> str:
    """A content address of a pod template, `but_label` left out of its labels."""
    bare = dict(template)
    meta = dict(bare.get("metadata") or {})
    meta["labels"] = {k: v for k, v in (meta.get("labels") or {}).items() if k != but_label}
    bare["metadata"] = {k: v for k, v in meta.items() if v}
    return suffix(json.dumps(bare, sort_keys=True, separators=(",", ":")), salt, length=10)


def pod_from_template(template: Obj, owner: Obj, kind: Kind, name: str) -> Obj:
    """A pod that `owner` controls. Parts of the template are shared, not copied."""
    meta = template.get("metadata") or {}
    made: Obj = {
        "name": name,
        "namespace": namespace_of(owner),
        "labels": dict(meta.get("labels") or {}),
        "ownerReferences": [owner_reference(owner, kind)],
    }
    if meta.get("annotations"):
        made["annotations"] = dict(meta["annotations"])
    if meta.get("finalizers"):
        made["finalizers"] = list(meta["finalizers"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": template.get("spec") or {}}


def created(pod: Obj) -> tuple[Create, Reason]:
    """The action that makes a pod, and the event that tells of it."""
    return Create(POD, pod), Reason("SuccessfulCreate", f"Created pod: {name_of(pod)}")


def resolve_int_or_percent(value: int | str | None, total: int, *, round_up: bool, default: int | str) -> int:
    """`maxSurge: 25%` of `total`, or the plain number."""
    given = default if value is None else value
    if isinstance(given, str) and given.endswith("%"):
        parts = int(given[:-1]) * total
        return -(-parts // 100) if round_up else parts // 100
    return int(given)
