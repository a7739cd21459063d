"""Nobody grants what they do not have: roles and bindings may hold only rights of whoever writes them.

Whoever has the verb `escalate` on roles, or `bind` on the role that a binding names, may nevertheless.
"""

from __future__ import annotations

from argosy import kinds
from argosy.engine.apiserver.authz import MASTERS, Attributes, covers
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import forbidden, not_found
from argosy.meta.json import Obj

_ROLES = frozenset({kinds.ROLE, kinds.CLUSTER_ROLE})
_BINDINGS = frozenset({kinds.ROLE_BINDING, kinds.CLUSTER_ROLE_BINDING})


def review(call: Call, obj: Obj, old: Obj | None) -> None:
    """Raises Forbidden for rights that the user lacks, NotFound for a binding to a role that is not there."""
    kind = call.served.storage
    if MASTERS in call.user.groups:
        return
    if kind in _ROLES:
        if old is not None and old.get("rules") == obj.get("rules"):
            return
        if not _may(call, "escalate", kind.plural, obj["metadata"].get("name", "")):
            _check(call, obj, obj.get("rules") or [])
    elif kind in _BINDINGS:
        if old is not None and old.get("subjects") == obj.get("subjects"):
            return
        reference = obj.get("roleRef") or {}
        plural = "clusterroles" if reference.get("kind") == "ClusterRole" else "roles"
        if _may(call, "bind", plural, reference.get("name", "")):
            return
        rules = call.api.authorizer.role_rules(reference, call.target.namespace)
        if rules is None:
            raise not_found(call.kind, reference.get("name", ""))
        _check(call, obj, rules)


def _may(call: Call, verb: str, plural: str, name: str) -> bool:
    wanted = Attributes(verb, call.kind.group, plural, name, call.target.namespace)
    return call.api.authorizer.decide(call.user, wanted).allowed


def _check(call: Call, obj: Obj, rules: list[Obj]) -> None:
    held = [granted.rule for granted in call.api.authorizer.rules(call.user, call.target.namespace)]
    missing = [piece for rule in rules for piece in covers(held, rule)]
    if not missing:
        return
    user = call.user
    groups = " ".join(f'"{group}"' for group in sorted(user.groups))
    lines = "\n".join(_line(piece) for piece in _merged(missing))
    why = f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n{lines}'
    raise forbidden(call.kind, obj["metadata"].get("name", ""), why)


def _merged(pieces: list[Obj]) -> list[Obj]:
    """Rules that differ in their verbs alone as one; ordered as Kubernetes lists them."""
    by_place: dict[str, Obj] = {}
    for piece in pieces:
        place = _line({**piece, "verbs": []})
        known = by_place.setdefault(place, {**piece, "verbs": []})
        known["verbs"] += [verb for verb in piece["verbs"] if verb not in known["verbs"]]
    return [by_place[place] for place in sorted(by_place)]


def _line(rule: Obj) -> str:
    fields = (
        ("APIGroups", "apiGroups"), ("Resources", "resources"), ("ResourceNames", "resourceNames"),
        ("NonResourceURLs", "nonResourceURLs"), ("Verbs", "verbs"),
    )  # fmt: skip
    shown = [f"{name}:[{' '.join(_quote(v) for v in rule[field])}]" for name, field in fields if rule.get(field)]
    return f"{{{', '.join(shown)}}}"


def _quote(value: str) -> str:
    return f'"{value}"'
