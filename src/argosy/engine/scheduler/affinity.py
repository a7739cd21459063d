"""Affinity between pods, and spreading over topology domains, as values that can be counted. Pure.

A `Term` says "pods like these, in domains like this". The snapshot counts, for every term that any pod uses, the matching
pods in each domain, and keeps the counts as pods come and go; so no decision looks at all pods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from argosy.meta.json import Obj, encode
from argosy.meta.selectors import Selector, from_object


@dataclass(frozen=True, slots=True)
class Term:
    """Pods that a selector finds in some namespaces, by domains of a node label."""

    identity: bytes
    topology_key: str = field(compare=False)
    selector: Selector = field(compare=False)
    namespaces: frozenset[str] = field(compare=False)
    namespace_selector: Selector | None = field(compare=False, default=None)
    """Further namespaces by their labels; an empty selector means all."""

    def matches(
        self, namespace: str, labels: Mapping[str, str], namespace_labels: Mapping[str, Mapping[str, str]]
    ) -> bool:
        """Whether the term means a pod."""
        if namespace not in self.namespaces:
            chosen = self.namespace_selector
            if chosen is None or not chosen.matches(namespace_labels.get(namespace, {})):
                return False
        return self.selector.matches(labels)


@dataclass(frozen=True, slots=True)
class Weighted:
    """A preference; negative weights repel."""

    term: Term
    weight: int


@dataclass(frozen=True, slots=True)
class Spread:
    """One topology spread constraint."""

    term: Term
    max_skew: int
    hard: bool
    min_domains: int
    honours_affinity: bool
    honours_taints: bool


_ALWAYS = "requiredDuringSchedulingIgnoredDuringExecution"
_RATHER = "preferredDuringSchedulingIgnoredDuringExecution"


def read_affinity(
    affinity: Obj | None, namespace: str, labels: Mapping[str, str]
) -> tuple[tuple[Term, ...], tuple[Term, ...], tuple[Weighted, ...]]:
    """(must be near, must be apart, would rather) of a pod's affinity."""
    if not affinity:
        return (), (), ()
    near, apart = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
    rather = [
        Weighted(_term(w["podAffinityTerm"], namespace, labels), sign * int(w["weight"]))
        for section, sign in ((near, 1), (apart, -1))
        for w in section.get(_RATHER) or ()
    ]
    return (
        tuple(_term(t, namespace, labels) for t in near.get(_ALWAYS) or ()),
        tuple(_term(t, namespace, labels) for t in apart.get(_ALWAYS) or ()),
        tuple(rather),
    )


def read_spread(constraints: Sequence[Obj] | None, namespace: str, labels: Mapping[str, str]) -> tuple[Spread, ...]:
    """A pod's topology spread constraints."""
    return tuple(
        Spread(
            _term({**c, "namespaces": [namespace]}, namespace, labels),
            int(c.get("maxSkew") or 1),
            c.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule",
            int(c.get("minDomains") or 1),
            c.get("nodeAffinityPolicy", "Honor") == "Honor",
            c.get("nodeTaintsPolicy", "Ignore") == "Honor",
        )
        for c in constraints or ()
    )


def _term(term: Obj, namespace: str, labels: Mapping[str, str]) -> Term:
    selector = dict(term.get("labelSelector") or {})
    wanted = [_same(key, "In", labels) for key in term.get("matchLabelKeys") or () if key in labels]
    wanted += [_same(key, "NotIn", labels) for key in term.get("mismatchLabelKeys") or () if key in labels]
    if wanted:
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *wanted]
    chosen = term.get("namespaceSelector")
    named = term.get("namespaces") or ()
    namespaces = frozenset(named) if named or chosen is not None else frozenset({namespace})
    # A term without a label selector means no pod at all; one with an empty selector means every pod.
    means_none = term.get("labelSelector") is None
    identity = encode([term["topologyKey"], selector, sorted(namespaces), chosen, means_none])
    return Term(
        identity,
        str(term["topologyKey"]),
        from_object(selector),
        frozenset() if means_none else namespaces,
        None if chosen is None or means_none else from_object(chosen),
    )


def _same(key: str, operator: str, labels: Mapping[str, str]) -> Obj:
    return {"key": key, "operator": operator, "values": [labels[key]]}
