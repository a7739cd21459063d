"""Whether a gang's missing pods fit under the namespace's ResourceQuotas, all of them or none; and whose turn it is.

Called by `plan` before it makes pods. A gang of which half was admitted would hold quota that nobody else gets, and two such
gangs would hold each other up for good; so what does not fit as a whole is not begun. Jobs that wait go on when a quota's
status changes, the one that came first before the others. What admission refuses all the same (another writer was faster)
is taken back by the next plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from argosy import kinds
from argosy.intent import Related
from argosy.kinds.usage import SHORT, covers, usage
from argosy.meta.conditions import find_in
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import created_of, is_deleting, key_of, name_of
from argosy.meta.quantity import Quantity, parse
from argosy.operators.gang.conditions import WAITING, is_finished

WAITS, TOO_SMALL = "WaitingForQuota", "QuotaTooSmall"


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why a gang cannot begin."""

    word: str
    """`WAITS`, or `TOO_SMALL` where it can never begin as things stand."""
    why: str


def shortage(pods: Sequence[Obj], quotas: Iterable[Obj], *, whole: int) -> Shortage | None:
    """What the quotas lack for these pods together; None where they fit. `whole` is the size of the gang, for the message."""
    for quota in quotas:
        hard = dig(quota, "spec", "hard", default={})
        used = dig(quota, "status", "used", default={})
        needed = _needed([pod for pod in map(_with_requests, pods) if covers(quota, kinds.POD, pod)])
        amounts = {r: needed[full] for r in sorted(hard) if (full := SHORT.get(r, r)) in needed}
        over = [r for r, amount in amounts.items() if (parse(used.get(r, "0")) + amount).nanos > parse(hard[r]).nanos]
        if not over:
            continue
        asked, limits = (", ".join(f"{resource}={table[resource]}" for resource in over) for table in (amounts, hard))
        name, what = name_of(quota), f"{len(pods)} pods need" if len(pods) > 1 else "pod needs"
        some = "its" if len(pods) == whole else "the missing"
        if any(amounts[r].nanos > parse(hard[r]).nanos for r in over):
            why = f"{some} {what} {asked}, and ResourceQuota {name} allows {limits} in all: raise it or make the job smaller"
            return Shortage(TOO_SMALL, why)
        left = f"and ResourceQuota {name} ({limits}) has less than that left"
        return Shortage(WAITS, f"{some} {what} {asked} {left}: it goes on when others end")
    return None


def out_of_turn(subject: Obj, waiting: Iterable[Obj]) -> Shortage | None:
    """A job lets those go first that came before it and wait for room too."""
    if not any(_came_before(other, subject) for other in waiting):
        return None
    return Shortage(
        WAITS, "jobs that came before it wait for room under the namespace's ResourceQuota too: it goes on after them"
    )


def related(kind: Kind) -> tuple[Related, ...]:
    """What a plan reads for this: the quotas of the job's namespace, and the jobs there that wait and came before it."""
    quotas = Related(kinds.RESOURCE_QUOTA, _concerns, subject_keys=_unfinished, object_keys=_namespace)
    waiting = Related(kind, _waits_before, subject_keys=_unfinished, object_keys=_waits)
    return (quotas, waiting)


def _concerns(subject: Obj, quota: Obj) -> bool:
    return key_of(subject).namespace == key_of(quota).namespace


def _waits_before(subject: Obj, other: Obj) -> bool:
    return _concerns(subject, other) and bool(list(_waits(other))) and _came_before(other, subject)


def _namespace(obj: Obj) -> Iterator[str]:
    yield key_of(obj).namespace


def _unfinished(subject: Obj) -> Iterator[str]:
    if not is_finished(dig(subject, "status", "conditions", default=[])):
        yield key_of(subject).namespace


def _waits(obj: Obj) -> Iterator[str]:
    conditions = dig(obj, "status", "conditions", default=[])
    told = find_in(conditions, WAITING) or {}
    held = told.get("status") == "True" and str(told.get("reason")).endswith(WAITS)
    if held and not is_finished(conditions) and not is_deleting(obj) and not dig(obj, "spec", "runPolicy", "suspend"):
        yield key_of(obj).namespace


def _came_before(one: Obj, other: Obj) -> bool:
    return _place(one) < _place(other)


def _place(obj: Obj) -> tuple[str, list[tuple[int, str]]]:
    """By age, which is known to the second; then by name, `trial-2` before `trial-10`."""
    parts = [part for part in re.split(r"(\d+)", name_of(obj)) if part]
    return created_of(obj) or "", [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _needed(pods: Iterable[Obj]) -> dict[str, Quantity]:
    total: dict[str, Quantity] = {}
    for pod in pods:
        for name, amount in usage(kinds.POD, pod).items():
            total[name] = total[name] + amount if name in total else amount
    return total


def _with_requests(pod: Obj) -> Obj:
    """The pod as it is once the server has filled in that who limits and asks for nothing asks for the limit."""
    spec = pod["spec"]
    filled = {side: [_asks(each) for each in spec[side]] for side in ("containers", "initContainers") if spec.get(side)}
    return {**pod, "spec": {**spec, **filled}}


def _asks(container: Obj) -> Obj:
    resources = container.get("resources") or {}
    limits = resources.get("limits") or {}
    requests = {**limits, **(resources.get("requests") or {})}
    return {**container, "resources": {**resources, "limits": limits, "requests": requests}}
