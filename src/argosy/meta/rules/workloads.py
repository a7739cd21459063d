"""Rules of the kinds that keep pods running: Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController."""

from __future__ import annotations

from typing import Any

from argosy.meta import causes
from argosy.meta.json import Obj
from argosy.meta.rules.fields import (
    Found,
    count_or_percent,
    labels,
    non_negative,
    one_of,
    required,
    selector,
    selects,
    unchanged,
)  # fmt: skip
from argosy.meta.rules.pod import template

_MISMATCH = "`selector` does not match template `labels`"
_BAD_SELECTOR = "invalid label selector"
_EMPTY_SELECTOR = "empty selector is invalid for "


def _selector(found: Found, spec: Obj, kind: str) -> bool:
    """The selector of an apps kind: there, not empty, readable. Whether it is."""
    value = spec.get("selector")
    if value is None:
        found.append(causes.required("spec.selector"))
        return False
    good = selector(found, "spec.selector", value)
    if not (value.get("matchLabels") or value.get("matchExpressions")):
        found.append(causes.invalid("spec.selector", value, _EMPTY_SELECTOR + kind))
    return good


def _template(found: Found, spec: Obj, *, what: str, selected: bool | None = True) -> None:
    """A template that must carry the selector's labels and always restart."""
    value = spec["template"]
    have = (value.get("metadata") or {}).get("labels")
    if selected and not selects(spec.get("selector"), have):
        found.append(causes.invalid("spec.template.metadata.labels", have, _MISMATCH))
    template(found, "spec.template", value)
    policy = value["spec"].get("restartPolicy")
    if policy and policy != "Always" and policy in ("OnFailure", "Never"):
        found.append(causes.unsupported("spec.template.spec.restartPolicy", policy, ("Always",)))
    if value["spec"].get("activeDeadlineSeconds") is not None:
        message = f"activeDeadlineSeconds in {what} is not Supported"
        found.append(causes.forbidden("spec.template.spec.activeDeadlineSeconds", message))


def _rolling(found: Found, path: str, rolling: Obj) -> None:
    """MaxUnavailable and maxSurge of a rollout."""
    count_or_percent(found, f"{path}.maxUnavailable", rolling.get("maxUnavailable"), most=100)
    count_or_percent(found, f"{path}.maxSurge", rolling.get("maxSurge"))


def _nothing(value: Any) -> bool:
    return value in (0, "0%", None)


def deployment(new: Obj, old: Obj | None) -> Found:
    """apps/v1 Deployment."""
    found: Found = []
    spec = new["spec"]
    non_negative(found, "spec", spec, "replicas")
    good = _selector(found, spec, "deployment")
    if not good and spec.get("selector") is not None:
        found.append(causes.invalid("spec.selector", spec["selector"], _BAD_SELECTOR))
        template(found, "spec.template", spec["template"])
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
            if _nothing(rolling.get("maxUnavailable")) and _nothing(rolling.get("maxSurge")):
                message = "may not be 0 when `maxSurge` is 0"
                found.append(causes.invalid(f"{path}.maxUnavailable", rolling.get("maxUnavailable"), message))
    elif kind not in ("Recreate", "RollingUpdate"):
        found.append(causes.unsupported("spec.strategy.type", kind, ("Recreate", "RollingUpdate")))
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
    good = _selector(found, spec, "replicaset")
    if not good and spec.get("selector") is not None:
        found.append(causes.invalid("spec.selector", spec["selector"], _BAD_SELECTOR))
        template(found, "spec.template", spec["template"])
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
    labels(found, "spec.selector", wanted)
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
    policy = value["spec"].get("restartPolicy")
    if policy in ("OnFailure", "Never"):
        found.append(causes.unsupported("spec.template.spec.restartPolicy", policy, ("Always",)))
    return found


def daemon_set(new: Obj, old: Obj | None) -> Found:
    """apps/v1 DaemonSet."""
    found: Found = []
    spec = new["spec"]
    value = spec["template"]
    have = (value.get("metadata") or {}).get("labels")
    wanted = spec.get("selector")
    good = selector(found, "spec.selector", wanted)
    if good and not selects(wanted, have):
        found.append(causes.invalid("spec.template.metadata.labels", have, _MISMATCH))
    if wanted is not None and not (wanted.get("matchLabels") or wanted.get("matchExpressions")):
        found.append(causes.invalid("spec.selector", wanted, _EMPTY_SELECTOR + "daemonset"))
    template(found, "spec.template", value)
    policy = value["spec"].get("restartPolicy")
    if policy in ("OnFailure", "Never"):
        found.append(causes.unsupported("spec.template.spec.restartPolicy", policy, ("Always",)))
    if value["spec"].get("activeDeadlineSeconds") is not None:
        message = "activeDeadlineSeconds in DaemonSet is not Supported"
        found.append(causes.forbidden("spec.template.spec.activeDeadlineSeconds", message))
    non_negative(found, "spec", spec, "minReadySeconds")
    _daemon_strategy(found, spec["updateStrategy"])
    non_negative(found, "spec", spec, "revisionHistoryLimit")
    if old is not None:
        unchanged(found, "spec.selector", wanted, old["spec"].get("selector"))
    return found


def _daemon_strategy(found: Found, strategy: Obj) -> None:
    kind = strategy.get("type")
    if kind == "OnDelete":
        return
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": strategy.get("rollingUpdate")}
        found.append(causes.unsupported("spec.updateStrategy", shown, ("RollingUpdate", "OnDelete")))
        return
    path = "spec.updateStrategy.rollingUpdate"
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        found.append(causes.required(path))
        return
    _rolling(found, path, rolling)
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    if not _nothing(unavailable) and not _nothing(surge):
        found.append(causes.invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    elif _nothing(unavailable) and _nothing(surge):
        found.append(causes.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))


_STATEFUL_UPDATE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy',"
    " 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_MAY = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip


def stateful_set(new: Obj, old: Obj | None) -> Found:
    """apps/v1 StatefulSet."""
    found: Found = []
    spec = new["spec"]
    one_of(found, "spec.podManagementPolicy", spec.get("podManagementPolicy"), ("OrderedReady", "Parallel"))
    strategy = spec["updateStrategy"]
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if not kind:
        found.append(causes.required("spec.updateStrategy"))
    elif kind == "OnDelete" and rolling is not None:
        message = f"only allowed for updateStrategy '{'RollingUpdate'}'"
        found.append(causes.invalid("spec.updateStrategy.rollingUpdate", rolling, message))
    elif kind == "RollingUpdate" and rolling is not None:
        non_negative(found, "spec.updateStrategy.rollingUpdate", rolling, "partition")
    elif kind not in ("OnDelete", "RollingUpdate"):
        shown = {"Type": kind, "RollingUpdate": rolling}
        message = f"must be '{'RollingUpdate'}' or '{'OnDelete'}'"
        found.append(causes.invalid("spec.updateStrategy", shown, message))
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for name in ("whenDeleted", "whenScaled"):
        path = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
        one_of(found, path, retention.get(name), ("Delete", "Retain"))
    non_negative(found, "spec", spec, "replicas", "minReadySeconds")
    if spec.get("ordinals") is not None:
        non_negative(found, "spec.ordinals", spec["ordinals"], "start")
    good = _selector(found, spec, "statefulset")
    if good or spec.get("selector") is None:
        _template(found, {**spec, "template": _with_claims(spec)}, what="StatefulSet", selected=good)
    non_negative(found, "spec", spec, "revisionHistoryLimit")
    if old is not None and _rest(spec) != _rest(old["spec"]):
        found.append(causes.forbidden("spec", _STATEFUL_UPDATE))
    return found


def _with_claims(spec: Obj) -> Obj:
    """The template as its pods will be: with a volume for each claim template."""
    value: Obj = spec["template"]
    own = value["spec"].get("volumes") or []
    taken = {volume.get("name") for volume in own}
    claims = [(claim.get("metadata") or {}).get("name") for claim in spec.get("volumeClaimTemplates") or ()]
    added = [{"name": name, "emptyDir": {}} for name in claims if name and name not in taken]
    return {**value, "spec": {**value["spec"], "volumes": [*own, *added]}} if added else value


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
        required(found, "data", new.get("data"))
    else:
        unchanged(found, "data", new.get("data"), old.get("data"))
    return found
