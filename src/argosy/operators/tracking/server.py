"""Where MLflow's server is, and how it is asked: through the API server's proxy of its Service, so on any cluster. Pure.

An operator may run outside the cluster, where a Service's name means nothing; and it has rights that a job's author may
lack, so it asks no Service but one of the job's own namespace or one that is named or labelled `mlflow`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from argosy import kinds
from argosy.intent import Call
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, labels_of, name_of, namespace_of

NAME, APP_LABEL = "mlflow", "app.kubernetes.io/name"
_PORT = 5000
_LABEL, _STEP = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"), re.compile(r"[\w-][\w.~-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Server:
    """One MLflow server in the cluster."""

    namespace: str
    name: str
    port: int
    base: str = ""
    """The path below which it serves, without slashes at its ends."""

    @property
    def address(self) -> str:
        """As pods say it."""
        return f"http://{self.name}.{self.namespace}.svc:{self.port}" + (f"/{self.base}" if self.base else "")

    def path(self, method: str, **query: str) -> str:
        """The API path of one of its methods, `runs/search`."""
        proxied = kinds.SERVICE.path(self.namespace, f"{self.name}:{self.port}", f"proxy/{self._api(method)}")
        return f"{proxied}?{urlencode(query, quote_via=quote)}" if query else proxied

    def call(self, method: str, body: Obj, *, optional: bool = False) -> Call:
        """Tell it something."""
        where = Key(self.namespace, f"{self.name}:{self.port}")
        return Call(kinds.SERVICE, where, "POST", self._api(method), body, optional)

    def _api(self, method: str) -> str:
        return "/".join(filter(None, (self.base, "api/2.0/mlflow", method)))


def of_uri(uri: str, namespace: str) -> Server | None:
    """The Service that a tracking URI in a pod of this namespace names; None for anything outside the cluster."""
    try:
        parts = urlsplit(uri)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return None
    words = host.split(".")
    inside = host != "localhost" and (len(words) <= 2 or words[2] == "svc")
    steps = [step for step in parts.path.split("/") if step]
    if parts.scheme != "http" or not inside or not all(map(_LABEL.fullmatch, words)) or words[-1].isdigit():
        return None
    if not all(map(_STEP.fullmatch, steps)):
        return None  # nothing that climbs out of the Service
    own = words[1] if len(words) > 1 else namespace
    return Server(own, words[0], port or 80, "/".join(steps))


def may_be_asked(server: Server, namespace: str, service: Obj | None) -> bool:
    """Whether an operator lends its rights to a job that names this server."""
    return server.namespace == namespace or (service is not None and is_mlflow(service))


def is_mlflow(service: Obj) -> bool:
    """Whether a Service says that it is MLflow's."""
    return NAME in (name_of(service), labels_of(service).get(APP_LABEL))


def first(services: Iterable[Obj], namespace: str) -> Server | None:
    """The namespace's own server, else the first one anywhere."""
    found = sorted(filter(is_mlflow, services), key=lambda s: (namespace_of(s) != namespace, namespace_of(s)))
    return next(map(of_service, found), None)


def of_service(service: Obj) -> Server:
    """The server behind a Service; the annotation `argosy.dev/base-path` tells where it serves below a path."""
    annotations: Mapping[str, str] = service["metadata"].get("annotations") or {}
    port = int(dig(service, "spec", "ports", 0, "port", default=_PORT))
    return Server(namespace_of(service), name_of(service), port, annotations.get("argosy.dev/base-path", "").strip("/"))
