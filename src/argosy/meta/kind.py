"""A kind: what the API server serves, the client addresses and the tables print.

Built-in kinds are values of this type in `argosy.kinds`; the operators' kinds in their `schema.py`; a
CustomResourceDefinition becomes one when it is established.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from argosy.meta.json import Obj


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`: either a JSONPath into the object or a function of (object, now)."""

    name: str
    path: str = ""
    cell: Callable[[Obj, datetime], Any] | None = None
    type: str = "string"
    """string, integer, number, boolean or date (a date prints as an age)."""
    priority: int = 0
    """0: always shown; 1: only with `-o wide`."""
    format: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A served kind. `group` is empty for the core group."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    """Of `status`, `scale`, `log`, `binding`, `eviction`, `token`, …"""
    scale: tuple[str, str, str] | None = None
    """For a kind with the subresource `scale`: the paths of spec replicas, status replicas and label selector."""
    verbs: tuple[str, ...] = (
        "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
    )  # fmt: skip
    columns: tuple[Column, ...] = ()
    """Without NAME, which is always first. Empty: NAME and AGE alone."""
    schema: Mapping[str, Any] | None = field(default=None, compare=False, hash=False, repr=False)
    """For kinds that come as CRDs: the structural OpenAPI v3 schema. Built-in kinds find theirs in the pack."""

    def __hash__(self) -> int:
        """Of what identifies it: kinds are the keys of every plan's and informer's tables, columns are no part of that."""
        return hash((self.group, self.version, self.plural))

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The lower-case name, `replicaset`."""
        return self.kind.lower()

    @property
    def list_kind(self) -> str:
        """`PodList`."""
        return f"{self.kind}List"

    @property
    def resource(self) -> str:
        """`deployments.apps`, or `pods` for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, an object, or a subresource of one."""
        parts = ["/api" if not self.group else f"/apis/{self.group}", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def __str__(self) -> str:
        return self.resource
