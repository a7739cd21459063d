"""`pods/binding`: a pod gets its node, once; the scheduler's only write."""

from __future__ import annotations

from argosy import kinds
from argosy.engine.apiserver import writing
from argosy.engine.apiserver.admission import webhooks
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.bodies import read_object
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import Unreasoned, conflict
from argosy.errors import BadRequest, Conflict
from argosy.meta.conditions import with_condition
from argosy.meta.json import Obj


async def bind(call: Call) -> Answer:
    """POST of a Binding. Raises Conflict for a pod that has a node."""
    binding = read_object(call.request, [])
    call_kind = binding.get("kind", "Binding")
    if call_kind != "Binding":
        raise BadRequest(f'no kind "{call_kind}" is known here; post a Binding')
    name = binding.get("metadata", {}).get("name")
    if name and name != call.target.name:
        raise BadRequest("name in URL does not match name in Binding object")
    target = binding.get("target") or {}
    faults = []
    if target.get("kind") not in (None, "", "Node"):
        faults.append(f'target.kind: Unsupported value: "{target["kind"]}": supported values: "Node", "<empty>"')
    if not target.get("name"):
        faults.append("target.name: Required value")
    if faults:
        raise Unreasoned(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    binding = await webhooks.substitute(call, kinds.BINDING, binding)
    node = (binding.get("target") or {}).get("name") or ""
    await writing.put(call, _bound(call, writing.current(call).obj, binding, node), "binding")
    return Answer(201, obj={"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})


def _bound(call: Call, pod: Obj, binding: Obj, node: str) -> Obj:
    """The pod on its node; shares with the old one what no binding changes, which is nearly all of it."""
    spec, meta = pod["spec"], dict(pod["metadata"])
    if meta.get("deletionTimestamp"):
        raise _refused(call, f"pod {call.target.name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _refused(call, f'pod {call.target.name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _refused(call, f"pod {call.target.name} has non-empty .spec.schedulingGates")
    uid = binding.get("metadata", {}).get("uid")
    if uid and uid != meta["uid"]:
        raise _refused(call, f"Precondition failed: UID in precondition: {uid}, UID in object meta: {meta['uid']}")
    for field in ("annotations", "labels"):
        extra = binding.get("metadata", {}).get(field)
        if extra:
            meta[field] = {**(meta.get(field) or {}), **extra}
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None}
    status = dict(pod.get("status") or {})
    status["conditions"] = with_condition(status.get("conditions"), scheduled, call.now)
    status.pop("nominatedNodeName", None)
    return {**pod, "metadata": meta, "spec": {**spec, "nodeName": node}, "status": status}


def _refused(call: Call, why: str) -> Conflict:
    fault = conflict(kinds.POD, call.target.name, why)
    fault.message = fault.message.replace("pods ", "pods/binding ", 1)
    fault.details["kind"] = "pods/binding"
    return fault
