"""LimitRanges: the defaults that they give containers, and the bounds that they set to what is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from argosy import kinds
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import forbidden
from argosy.meta.json import Obj, dig
from argosy.meta.quantity import Quantity, parse

_ANNOTATION = "kubernetes.io/limit-ranger"


def admit(call: Call, obj: Obj) -> None:
    """Give a new pod's containers the defaults of its namespace."""
    if call.served.storage is not kinds.POD:
        return
    said: list[str] = []
    for item in _items(call, "Container"):
        for field, container in _containers(obj):
            given = container.setdefault("resources", {})
            requested = _fill(given, "requests", item.get("defaultRequest") or {})
            limited = _fill(given, "limits", item.get("default") or {})
            noun = "container" if field == "containers" else "init container"
            said += [f"{', '.join(names)} {what} for {noun} {container['name']}"
                     for names, what in ((requested, "request"), (limited, "limit")) if names]  # fmt: skip
    if said:
        annotations = obj["metadata"].get("annotations") or {}
        text = f"LimitRanger plugin set: {'; '.join(said)}"
        obj["metadata"]["annotations"] = {**annotations, _ANNOTATION: text}


def _fill(resources: Obj, field: str, defaults: Obj) -> list[str]:
    """Set what is missing; the names of what was set."""
    given = resources.get(field) or {}
    missing = sorted(name for name in defaults if name not in given)
    if missing:
        resources[field] = {**given, **{name: defaults[name] for name in missing}}
    return missing


def review(call: Call, obj: Obj, old: Obj | None) -> None:
    """Hold a new pod or claim against the bounds of its namespace. Raises Forbidden."""
    if old is not None:
        return
    faults: list[str] = []
    if call.served.storage is kinds.POD:
        for item in _items(call, "Container"):
            for _, container in _containers(obj):
                faults += _check(item, "Container", dig(container, "resources", default={}))
        for item in _items(call, "Pod"):
            faults += _check(item, "Pod", _total(obj))
    elif call.served.storage is kinds.PERSISTENT_VOLUME_CLAIM:
        for item in _items(call, "PersistentVolumeClaim"):
            asked = {"requests": dig(obj, "spec", "resources", "requests", default={})}
            faults += _check(item, "PersistentVolumeClaim", asked)
    if faults:
        why = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        raise forbidden(call.kind, obj["metadata"].get("name", ""), why)


def _items(call: Call, type: str) -> Iterator[Obj]:
    for record in call.api.store.list(kinds.LIMIT_RANGE.resource, call.target.namespace):
        for item in dig(record.obj, "spec", "limits", default=()):
            if item.get("type") == type:
                yield item


def _containers(pod: Obj) -> Iterator[tuple[str, Obj]]:
    for field in ("containers", "initContainers"):
        for container in dig(pod, "spec", field, default=()):
            yield field, container


def _total(pod: Obj) -> Obj:
    """What all containers of a pod ask for together."""
    total: Obj = {"requests": {}, "limits": {}}
    for field, container in _containers(pod):
        for side in ("requests", "limits"):
            for name, amount in dig(container, "resources", side, default={}).items():
                have = total[side].get(name)
                if field == "containers" or _is_sidecar(container):
                    total[side][name] = str(parse(have) + parse(amount)) if have else amount
                elif have is None or parse(amount) > parse(have):
                    total[side][name] = amount
    return total


def _is_sidecar(container: Obj) -> bool:
    return container.get("restartPolicy") == "Always"


def _check(item: Obj, type: str, resources: Obj) -> list[str]:
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    faults: list[str] = []
    for name, bound in sorted((item.get("min") or {}).items()):
        faults += _below(name, type, bound, requests, limits)
    for name, bound in sorted((item.get("max") or {}).items()):
        faults += _above(name, type, bound, requests, limits)
    for name, bound in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        faults += _ratio(name, type, bound, requests, limits)
    return faults


def _below(name: str, type: str, bound: str, requests: Obj, limits: Obj) -> list[str]:
    request, limit = requests.get(name), limits.get(name)
    text = f"minimum {name} usage per {type} is {bound}"
    if request is None:
        return [f"{text}.  No request is specified"]
    if _less(request, bound):
        return [f"{text}, but request is {request}"]
    return [f"{text}, but limit is {limit}"] if limit is not None and _less(limit, bound) else []


def _above(name: str, type: str, bound: str, requests: Obj, limits: Obj) -> list[str]:
    request, limit = requests.get(name), limits.get(name)
    text = f"maximum {name} usage per {type} is {bound}"
    if type == "PersistentVolumeClaim":
        limit = None
        if request is None:
            return [f"{text}.  No request is specified"]
    elif limit is None:
        return [f"{text}.  No limit is specified"] if type == "Container" or request is None else []
    if limit is not None and _less(bound, limit):
        return [f"{text}, but limit is {limit}"]
    return [f"{text}, but request is {request}"] if request is not None and _less(bound, request) else []


def _ratio(name: str, type: str, bound: str, requests: Obj, limits: Obj) -> list[str]:
    request, limit = requests.get(name), limits.get(name)
    text = f"{name} max limit to request ratio per {type} is {bound}"
    if request is None or not parse(request).nanos:
        return [f"{text}, but no request is specified or request is 0"]
    if limit is None or not parse(limit).nanos:
        return [f"{text}, but no limit is specified or limit is 0"]
    have = parse(limit).nanos / parse(request).nanos
    wanted = parse(bound)
    return [f"{text}, but provided ratio is {have:f}"] if have > wanted.nanos / Quantity(10**9).nanos else []


def _less(left: str, right: str) -> bool:
    return parse(left).nanos < parse(right).nanos
