"""The decision of the InferenceService operator: a Deployment, a Service and the right number of replicas.

Called by `argosy.control.runner` whenever the service, its objects, its pods or the demand at the gateway changes.
"""

from __future__ import annotations

from argosy import kinds
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan, Reason
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import is_deleting, key_of, name_of, uid_of
from argosy.operators import drift
from argosy.operators.inferenceservice import autoscale, demand, service, status, storage, workload
from argosy.operators.inferenceservice.service import Problem, Service
from argosy.operators.settings import OperatorSettings


def plan(seen: Observed, settings: OperatorSettings) -> Plan:
    """Decide about one service."""
    subject = seen.subject
    if is_deleting(subject):
        return Plan()
    wanted = service.read(subject, settings)
    problem = service.problem(wanted)
    resolved: storage.Storage | None = None
    if problem is None and not wanted.stopped:
        try:
            resolved = _storage(wanted)
        except storage.StorageError as error:
            problem = Problem("InvalidPredictorSpec", str(error))
    actions: list[Action] = []
    reasons: list[Reason] = []
    again: float | None = None
    if resolved is not None:
        again = _converge(seen, wanted, resolved, actions, reasons)
    elif wanted.stopped:
        actions += [
            Delete(kind, key_of(obj), uid_of(obj)) for kind in OWNED for obj in seen.of(kind) if not is_deleting(obj)
        ]
    facts = status.Facts(
        deployment=_named(seen, kinds.DEPLOYMENT, wanted),
        has_front=_named(seen, kinds.SERVICE, wanted) is not None,
        troubles=status.troubles(seen.related.get(kinds.POD, ())),
        problem=problem,
        domain=settings.cluster_domain,
    )
    said = status.status(wanted, subject, facts, seen.now)
    reasons += _news(subject, said)
    return Plan(tuple(actions), said, tuple(reasons), again)


OWNED: tuple[Kind, ...] = (kinds.DEPLOYMENT, kinds.SERVICE, kinds.HORIZONTAL_POD_AUTOSCALER)


def _storage(wanted: Service) -> storage.Storage:
    container = wanted.main
    args = [str(arg) for arg in container.get("args") or ()] if wanted.framework else []
    return storage.resolve(wanted.model, wanted.predictor.get("storageUris") or [], args)


def _named(seen: Observed, kind: Kind, wanted: Service) -> Obj | None:
    return next((obj for obj in seen.of(kind) if name_of(obj) == wanted.workload), None)


def _converge(
    seen: Observed, wanted: Service, resolved: storage.Storage, actions: list[Action], reasons: list[Reason]
) -> float | None:
    """Bring the three objects to what they should be; returns when to look again."""
    subject = seen.subject
    _put(seen, wanted, kinds.SERVICE, workload.front(wanted, subject), ("selector", "ports"), actions)
    scaler = workload.autoscaler(wanted, subject)
    if scaler is not None:
        fields = ("scaleTargetRef", "minReplicas", "maxReplicas", "metrics", "behavior")
        _put(seen, wanted, kinds.HORIZONTAL_POD_AUTOSCALER, scaler, fields, actions)
    else:
        stale = [obj for obj in seen.of(kinds.HORIZONTAL_POD_AUTOSCALER) if not is_deleting(obj)]
        actions += [Delete(kinds.HORIZONTAL_POD_AUTOSCALER, key_of(obj), uid_of(obj)) for obj in stale]
    deployment = workload.deployment(wanted, resolved, subject)
    live = _named(seen, kinds.DEPLOYMENT, wanted)
    if live is None:
        marked = drift.marked(deployment)
        # One replica at first even where none is needed: a model that does not load should say so now.
        marked["spec"]["replicas"] = max(wanted.rule.least, 1)
        actions.append(Create(kinds.DEPLOYMENT, marked))
        return None
    _put(seen, wanted, kinds.DEPLOYMENT, deployment, ("strategy", "template"), actions)
    if scaler is not None or wanted.autoscaler == "external":
        return None
    return _scale(seen, wanted, live, actions, reasons)


def _put(seen: Observed, wanted: Service, kind: Kind, obj: Obj, fields: tuple[str, ...], actions: list[Action]) -> None:
    marked, live = drift.marked(obj), _named(seen, kind, wanted)
    if live is None:
        actions.append(Create(kind, marked))
        return
    if is_deleting(live):
        return
    change = drift.patch(live, marked, *fields)
    if change is not None:
        actions.append(Patch(kind, key_of(live), change, uid=uid_of(live)))


def _scale(seen: Observed, wanted: Service, live: Obj, actions: list[Action], reasons: list[Reason]) -> float | None:
    current = int(dig(live, "spec", "replicas", default=1))
    samples = demand.samples_of(seen.probed) if wanted.scales_by_requests else []
    rule = wanted.rule
    if not samples and rule.least == 0:
        rule = autoscale.Rule(min(current, rule.most), rule.most, rule.target, rule.window_seconds)
    decision = autoscale.decide(samples, current, seen.now, rule)
    if decision.replicas != current:
        change = {"spec": {"replicas": decision.replicas}}
        actions.append(Patch(kinds.DEPLOYMENT, key_of(live), change, uid=uid_of(live)))
        word = "ScaledUp" if decision.replicas > current else "ScaledDown"
        reasons.append(Reason(word, f"From {current} to {decision.replicas} replicas: {decision.why}."))
    return decision.again_in_seconds


def _news(subject: Obj, said: Obj) -> list[Reason]:
    """What became of the conditions since the last time, for the events."""
    old = dig(subject, "status", "conditions", default=())
    before = {c.get("type"): (c.get("status"), c.get("reason")) for c in old}
    found = []
    for condition in said["conditions"]:
        type, status_now, why = condition["type"], condition["status"], str(condition.get("reason") or "")
        if before.get(type) == (status_now, condition.get("reason")):
            continue
        if type == "Ready" and status_now == "True":
            found.append(Reason("InferenceServiceReady", f"InferenceService [{name_of(subject)}] is Ready"))
        elif type == "PredictorReady" and status_now == "False" and why != "MinimumReplicasUnavailable":
            found.append(Reason(why, str(condition.get("message") or ""), warning=why != "Stopped"))
    return found
