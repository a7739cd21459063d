"""What may not be reported of a Job: counters that go back, conditions that contradict each other, an end that is none.

Other controllers than Kubernetes' own may report a Job's status (`spec.managedBy`); these rules keep what they say such that
whoever waits for the Job is not misled. Most hold only when what they are about changes. Called by the API server's
`validation.statuses`.
"""

from __future__ import annotations

import re

from argosy.errors import Cause
from argosy.meta import causes
from argosy.meta.json import Obj
from argosy.meta.rules.fields import Found, non_negative, required

_COUNTERS = ("active", "succeeded", "failed", "ready", "terminating")
_TERMINAL = ("Failed", "Complete", "FailureTarget")


def status(new: Obj, old: Obj) -> Found:
    """batch/v1 Job."""
    found: Found = []
    now, before, spec = new.get("status") or {}, old.get("status") or {}, new["spec"]
    non_negative(found, "status", now, *_COUNTERS)
    _uncounted(found, now.get("uncountedTerminatedPods") or {})
    _conditions(found, spec, now, before)
    _end(found, spec, now, before)
    _indexes(found, spec, now, before)
    _progress(found, spec, now, before)
    return found


def _is(status: Obj, type: str, value: str = "True") -> bool:
    return any(each.get("type") == type and each.get("status") == value for each in status.get("conditions") or ())


def _over(status: Obj) -> bool:
    return _is(status, "Complete") or _is(status, "Failed")


def _differ(now: Obj, before: Obj, *fields: str) -> bool:
    return any(now.get(field) != before.get(field) for field in fields)


def _turned(now: Obj, before: Obj, *types: str) -> bool:
    return any(_is(now, type) != _is(before, type) for type in types)


def _say(found: Found, message: str) -> None:
    found.append(Cause("FieldValueInvalid", f"Invalid value: {message}", "status.conditions"))


def _uncounted(found: Found, uncounted: Obj) -> None:
    seen: set[str] = set()
    for field in ("succeeded", "failed"):
        for index, uid in enumerate(uncounted.get(field) or ()):
            path = f"status.uncountedTerminatedPods.{field}[{index}]"
            if not uid:
                found.append(causes.invalid(path, uid, "must not be empty"))
            elif uid in seen:
                found.append(causes.duplicate(path, uid))
            seen.add(uid)


def _conditions(found: Found, spec: Obj, now: Obj, before: Obj) -> None:
    complete, failed, met = _is(now, "Complete"), _is(now, "Failed"), _is(now, "SuccessCriteriaMet")
    doomed = _is(now, "FailureTarget")
    if complete and failed and _turned(now, before, "Complete", "Failed"):
        _say(found, "cannot set Complete=True and Failed=true conditions")
    if complete and doomed and _turned(now, before, "Complete", "FailureTarget"):
        _say(found, "cannot set Complete=True and FailureTarget=true conditions")
    if failed and not doomed and (_turned(now, before, "Failed") or _differ(now, before, "failedIndexes")):
        _say(found, "cannot set Failed=True condition without the FailureTarget=true condition")
    if complete and not met and _turned(now, before, "Complete", "SuccessCriteriaMet"):
        _say(found, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition")
    if met and failed:
        _say(found, "cannot set SuccessCriteriaMet=True and Failed=true conditions")
    if met and doomed:
        _say(found, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
    if spec.get("successPolicy") is not None and complete and not met:
        _say(found, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True")
    for type in _TERMINAL:
        if _is(before, type) and not _is(now, type):
            _say(found, f"cannot disable the terminal {type}=True condition")
    if _is(before, "SuccessCriteriaMet") and not met:
        _say(found, "cannot disable the SuccessCriteriaMet=True condition")
    if _is(before, "Complete") and not _is(before, "SuccessCriteriaMet") and met:
        _say(found, "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions")


def _end(found: Found, spec: Obj, now: Obj, before: Obj) -> None:
    start, end, complete = now.get("startTime"), now.get("completionTime"), _is(now, "Complete")
    if _turned(now, before, "Complete") or _differ(now, before, "completionTime"):
        if end is not None and not complete:
            message = "cannot set completionTime when there is no Complete=True condition"
            found.append(causes.invalid("status.completionTime", end, message))
        if complete:
            required(found, "status.completionTime", end, "completionTime is required for Complete jobs")
    if _differ(now, before, "startTime", "completionTime") and start and end and end < start:
        found.append(causes.invalid("status.completionTime", end, "must be equal to or after `startTime`"))
    if not _over(now):
        return
    ended = not _over(before)
    if now.get("active") and (ended or _differ(now, before, "active")):
        found.append(causes.invalid("status.active", now["active"], "active>0 is invalid for finished job"))
    idle = spec.get("suspend") and spec.get("completions") == 0
    if start is None and not idle and (ended or _differ(now, before, "startTime")):
        found.append(causes.required("status.startTime", "startTime is required for finished job"))
    uncounted = now.get("uncountedTerminatedPods") or {}
    if any(uncounted.values()) and (ended or _differ(now, before, "uncountedTerminatedPods")):
        shown = {go: uncounted.get(field) for go, field in (("Succeeded", "succeeded"), ("Failed", "failed"))}
        found.append(causes.invalid("status.uncountedTerminatedPods", shown, "must be empty for finished job"))
    if now.get("terminating") and (ended or _differ(now, before, "terminating")):
        message = "terminating>0 is invalid for finished job"
        found.append(causes.invalid("status.terminating", now["terminating"], message))


def _indexes(found: Found, spec: Obj, now: Obj, before: Obj) -> None:
    completed, failed, completions = (
        now.get("completedIndexes") or "",
        now.get("failedIndexes"),
        spec.get("completions"),
    )
    path, moved = "status.completedIndexes", _differ(now, before, "completedIndexes")
    if moved and completions is not None and (fault := _misread(completed, completions)):
        found.append(causes.invalid(path, completed, f"error parsing completedIndexes: {fault}"))
    if moved and completed and spec.get("completionMode") != "Indexed":
        message = "cannot set non-empty completedIndexes when non-indexed completion mode"
        found.append(causes.invalid(path, completed, message))
    if failed is None:
        return
    path = "status.failedIndexes"
    if _differ(now, before, "failedIndexes"):
        if spec.get("backoffLimitPerIndex") is None:
            message = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
            found.append(causes.invalid(path, failed, message))
        elif completions is not None and (fault := _misread(failed, completions)):
            found.append(causes.invalid(path, failed, f"error parsing failedIndexes: {fault}"))
    if (moved or _differ(now, before, "failedIndexes")) and completions is not None:
        both = _overlap(completed, failed, completions)
        if both is not None:
            message = f"failedIndexes and completedIndexes overlap at index: {both}"
            found.append(causes.invalid(path, failed, message))


def _interval(text: str, completions: int) -> tuple[int, int] | str:
    """First and last index of `3` or `3-5`, or what is wrong with it."""
    parts = text.split("-")
    if len(parts) > 2:
        rule = "violates the requirement that an index interval can have at most two parts separated by '-'"
        return f"the fragment {causes.shown(text)} {rule}"
    ends: list[int] = []
    for part in parts:
        if re.fullmatch("[+-]?[0-9]+", part) is None:
            return f"cannot convert string to integer for index: {causes.shown(part)}"
        if int(part) >= completions:
            return f"too large index: {causes.shown(part)}"
        ends.append(int(part))
    if len(ends) == 2 and ends[0] >= ends[1]:
        return f"non-increasing order, previous: {ends[0]}, current: {ends[1]}"
    return ends[0], ends[-1]


def _misread(text: str, completions: int) -> str:
    """What is wrong with a list of indexes such as `0,2-3`; empty when nothing."""
    last: int | None = None
    for part in text.split(",") if text else ():
        read = _interval(part, completions)
        if isinstance(read, str):
            return read
        if last is not None and last >= read[0]:
            return f"non-increasing order, previous: {last}, current: {read[0]}"
        last = read[1]
    return ""


def _overlap(completed: str, failed: str, completions: int) -> int | None:
    """The first index that is in both lists; intervals that cannot be read are passed over."""
    sides = [[_interval(part, completions) for part in text.split(",") if text] for text in (completed, failed)]
    left, right = ([each for each in side if not isinstance(each, str)] for side in sides)
    at = to = 0
    while at < len(left) and to < len(right):
        (first, last), (low, high) = left[at], right[to]
        if first <= high and low <= last:
            return max(first, low)
        if first <= low:
            at += 1
        else:
            to += 1
    return None


def _progress(found: Found, spec: Obj, now: Obj, before: Obj) -> None:
    ready = now.get("ready")
    if ready is not None and _differ(now, before, "ready", "active") and ready > (now.get("active") or 0):
        found.append(causes.invalid("status.ready", ready, "cannot set more ready pods than active"))
    elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    for field in ("failed", *(() if elastic else ("succeeded",))):
        if (now.get(field) or 0) < (before.get(field) or 0):
            found.append(causes.invalid(f"status.{field}", now.get(field) or 0, f"cannot decrease the {field} counter"))
    start, end = now.get("startTime"), now.get("completionTime")
    if end is not None and before.get("completionTime") not in (None, end):
        found.append(causes.invalid("status.completionTime", end, "field is immutable"))
    resuming = _is(before, "Suspended") and _is(now, "Suspended", "False")
    if before.get("startTime") not in (None, start) and not resuming and not spec.get("suspend"):
        message = "field is immutable for unsuspended job once set"
        found.append(causes.invalid("status.startTime", start, message))
