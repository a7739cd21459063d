"""Which kinds are served now: the built-in ones, and those that CustomResourceDefinitions bring.

`app` looks up here what a path means; `crds` changes it when a definition comes, changes or goes; discovery and OpenAPI
are written from it, and use `version` to know when to do so again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from argosy import kinds
from argosy.meta import pack
from argosy.meta.decode import blank
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind
from argosy.meta.schema import Schema

_STORED_ELSEWHERE = {
    (kinds.HORIZONTAL_POD_AUTOSCALER_V1.group, "v1", "horizontalpodautoscalers"): kinds.HORIZONTAL_POD_AUTOSCALER,
    (kinds.EVENTS_V1.group, "v1", "events"): kinds.EVENT,
}
"""Versions that are shown but not stored, with the kind that is."""

_DEPRECATED = {
    kinds.ENDPOINTS: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    kinds.COMPONENT_STATUS: "v1 ComponentStatus is deprecated in v1.19+",
}

_GROUPS = (
    "apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "autoscaling",
    "batch", "certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io",
    "admissionregistration.k8s.io", "apiextensions.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io",
    "discovery.k8s.io", "resource.k8s.io", "flowcontrol.apiserver.k8s.io",
)  # fmt: skip
"""The order in which clients are told of the built-in groups; kubectl takes the first that has a name it looks for."""


@dataclass(frozen=True)
class Served:
    """One kind in one version, as the server treats it."""

    kind: Kind
    storage: Kind
    """The version in which its objects are stored."""
    custom: bool = False
    """Whether a CustomResourceDefinition brought it."""
    deprecation: str = ""
    """The warning that every answer carries."""
    singular: str = ""
    list_kind: str = ""
    scale: Mapping[str, str] = field(default_factory=dict)
    """For custom kinds: the paths of the scale subresource."""
    webhook: Mapping[str, Any] | None = None
    """For custom kinds: who converts their objects between versions (`conversion.webhook`); None where versions differ in
    name only.
    """
    selectable: tuple[str, ...] = ()
    """For custom kinds: the JSONPaths that field selectors may name, without the leading dot."""

    @property
    def converts(self) -> bool:
        """Whether objects must be converted between the version shown and the one stored."""
        return self.kind is not self.storage

    @cached_property
    def schema(self) -> Schema | None:
        """The schema of the version that is shown."""
        return pack.schema_for(self.kind)

    @property
    def first_status(self) -> Obj | None:
        """What the status of a new object says when nobody has said anything; None for custom kinds."""
        field = None if self.custom or self.schema is None else self.schema.fields.get("status")
        return None if field is None else dict(blank(field))

    @cached_property
    def prefix(self) -> bytes:
        """How the bytes of a stored built-in object begin; lists leave this out."""
        return b'{"kind":"%b","apiVersion":"%b",' % (self.kind.kind.encode(), self.kind.api_version.encode())

    @property
    def listed_as(self) -> str:
        """The kind of its lists."""
        return self.list_kind or self.kind.list_kind


_METRICS = kinds.POD_METRICS.group


class Registry:
    """Every served kind, by path."""

    def __init__(self) -> None:
        self._built_in: dict[tuple[str, str], dict[str, Served]] = {}
        self._custom: dict[str, tuple[Served, ...]] = {}
        self._found: dict[tuple[str, str, str], Served] = {}
        self.version = 0
        """Grows with every change."""
        self._measured = False
        for kind in kinds.ALL:
            place = (kind.group, kind.version, kind.plural)
            served = Served(kind, _STORED_ELSEWHERE.get(place, kind), deprecation=_DEPRECATED.get(kind, ""))
            self._built_in.setdefault(place[:2], {})[kind.plural] = served
            self._found[place] = served

    def find(self, group: str, version: str, plural: str) -> Served | None:
        """What is served under that path."""
        return self._found.get((group, version, plural))

    def resources(self, group: str, plural: str) -> list[Served]:
        """Every version of a resource."""
        return [s for (g, _, p), s in self._found.items() if g == group and p == plural]

    def of(self, group: str, version: str) -> list[Served]:
        """Everything served in a group version, ordered by plural."""
        found = list(self._built_in.get((group, version), {}).values())
        found += [s for s in self._customs() if s.kind.group == group and s.kind.version == version]
        return sorted(found, key=lambda served: served.kind.plural)

    def groups(self) -> list[str]:
        """Every named group, the built-in ones first."""
        built_in = [*_GROUPS, *([_METRICS] if self._measured else [])]
        return built_in + sorted({s.kind.group for s in self._customs()} - set(built_in))

    def versions(self, group: str) -> list[str]:
        """The versions of a group, the preferred one first."""
        found = {version for g, version in self._built_in if g == group}
        found |= {s.kind.version for s in self._customs() if s.kind.group == group}
        return sorted(found, key=version_rank, reverse=True)

    def all(self) -> Iterator[Served]:
        """Every served kind in every version."""
        return iter(self._found.values())

    def stored(self) -> list[Kind]:
        """Every kind that has objects, once."""
        return list({s.storage.resource: s.storage for s in self.all() if "list" in s.kind.verbs}.values())

    def measure(self, measured: bool) -> None:
        """Whether the metrics of nodes and pods are told of: only where something measures them."""
        if measured != self._measured:
            self._measured = measured
            self.version += 1

    def define(self, name: str, served: Iterable[Served]) -> None:
        """Serve the kinds of the CustomResourceDefinition `name` in place of what it brought before."""
        self.forget(name)
        kept = tuple(served)
        if kept:
            self._custom[name] = kept
            self._found.update({(s.kind.group, s.kind.version, s.kind.plural): s for s in kept})
        self.version += 1

    def forget(self, name: str) -> None:
        """Serve the kinds of that CustomResourceDefinition no longer."""
        for served in self._custom.pop(name, ()):
            self._found.pop((served.kind.group, served.kind.version, served.kind.plural), None)
            self.version += 1

    def _customs(self) -> Iterator[Served]:
        for served in self._custom.values():
            yield from served


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Orders versions as Kubernetes does: GA over beta over alpha, newer over older, anything else last."""
    text = version.removeprefix("v")
    if text == version or not text[:1].isdigit():
        return (0, 0, 0, version)
    major = text
    for stage, rank in (("beta", 2), ("alpha", 1)):
        head, found, minor = text.partition(stage)
        if found:
            return (rank, int(head), int(minor), "") if head.isdigit() and minor.isdigit() else (0, 0, 0, version)
    return (3, int(major), 0, "") if major.isdigit() else (0, 0, 0, version)


def served_by(crd: Obj) -> list[Served]:
    """The kinds that a CustomResourceDefinition brings, one for every served version."""
    spec = crd["spec"]
    made = {v["name"]: _version(crd, v) for v in spec["versions"]}
    storage = next(made[v["name"]].kind for v in spec["versions"] if v.get("storage"))
    return [Served(**{**made[v["name"]].__dict__, "storage": storage}) for v in spec["versions"] if v.get("served")]


def _webhook(spec: Obj) -> Obj | None:
    conversion = spec.get("conversion") or {}
    if conversion.get("strategy") != "Webhook" or len(spec["versions"]) < 2:
        return None
    found: Obj = conversion.get("webhook") or {}
    return found


_COLUMN = "Custom resource definition column (in JSONPath format)"


def _version(crd: Obj, version: Obj) -> Served:
    spec, names = crd["spec"], crd["spec"]["names"]
    subresources = version.get("subresources") or {}
    columns = tuple(
        Column(
            column["name"],
            column["jsonPath"],
            type=column["type"],
            priority=column.get("priority", 0),
            format=column.get("format", ""),
            description=column.get("description") or f"{_COLUMN}: {column['jsonPath']}",
        )
        for column in version.get("additionalPrinterColumns") or ()
    )
    schema: Mapping[str, Any] | None = dig(version, "schema", "openAPIV3Schema")
    kind = Kind(
        spec["group"],
        version["name"],
        names["kind"],
        names["plural"],
        namespaced=spec.get("scope") == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=frozenset(subresources),
        columns=columns,
        schema=schema,
    )
    warning = ""
    if version.get("deprecated"):
        warning = version.get("deprecationWarning") or f"{kind.api_version} {kind.kind} is deprecated"
    return Served(
        kind,
        kind,
        custom=True,
        deprecation=warning,
        singular=names.get("singular") or names["kind"].lower(),
        list_kind=names.get("listKind") or f"{names['kind']}List",
        scale=subresources.get("scale") or {},
        webhook=_webhook(spec),
        selectable=tuple(f["jsonPath"].removeprefix(".") for f in version.get("selectableFields") or ()),
    )
