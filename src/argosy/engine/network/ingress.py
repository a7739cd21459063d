"""Where an HTTP request goes, by the rules of all Ingresses together. Pure.

The most specific host wins (exact, wildcard, none), then an Exact path, then the longest prefix, then the older Ingress;
what no rule matches goes to a default backend. As in other controllers, a host that has rules of its own does not fall
back on the rules without a host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from argosy.engine.network.ingress_annotations import PLAIN, Manner, manner_of, pattern
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, annotations_of, created_of, key_of, namespace_of

_CLASS_ANNOTATION = "kubernetes.io/ingress.class"


@dataclass(frozen=True, slots=True)
class Target:
    """A port of a Service, by number or name, and the Ingress that says so."""

    service: Key
    port: int | str
    ingress: Key
    manner: Manner = PLAIN


@dataclass(frozen=True, slots=True)
class Route:
    """One rule. An empty host means every host; `exact` and `pattern` are about the path."""

    host: str
    path: str
    exact: bool
    target: Target
    pattern: re.Pattern[str] | None = None

    def __str__(self) -> str:
        sort = " (regular expression)" if self.pattern else "" if self.exact else " (prefix)"
        return f"{self.host or '*'}{self.path}{sort} -> {self.target.service}:{self.target.port}"


class Router:
    """The rules of a set of Ingresses; made anew when one changes."""

    def __init__(self, ingresses: Iterable[Obj], classes: frozenset[str]) -> None:
        self._hosts: dict[str, list[Route]] = {}
        self._default: Target | None = None
        accepted = sorted((i for i in ingresses if is_ours(i, classes)), key=_age)
        for ingress in accepted:
            self._add(ingress)
        for routes in self._hosts.values():
            # Stable, so among equals the older Ingress stays first.
            routes.sort(key=lambda route: (not route.exact, -len(route.path)))

    @property
    def routes(self) -> Sequence[Route]:
        """Every rule, for people to read."""
        return [route for host in sorted(self._hosts) for route in self._hosts[host]]

    def match(self, host: str, path: str) -> Target | None:
        """Where a request goes. `host` may carry a port."""
        found = self.way(host, path)
        return found[0] if found is not None else None

    def way(self, host: str, path: str) -> tuple[Target, str] | None:
        """The same, with the path to ask for there."""
        name = _bare(host)
        candidates = self._hosts.get(name)
        if candidates is None and "." in name:
            candidates = self._hosts.get("*." + name.partition(".")[2])
        if candidates is None:
            candidates = self._hosts.get("", [])
        for route in candidates:
            asked = _matches(route, path)
            if asked:
                return route.target, asked
        return (self._default, path) if self._default is not None else None

    def _add(self, ingress: Obj) -> None:
        key, namespace = key_of(ingress), namespace_of(ingress)
        manner = manner_of(ingress)
        default = _target(
            dig(ingress, "spec", "defaultBackend"), namespace, key, replace(manner, rewrite="", regex=False)
        )
        if default is not None and self._default is None:
            self._default = default
        for rule in dig(ingress, "spec", "rules", default=()):
            host = str(rule.get("host") or "").lower()
            for entry in dig(rule, "http", "paths", default=()):
                target = _target(entry.get("backend"), namespace, key, manner)
                if target is not None:
                    path = str(entry.get("path") or "/")
                    expression = pattern(path) if manner.regex else None
                    exact = entry.get("pathType") == "Exact" and expression is None
                    self._hosts.setdefault(host, []).append(Route(host, path, exact, target, expression))


def class_of(ingress: Obj) -> str:
    """The class that an Ingress asks for, empty for none."""
    return str(dig(ingress, "spec", "ingressClassName") or annotations_of(ingress).get(_CLASS_ANNOTATION) or "")


def is_ours(ingress: Obj, classes: frozenset[str]) -> bool:
    """Whether an Ingress is of one of these classes, or of none."""
    return not class_of(ingress) or class_of(ingress) in classes


def tls_secrets(ingresses: Iterable[Obj], classes: frozenset[str]) -> dict[str, Key]:
    """The Secret with the certificate of each host (`*.x` for all below x, empty for every host); the older Ingress wins."""
    found: dict[str, Key] = {}
    for ingress in sorted((i for i in ingresses if is_ours(i, classes)), key=_age):
        for entry in dig(ingress, "spec", "tls", default=()):
            if entry.get("secretName"):
                for host in entry.get("hosts") or [""]:
                    found.setdefault(host.lower(), Key(namespace_of(ingress), entry["secretName"]))
    return found


def _target(backend: Obj | None, namespace: str, ingress: Key, manner: Manner) -> Target | None:
    service = dig(backend, "service", "name")
    port = dig(backend, "service", "port", default={})
    number = port.get("number") or port.get("name")
    return Target(Key(namespace, service), number, ingress, manner) if service and number else None


def _matches(route: Route, path: str) -> str:
    """The path to ask for; empty when the rule is not about this one."""
    if route.pattern is not None:
        found = route.pattern.match(path)
        if found is None:
            return ""
        return route.target.manner.rewritten(found) if route.target.manner.rewrite else path
    if route.exact:
        return path if path == route.path else ""
    prefix = route.path.rstrip("/")
    # By elements: /foo matches /foo and /foo/bar, never /foobar.
    return path if not prefix or path == prefix or path.startswith(prefix + "/") else ""


def _bare(host: str) -> str:
    name = host.lower()
    if name.startswith("["):
        return name.partition("]")[0][1:]
    return name.partition(":")[0].rstrip(".")


def _age(ingress: Obj) -> tuple[str, Key]:
    return created_of(ingress), key_of(ingress)
