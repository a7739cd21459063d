"""`pods/eviction`: a delete that respects disruption budgets."""

from __future__ import annotations

from argosy import kinds
from argosy.clock import rfc3339
from argosy.engine.apiserver import writing
from argosy.engine.apiserver.admission import webhooks
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.bodies import read_object
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import Unreasoned, invalid_options
from argosy.engine.apiserver.verbs.delete import Options, delete_with
from argosy.engine.store import Put, Record
from argosy.errors import BadRequest, Cause, TooManyRequests
from argosy.meta.causes import unsupported
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import is_deleting, labels_of, pod_is_ready
from argosy.meta.selectors import matches

_MESSAGE = "Cannot evict pod as it would violate the pod's disruption budget."


async def create(call: Call) -> Answer:
    """POST of an Eviction. Raises TooManyRequests when a budget does not allow it."""
    body = read_object(call.request, [])
    name = body.get("metadata", {}).get("name")
    if name and name != call.target.name:
        raise BadRequest(f"name in URL does not match name in Eviction object: {call.target.name} != {name}")
    body = await webhooks.substitute(call, kinds.EVICTION, body)
    options = _options(call, body.get("deleteOptions") or {})
    pod = writing.current(call).obj
    if _needs_budget(pod):
        budgets = _budgets(call, pod)
        if len(budgets) > 1:
            why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            raise Unreasoned(why)
        for record in budgets:
            await _spend(call, record, pod, options)
    fixed = options.dry_run or options.version  # one revision was meant, and this would make another
    if not fixed and dig(pod, "status", "phase") not in ("Succeeded", "Failed"):
        await _mark(call)
    await delete_with(call, options)
    return Answer(201, obj={"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})


async def _mark(call: Call) -> None:
    """Have the pod say that it was sent away, which Jobs and operators tell from a failure of its own."""
    record = writing.current(call)
    told = {"reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}
    mark: Obj = {"type": "DisruptionTarget", "status": "True", **told, "lastTransitionTime": rfc3339(call.now)}
    marked: Obj = thaw(record.obj)
    marked["metadata"].pop("resourceVersion", None)
    status: Obj = marked.setdefault("status", {})
    others = [each for each in status.get("conditions") or () if each.get("type") != mark["type"]]
    status["conditions"] = [*others, mark]
    await writing.commit(call, [Put(kinds.POD.resource, record.key, marked, expect=record.revision)])


def _options(call: Call, given: Obj) -> Options:
    dry_run = given.get("dryRun") or []
    if any(value != "All" for value in dry_run):
        raise invalid_options("DeleteOptions", [unsupported("dryRun", dry_run, ["All"])])
    conditions = given.get("preconditions") or {}
    return Options(
        given.get("gracePeriodSeconds"),
        given.get("propagationPolicy") or "",
        conditions.get("uid"),
        conditions.get("resourceVersion"),
        bool(dry_run) or call.dry_run,
    )


def _needs_budget(pod: Obj) -> bool:
    """Pods that are done, on their way out or have not begun cost no budget."""
    return not is_deleting(pod) and dig(pod, "status", "phase") not in ("Succeeded", "Failed", "Pending")


def _budgets(call: Call, pod: Obj) -> list[Record]:
    return [
        record
        for record in call.api.store.list(kinds.POD_DISRUPTION_BUDGET.resource, call.target.namespace)
        if matches(dig(record.obj, "spec", "selector"), labels_of(pod))
    ]


async def _spend(call: Call, record: Record, pod: Obj, options: Options) -> None:
    """Take one disruption off the budget. Raises TooManyRequests."""
    budget = record.obj
    status = budget.get("status") or {}
    name = budget["metadata"]["name"]
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        why = f"The disruption budget {name} is still being processed by the server."
        raise TooManyRequests(_MESSAGE, causes=[Cause("DisruptionBudget", why)], retry_after_seconds=10)
    healthy, wanted = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    if not pod_is_ready(pod) and (
        dig(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow" or healthy >= wanted > 0
    ):
        return
    if status.get("disruptionsAllowed", 0) <= 0:
        why = f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
        raise TooManyRequests(_MESSAGE, causes=[Cause("DisruptionBudget", why)])
    if options.dry_run:
        return
    spent: Obj = thaw(budget)
    spent["metadata"].pop("resourceVersion", None)
    spent["status"]["disruptionsAllowed"] -= 1
    disrupted = spent["status"].setdefault("disruptedPods", {})
    disrupted[call.target.name] = rfc3339(call.now)
    put = Put(kinds.POD_DISRUPTION_BUDGET.resource, record.key, spent, expect=record.revision)
    await writing.commit(call, [put])
