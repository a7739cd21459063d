"""Requests and responses as values.

The client builds a `Request`, a transport carries it, and the API server's core (`engine.apiserver.app.App.handle`) takes
the very same value; HTTP is only one way of getting it there. So the in-process path is the product's path, not a test
double.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

from argosy.meta.json import Obj, decode

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. Set by the edge that authenticated the request, or by the engine for its own components."""

    name: str
    groups: frozenset[str] = frozenset()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One API request. Header names are lower case; `query` holds decoded single values."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    obj: Obj | None = None
    """The body already decoded, where both ends share a process; takes precedence over `body` and is not changed."""
    user: User | None = None
    multi_query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Only for parameters that repeat (`command` of exec)."""
    stream: bool = False
    """The answer is wanted as `chunks` while it comes (a proxied stream); watches and `follow` imply it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR. `obj` is shared, never changed."""

    type: str
    obj: Obj


@dataclass(slots=True)
class Response:
    """The answer. Exactly one of `body`, `obj`, `chunks` and `events` carries it.

    `obj` is a decoded object (in process); `events` a watch; `chunks` a stream of bytes (logs -f, a proxied body).
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    obj: Obj | None = None
    chunks: AsyncGenerator[bytes, None] | None = None
    events: AsyncGenerator[Event, None] | None = None
    session: Any = None
    """What the connection is to be joined to (exec, attach, port-forward); the edge, or `commands`, knows what it is."""

    def decoded(self) -> Any:
        """The answer as JSON, whichever way it came."""
        return self.obj if self.obj is not None else decode(self.body)
