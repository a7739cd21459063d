"""Rules of the kinds that keep pods running: Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController."""

from __future__ import annotations

import re
from typing import Any

from argosy.errors import Cause
from argosy.meta import causes, names
from argosy.meta.json import Obj
from argosy.meta.rules.fields import (
    Found,
    annotated,
    count_or_percent,
    labels,
    needs_supported,
    non_negative,
    required,
    say,
    selector,
    selects,
    unchanged,
    unreadable,
)  # fmt: skip
from argosy.meta.rules.pod import marked, template
from argosy.meta.rules.storage import claim_spec

_MISMATCH = "`selector` does not match template `labels`"
_BAD_SELECTOR = "invalid label selector"
_EMPTY_SELECTOR = "empty selector is invalid for "


def _selector(found: Found, spec: Obj, kind: str) -> None:
    """The selector of an apps kind: there, not empty, well-formed."""
    value = spec.get("selector")
    if value is None:
        found.append(causes.required("spec.selector"))
        return
    selector(found, "spec.selector", value)
    if not (value.get("matchLabels") or value.get("matchExpressions")):
        found.append(causes.invalid("spec.selector", value, _EMPTY_SELECTOR + kind))


def _template(found: Found, spec: Obj, *, what: str) -> None:
    """A template that must carry the selector's labels and always restart."""
    value = spec["template"]
    have = (value.get("metadata") or {}).get("labels")
    wanted = spec.get("selector") or {}
    named = wanted.get("matchLabels") or wanted.get("matchExpressions")
    if spec.get("selector") is None or (named and not selects(wanted, have)):
        found.append(causes.invalid("spec.template.metadata.labels", have, _MISMATCH))
    template(found, "spec.template", value)
    _restarts(found, value, what)


def _restarts(found: Found, value: Obj, what: str) -> None:
    """What runs until it is taken away restarts always, and has no deadline."""
    policy = value["spec"].get("restartPolicy")
    if policy != "Always":
        found.append(causes.unsupported("spec.template.spec.restartPolicy", policy or "", ("Always",)))
    if value["spec"].get("activeDeadlineSeconds") is not None:
        message = f"activeDeadlineSeconds in {what} is not Supported"
        found.append(causes.forbidden("spec.template.spec.activeDeadlineSeconds", message))


def _rolling(found: Found, path: str, rolling: Obj) -> None:
    """MaxUnavailable and maxSurge of a rollout."""
    count_or_percent(found, f"{path}.maxUnavailable", rolling.get("maxUnavailable"), most=100)
    count_or_percent(found, f"{path}.maxSurge", rolling.get("maxSurge"))


def _shown(rolling: Obj | None) -> Obj | None:
    """Of a rollout, as Kubernetes shows its internal form."""
    if rolling is None:
        return None
    return {"MaxUnavailable": rolling.get("maxUnavailable", 0), "MaxSurge": rolling.get("maxSurge", 0)}


def _nothing(value: Any) -> bool:
    return value in (0, None) or (isinstance(value, str) and not value.rstrip("%").strip("0"))


def deployment(new: Obj, old: Obj | None) -> Found:
    """apps/v1 Deployment."""
    found: Found = []
    spec = new["spec"]
    non_negative(found, "spec", spec, "replicas")
    _selector(found, spec, "deployment")
    if unreadable(spec.get("selector")):
        found.append(causes.invalid("spec.selector", spec["selector"], _BAD_SELECTOR))
    else:
        _template(found, spec, what="ReplicaSet")
    strategy = spec["strategy"]
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate" and rolling is not None:
        message = "may not be specified when strategy `type` is 'Recreate'"
        found.append(causes.forbidden("spec.strategy.rollingUpdate", message))
    elif kind == "RollingUpdate":
        path = "spec.strategy.rollingUpdate"
        if rolling is None:
            found.append(causes.required(path, "this should be defaulted and never be nil"))
        else:
            _rolling(found, path, rolling)
            if _is_zero(rolling.get("maxUnavailable")) and _is_zero(rolling.get("maxSurge")):
                message = "may not be 0 when `maxSurge` is 0"
                found.append(causes.invalid(f"{path}.maxUnavailable", rolling.get("maxUnavailable"), message))
    elif kind != "Recreate":
        shown = {"Type": kind, "RollingUpdate": _shown(rolling)}
        found.append(causes.unsupported("spec.strategy", shown, ("Recreate", "RollingUpdate")))
    non_negative(found, "spec", spec, "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds", 0)
    if deadline is not None and deadline <= ready:
        message = "must be greater than minReadySeconds"
        found.append(causes.invalid("spec.progressDeadlineSeconds", deadline, message))
    if old is not None:
        unchanged(found, "spec.selector", spec.get("selector"), old["spec"].get("selector"))
    return found


def replica_set(new: Obj, old: Obj | None) -> Found:
    """apps/v1 ReplicaSet."""
    found: Found = []
    spec = new["spec"]
    non_negative(found, "spec", spec, "replicas", "minReadySeconds")
    _selector(found, spec, "deployment")  # as Kubernetes says it
    if unreadable(spec.get("selector")):
        found.append(causes.invalid("spec.selector", spec["selector"], _BAD_SELECTOR))
    else:
        _template(found, spec, what="ReplicaSet")
    if old is not None:
        unchanged(found, "spec.selector", spec.get("selector"), old["spec"].get("selector"))
    return found


def replication_controller(new: Obj, old: Obj | None) -> Found:
    """v1 ReplicationController."""
    found: Found = []
    spec = new["spec"]
    non_negative(found, "spec", spec, "minReadySeconds")
    wanted = spec.get("selector") or {}
    if not wanted:
        found.append(causes.required("spec.selector"))
    non_negative(found, "spec", spec, "replicas")
    value = spec.get("template")
    if value is None:
        found.append(causes.required("spec.template"))
        return found
    have = (value.get("metadata") or {}).get("labels") or {}
    if wanted and any(have.get(key) != each for key, each in wanted.items()):
        found.append(causes.invalid("spec.template.metadata.labels", have or None, _MISMATCH))
    template(found, "spec.template", value)
    _restarts(found, value, "ReplicationController")
    return found


def daemon_set(new: Obj, old: Obj | None) -> Found:
    """apps/v1 DaemonSet."""
    found: Found = []
    spec = new["spec"]
    value = spec["template"]
    have = (value.get("metadata") or {}).get("labels")
    wanted = spec.get("selector")
    selector(found, "spec.selector", wanted)
    if not unreadable(wanted) and (wanted is None or not selects(wanted, have)):
        found.append(causes.invalid("spec.template.metadata.labels", have, _MISMATCH))
    if wanted is not None and not (wanted.get("matchLabels") or wanted.get("matchExpressions")):
        found.append(causes.invalid("spec.selector", wanted, _EMPTY_SELECTOR + "daemonset"))
    template(found, "spec.template", value)
    _restarts(found, value, "DaemonSet")
    non_negative(found, "spec", spec, "minReadySeconds")
    _daemon_strategy(found, spec["updateStrategy"])
    non_negative(found, "spec", spec, "revisionHistoryLimit")
    if old is not None:
        unchanged(found, "spec.selector", wanted, old["spec"].get("selector"))
    return found


def _is_zero(value: Any) -> bool:
    """Whether a number or percentage, or what is neither, counts as none."""
    return _nothing(value) or (isinstance(value, str) and re.fullmatch("[0-9]+%?", value) is None)


def _daemon_strategy(found: Found, strategy: Obj) -> None:
    kind = strategy.get("type")
    if kind == "OnDelete":
        return
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": _shown(strategy.get("rollingUpdate"))}
        found.append(causes.unsupported("spec.updateStrategy", shown, ("RollingUpdate", "OnDelete")))
        return
    path = "spec.updateStrategy.rollingUpdate"
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        found.append(causes.required(path))
        return
    _rolling(found, path, rolling)
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    if not _is_zero(unavailable) and not _is_zero(surge):
        found.append(causes.invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    elif _is_zero(unavailable) and _is_zero(surge):
        found.append(causes.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))


_STATEFUL_UPDATE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy',"
    " 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_MAY = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip


def _plain(path: str, value: Any) -> Cause:
    """Kubernetes says no more than what the value is."""
    return Cause("FieldValueInvalid", f"Invalid value: {causes.shown(value)}", path)


def stateful_set(new: Obj, old: Obj | None) -> Found:
    """apps/v1 StatefulSet."""
    found: Found = []
    spec = new["spec"]
    policy = spec.get("podManagementPolicy")
    if required(found, "spec.podManagementPolicy", policy) and policy not in ("OrderedReady", "Parallel"):
        found.append(causes.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    strategy = spec["updateStrategy"]
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if not kind:
        found.append(causes.required("spec.updateStrategy"))
    elif kind == "OnDelete" and rolling is not None:
        shown = {"Partition": rolling.get("partition", 0), "MaxUnavailable": rolling.get("maxUnavailable")}
        message = "only allowed for updateStrategy 'RollingUpdate'"
        found.append(causes.invalid("spec.updateStrategy.rollingUpdate", shown, message))
    elif kind == "RollingUpdate" and rolling is not None:
        path = "spec.updateStrategy.rollingUpdate"
        non_negative(found, path, rolling, "partition")
        most = rolling.get("maxUnavailable")
        count_or_percent(found, f"{path}.maxUnavailable", most, most=100)
        if most is not None and (_nothing(most) or (isinstance(most, str) and not most.endswith("%"))):
            found.append(causes.invalid(f"{path}.maxUnavailable", most, "cannot be 0"))
    elif kind not in ("OnDelete", "RollingUpdate"):
        inner = rolling and {"Partition": rolling.get("partition", 0), "MaxUnavailable": rolling.get("maxUnavailable")}
        shown = {"Type": kind, "RollingUpdate": inner}
        message = "must be 'RollingUpdate' or 'OnDelete'"
        found.append(causes.invalid("spec.updateStrategy", shown, message))
    retention = spec.get("persistentVolumeClaimRetentionPolicy")
    for name in ("whenDeleted", "whenScaled") if retention is not None else ():
        path = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
        needs_supported(found, path, (retention or {}).get(name), ("Retain", "Delete"))
    for index, each in enumerate(spec.get("volumeClaimTemplates") or () if old is None else ()):
        claim_spec(found, f"spec.volumeClaimTemplates[{index}].spec", each.get("spec") or {})
    non_negative(found, "spec", spec, "replicas", "minReadySeconds")
    if spec.get("ordinals") is not None:
        non_negative(found, "spec.ordinals", spec["ordinals"], "start")
    if old is None and spec.get("serviceName"):
        say(found, "spec.serviceName", spec["serviceName"], names.label(spec["serviceName"]))
    _selector(found, spec, "statefulset")
    if unreadable(spec.get("selector")):
        found.append(_plain("spec.selector", spec["selector"]))
        _restarts(found, spec["template"], "StatefulSet")
    else:
        shown = _with_claims(spec)
        _template(found, {**spec, "template": shown}, what="StatefulSet")
        meta = shown.get("metadata") or {}
        labels(found, "spec.template.labels", meta.get("labels"))
        annotated(found, "spec.template.annotations", meta.get("annotations"))
        marked(found, "spec.template", shown)
    if old is not None and _rest(spec) != _rest(old["spec"]):
        found.append(causes.forbidden("spec", _STATEFUL_UPDATE))
    return found


def _with_claims(spec: Obj) -> Obj:
    """The template as its pods will be: with a volume for each claim template."""
    value: Obj = spec["template"]
    claims = [(claim.get("metadata") or {}).get("name") or "" for claim in spec.get("volumeClaimTemplates") or ()]
    added = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in dict.fromkeys(claims)]
    inner = {key: each for key, each in value["spec"].items() if key not in ("hostname", "subdomain")}
    own = [volume for volume in inner.get("volumes") or () if volume.get("name") not in claims]
    return {**value, "spec": {**inner, "volumes": [*added, *own]} if added else inner}


def _rest(spec: Obj) -> Obj:
    rest = {key: value for key, value in spec.items() if key not in _STATEFUL_MAY}
    claims = rest.get("volumeClaimTemplates")
    if claims:
        rest["volumeClaimTemplates"] = [{k: v for k, v in claim.items() if k != "status"} for claim in claims]
    return rest


def controller_revision(new: Obj, old: Obj | None) -> Found:
    """apps/v1 ControllerRevision."""
    found: Found = []
    revision = new.get("revision") or 0
    if revision < 0:
        found.append(causes.invalid("revision", revision, "must be greater than or equal to 0"))
    if old is None:
        if new.get("data") is None:
            found.append(causes.required("data", "data is mandatory"))
        elif not isinstance(new["data"], dict):
            found.append(causes.required("data", "data must be a valid JSON object"))
    else:
        unchanged(found, "data", new.get("data"), old.get("data"))
    return found
