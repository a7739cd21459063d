"""What every new pod is given: its service account and token, its priority, its tolerations of dying nodes.

`admit` is called for every create and does nothing unless a pod is created.
"""

from __future__ import annotations

import random

from argosy import kinds
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import forbidden
from argosy.engine.apiserver.objectmeta import SUFFIX_ALPHABET, SUFFIX_LENGTH
from argosy.meta import names
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, annotations_of

_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_VOLUME = "kube-api-access-"
_TOKEN_SECONDS = 3607
_MIRROR = "kubernetes.io/config.mirror"
_DYING = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_BUILT_IN_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def suffix() -> str:
    """Five letters drawn by lot, as `generateName` uses them."""
    return "".join(random.choices(SUFFIX_ALPHABET, k=SUFFIX_LENGTH))


def admit(call: Call, obj: Obj) -> None:
    """Complete a new pod. Raises Forbidden."""
    if call.served.storage is not kinds.POD or _MIRROR in annotations_of(obj):
        return
    spec = obj.setdefault("spec", {})
    _service_account(call, obj, spec)
    _runtime_class(call, obj, spec)
    _priority(call, obj, spec)
    _tolerations(spec, call.api.settings.toleration_seconds)


def admit_update(call: Call, obj: Obj, old: Obj) -> None:
    """Give a changed pod what it was given when it was made, where the change leaves it out."""
    if call.served.storage is not kinds.POD or call.target.subresource or _MIRROR in annotations_of(obj):
        return
    spec, before = obj.setdefault("spec", {}), old.get("spec") or {}
    for name in ("priority", "preemptionPolicy"):
        if spec.get(name) is None and before.get(name) is not None:
            spec[name] = before[name]
    _tolerations(spec, call.api.settings.toleration_seconds)


def _service_account(call: Call, obj: Obj, spec: Obj) -> None:
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    namespace = call.target.namespace
    record = call.api.store.newest(kinds.SERVICE_ACCOUNT.resource, Key(namespace, name))
    faults = names.path_segment(name)
    if faults:
        why = f'invalid resource name "{name}": [{" ".join(faults)}]'
        raise forbidden(
            call.kind, obj["metadata"].get("name", ""), f"error looking up service account {namespace}/{name}: {why}"
        )
    if record is None:
        why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise forbidden(call.kind, obj["metadata"].get("name", ""), why)
    account = record.obj
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [dict(ref) for ref in account["imagePullSecrets"]]
    wanted = spec.get("automountServiceAccountToken")
    if wanted is None:
        wanted = account.get("automountServiceAccountToken")
    if wanted is not False:
        _mount_token(call, spec)


def _mount_token(call: Call, spec: Obj) -> None:
    volumes = [str(volume.get("name")) for volume in spec.get("volumes") or ()]
    present = next((name for name in volumes if name.startswith(_TOKEN_VOLUME)), "")
    name = present
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        mounts = container.get("volumeMounts") or []
        if any(mount.get("mountPath") == _TOKEN_PATH for mount in mounts):
            continue
        name = name or f"{_TOKEN_VOLUME}{suffix()}"
        container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": _TOKEN_PATH}]
    if name != present:
        spec["volumes"] = [*(spec.get("volumes") or []), token_volume(call, name)]


def token_volume(call: Call, name: str) -> Obj:
    """The projected volume with token, certificate authority and namespace."""
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    first, *others = [
        {"configMap": {"name": config_map, "items": [{"key": key, "path": key}]}}
        for config_map, key in call.api.settings.token_volume_config_maps
    ]
    sources = [
        {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
        first,
        {"downwardAPI": {"items": [namespace]}},
        *others,
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 420}}


def _runtime_class(call: Call, obj: Obj, spec: Obj) -> None:
    """What the pod's runtime class asks for: where it may run, and what the runtime itself costs."""
    name = spec.get("runtimeClassName")
    if not name:
        return
    record = call.api.store.newest(kinds.RUNTIME_CLASS.resource, Key("", name))
    if record is None:
        raise forbidden(call.kind, obj["metadata"].get("name", ""), f'pod rejected: RuntimeClass "{name}" not found')
    overhead = dig(record.obj, "overhead", "podFixed")
    if overhead:
        spec["overhead"] = dict(overhead)
    scheduling = record.obj.get("scheduling") or {}
    if scheduling.get("nodeSelector"):
        spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), **scheduling["nodeSelector"]}
    extra = [t for t in scheduling.get("tolerations") or () if t not in (spec.get("tolerations") or ())]
    if extra:
        spec["tolerations"] = [*(spec.get("tolerations") or ()), *extra]


def _priority(call: Call, obj: Obj, spec: Obj) -> None:
    name = spec.get("priorityClassName") or ""
    value, preemption = 0, "PreemptLowerPriority"
    if not name:
        found = _default_class(call)
    else:
        record = call.api.store.newest(kinds.PRIORITY_CLASS.resource, Key("", name))
        found = record.obj if record else None
        if found is None and name not in _BUILT_IN_PRIORITIES:
            raise forbidden(call.kind, obj["metadata"].get("name", ""), f"no PriorityClass with name {name} was found")
        value = _BUILT_IN_PRIORITIES.get(name, 0)
    if found is not None:
        spec["priorityClassName"] = found["metadata"]["name"]
        value = found.get("value", 0)
        preemption = found.get("preemptionPolicy") or preemption
    if spec.get("priority") is not None and spec["priority"] != value:
        why = (
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority admission"
            f" controller computed {value} from the given PriorityClass name"
        )
        raise forbidden(call.kind, obj["metadata"].get("name", ""), why)
    given = spec.get("preemptionPolicy")
    if given and given != preemption:
        why = (
            f"the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission"
            f" controller computed {preemption} from the given PriorityClass name"
        )
        raise forbidden(call.kind, obj["metadata"].get("name", ""), why)
    spec["priority"], spec["preemptionPolicy"] = value, preemption


def _default_class(call: Call) -> Obj | None:
    for record in call.api.store.list(kinds.PRIORITY_CLASS.resource):
        if record.obj.get("globalDefault"):
            return record.obj
    return None


def _tolerations(spec: Obj, seconds: int) -> None:
    given = spec.get("tolerations") or []
    for key in _DYING:
        if not any(_tolerates(toleration, key) for toleration in given):
            missing = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
            given = [*given, missing]
    spec["tolerations"] = given


def _tolerates(toleration: Obj, key: str) -> bool:
    return toleration.get("key") in (None, "", key) and toleration.get("effect") in (None, "", "NoExecute")


def quality(spec: Obj) -> str:
    """The pod's quality of service, from its containers' requests and limits of cpu and memory."""
    seen = False
    guaranteed = True
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        requests, limits = dig(container, "resources", "requests") or {}, dig(container, "resources", "limits") or {}
        for resource in ("cpu", "memory"):
            request, limit = requests.get(resource), limits.get(resource)
            seen = seen or not _zero(request) or not _zero(limit)
            if _zero(limit) or (request is not None and request != limit):
                guaranteed = False
    if not seen:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _zero(quantity: object) -> bool:
    return quantity is None or str(quantity) in ("0", "")
