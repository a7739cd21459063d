"""Requests byte for byte as clients of other languages send them, and the answers as they come, failures too.

For the tests of the API itself, in `api/`; what only needs an object uses `cluster.Namespace`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from argosy.client.requests import JSON, Request
from argosy.errors import ApiError
from argosy.meta.json import Obj, decode, encode
from conformance.cluster import Namespace

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and what came with it: an object, a list, a Status of failure, or the events of a watch."""

    code: int
    body: Any
    warnings: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """Of a failure."""
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else ""

    @property
    def causes(self) -> dict[str, str]:
        """Of a failure: what is wrong, by field."""
        return {each.get("field", ""): each.get("message", "") for each in self.body["details"].get("causes", ())}


class Wire:
    """Sends to one namespace, as the administrator or as somebody else."""

    def __init__(self, namespace: Namespace, user: str = "", groups: tuple[str, ...] = ()) -> None:
        self.namespace = namespace
        self._as = {"impersonate-user": user} if user else {}
        if groups:
            self._as["impersonate-group"] = groups[0]

    def user(self, name: str, *groups: str) -> Wire:
        """The same as another user, by impersonation."""
        return Wire(self.namespace, name, groups)

    def path(self, resource: str, name: str = "", group: str = "v1") -> str:
        """Of a resource of this namespace."""
        root = f"/api/{group}" if "/" not in group else f"/apis/{group}"
        return f"{root}/namespaces/{self.namespace.name}/{resource}" + (f"/{name}" if name else "")

    async def send(
        self,
        method: str,
        path: str,
        body: Obj | list[Any] | bytes | None = None,
        *,
        type: str = JSON,
        accept: str = JSON,
    ) -> Answer:
        """One request; its query stands in the path."""
        where, _, text = path.partition("?")
        query = dict(part.partition("=")[::2] for part in text.split("&") if part)
        raw = body if isinstance(body, bytes) else encode(body) if body is not None else b""
        headers = {"accept": accept, "user-agent": "conformance/1", **self._as}
        if raw:
            headers["content-type"] = type
        try:
            response = await self.namespace.client.raw(Request(method, where, query, headers, raw))
        except ApiError as error:
            return Answer(error.code, error.status())
        if response.events is not None:
            return Answer(response.status, [{"type": each.type, "object": each.obj} async for each in response.events])
        warnings = response.headers.get("warning", "")
        said = tuple(part.strip().removeprefix("299 - ").strip('"') for part in warnings.split(", 299") if part)
        if response.body[:1] not in (b"", b"{"):
            return Answer(response.status, response.body, said)
        return Answer(response.status, decode(response.body) if response.body else None, said)

    async def watch(self, path: str, seconds: int = 2, **more: str) -> list[Obj]:
        """What a watch tells in so many seconds."""
        query = {"watch": "true", "timeoutSeconds": str(seconds), **more}
        joined = "&".join(f"{key}={value}" for key, value in query.items())
        answer = await self.send("GET", f"{path}{'&' if '?' in path else '?'}{joined}")
        assert answer.code == 200, answer
        return list(answer.body)


def config_map(name: str, data: Obj | None = None, **meta: Any) -> Obj:
    """A ConfigMap."""
    metadata = {"name": name, **meta}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"} if data is None else data}


def deployment(name: str, **spec: Any) -> Obj:
    """A Deployment whose pods no node has to run."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    inner = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": inner}
