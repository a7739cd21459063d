"""metrics.k8s.io: what `kubectl top` and autoscalers read, measured by the node when asked."""

from __future__ import annotations

from collections.abc import Sequence

from argosy import kinds
from argosy.clock import rfc3339
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.backends import ContainerUsage, PodUsage
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import no_such_method, not_found
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, labels_of
from argosy.meta.selectors import parse_labels

MEASURED = frozenset({kinds.NODE_METRICS, kinds.POD_METRICS})
_WINDOW = "10s"


async def answer(call: Call) -> Answer:
    """GET of one or of all."""
    if call.verb not in ("get", "list"):
        raise no_such_method()
    nodes = await call.api.reach_nodes("no node measures pods here")
    usage = await nodes.usage()
    items = _pods(call, usage) if call.kind is kinds.POD_METRICS else _nodes(call, usage)
    if call.target.name:
        for item in items:
            if item["metadata"]["name"] == call.target.name:
                return Answer(obj=item)
        raise not_found(call.kind, call.target.name)
    kind = call.kind
    return Answer(obj={"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": {}, "items": items})


def _usage(containers: Sequence[ContainerUsage]) -> Obj:
    cpu, memory = sum(c.cpu for c in containers), sum(c.memory for c in containers)
    return {"cpu": f"{int(cpu * 1e9)}n", "memory": f"{memory // 1024}Ki"}


def _item(call: Call, meta: Obj) -> Obj:
    kind = call.kind
    return {
        "kind": kind.kind,
        "apiVersion": kind.api_version,
        "metadata": {**meta, "creationTimestamp": rfc3339(call.now)},
        "timestamp": rfc3339(call.now),
        "window": _WINDOW,
    }


def _pods(call: Call, usage: Sequence[PodUsage]) -> list[Obj]:
    selector = parse_labels(call.query.get("labelSelector") or "")
    items: list[Obj] = []
    for used in usage:
        if call.target.namespace and used.namespace != call.target.namespace:
            continue
        record = call.api.store.get(kinds.POD.resource, Key(used.namespace, used.name))
        if record is None or not selector.matches(labels_of(record.obj)):
            continue
        meta: Obj = {"name": used.name, "namespace": used.namespace}
        if labels_of(record.obj):
            meta["labels"] = labels_of(record.obj)
        containers = [{"name": c.name, "usage": _usage([c])} for c in used.containers]
        items.append({**_item(call, meta), "containers": containers})
    return items


def _nodes(call: Call, usage: Sequence[PodUsage]) -> list[Obj]:
    selector = parse_labels(call.query.get("labelSelector") or "")
    by_node: dict[str, list[ContainerUsage]] = {}
    for used in usage:
        record = call.api.store.get(kinds.POD.resource, Key(used.namespace, used.name))
        if record is not None:
            by_node.setdefault(dig(record.obj, "spec", "nodeName", default=""), []).extend(used.containers)
    return [
        {**_item(call, {"name": record.key.name}), "usage": _usage(by_node.get(record.key.name, ()))}
        for record in call.api.store.list(kinds.NODE.resource)
        if selector.matches(labels_of(record.obj))
    ]
