"""What is deleted after a RayJob has ended, and when: its strategy's rules, its older policies, or its simple switch. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from argosy.meta.json import Obj, dig
from argosy.operators.rayjob.schema import JOB_FAILED, JOB_SUCCEEDED

CLUSTER, WORKERS, SELF, NONE = "DeleteCluster", "DeleteWorkers", "DeleteSelf", "DeleteNone"
_BY_IMPACT = (NONE, WORKERS, CLUSTER, SELF)


@dataclass(frozen=True, slots=True)
class Due:
    """A policy, and how many seconds after the job's end it applies."""

    policy: str
    after_seconds: float


def due(spec: Obj, status: Obj) -> list[Due]:
    """Every policy that applies to a job that ended so."""
    strategy: Obj | None = spec.get("deletionStrategy")
    ttl = float(spec.get("ttlSecondsAfterFinished") or 0)
    if strategy is None:
        return [Due(CLUSTER, ttl)] if spec.get("shutdownAfterJobFinishes") else []
    rules = strategy.get("deletionRules")
    if rules is not None:
        return [Due(str(rule["policy"]), _ttl(rule)) for rule in rules if _matches(rule["condition"], status)]
    side = {JOB_SUCCEEDED: "onSuccess", JOB_FAILED: "onFailure"}.get(str(status.get("jobStatus")))
    policy = dig(strategy, side, "policy") if side else None
    return [Due(str(policy), ttl)] if policy else []


def strongest(policies: list[str]) -> str:
    """The one of several that takes the others' work along."""
    return max(policies, key=_BY_IMPACT.index)


def problem(spec: Obj, *, as_guest: bool, autoscaled: bool) -> str:
    """What is wrong with the deletion strategy, empty when nothing is."""
    strategy: Obj | None = spec.get("deletionStrategy")
    if strategy is None:
        return ""
    rules, shutdown = strategy.get("deletionRules"), bool(spec.get("shutdownAfterJobFinishes"))
    older = [dig(strategy, side, "policy", default="") for side in ("onSuccess", "onFailure") if side in strategy]
    if rules and older:
        return "Cannot use both legacy onSuccess/onFailure fields and deletionRules simultaneously"
    if not rules and (len(older) < 2 or not all(older)):
        return (
            "DeletionStrategy requires either BOTH onSuccess and onFailure, OR the deletionRules field "
            "(cannot be empty)"
        )
    if rules and shutdown:
        return "spec.shutdownAfterJobFinishes and spec.deletionStrategy.deletionRules are mutually exclusive"
    if older and shutdown and NONE in older:
        return "shutdownAfterJobFinshes is set to 'true' while deletion policy is 'DeleteNone'"
    used = older or [str(rule.get("policy")) for rule in rules or ()]
    if as_guest and {CLUSTER, WORKERS} & set(used):
        return "DeletionPolicyType DeleteCluster and DeleteWorkers are not supported when ClusterSelector is set"
    if autoscaled and WORKERS in used:
        return "DeletionPolicyType 'DeleteWorkers' not supported with autoscaling enabled"
    return _rules_problem(rules or [])


def _rules_problem(rules: list[Obj]) -> str:
    by_condition: dict[tuple[str, str], dict[str, float]] = {}
    for number, rule in enumerate(rules):
        condition: Obj = rule.get("condition") or {}
        given = [(field, str(condition[field])) for field in ("jobStatus", "jobDeploymentStatus") if field in condition]
        if len(given) != 1:
            return f"deletionRules[{number}]: exactly one of JobStatus and JobDeploymentStatus must be set"
        known = by_condition.setdefault(given[0], {})
        policy = str(rule.get("policy"))
        if policy in known:
            field, value = given[0]
            return f"deletionRules[{number}]: duplicate rule for DeletionPolicyType '{policy}' and {field} '{value}'"
        known[policy] = _ttl(rule)
    for (kind, value), times in by_condition.items():
        order = [policy for policy in (WORKERS, CLUSTER, SELF) if policy in times]
        for earlier, later in pairwise(order):
            if times[later] < times[earlier]:
                return (
                    f"for {kind} '{value}': {later} TTL ({times[later]:g}) must be >= "
                    f"{earlier} TTL ({times[earlier]:g})"
                )
    return ""


def _matches(condition: Obj, status: Obj) -> bool:
    if condition.get("jobStatus") is not None:
        return bool(condition["jobStatus"] == status.get("jobStatus"))
    return bool(condition.get("jobDeploymentStatus") == status.get("jobDeploymentStatus"))


def _ttl(rule: Obj) -> float:
    return float(dig(rule, "condition", "ttlSeconds", default=0))
