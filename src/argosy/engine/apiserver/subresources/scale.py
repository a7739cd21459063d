"""`scale`: how many replicas, of any kind that has them."""

from __future__ import annotations

from argosy import kinds
from argosy.engine.apiserver import jsonpath, patching, writing
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.bodies import content_type, read_object
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import invalid, wrong
from argosy.engine.apiserver.verbs.get import find
from argosy.errors import BadRequest
from argosy.kinds.cells import selector_text
from argosy.meta.json import Obj, dig, thaw


def scale_of(call: Call, obj: Obj) -> Obj:
    """The Scale that an object shows."""
    meta = obj["metadata"]
    shown = {
        field: meta[field]
        for field in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        if field in meta
    }
    replicas, current, selector = _read(call, obj)
    status: Obj = {"replicas": current}
    if selector:
        status["selector"] = selector
    spec: Obj = {"replicas": replicas} if replicas else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": shown, "spec": spec, "status": status}


def _read(call: Call, obj: Obj) -> tuple[int, int, str]:
    if call.served.custom:
        paths = call.served.scale
        replicas = jsonpath.first(paths.get("specReplicasPath", ""), obj)
        current = jsonpath.first(paths.get("statusReplicasPath", ""), obj)
        selector = jsonpath.first(paths["labelSelectorPath"], obj) if paths.get("labelSelectorPath") else ""
        return int(replicas or 0), int(current or 0), str(selector or "")
    selector = dig(obj, "spec", "selector")
    if call.served.storage is kinds.REPLICATION_CONTROLLER:
        selector = {"matchLabels": selector or {}}
    text = selector_text(selector)
    return (
        dig(obj, "spec", "replicas", default=0),
        dig(obj, "status", "replicas", default=0),
        "" if text == "<none>" else text,
    )


def get(call: Call) -> Answer:
    """GET."""
    return Answer(obj=scale_of(call, writing.shown_form(call.served, find(call).obj)))


async def update(call: Call) -> Answer:
    """PUT of a Scale."""
    wanted = read_object(call.request, [])
    return await _apply(call, lambda scale: wanted)


async def patch(call: Call) -> Answer:
    """PATCH of a Scale."""
    change = patching.reader(call, content_type(call.request), [], kinds.SCALE)
    return await _apply(call, change)


async def _apply(call: Call, change: writing.Change) -> Answer:
    def scaled(obj: Obj) -> Obj:
        scale = change(thaw(scale_of(call, obj)))
        if scale.get("metadata", {}).get("name", call.target.name) != call.target.name:
            name = scale["metadata"]["name"]
            raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({call.target.name})")
        replicas = dig(scale, "spec", "replicas", default=0)
        if not isinstance(replicas, int) or isinstance(replicas, bool):
            raise BadRequest("json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32")
        if replicas < 0:
            why = "must be greater than or equal to 0"
            raise invalid(kinds.SCALE, call.target.name, [wrong("spec.replicas", replicas, why)])
        version = scale.get("metadata", {}).get("resourceVersion")
        obj["metadata"]["resourceVersion"] = version or obj["metadata"]["resourceVersion"]
        path = call.served.scale.get("specReplicasPath", ".spec.replicas")
        *parents, last = path.strip(".").split(".")
        place = obj
        for step in parents:
            place = place.setdefault(step, {})
        place[last] = replicas
        return obj

    answer = await writing.modify(call, scaled, "scale")
    obj = answer.record.obj if answer.record is not None else answer.obj or {}
    return Answer(answer.status, obj=scale_of(call, writing.shown_form(call.served, obj)))
