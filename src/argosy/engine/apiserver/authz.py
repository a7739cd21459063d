"""Who may do what: RBAC as Kubernetes evaluates it.

`rule_allows` is the pure rule; `Authorizer` finds the rules that apply to a user from the stored roles and bindings, by an
index that is made anew after any of them changed. Members of system:masters may do everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from argosy import kinds
from argosy.client.requests import User
from argosy.engine.apiserver.failures import DeniedPath
from argosy.engine.apiserver.routes import Target
from argosy.engine.store import Store
from argosy.errors import Forbidden
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key

MASTERS = "system:masters"
_SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Attributes:
    """What somebody wants to do: a verb on a resource, or on a path that is none."""

    verb: str
    group: str = ""
    resource: str = ""
    """With its subresource: `pods/log`."""
    name: str = ""
    namespace: str = ""
    path: str = ""
    """Only for what is not a resource."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether, and by which binding."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Granted:
    """One rule that applies to a user, and where it comes from."""

    rule: Obj
    source: str


def attributes_of(verb: str, target: Target, name: str = "") -> Attributes:
    """The attributes of a request for a resource."""
    resource = f"{target.plural}/{target.subresource}" if target.subresource else target.plural
    return Attributes(verb, target.group, resource, name or target.name, target.namespace)


def rule_allows(rule: Obj, wanted: Attributes) -> bool:
    """Whether one PolicyRule allows it."""
    if not _has(rule.get("verbs"), wanted.verb):
        return False
    if wanted.path:
        return any(_path_matches(pattern, wanted.path) for pattern in rule.get("nonResourceURLs") or ())
    if not _has(rule.get("apiGroups"), wanted.group) or not _resource_matches(rule, wanted.resource):
        return False
    names = rule.get("resourceNames")
    return not names or wanted.name in names


def _has(values: list[str] | None, wanted: str) -> bool:
    return values is not None and ("*" in values or wanted in values)


def _resource_matches(rule: Obj, wanted: str) -> bool:
    resources = rule.get("resources") or ()
    if "*" in resources or wanted in resources:
        return True
    _, slash, subresource = wanted.partition("/")
    return bool(slash) and f"*/{subresource}" in resources


def _path_matches(pattern: str, path: str) -> bool:
    if pattern in ("*", path):
        return True
    return pattern.endswith("*") and path.startswith(pattern[:-1])


def _subject_keys(user: User) -> Iterator[tuple[str, str, str]]:
    """The keys in the index under which bindings for a user stand: (kind, namespace, name)."""
    yield "User", "", user.name
    if user.name.startswith(_SERVICE_ACCOUNT):
        namespace, _, name = user.name.removeprefix(_SERVICE_ACCOUNT).partition(":")
        yield "ServiceAccount", namespace, name
    for group in sorted(user.groups):
        yield "Group", "", group


class Authorizer:
    """Evaluates RBAC over the store. `forget` must be called after a role or binding changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._index: dict[tuple[str, str, str], list[tuple[Kind, Obj]]] | None = None

    def forget(self) -> None:
        """Some role or binding changed."""
        self._index = None

    def decide(self, user: User, wanted: Attributes) -> Decision:
        """Whether a user may do that."""
        if MASTERS in user.groups:
            return Decision(True)
        for granted in self.rules(user, wanted.namespace):
            if rule_allows(granted.rule, wanted):
                return Decision(True, f"RBAC: allowed by {granted.source}")
        return Decision(False)

    def check(self, user: User, wanted: Attributes) -> None:
        """Raises Forbidden, in Kubernetes' wording, for what a user may not do."""
        if not self.decide(user, wanted).allowed:
            raise denial(user, wanted)

    def rules(self, user: User, namespace: str) -> Iterator[Granted]:
        """Every rule that applies to a user cluster-wide or in a namespace."""
        index = self._indexed()
        for key in _subject_keys(user):
            for kind, binding in index.get(key, ()):
                place = binding["metadata"].get("namespace") or ""
                if kind is kinds.ROLE_BINDING and place != namespace:
                    continue
                ref = binding.get("roleRef") or {}
                where = f"/{place}" if place else ""
                subject = f"{key[2]}/{key[1]}" if key[1] else key[2]
                source = (
                    f'{kind.kind} "{binding["metadata"]["name"]}{where}" of {ref.get("kind")} "{ref.get("name")}"'
                    f' to {key[0]} "{subject}"'
                )
                for rule in self.role_rules(ref, place) or ():
                    yield Granted(rule, source)

    def role_rules(self, ref: Obj, namespace: str) -> list[Obj] | None:
        """The rules of the role that a binding refers to; None when there is no such role."""
        if ref.get("kind") == "ClusterRole":
            record = self._store.get(kinds.CLUSTER_ROLE.resource, Key("", ref.get("name", "")))
        else:
            record = self._store.get(kinds.ROLE.resource, Key(namespace, ref.get("name", "")))
        return (record.obj.get("rules") or []) if record else None

    def _indexed(self) -> dict[tuple[str, str, str], list[tuple[Kind, Obj]]]:
        if self._index is None:
            index: dict[tuple[str, str, str], list[tuple[Kind, Obj]]] = {}
            for kind in (kinds.CLUSTER_ROLE_BINDING, kinds.ROLE_BINDING):
                for record in self._store.list(kind.resource):
                    for subject in record.obj.get("subjects") or ():
                        service_account = subject.get("kind") == "ServiceAccount"
                        namespace = (subject.get("namespace") or record.key.namespace) if service_account else ""
                        key = (subject.get("kind", ""), namespace, subject.get("name", ""))
                        index.setdefault(key, []).append((kind, record.obj))
            self._index = index
        return self._index


def denial(user: User, wanted: Attributes) -> Forbidden:
    """The refusal."""
    if wanted.path:
        return DeniedPath(f'forbidden: User "{user.name}" cannot {wanted.verb} path "{wanted.path}"')
    plural = wanted.resource.partition("/")[0]
    qualified = f"{plural}.{wanted.group}" if wanted.group else plural
    subject = f'{qualified} "{wanted.name}"' if wanted.name else qualified
    where = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    details: Obj = {"name": wanted.name} if wanted.name else {}
    if wanted.group:
        details["group"] = wanted.group
    return Forbidden(
        f'{subject} is forbidden: User "{user.name}" cannot {wanted.verb} resource "{wanted.resource}" in API group'
        f' "{wanted.group}" {where}',
        details=details | {"kind": plural},
    )


def covers(held: Iterable[Obj], rule: Obj) -> list[Obj]:
    """The parts of a rule that the held rules do not grant, each as a rule of a single group, resource and name."""
    owned = list(held)
    missing: list[Obj] = []
    for piece in _pieces(rule):
        lacking = [verb for verb in rule.get("verbs") or () if not any(_grants(own, piece, verb) for own in owned)]
        if lacking:
            missing.append({**piece, "verbs": lacking})
    return missing


def _pieces(rule: Obj) -> Iterator[Obj]:
    for path in rule.get("nonResourceURLs") or ():
        yield {"nonResourceURLs": [path]}
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            piece = {"apiGroups": [group], "resources": [resource]}
            for name in rule.get("resourceNames") or ():
                yield {**piece, "resourceNames": [name]}
            if not rule.get("resourceNames"):
                yield piece


def _grants(own: Obj, piece: Obj, verb: str) -> bool:
    if not _has(own.get("verbs"), verb):
        return False
    if "nonResourceURLs" in piece:
        return any(_path_matches(p, piece["nonResourceURLs"][0]) for p in own.get("nonResourceURLs") or ())
    group, resource = piece["apiGroups"][0], piece["resources"][0]
    if not _has(own.get("apiGroups"), group) or not _resource_matches(own, resource):
        return False
    names = own.get("resourceNames")
    return not names or piece.get("resourceNames", [None])[0] in names
