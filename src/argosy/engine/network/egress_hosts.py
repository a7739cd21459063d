"""Which hosts the pods of a namespace may reach through the egress proxy, by an annotation of the namespace. Pure.

`argosy.dev/egress-hosts: pypi.org, *.hf.co, api.example.org:8443, *.internal:*`. A host without a port means 80 and 443; `*.x`
means everything below x, `*` everything. A namespace without the annotation may reach nothing by this way.
"""

from __future__ import annotations

from dataclasses import dataclass

from argosy.meta.json import Obj
from argosy.meta.objects import annotations_of

ANNOTATION = "argosy.dev/egress-hosts"
_USUAL_PORTS = frozenset({80, 443})


@dataclass(frozen=True, slots=True)
class Allowance:
    """One entry of the list."""

    host: str
    ports: frozenset[int] | None
    """None: every port."""

    def covers(self, host: str, port: int) -> bool:
        """Whether it lets a connection out."""
        if self.ports is not None and port not in self.ports:
            return False
        if self.host == "*":
            return True
        return host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host


def allowances(namespace: Obj) -> tuple[Allowance, ...] | None:
    """A namespace's list; None when it has none. Entries that cannot be read allow nothing."""
    text = annotations_of(namespace).get(ANNOTATION)
    if text is None:
        return None
    entries = (entry.strip().lower() for entry in text.replace("\n", ",").split(","))
    return tuple(found for entry in entries if entry and (found := _read(entry)) is not None)


def plain(host: str) -> str:
    """A host as it is compared: without case and the last dot."""
    return host.lower().rstrip(".")


def _read(entry: str) -> Allowance | None:
    host, colon, port = entry.partition(":")
    host = host.rstrip(".")
    if not host or (colon and port != "*" and not port.isdigit()):
        return None
    return Allowance(host, _USUAL_PORTS if not colon else None if port == "*" else frozenset({int(port)}))
