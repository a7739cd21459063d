"""/openapi/v3: what kubectl's create, apply and explain read before they send anything.

Each group version is one document: its paths, with the kinds that they take and the parameters that their verbs know, and
its schemas. The index names each document with a hash, so that clients keep it until it changes. Of version 2 there is only
what old kubectl insists on (`openapi_v2`).
"""

from __future__ import annotations

from argosy.client.requests import Request
from argosy.engine.apiserver import openapi_v2
from argosy.engine.apiserver.served import Registry, Served
from argosy.meta import openapi, pack
from argosy.meta.json import Obj, encode
from argosy.meta.kind import Column, Kind

_JSON = "application/json"
_PATCHES = (
    "application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)  # fmt: skip
_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")


class OpenApi:
    """Answers under /openapi."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._version = -1
        self._documents: dict[str, bytes] = {}

    def describe(self, kind: Kind, column: Column) -> str:
        """What a column of a Table is about: the documentation of the field that it shows."""
        if column.format == "name" and not column.path:
            return pack.descriptions(pack.OBJECT_META).get("name", "")
        steps = [step for step in column.path.split(".") if step]
        if steps[:1] == ["metadata"]:
            return pack.descriptions(pack.OBJECT_META).get(steps[-1], "")
        name = "" if kind.schema is not None else pack.definition_name(kind.api_version, kind.kind)
        for step in steps[:-1]:
            if not name:
                return ""
            child = pack.raw_definition(name).get("properties", {}).get(step, {})
            name = child.get("$ref") or child.get("items", {}).get("$ref", "")
        return pack.descriptions(name).get(steps[-1], "") if name and steps else ""

    def answer(self, path: str, request: Request) -> tuple[bytes, str] | None:
        """Body and content type, None for a path that is not ours."""
        if path == "/openapi/v2":
            accept = request.headers.get("accept", "")
            asked = any(name in accept for name in openapi_v2.TYPES)
            return (self._old(), openapi_v2.TYPES[-1]) if asked else None
        if path == "/openapi/v3":
            return self._index(), _JSON
        if not path.startswith("/openapi/v3/"):
            return None
        document = self._document(path.removeprefix("/openapi/v3/"))
        return (document, _JSON) if document else None

    def _old(self) -> bytes:
        self._forget_outdated()
        if "v2" not in self._documents:
            self._documents["v2"] = openapi_v2.document(self._registry.all())
        return self._documents["v2"]

    def _forget_outdated(self) -> None:
        if self._version != self._registry.version:
            self._documents.clear()
            self._version = self._registry.version

    def _places(self) -> list[str]:
        places = ["api/v1"]
        for group in self._registry.groups():
            places += [f"apis/{group}/{version}" for version in self._registry.versions(group)]
        return places

    def _index(self) -> bytes:
        paths: Obj = {}
        for place in self._places():
            digest = openapi.digest([one.kind for one in self._served(place)])
            paths[place] = {"serverRelativeURL": f"/openapi/v3/{place}?hash={digest}"}
        return encode({"paths": paths})

    def _document(self, place: str) -> bytes:
        self._forget_outdated()
        if place not in self._documents:
            self._documents[place] = self._write(place)
        return self._documents[place]

    def _served(self, place: str) -> list[Served]:
        parts = place.split("/")
        group, version = ("", "v1") if place == "api/v1" else (parts[1], parts[-1]) if len(parts) == 3 else ("?", "?")
        return self._registry.of(group, version)

    def _write(self, place: str) -> bytes:
        served = self._served(place)
        if not served:
            return b""
        paths: Obj = {}
        for one in served:
            paths |= _paths(one)
        document = {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "v1.36.0"},
            "paths": paths,
            "components": {"schemas": openapi.components(one.kind for one in served)},
        }
        return encode(document)


def _parameter(name: str, where: str = "query", *, required: bool = False) -> Obj:
    return {"name": name, "in": where, "schema": {"type": "string"}, **({"required": True} if required else {})}


def _operation(served: Served, action: str, content: Obj | None = None) -> Obj:
    kind = served.kind
    operation: Obj = {
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    }
    if content is not None:
        operation["parameters"] = [_parameter(name) for name in _WRITE_PARAMETERS]
        if action == "patch":
            operation["parameters"].append(_parameter("force"))
        operation["requestBody"] = {"content": content, "required": True}
    return operation


def _paths(served: Served) -> Obj:
    kind = served.kind
    namespaced = kind.path("{namespace}").replace("%7Bnamespace%7D", "{namespace}")
    one = f"{namespaced}/{{name}}"
    verbs = kind.verbs
    body: Obj = {_JSON: {"schema": openapi.reference(kind)}}
    patches: Obj = {name: {"schema": {}} for name in _PATCHES if not served.custom or "strategic" not in name}
    collection: Obj = {"parameters": [_parameter("namespace", "path", required=True)] if kind.namespaced else []}
    item: Obj = {"parameters": [*collection["parameters"], _parameter("name", "path", required=True)]}
    if "list" in verbs:
        collection["get"] = _operation(served, "list")
    if "create" in verbs:
        collection["post"] = _operation(served, "post", body)
    if "deletecollection" in verbs:
        collection["delete"] = _operation(served, "deletecollection", body)
    for verb, method, action, content in (
        ("get", "get", "get", None), ("update", "put", "put", body), ("delete", "delete", "delete", body),
        ("patch", "patch", "patch", patches),
    ):  # fmt: skip
        if verb in verbs:
            item[method] = _operation(served, action, content)
    paths = {namespaced: collection}
    if len(item) > 1:
        paths[one] = item
    if kind.namespaced and "list" in verbs:
        paths[kind.path()] = {"get": _operation(served, "list")}
    return paths
