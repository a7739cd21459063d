"""The verbs of the Kubernetes API over any transport. Used by everything in Argosy that touches a cluster."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from argosy.client import commands
from argosy.client.commands import Execution
from argosy.client.requests import JSON, MERGE_PATCH, Event, Request, Response
from argosy.client.transport import Transport
from argosy.errors import from_status
from argosy.meta.json import Obj, encode
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, key_of

_ACCEPT = {"accept": JSON}


@dataclass(frozen=True, slots=True)
class ObjectList:
    """A consistent list: the items, and the resourceVersion to watch from."""

    items: list[Obj]
    resource_version: str
    continue_token: str = ""


class Client:
    """Asynchronous client. Methods raise `ApiError` subclasses for failures that the server reports.

    Objects returned are shared with caches: `argosy.meta.json.thaw` one before changing it.
    """

    def __init__(self, transport: Transport, *, field_manager: str = "argosy") -> None:
        self._transport = transport
        self._field_manager = field_manager

    def named(self, field_manager: str) -> Client:
        """The same connection under another field manager's name."""
        return Client(self._transport, field_manager=field_manager)

    def through(self, wrap: Callable[[Transport], Transport]) -> Client:
        """The same connection behind a transport that changes requests on their way."""
        return Client(wrap(self._transport), field_manager=self._field_manager)

    async def close(self) -> None:
        """Let go of the transport's connections."""
        await self._transport.close()

    async def raw(self, request: Request) -> Response:
        """Send any request; failures raise."""
        response = await self._transport.send(request)
        if response.status >= 400:
            raise await _failure(response)
        return response

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Obj:
        """Read one object."""
        return await self._object(Request("GET", kind.path(namespace, name), {}, _ACCEPT))

    async def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_token: str = "",
        resource_version: str = "",
    ) -> ObjectList:
        """List a namespace, or all of them. `labels` and `fields` are selector strings. Items lack nothing that a get
        would show: `apiVersion` and `kind` are filled in.
        """
        query = _query(
            labelSelector=labels,
            fieldSelector=fields,
            limit=str(limit or ""),
            resourceVersion=resource_version,
        )
        if continue_token:
            query["continue"] = continue_token
        body = await self._object(Request("GET", kind.path(namespace), query, _ACCEPT))
        items = [
            item if "kind" in item else {"apiVersion": kind.api_version, "kind": kind.kind, **item}
            for item in body.get("items") or ()
        ]
        meta = body.get("metadata") or {}
        return ObjectList(items, str(meta.get("resourceVersion") or ""), str(meta.get("continue") or ""))

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        since: str = "",
        labels: str = "",
        fields: str = "",
        timeout_seconds: int = 0,
        initial_events: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Yield events after the resourceVersion `since`, until the server or the caller ends the watch.

        With `initial_events` (WatchList) the present state comes first, closed by a BOOKMARK annotated
        `k8s.io/initial-events-end`. An ERROR event raises the error that it stands for (410: `Expired`).
        """
        query = _query(
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=since,
            labelSelector=labels,
            fieldSelector=fields,
            timeoutSeconds=str(timeout_seconds or ""),
        )
        if initial_events:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        response = await self.raw(Request("GET", kind.path(namespace), query))
        assert response.events is not None, "a watch must come back as events"
        async with aclosing(response.events) as events:
            async for event in events:
                if event.type == "ERROR":
                    raise from_status(int(event.obj.get("code") or 500), event.obj)
                yield event

    async def create(self, kind: Kind, obj: Obj, *, dry_run: bool = False) -> Obj:
        """Create; the namespace is taken from the object."""
        path = kind.path(obj["metadata"].get("namespace") or "")
        return await self._write("POST", path, obj, dry_run=dry_run)

    async def create_subresource(self, kind: Kind, key: Key, subresource: str, obj: Obj) -> Obj:
        """POST to a subresource: `binding`, `eviction`, `token`."""
        return await self._write("POST", kind.path(key.namespace, key.name, subresource), obj)

    async def update(self, kind: Kind, obj: Obj, *, subresource: str = "") -> Obj:
        """Replace; a `metadata.resourceVersion` in the object guards against lost updates."""
        key = key_of(obj)
        return await self._write("PUT", kind.path(key.namespace, key.name, subresource), obj)

    async def patch(
        self,
        kind: Kind,
        key: Key,
        patch: Obj,
        *,
        subresource: str = "",
        content_type: str = MERGE_PATCH,
        dry_run: bool = False,
    ) -> Obj:
        """Patch; a merge patch unless `content_type` says otherwise."""
        path = kind.path(key.namespace, key.name, subresource)
        return await self._write("PATCH", path, patch, content_type=content_type, dry_run=dry_run)

    async def delete(
        self,
        kind: Kind,
        key: Key,
        *,
        uid: str = "",
        grace_seconds: int | None = None,
        propagation: str = "Background",
    ) -> Obj:
        """Ask for deletion; finalizers and grace periods may hold it up."""
        options: Obj = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        return await self._write("DELETE", kind.path(key.namespace, key.name), options)

    async def logs(
        self, pods: Kind, key: Key, *, container: str = "", follow: bool = False, query: Mapping[str, str] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield a container's log as it comes."""
        parameters = _query(container=container, follow="true" if follow else "") | dict(query or {})
        response = await self.raw(Request("GET", pods.path(key.namespace, key.name, "log"), parameters))
        if response.chunks is None:
            yield response.body
            return
        async with aclosing(response.chunks) as chunks:
            async for chunk in chunks:
                yield chunk

    async def execute(self, pods: Kind, key: Key, command: Sequence[str], *, container: str = "") -> Execution:
        """Run a command in a container to its end, without input; cancelling ends it.

        Raises ApiError for one that could not be run, ConnectionError for one that was lost.
        """
        response = await self.raw(commands.request(pods, key, command, container))
        assert response.session is not None, "who asks for a session is given one"
        return await commands.finish(response.session)

    async def _write(self, method: str, path: str, obj: Obj, *, content_type: str = JSON, dry_run: bool = False) -> Obj:
        query = {"fieldManager": self._field_manager}
        if dry_run:
            query["dryRun"] = "All"
        request = Request(method, path, query, {**_ACCEPT, "content-type": content_type}, obj=obj)
        return await self._object(request)

    async def _object(self, request: Request) -> Obj:
        response = await self.raw(request)
        decoded = response.decoded()
        assert isinstance(decoded, dict), "the API server answers with objects"
        return decoded


def request_body(request: Request) -> bytes:
    """The bytes of a request, for transports that leave the process."""
    return encode(request.obj) if request.obj is not None else request.body


def _query(**parameters: str) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value}


async def _failure(response: Response) -> Exception:
    if response.chunks is not None:
        response.body = b"".join([chunk async for chunk in response.chunks])
    try:
        body = response.decoded()
    except ValueError:
        body = {"message": response.body[:500].decode(errors="replace")}
    if not isinstance(body, dict):
        body = {}
    if isinstance(body.get("error"), dict):
        body = body["error"]  # a proxied program's own way of failing: OpenAI's shape, and many others'
    return from_status(response.status, body)
