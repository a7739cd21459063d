"""Rules of Job and CronJob."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from argosy.errors import Cause
from argosy.meta import causes, internal_form, names
from argosy.meta.json import Obj
from argosy.meta.rules.fields import (
    IMMUTABLE,
    Found,
    non_negative,
    one_of,
    required,
    selector,
    selects,
    unchanged,
    unreadable,
)  # fmt: skip
from argosy.meta.rules.network import domain_path
from argosy.meta.rules.pod import template

_MAX_INDEXED = _MANY = 100_000
_MANY_PARALLEL, _MANY_FAILED = 10_000, 10_000
_INDEXES_MAX, _CRON_NAME_MAX = 64 * 1024, 52
_MOST_RULES, _MOST_CODES, _MANAGED_MAX = 20, 255, 63
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_MISMATCH = "`selector` does not match template `labels`"
_INDEXED = "requires indexed completion mode"


def job(new: Obj, old: Obj | None) -> Found:
    """batch/v1 Job; its selector and labels are generated before this."""
    found: Found = []
    spec = new["spec"]
    _generated(found, new)
    _whole(found, spec)
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > 0:
        name = new["metadata"].get("name") or ""
        last = f"{name}-{spec['completions'] - 1}"
        if names.label(last):
            message = f"will not able to create pod with invalid DNS label: {last}"
            found.append(causes.invalid("metadata.name", name, message))
    if old is not None:
        _update(found, spec, old)
    return found


def _whole(found: Found, spec: Obj) -> None:
    _spec(found, "spec", spec)
    if spec.get("selector") is None:
        found.append(causes.required("spec.selector"))
    else:
        selector(found, "spec.selector", spec["selector"])
    have = (spec["template"].get("metadata") or {}).get("labels")
    if not unreadable(spec.get("selector")) and (spec.get("selector") is None or not selects(spec["selector"], have)):
        found.append(causes.invalid("spec.template.metadata.labels", have, _MISMATCH))


def _generated(found: Found, new: Obj) -> None:
    """Without manualSelector, the selector and the labels it asks for are those that are generated."""
    spec = new["spec"]
    if spec.get("manualSelector") or spec.get("selector") is None:
        return
    uid, name = new["metadata"].get("uid") or "", new["metadata"].get("name") or ""
    wanted = {
        "controller-uid": uid, "job-name": name, "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
    }  # fmt: skip
    have = (spec["template"].get("metadata") or {}).get("labels") or {}
    for key, value in wanted.items():
        place = "spec.template.metadata.labels"
        if key not in have:
            found.append(causes.required(f"{place}[{key}]", f"must be '{value}'"))
        elif have[key] != value:
            found.append(causes.invalid(f"{place}[{key}]", have, f"must be '{value}'"))
    if not unreadable(spec["selector"]) and not selects(spec["selector"], wanted):
        found.append(causes.invalid("spec.selector", spec["selector"], "`selector` not auto-generated"))


def _spec(found: Found, path: str, spec: Obj) -> None:
    non_negative(
        found,
        path,
        spec,
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    )
    mode = spec.get("completionMode")
    non_negative(found, path, spec, "backoffLimitPerIndex", "maxFailedIndexes")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        found.append(causes.required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    managed = spec.get("managedBy")
    if managed is not None:
        domain_path(found, f"{path}.managedBy", managed)
        if len(managed) > _MANAGED_MAX:
            found.append(causes.too_long(f"{path}.managedBy", _MANAGED_MAX))
    one_of(found, f"{path}.completionMode", mode, ("NonIndexed", "Indexed"))
    if mode == "Indexed":
        _indexed(found, path, spec)
    for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if spec.get(name) is not None and mode in (None, "NonIndexed"):
            found.append(causes.invalid(f"{path}.{name}", spec[name], _INDEXED))
    _failure_policy(found, f"{path}.podFailurePolicy", spec)
    _success_policy(found, f"{path}.successPolicy", spec, indexed=mode == "Indexed")
    _replacement(found, path, spec)
    _template(found, path, spec)


def _indexed(found: Found, path: str, spec: Obj) -> None:
    completions, parallel, failed = (spec.get(name) for name in ("completions", "parallelism", "maxFailedIndexes"))
    if completions is None:
        found.append(causes.required(f"{path}.completions", "when completion mode is Indexed"))
    if parallel is not None and parallel > _MAX_INDEXED:
        message = f"must be less than or equal to {_MAX_INDEXED} when completion mode is Indexed"
        found.append(causes.invalid(f"{path}.parallelism", parallel, message))
    if failed is not None and completions is not None and failed > completions:
        message = "must be less than or equal to completions"
        found.append(causes.invalid(f"{path}.maxFailedIndexes", failed, message))
    if failed is not None and failed > _MAX_INDEXED:
        found.append(
            causes.invalid(f"{path}.maxFailedIndexes", failed, f"must be less than or equal to {_MAX_INDEXED}")
        )
    if completions is None or completions <= _MANY or spec.get("backoffLimitPerIndex") is None:
        return
    if failed is None:
        found.append(
            causes.required(f"{path}.maxFailedIndexes", f"must be specified when completions is above {_MANY}")
        )
    for name, value, most in (("parallelism", parallel, _MANY_PARALLEL), ("maxFailedIndexes", failed, _MANY_FAILED)):
        if value is not None and value > most:
            message = (
                f"must be less than or equal to {most} when completions are above {_MANY} and used with backoff limit"
                " per index"
            )
            found.append(causes.invalid(f"{path}.{name}", value, message))


def _replacement(found: Found, path: str, spec: Obj) -> None:
    policy = spec.get("podReplacementPolicy")
    allowed = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
    one_of(found, f"{path}.podReplacementPolicy", policy, allowed)


def _template(found: Found, path: str, spec: Obj) -> None:
    value = spec["template"]
    template(found, f"{path}.template", value)
    policy = value["spec"].get("restartPolicy")
    place = f"{path}.template.spec.restartPolicy"
    if policy in ("", "Always", None):
        found.append(causes.required(place, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        found.append(causes.unsupported(place, policy, ("OnFailure", "Never")))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        message = 'only "Never" is supported when podFailurePolicy is specified'
        found.append(causes.invalid(place, policy, message))


def _failure_policy(found: Found, path: str, spec: Obj) -> None:
    rules = (spec.get("podFailurePolicy") or {}).get("rules")
    if len(rules or ()) > _MOST_RULES:
        found.append(causes.too_many(f"{path}.rules", len(rules or ()), _MOST_RULES))
    known = {
        each.get("name")
        for part in ("containers", "initContainers")
        for each in spec["template"]["spec"].get(part) or ()
    }
    for index, rule in enumerate(rules or ()):
        place = f"{path}.rules[{index}]"
        if required(found, f"{place}.action", rule.get("action"), _valid(_ACTIONS)):
            one_of(found, f"{place}.action", rule["action"], _ACTIONS)
            if rule["action"] == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
                found.append(
                    causes.invalid(f"{place}.action", "FailIndex", "requires the backoffLimitPerIndex to be set")
                )
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            _exit_codes(found, f"{place}.onExitCodes", codes, known)
        if len(conditions or ()) > _MOST_RULES:
            found.append(causes.too_many(f"{place}.onPodConditions", len(conditions or ()), _MOST_RULES))
        for number, each in enumerate(conditions or ()):
            name = each.get("type") or ""
            for complaint in names.qualified(name):
                found.append(causes.invalid(f"{place}.onPodConditions[{number}].type", name, complaint))
            where, states = f"{place}.onPodConditions[{number}].status", ("False", "True", "Unknown")
            if required(found, where, each.get("status"), _valid(states)):
                one_of(found, where, each["status"], states)
        if codes is not None and conditions:
            found.append(_plain(place, "specifying both OnExitCodes and OnPodConditions is not supported"))
        elif codes is None and not conditions:
            found.append(_plain(place, "specifying one of OnExitCodes and OnPodConditions is required"))


def _valid(values: Iterable[str]) -> str:
    return f"valid values: [{' '.join(causes.shown(value) for value in values)}]"


def _plain(path: str, detail: str) -> Cause:
    """Kubernetes names no value here, only what is wrong with it."""
    return Cause("FieldValueInvalid", f"Invalid value: {detail}", path)


def _exit_codes(found: Found, path: str, codes: Obj, known: set[Any]) -> None:
    if required(found, f"{path}.operator", codes.get("operator"), _valid(("In", "NotIn"))):
        one_of(found, f"{path}.operator", codes["operator"], ("In", "NotIn"))
    name = codes.get("containerName")
    if name is not None and name not in known:
        message = "must be one of the container or initContainer names in the pod template"
        found.append(causes.invalid(f"{path}.containerName", name, message))
    values = codes.get("values") or []
    if not values:
        found.append(causes.invalid(f"{path}.values", codes.get("values"), "at least one value is required"))
    elif len(values) > _MOST_CODES:
        found.append(causes.too_many(f"{path}.values", len(values), _MOST_CODES))
    for index, value in enumerate(values):
        if codes.get("operator") == "In" and value == 0:
            found.append(causes.invalid(f"{path}.values[{index}]", 0, "must not be 0 for the In operator"))
        if value in values[:index]:
            found.append(causes.duplicate(f"{path}.values[{index}]", value))
    if values != sorted(values):
        found.append(causes.invalid(f"{path}.values", values, "must be ordered"))


def _success_policy(found: Found, path: str, spec: Obj, *, indexed: bool) -> None:
    policy = spec.get("successPolicy")
    if policy is None:
        return
    rules = policy.get("rules") or []
    if not indexed:
        found.append(causes.invalid(path, internal_form.form("batch.SuccessPolicy", policy), _INDEXED))
        return
    if not rules:
        found.append(
            causes.required(f"{path}.rules", "at least one rules must be specified when the successPolicy is specified")
        )
    for index, rule in enumerate(rules):
        place = f"{path}.rules[{index}]"
        if rule.get("succeededCount") is None and rule.get("succeededIndexes") is None:
            found.append(causes.required(place, "at least one of succeededCount or succeededIndexes must be specified"))
        _success_rule(found, place, rule, spec.get("completions") or 0)


def _success_rule(found: Found, place: str, rule: Obj, completions: int) -> None:
    count, listed, total = rule.get("succeededCount"), rule.get("succeededIndexes"), 0
    if listed is not None:
        if len(listed) > _INDEXES_MAX:
            found.append(causes.too_long(f"{place}.succeededIndexes", _INDEXES_MAX))
        try:
            total = _count(listed, completions)
        except ValueError as error:
            message = f"error parsing succeededIndexes: {error}"
            found.append(causes.invalid(f"{place}.succeededIndexes", listed, message))
    if count is None:
        return
    non_negative(found, place, rule, "succeededCount")
    for most, of, known in (
        (completions, "specified completions", True),
        (total, "indexes in the specified succeededIndexes field", listed is not None),
    ):
        if known and count > most:
            message = f"must be less than or equal to {most} (the number of {of})"
            found.append(causes.invalid(f"{place}.succeededCount", count, message))


def _count(text: str, completions: int) -> int:
    """How many indexes are in `0,2-3`. Raises ValueError for what is no such list of those below `completions`."""
    last, total = -1, 0
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if len(ends) > 2:
            raise ValueError(
                f"the fragment {causes.shown(part)} violates the requirement that an index interval can have at most two"
                " parts separated by '-'"
            )
        numbers = []
        for end in ends:
            if re.fullmatch("[+-]?[0-9]+", end) is None:
                raise ValueError(f"cannot convert string to integer for index: {causes.shown(end)}")
            if int(end) >= completions:
                raise ValueError(f"too large index: {causes.shown(end)}")
            numbers.append(int(end))
        first, final = numbers[0], numbers[-1]
        if len(numbers) == 2 and first >= final:
            raise ValueError(f"non-increasing order, previous: {first}, current: {final}")
        if total and last >= first:
            raise ValueError(f"non-increasing order, previous: {last}, current: {first}")
        last, total = final, total + final - first + 1
    return total


_FORMS = {"podFailurePolicy": "batch.PodFailurePolicy", "successPolicy": "batch.SuccessPolicy"}
_PODS_MAY = ("nodeSelector", "tolerations", "schedulingGates", "affinity")


def _update(found: Found, spec: Obj, old: Obj) -> None:
    before = old["spec"]
    _whole(found, spec)  # as Kubernetes does, which then says twice what is wrong
    completions, parallel = spec.get("completions"), spec.get("parallelism")
    if spec.get("completionMode") != "Indexed":
        unchanged(found, "spec.completions", completions, before.get("completions"))
    elif completions is not None and completions not in (before.get("completions"), parallel):
        message = "can only be modified in tandem with spec.parallelism"
        found.append(causes.invalid("spec.completions", completions, message))
    unchanged(found, "spec.selector", spec.get("selector"), before.get("selector"))
    held = (old.get("status") or {}).get("startTime") is not None or not before.get("suspend")
    new_pod, old_pod = (_pod(each["template"], placed=not held) for each in (spec, before))
    if before.get("suspend") and not held:
        if new_pod["spec"] != old_pod["spec"]:
            found.append(
                causes.invalid("spec.template.spec", internal_form.form("core.PodSpec", new_pod["spec"]), IMMUTABLE)
            )
    elif new_pod != old_pod:
        found.append(causes.invalid("spec.template", internal_form.form("core.PodTemplateSpec", new_pod), IMMUTABLE))
    for name in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        if spec.get(name) != before.get(name):
            kind = _FORMS.get(name)
            shown = internal_form.form(kind, spec.get(name)) if kind else spec.get(name)
            found.append(causes.invalid(f"spec.{name}", shown, IMMUTABLE))


def _pod(value: Obj, *, placed: bool) -> Obj:
    """What may not change of a template: a job that is suspended and never started may be placed elsewhere, on more."""
    if not placed:
        return value
    spec = {key: each for key, each in value["spec"].items() if key not in _PODS_MAY}
    others = {key: each for key, each in (value["spec"].get("affinity") or {}).items() if key != "nodeAffinity"}
    if others:
        spec["affinity"] = others
    for field in ("containers", "initContainers"):
        if spec.get(field):
            spec[field] = [{k: v for k, v in each.items() if k != "resources"} for each in spec[field]]
    return {"metadata": {}, "spec": spec}


_MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def schedule_fault(text: str) -> str:
    """What is wrong with a cron schedule, empty when nothing."""
    if text.startswith("@"):
        if text in _MACROS or re.fullmatch(r"@every \d+(\.\d+)?(ns|us|ms|s|m|h).*", text):
            return ""
        return f"unrecognized descriptor: {text}"
    fields = text.split()
    if len(fields) != 5:
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for index, (field, (low, high)) in enumerate(zip(fields, _RANGES, strict=True)):
        fault = _field_fault(field, low, high, _MONTHS if index == 3 else _DAYS if index == 4 else [])
        if fault:
            return fault
    return ""


def _field_fault(field: str, low: int, high: int, words: list[str]) -> str:
    for part in field.split(","):
        span, _, step = part.partition("/")
        if step and not (step.isdigit() and int(step)):
            return f"step of range should be a positive number: {part}" if step.isdigit() else _parse_fault(step)
        if span in ("*", "?"):
            continue
        ends = []
        for end in span.split("-", 1):
            if end.lower() in words:
                ends.append(words.index(end.lower()) + low)
            elif end.isdigit():
                ends.append(int(end))
            else:
                return _parse_fault(end)
        if min(ends) < low:
            return f"beginning of range ({min(ends)}) below minimum ({low}): {part}"
        if max(ends) > high:
            return f"end of range ({max(ends)}) above maximum ({high}): {part}"
        if ends[0] > ends[-1]:
            return f"beginning of range ({ends[0]}) beyond end of range ({ends[-1]}): {part}"
    return ""


def _parse_fault(text: str) -> str:
    return f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'


def _schedule(found: Found, text: str, zone: str | None, *, lax: bool) -> None:
    zoned = re.fullmatch(r"(?:CRON_)?TZ=(\S+)\s+(.*)", text)
    fault = schedule_fault(zoned[2] if zoned else text)
    if zoned and not fault and not _known_zone(zoned[1]):
        fault = f"provided bad location {zoned[1]}: unknown time zone {zoned[1]}"
    if fault:
        found.append(causes.invalid("spec.schedule", text, fault))
    if "TZ" in text and not lax:
        message = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        found.append(causes.invalid("spec.schedule", text, message))
    elif "TZ" in text and zone is not None:
        message = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        found.append(causes.invalid("spec.schedule", text, message))


def _time_zone(found: Found, zone: str) -> None:
    path = "spec.timeZone"
    if not zone:
        found.append(causes.invalid(path, zone, "timeZone must be nil or non-empty string"))
        return
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or re.fullmatch(r"[A-Za-z.\-_0-9+]{1,14}", part) is None:
            found.append(causes.invalid(path, zone, f"unknown time zone {zone}"))
            return
    if zone.lower() == "local":
        message = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        found.append(causes.invalid(path, zone, message))
    if not _known_zone(zone) and zone != "Local":
        found.append(causes.invalid(path, zone, f"unknown time zone {zone}"))


def _known_zone(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def cron_job(new: Obj, old: Obj | None) -> Found:
    """batch/v1 CronJob."""
    found: Found = []
    spec = new["spec"]
    if len(new["metadata"].get("name") or "") > _CRON_NAME_MAX and old is None:
        message = f"must be no more than {_CRON_NAME_MAX} characters"
        found.append(causes.invalid("metadata.name", new["metadata"]["name"], message))
    before = old["spec"] if old is not None else {}
    if required(found, "spec.schedule", spec.get("schedule")):
        _schedule(found, spec["schedule"], spec.get("timeZone"), lax="TZ" in (before.get("schedule") or ""))
    non_negative(found, "spec", spec, "startingDeadlineSeconds")
    needs = ("Allow", "Forbid", "Replace")
    if required(found, "spec.concurrencyPolicy", spec.get("concurrencyPolicy")):
        one_of(found, "spec.concurrencyPolicy", spec["concurrencyPolicy"], needs)
    if spec.get("timeZone") is not None and spec["timeZone"] != before.get("timeZone"):
        _time_zone(found, spec["timeZone"])
    inner = spec["jobTemplate"]["spec"]
    _spec(found, "spec.jobTemplate.spec", inner)
    if inner.get("selector") is not None:
        message = "`selector` will be auto-generated"
        found.append(causes.invalid("spec.jobTemplate.spec.selector", inner["selector"], message))
    if inner.get("manualSelector"):
        found.append(causes.unsupported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false")))
    non_negative(found, "spec", spec, "successfulJobsHistoryLimit")
    non_negative(found, "spec", spec, "failedJobsHistoryLimit")
    return found
