"""Rules of Job and CronJob."""

from __future__ import annotations

import re
from typing import Any

from argosy.errors import Cause
from argosy.meta import causes, names
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
)  # fmt: skip
from argosy.meta.rules.pod import template

_MAX_INDEXED = 100_000
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_INDEXED = "requires indexed completion mode"


def job(new: Obj, old: Obj | None) -> Found:
    """batch/v1 Job; its selector and labels are generated before this."""
    found: Found = []
    spec = new["spec"]
    _spec(found, "spec", spec)
    if spec.get("selector") is None:
        found.append(causes.required("spec.selector"))
    else:
        selector(found, "spec.selector", spec["selector"])
    have = (spec["template"].get("metadata") or {}).get("labels")
    mismatch = spec.get("selector") is None or not selects(spec["selector"], have)
    _generated(found, new)
    if mismatch:
        message = "`selector` does not match template `labels`"
        found.append(causes.invalid("spec.template.metadata.labels", have, message))
    if spec.get("completionMode") == "Indexed":
        _indexed_name(found, new)
    if old is not None:
        _update(found, spec, old)
    return found


def _generated(found: Found, new: Obj) -> None:
    """Without manualSelector, the selector is the one that was generated."""
    spec = new["spec"]
    if spec.get("manualSelector") or spec.get("selector") is None:
        return
    uid = new["metadata"].get("uid")
    key = "batch.kubernetes.io/controller-uid"
    allowed = ({"matchLabels": {key: uid}}, {"matchLabels": {"controller-uid": uid}})
    if uid and spec["selector"] not in allowed:
        found.append(causes.invalid("spec.selector", spec["selector"], "`selector` not auto-generated"))


def _indexed_name(found: Found, new: Obj) -> None:
    completions = new["spec"].get("completions")
    if completions and new["metadata"].get("name"):
        name = f"{new['metadata']['name']}-{completions - 1}"
        for complaint in names.label(name):
            message = f"will not able to create pod with invalid DNS label: {name}: {complaint}"
            found.append(causes.invalid("metadata.name", new["metadata"].get("name"), message))


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
    indexed = spec.get("completionMode") == "Indexed"
    one_of(found, f"{path}.completionMode", spec.get("completionMode"), ("NonIndexed", "Indexed"))
    if indexed:
        if spec.get("completions") is None:
            message = "when completion mode is Indexed"
            found.append(causes.required(f"{path}.completions", message))
        if (spec.get("parallelism") or 0) > _MAX_INDEXED:
            message = f"must be less than or equal to {_MAX_INDEXED} when completion mode is Indexed"
            found.append(causes.invalid(f"{path}.parallelism", spec["parallelism"], message))
    for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
        value = spec.get(name)
        if value is None:
            continue
        non_negative(found, path, spec, name)
        if not indexed:
            found.append(causes.invalid(f"{path}.{name}", value, _INDEXED))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        message = "when maxFailedIndexes is specified"
        found.append(causes.required(f"{path}.backoffLimitPerIndex", message))
    _replacement(found, path, spec)
    _failure_policy(found, f"{path}.podFailurePolicy", spec)
    _success_policy(found, f"{path}.successPolicy", spec, indexed=indexed)
    _template(found, path, spec)


def _replacement(found: Found, path: str, spec: Obj) -> None:
    policy = spec.get("podReplacementPolicy")
    allowed = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
    one_of(found, f"{path}.podReplacementPolicy", policy, allowed)
    managed = spec.get("managedBy")
    if managed is not None and "/" not in managed:
        message = 'must be a domain-prefixed path (such as "acme.io/foo")'
        found.append(causes.invalid(f"{path}.managedBy", managed, message))


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
    if len(rules or ()) > 20:
        found.append(causes.too_many(f"{path}.rules", len(rules or ()), 20))
    known = {
        each.get("name")
        for part in ("containers", "initContainers")
        for each in spec["template"]["spec"].get(part) or ()
    }
    for index, rule in enumerate(rules or ()):
        place = f"{path}.rules[{index}]"
        if required(found, f"{place}.action", rule.get("action")):
            one_of(found, f"{place}.action", rule["action"], _ACTIONS)
            if rule["action"] == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
                found.append(
                    causes.invalid(f"{place}.action", "FailIndex", "requires the backoffLimitPerIndex to be set")
                )
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            _exit_codes(found, f"{place}.onExitCodes", codes, known)
        for number, each in enumerate(conditions or ()):
            name = each.get("type") or ""
            for complaint in names.qualified(name):
                found.append(causes.invalid(f"{place}.onPodConditions[{number}].type", name, complaint))
            one_of(found, f"{place}.onPodConditions[{number}].status", each.get("status"), ("False", "True", "Unknown"))
        if codes is not None and conditions:
            found.append(_plain(place, "specifying both OnExitCodes and OnPodConditions is not supported"))
        elif codes is None and not conditions:
            found.append(_plain(place, "specifying one of OnExitCodes and OnPodConditions is required"))


def _plain(path: str, detail: str) -> Cause:
    """Kubernetes names no value here, only what is wrong with it."""
    return Cause("FieldValueInvalid", f"Invalid value: {detail}", path)


def _exit_codes(found: Found, path: str, codes: Obj, known: set[Any]) -> None:
    one_of(found, f"{path}.operator", codes.get("operator"), ("In", "NotIn"))
    name = codes.get("containerName")
    if name is not None and name not in known:
        message = "must be one of the container or initContainer names in the pod template"
        found.append(causes.invalid(f"{path}.containerName", name, message))
    values = codes.get("values") or []
    if not values:
        found.append(causes.invalid(f"{path}.values", [], "at least one value is required"))
    for index, value in enumerate(values):
        if codes.get("operator") == "In" and value == 0:
            found.append(causes.invalid(f"{path}.values[{index}]", 0, "must not be 0 for the In operator"))
        elif value in values[:index]:
            found.append(causes.duplicate(f"{path}.values[{index}]", value))


def _success_policy(found: Found, path: str, spec: Obj, *, indexed: bool) -> None:
    policy = spec.get("successPolicy")
    if policy is None:
        return
    rules = policy.get("rules") or []
    if not indexed:
        shown = {
            "Rules": [
                {"SucceededIndexes": r.get("succeededIndexes"), "SucceededCount": r.get("succeededCount")}
                for r in rules
            ]
        }
        found.append(causes.invalid(path, shown, _INDEXED))
        return
    if not rules:
        found.append(
            causes.required(f"{path}.rules", "at least one rules must be specified when the successPolicy is specified")
        )
    for index, rule in enumerate(rules):
        place = f"{path}.rules[{index}]"
        if rule.get("succeededCount") is None and rule.get("succeededIndexes") is None:
            found.append(causes.required(place, "at least one of succeededCount or succeededIndexes must be specified"))
        count = rule.get("succeededCount")
        completions = spec.get("completions")
        if count is not None and completions is not None and count > completions:
            message = f"must be less than or equal to {completions} (the number of specified completions)"
            found.append(causes.invalid(f"{place}.succeededCount", count, message))


_PODS_MAY = ("nodeSelector", "tolerations", "schedulingGates", "affinity")


def _update(found: Found, spec: Obj, old: Obj) -> None:
    before = old["spec"]
    elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    if not (elastic and before.get("completions") == before.get("parallelism")):
        unchanged(found, "spec.completions", spec.get("completions"), before.get("completions"))
    have = (spec["template"].get("metadata") or {}).get("labels")
    if not selects(spec.get("selector"), have):
        message = "`selector` does not match template `labels`"
        found.append(causes.invalid("spec.template.metadata.labels", have, message))
    unchanged(found, "spec.selector", spec.get("selector"), before.get("selector"))
    new_pod, old_pod = _pod(spec["template"], before, old), _pod(before["template"], before, old)
    if new_pod != old_pod:
        found.append(causes.invalid("spec.template.spec", spec["template"]["spec"], IMMUTABLE))
    for name in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        unchanged(found, f"spec.{name}", spec.get(name), before.get(name))


def _pod(template_value: Obj, before: Obj, old: Obj) -> Obj:
    """What may not change of a template: a job that is suspended and never started may still be placed elsewhere."""
    if not before.get("suspend") or (old.get("status") or {}).get("startTime"):
        return template_value
    pod = {key: value for key, value in template_value["spec"].items() if key not in _PODS_MAY}
    return {"metadata": {}, "spec": pod}


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
        return f"expected exactly 5 fields, found {len(fields)}: {fields!r}".replace("'", "").replace(",", "")
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


def cron_job(new: Obj, old: Obj | None) -> Found:
    """batch/v1 CronJob."""
    found: Found = []
    spec = new["spec"]
    if len(new["metadata"].get("name") or "") > 52 and old is None:
        found.append(causes.invalid("metadata.name", new["metadata"]["name"], "must be no more than 52 characters"))
    if required(found, "spec.schedule", spec.get("schedule")):
        fault = schedule_fault(spec["schedule"])
        if fault:
            found.append(causes.invalid("spec.schedule", spec["schedule"], fault))
        elif "TZ" in spec["schedule"]:
            message = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
            found.append(causes.invalid("spec.schedule", spec["schedule"], message))
    non_negative(found, "spec", spec, "startingDeadlineSeconds")
    needs = ("Allow", "Forbid", "Replace")
    if required(found, "spec.concurrencyPolicy", spec.get("concurrencyPolicy")):
        one_of(found, "spec.concurrencyPolicy", spec["concurrencyPolicy"], needs)
    if spec.get("timeZone") == "":
        found.append(causes.invalid("spec.timeZone", "", "timeZone must be nil or non-empty string"))
    inner = spec["jobTemplate"]["spec"]
    _spec(found, "spec.jobTemplate.spec", inner)
    if inner.get("manualSelector"):
        found.append(causes.unsupported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false")))
    non_negative(found, "spec", spec, "successfulJobsHistoryLimit")
    non_negative(found, "spec", spec, "failedJobsHistoryLimit")
    return found
