"""The algebra of placement: node selector terms, taints and tolerations. Pure.

Asked by the scheduler's filters and scores, and by the DaemonSet controller, which must know where its pods would be let in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from argosy.meta.json import Obj

UNSCHEDULABLE_TAINT: Obj = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def matches_node_selector(selector: Obj, labels: Mapping[str, str], name: str) -> bool:
    """Whether any of a node selector's terms holds for a node; a selector without terms holds for none."""
    return any(matches_term(term, labels, name) for term in selector.get("nodeSelectorTerms") or ())


def matches_term(term: Obj, labels: Mapping[str, str], name: str) -> bool:
    """Whether all requirements of one term hold; an empty term holds for no node."""
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(_holds(e, labels.get(e["key"])) for e in expressions) and all(
        _holds(f, name if f["key"] == "metadata.name" else None) for f in fields
    )


def _holds(requirement: Obj, value: str | None) -> bool:
    values: Sequence[str] = requirement.get("values") or ()
    match requirement.get("operator"):
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compares(value, values, operator == "Gt")
    return False


def _compares(value: str | None, bounds: Sequence[str], greater: bool) -> bool:
    try:
        number, bound = int(value or ""), int(bounds[0])
    except (ValueError, IndexError):
        return False
    return number > bound if greater else number < bound


def tolerates(toleration: Obj, taint: Obj) -> bool:
    """Whether one toleration lets a taint pass."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def untolerated(
    tolerations: Iterable[Obj], taints: Iterable[Obj], effects: Iterable[str] = ("NoSchedule", "NoExecute")
) -> Obj | None:
    """The first taint of these effects that no toleration lets pass."""
    allowed = list(tolerations)
    wanted = set(effects)
    for taint in taints:
        if taint.get("effect") in wanted and not any(tolerates(t, taint) for t in allowed):
            return taint
    return None


def required_node_selector(spec: Obj) -> Obj | None:
    """A pod spec's `requiredDuringSchedulingIgnoredDuringExecution` node affinity."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return dict(required) if required else None


def fits_node_labels(spec: Obj, labels: Mapping[str, str], name: str) -> bool:
    """Whether a pod's `nodeSelector` and required node affinity hold for a node."""
    if any(labels.get(k) != v for k, v in (spec.get("nodeSelector") or {}).items()):
        return False
    required = required_node_selector(spec)
    return required is None or matches_node_selector(required, labels, name)
