"""An `Answer` as a `Response`: objects for a caller in the same process, bytes for one behind HTTP.

Which form is wanted stands in the Accept header: JSON as it is, a Table, or metadata alone. Bytes of stored objects are
used as they lie in the store; a list is their concatenation and a watch event is shared by all who watch.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from argosy.client.requests import Event, Response
from argosy.engine.apiserver import conversions, tables
from argosy.engine.apiserver.answers import Answer, Seen
from argosy.engine.apiserver.failures import NoRepresentation, Unreasoned
from argosy.engine.apiserver.routes import Target
from argosy.engine.apiserver.served import Served
from argosy.engine.apiserver.strategy import TEMPLATE_GENERATION
from argosy.engine.store import Record
from argosy.errors import BadRequest, NotAcceptable
from argosy.kinds import DAEMON_SET
from argosy.meta.causes import go_quoted
from argosy.meta.json import Obj, encode
from argosy.meta.kind import Column, Kind

JSON_TYPE = "application/json"
_ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
_STREAMED = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"

_ENOUGH = 1 << 16
"""Bytes of a watch that are written together, when that many are there at once."""


@dataclass(frozen=True, slots=True)
class Form:
    """What the client accepts: `Table`, `Partial` or nothing in particular, of a version of meta.k8s.io."""

    name: str = ""
    version: str = "v1"
    include: str = "Metadata"
    listed: bool = False
    """Of `Partial`: whether a list of them is asked for."""


def line(value: Any) -> bytes:
    """A value as a body: JSON that ends its line, as Kubernetes' own does. Some clients show bodies as they come."""
    return encode(value) + b"\n"


def offered(method: str, target: Target) -> str:
    """The content types in which a path of a built-in kind can be had; empty for those that may answer anything."""
    if target.subresource == "log":
        return f"text/plain, {_ACCEPTED}"
    if target.subresource in ("attach", "exec", "portforward", "proxy"):
        return ""
    collection = method == "GET" and not target.name
    return f"{_ACCEPTED}, {_STREAMED}" if collection or target.watched else _ACCEPTED


def check_accepted(accept: str, offered: str) -> None:
    """Whether one of the accepted types is offered, whatever their parameters. Raises NoRepresentation."""
    wanted = {part.partition(";")[0].strip() for part in accept.split(",")}
    if offered and "*/*" not in wanted and wanted.isdisjoint(offered.split(", ")):
        raise NoRepresentation(offered)


def form_of(accept: str, include: str = "") -> Form:
    """The first of the accepted forms that we produce. Raises NotAcceptable, and BadRequest for an unknown `include`."""
    if not accept or accept in (JSON_TYPE, "*/*"):
        return Form()
    for part in accept.split(","):
        media, *parameters = [piece.strip() for piece in part.split(";")]
        given = dict(p.partition("=")[::2] for p in parameters)
        if media not in (JSON_TYPE, "*/*", "application/*"):
            continue
        wanted = given.get("as", "")
        if wanted == "Table" and given.get("v") in ("v1", "v1beta1"):
            if include not in ("", "None", "Metadata", "Object"):
                raise BadRequest(
                    f"Unable to convert to Table as requested: includeObject: Invalid value: {go_quoted(include)}: must be"
                    " 'Metadata', 'Object', 'None', or empty"
                )
            return Form("Table", given["v"], include or "Metadata")
        if wanted in ("PartialObjectMetadata", "PartialObjectMetadataList") and given.get("v") in ("v1", "v1beta1"):
            return Form("Partial", given["v"], listed=wanted == "PartialObjectMetadataList")
        if not wanted:
            return Form()
    raise NotAcceptable(f"only the following media types are accepted: {_ACCEPTED}")


class Renderer:
    """Renders the answers for one kind, or for none (`served` is None)."""

    def __init__(
        self, served: Served | None, now: datetime, describe: Callable[[Kind, Column], str] | None = None
    ) -> None:
        self._served = served
        self._now = now
        self._describe = describe
        self._hides = served is not None and served.kind is DAEMON_SET

    def in_process(self, answer: Answer, form: Form) -> Response:
        """As objects."""
        if answer.chunks is not None or answer.body is not None:
            return Response(answer.status, answer.headers, body=answer.body or b"", chunks=answer.chunks)
        if answer.watch is not None:
            return Response(answer.status, answer.headers, events=self._events(answer.watch, form))
        return Response(answer.status, answer.headers, obj=self._object(answer, form))

    def on_the_wire(self, answer: Answer, form: Form) -> Response:
        """As bytes."""
        headers = {"content-type": JSON_TYPE, **answer.headers}
        if answer.chunks is not None:
            return Response(answer.status, headers, chunks=answer.chunks)
        if answer.body is not None:
            return Response(answer.status, headers, body=answer.body)
        if answer.watch is not None:
            return Response(answer.status, headers, chunks=self._lines(answer.watch, form))
        if form.name or (self._served is not None and self._served.converts):
            return Response(answer.status, headers, body=line(self._object(answer, form)))
        if answer.records is not None:
            return Response(answer.status, headers, body=self._joined(answer.records, answer.meta))
        if answer.record is not None:
            return Response(answer.status, headers, body=answer.record.raw + b"\n")
        return Response(answer.status, headers, body=line(answer.obj))

    def _shown(self, obj: Obj) -> Obj:
        if self._served is None or not self._served.converts:
            return obj
        return conversions.from_storage(self._served, obj)

    def _object(self, answer: Answer, form: Form) -> Obj:
        if answer.records is not None:
            return self._list(answer.records, answer.meta, form)
        if form.name == "Partial" and answer.record is not None:
            return self._partial(answer.record.metadata, form)
        if form.name == "Table" and answer.record is not None and self._served is not None:
            stored = self._for_table(answer.record.obj)
            return self._table([stored], _table_meta(stored), form)
        # A plain object is already in the version that was asked for.
        obj = self._shown(answer.record.obj) if answer.record is not None else answer.obj or {}
        if self._served is None or "metadata" not in obj or obj.get("kind") == "Status":
            return obj
        if form.name == "Partial":
            return self._partial(obj["metadata"], form)
        return self._table([obj], _table_meta(obj), form) if form.name == "Table" else obj

    def _for_table(self, stored: Obj) -> Obj:
        """What the cells are made of: what is stored for built-in kinds, what is shown for custom ones."""
        return self._shown(stored) if self._served is not None and self._served.custom else stored

    def _partial(self, metadata: Obj, form: Form) -> Obj:
        """The metadata of one object. Raises NotAcceptable when a list was asked for."""
        if form.listed and self._served is not None:
            if self._served.custom:
                raise Unreasoned("content is not a list")
            raise NotAcceptable(
                f"you requested PartialObjectMetadataList, but the requested object is not a list"
                f" ({_go_type(self._served, self._served.kind.kind)})"
            )
        return tables.partial(self._bare(metadata), form.version)

    def _bare(self, metadata: Obj) -> Obj:
        """Metadata as it is known inside, without what a version adds to it."""
        return tables.without(metadata, TEMPLATE_GENERATION) if self._hides else metadata

    def _list(self, records: Sequence[Record], meta: Obj, form: Form) -> Obj:
        assert self._served is not None, "lists are of a kind"
        kind = self._served.kind
        if form.name == "Partial":
            if not form.listed:
                raise NotAcceptable(
                    "you requested PartialObjectMetadata, but the requested object is a list"
                    f" ({_go_type(self._served, self._served.listed_as)})"
                )
            return {
                "kind": "PartialObjectMetadataList",
                "apiVersion": f"meta.k8s.io/{form.version}",
                "metadata": {k: v for k, v in meta.items() if v},
                "items": [tables.partial(self._bare(record.metadata), form.version) for record in records] or None,
            }
        if form.name == "Table":
            objs = [self._for_table(record.obj) for record in records]
            return self._table(objs, {k: v for k, v in meta.items() if v}, form)
        return {
            "kind": self._served.listed_as,
            "apiVersion": kind.api_version,
            "metadata": meta,
            "items": [self._shown(record.obj) for record in records],
        }

    def _table(self, objs: Sequence[Obj], meta: Obj, form: Form, *, columns: bool = True) -> Obj:
        assert self._served is not None, "tables are of a kind"
        kind = self._served.kind
        # Whatever version is shown, the columns are described in the words of the one that is stored.
        describe = self._describe and partial(self._describe, self._served.storage)
        shown = tables.definitions(kind, describe) if columns else None
        rows = tables.rows(kind, objs, self._now, self._part_of(form))
        return tables.table(form.version, meta, shown, rows)

    def _part_of(self, form: Form) -> Callable[[Obj], Obj | None]:
        """What stands beside the cells of a row."""
        if form.include == "None":
            return lambda obj: None
        if form.include == "Object":
            return self._shown
        return lambda obj: tables.partial(self._bare(obj["metadata"]), form.version)

    def _joined(self, records: Sequence[Record], meta: Obj) -> bytes:
        """A list made of stored bytes. Built-in kinds' items do not repeat what the list says of them."""
        assert self._served is not None, "lists are of a kind"
        served = self._served
        head = b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
            served.listed_as.encode(), served.kind.api_version.encode(), encode(meta),
        )  # fmt: skip
        if served.custom:
            return b"".join((head, b",".join([record.raw for record in records]), b"]}\n"))
        prefix = served.prefix
        cut = len(prefix)
        items = [b"{" + r.raw[cut:] if r.raw.startswith(prefix) else r.raw for r in records]
        return b"".join((head, b",".join(items), b"]}\n"))

    async def _events(self, seen: AsyncGenerator[Sequence[Seen], None], form: Form) -> AsyncGenerator[Event, None]:
        show = self._show_event(form)
        async with aclosing(seen) as batches:
            async for batch in batches:
                for event in batch:
                    yield Event(event.type, show(event))

    async def _lines(self, seen: AsyncGenerator[Sequence[Seen], None], form: Form) -> AsyncGenerator[bytes, None]:
        converts = self._served is not None and self._served.converts
        show = self._show_event(form)

        def line_of(event: Seen) -> bytes:
            change = event.change
            if change is None or form.name or converts:
                return b'{"type":"%b","object":%b}\n' % (event.type.encode(), encode(show(event)))
            if event.type == change.type:
                return change.line
            return b'{"type":"%b","object":%b}\n' % (event.type.encode(), change.record.raw)

        async with aclosing(seen) as batches:
            async for batch in batches:
                for chunk in _chunks(map(line_of, batch)):
                    yield chunk

    def _show_event(self, form: Form) -> Callable[[Seen], Obj]:
        first = [True]

        def show(event: Seen) -> Obj:
            if form.name == "Partial" and event.change is not None and event.type not in ("BOOKMARK", "ERROR"):
                return tables.partial(self._bare(event.change.record.metadata), form.version)
            obj = event.change.record.obj if event.change is not None else event.obj or {}
            if event.type in ("BOOKMARK", "ERROR"):
                if form.name == "Table" and event.type == "BOOKMARK":
                    return tables.table(form.version, obj["metadata"], None, [])
                return obj
            if form.name == "Partial":
                return tables.partial(self._bare(self._shown(obj)["metadata"]), form.version)
            if form.name != "Table":
                return self._shown(obj)
            obj = self._for_table(obj)
            made = self._table([obj], _table_meta(obj), form, columns=first[0])
            first[0] = False
            return made

        return show


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines put together to what is worth a write."""
    pending: list[bytes] = []
    size = 0
    for each in lines:
        pending.append(each)
        size += len(each)
        if size >= _ENOUGH:
            yield b"".join(pending)
            pending, size = [], 0
    if pending:
        yield b"".join(pending)


def _go_type(served: Served, name: str) -> str:
    """How a real server's own code calls a kind."""
    if served.custom:
        return "*unstructured.Unstructured" + ("List" if name == served.listed_as else "")
    return f"*{served.kind.group.partition('.')[0] or 'core'}.{name}"


def _table_meta(obj: Obj) -> Obj:
    version = obj["metadata"].get("resourceVersion")
    return {"resourceVersion": version} if version else {}
