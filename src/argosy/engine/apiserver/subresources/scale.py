"""`scale`: how many replicas, of any kind that has them."""

from __future__ import annotations

from dataclasses import replace

from argosy import kinds
from argosy.engine.apiserver import jsonpath, patching, writing
from argosy.engine.apiserver.admission import webhooks
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.bodies import content_type, read_object
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.converting import shown_form
from argosy.engine.apiserver.failures import invalid
from argosy.engine.apiserver.verbs.apply import APPLY_TYPES, apply, read_config
from argosy.engine.apiserver.verbs.get import find
from argosy.engine.store import Mismatch, Put
from argosy.errors import BadRequest
from argosy.kinds.cells import selector_text
from argosy.meta.causes import invalid as wrong
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


async def get(call: Call) -> Answer:
    """GET."""
    return Answer(obj=scale_of(call, await shown_form(call.api, call.served, find(call).obj)))


async def update(call: Call) -> Answer:
    """PUT of a Scale."""
    wanted = read_object(call.request, [])
    return await _change(call, lambda scale: wanted)


async def patch(call: Call) -> Answer:
    """PATCH of a Scale."""
    if content_type(call.request) in APPLY_TYPES:
        return await _apply_scale(call)
    change = patching.reader(call, content_type(call.request), [], kinds.SCALE)
    return await _change(call, change)


async def _change(call: Call, change: writing.Change) -> Answer:
    scale = await _reviewed(call, change)

    def scaled(obj: Obj) -> Obj:
        version = scale.get("metadata", {}).get("resourceVersion")
        obj["metadata"]["resourceVersion"] = version or obj["metadata"]["resourceVersion"]
        _place(call, obj, dig(scale, "spec", "replicas", default=0))
        return obj

    return await _shown(call, await writing.modify(call, scaled, "scale"))


async def _reviewed(call: Call, change: writing.Change) -> Obj:
    """What a change makes of the object's Scale, once webhooks have seen it. Raises Mismatch when somebody else wrote
    meanwhile: then all is done over.
    """
    record = writing.current(call)
    before = scale_of(call, await shown_form(call.api, call.served, record.obj))
    scale = change(thaw(before))
    _check(call, scale)
    scale = await webhooks.substitute(call, kinds.SCALE, scale, before)
    _check(call, scale)
    newest = writing.current(call)
    if newest.revision != record.revision:
        raise Mismatch(Put(record.resource, record.key, record.obj, expect=record.revision), newest)
    return scale


def _check(call: Call, scale: Obj) -> None:
    for field in ("metadata", "spec"):
        if not isinstance(scale.get(field, {}), dict):
            raise BadRequest(f"json: cannot unmarshal into Go struct field Scale.{field} of an object")
    name = scale.get("metadata", {}).get("name", call.target.name)
    if name != call.target.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({call.target.name})")
    replicas = dig(scale, "spec", "replicas", default=0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise BadRequest("json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32")
    if replicas < 0:
        why = "must be greater than or equal to 0"
        raise invalid(kinds.SCALE, call.target.name, [wrong("spec.replicas", replicas, why)])


def _place(call: Call, obj: Obj, replicas: int) -> None:
    """Put the number where the kind keeps it."""
    path = call.served.scale.get("specReplicasPath", ".spec.replicas")
    *parents, last = path.strip(".").split(".")
    for step in parents:
        obj = obj.setdefault(step, {})
    obj[last] = replicas


async def _apply_scale(call: Call) -> Answer:
    """Apply of a Scale: an apply of the object that says nothing but its number of replicas."""
    scale = read_config(call, [])
    _check(call, scale)
    config: Obj = {
        "apiVersion": call.kind.api_version,
        "kind": call.kind.kind,
        "metadata": {"name": call.target.name, "namespace": call.target.namespace},
    }
    wanted = dig(scale, "spec", "replicas")
    if wanted is not None:
        reviewed = await _reviewed(call, lambda before: {**before, "spec": {**before["spec"], "replicas": wanted}})
        _place(call, config, dig(reviewed, "spec", "replicas", default=0))
    request = replace(call.request, body=b"", obj=config)
    return await _shown(call, await apply(replace(call, request=request), "scale"))


async def _shown(call: Call, answer: Answer) -> Answer:
    obj = answer.record.obj if answer.record is not None else answer.obj or {}
    return Answer(answer.status, obj=scale_of(call, await shown_form(call.api, call.served, obj)))
