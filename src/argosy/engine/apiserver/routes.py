"""From a method and a path to what is asked for. Pure; `app` calls it first for every request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from argosy.engine.apiserver.failures import no_such_method

_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class Target:
    """A resource, or an object or subresource of it. `plural` is empty for paths that name no resource."""

    group: str = ""
    version: str = ""
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    """What follows the subresource: the path that a proxy passes on."""
    watched: bool = False
    """Whether the path itself asks for a watch (`/api/v1/watch/…`), as clients of old do."""


@lru_cache(maxsize=1024)
def resource_target(path: str) -> Target | None:
    """The target of a path under /api/v1 or /apis/GROUP/VERSION; None when the path names no resource."""
    parts = path.strip("/").split("/")
    if "%" in path:
        parts = [unquote(part) for part in parts]
    if parts[0] == "api" and len(parts) > 2:
        group, version, parts = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    watched = parts[0] == "watch" and len(parts) > 1
    if watched:
        parts = parts[1:]
    if parts[0] == "namespaces" and len(parts) > 2 and not (group == "" and _of_the_namespace(parts)):
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource, *rest = [*parts, "", "", ""] if len(parts) < 4 else parts
    tail = "/".join(rest).rstrip("/")
    if tail and path.endswith("/"):
        tail += "/"  # a program behind a proxy may tell the two apart
    return Target(group, version, plural, namespace, name, subresource, tail, watched)


def _of_the_namespace(parts: list[str]) -> bool:
    return len(parts) == 3 and parts[2] in _NAMESPACE_SUBRESOURCES


def verb_of(method: str, target: Target, query: Mapping[str, str]) -> str:
    """The Kubernetes verb of a request for a resource. Raises MethodNotAllowed."""
    if target.watched and method != "GET":
        raise no_such_method()
    if method == "GET":
        if target.watched:
            return "watch"
        if target.name:
            return "get"
        return "watch" if is_true(query.get("watch")) else "list"
    if method == "POST":
        return "create"
    if method == "PUT":
        return "update"
    if method == "PATCH":
        return "patch"
    if method == "DELETE":
        return "delete" if target.name else "deletecollection"
    raise no_such_method()


def is_true(value: str | None) -> bool:
    """How the server reads a boolean parameter: present counts as true unless it says otherwise."""
    return value is not None and value.lower() not in ("false", "0")
