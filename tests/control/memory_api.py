"""The smallest API server that the control runtime can be tried against: a dict, a revision counter, watches."""

from __future__ import annotations

import asyncio

from argosy.client.client import Client
from argosy.client.requests import Event, Response
from argosy.errors import AlreadyExists, ApiError, Conflict, Expired, Invalid, NotFound
from argosy.intent import Capabilities
from argosy.kinds import CUSTOM_RESOURCE_DEFINITION, EVENT, LEASE, NODE, POD
from argosy.meta.json import thaw
from argosy.meta.kind import Kind
from argosy.testing.faults import FaultyTransport

TOY = Kind("toys.example", "v1", "Toy", "toys", subresources=frozenset({"status"}))
KINDS = (TOY, POD, NODE, EVENT, LEASE, CUSTOM_RESOURCE_DEFINITION)


class MemoryApi:
    """A transport."""

    def __init__(self, kinds=KINDS, *, watch_list=True, ignores_initial_events=False):
        self.kinds = list(kinds)
        self.watch_list = watch_list
        self.ignores_initial_events = ignores_initial_events
        self.objects = {}  # (resource, namespace, name) -> obj
        self.log = []  # (revision, resource, type, obj)
        self.revision = 100
        self.floor = 0
        self.uids = 0
        self.news = asyncio.Event()
        self.normalise = lambda obj: obj

    async def close(self):
        pass

    async def send(self, request):
        await asyncio.sleep(0)
        try:
            return self.route(request)
        except ApiError as error:
            return Response(error.code, obj=error.status())

    def route(self, request):
        if request.path == "/api":
            return Response(obj={"kind": "APIVersions", "versions": ["v1"]})
        if request.path == "/apis":
            groups = sorted({(k.group, k.version) for k in self.kinds if k.group})
            listed = [{"name": g, "versions": [{"version": v}]} for g, v in groups]
            return Response(obj={"kind": "APIGroupList", "groups": listed})
        parts = request.path.strip("/").split("/")
        group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
        if not rest:
            return Response(
                obj={
                    "resources": [
                        {"name": k.plural, "kind": k.kind, "namespaced": k.namespaced}
                        for k in self.kinds
                        if (k.group, k.version) == (group, version)
                    ]
                }
            )
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        kind = next((k for k in self.kinds if (k.group, k.version, k.plural) == (group, version, rest[0])), None)
        if kind is None:
            raise NotFound("the server could not find the requested resource")
        if len(rest) == 1:
            if request.method == "POST":
                return Response(201, obj=self.create(kind, request.obj, namespace))
            if request.query.get("watch"):
                return self.watch(kind, namespace, request.query)
            return self.list(kind, namespace)
        place = (kind.resource, namespace, rest[1])
        if place not in self.objects:
            raise NotFound(f"{kind.resource} {rest[1]} not found")
        sub = rest[2] if len(rest) > 2 else ""
        match request.method:
            case "GET":
                return Response(obj=self.objects[place])
            case "PUT":
                return Response(obj=self.update(place, request.obj, sub))
            case "PATCH":
                return Response(obj=self.patch(place, request.obj, sub))
            case "DELETE":
                return Response(obj=self.delete(place, request.obj))
        raise AssertionError(request.method)

    def list(self, kind, namespace):
        items = [o for (r, ns, _), o in self.objects.items() if r == kind.resource and namespace in ("", ns)]
        return Response(
            obj={"kind": kind.list_kind, "metadata": {"resourceVersion": str(self.revision)}, "items": items}
        )

    def watch(self, kind, namespace, query):
        initial = query.get("sendInitialEvents") and not self.ignores_initial_events
        if initial and not self.watch_list:
            raise Invalid("sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch")
        since = int(query.get("resourceVersion") or 0) or self.revision
        if since < self.floor:
            raise Expired("too old resource version")
        start = self.list(kind, namespace).obj if not query.get("resourceVersion") else None

        async def events():
            position = len(self.log)
            for index, entry in enumerate(self.log):
                if entry[0] > since:
                    position = index
                    break
            if start is not None:
                position = len(self.log)
                for item in start["items"]:
                    yield Event("ADDED", item)
                if initial:
                    annotations = {"k8s.io/initial-events-end": "true"}
                    meta = {"resourceVersion": start["metadata"]["resourceVersion"], "annotations": annotations}
                    yield Event("BOOKMARK", {"kind": kind.kind, "metadata": meta})
            while True:
                while position < len(self.log):
                    _, resource, type, obj = self.log[position]
                    position += 1
                    if resource == kind.resource and namespace in ("", obj["metadata"].get("namespace", "")):
                        yield Event(type, obj)
                self.news.clear()
                await self.news.wait()

        return Response(events=events())

    def create(self, kind, obj, namespace=""):
        obj = thaw(obj)
        meta = obj["metadata"]
        if kind.namespaced:
            meta["namespace"] = namespace or meta.get("namespace") or "default"
        place = (kind.resource, meta.get("namespace", ""), meta["name"])
        if place in self.objects:
            raise AlreadyExists(f"{kind.resource} {meta['name']} already exists")
        self.uids += 1
        meta["uid"] = f"uid-{self.uids}"
        obj |= {"apiVersion": kind.api_version, "kind": kind.kind}
        return self.put(place, obj)

    def update(self, place, obj, sub):
        old = self.objects[place]
        version = obj["metadata"].get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise Conflict(
                "the object has been modified; please apply your changes to the latest version and try again"
            )
        new = {**old, "status": obj.get("status")} if sub == "status" else {**obj, "status": old.get("status")}
        return self.put(place, thaw(new))

    def patch(self, place, patch, sub):
        old = self.objects[place]
        uid = patch.get("metadata", {}).get("uid")
        if uid and uid != old["metadata"]["uid"]:
            raise Conflict("the UID in the precondition does not match")
        return self.put(place, merge(thaw(old), patch))

    def delete(self, place, options):
        old = thaw(self.objects[place])
        uid = (options or {}).get("preconditions", {}).get("uid")
        if uid and uid != old["metadata"]["uid"]:
            raise Conflict("the UID in the precondition does not match")
        if old["metadata"].get("finalizers"):
            old["metadata"].setdefault("deletionTimestamp", "2026-01-01T00:00:00Z")
            return self.put(place, old)
        self.remove(place)
        return {"kind": "Status", "status": "Success", "details": {"name": place[2], "uid": old["metadata"]["uid"]}}

    def put(self, place, obj):
        obj = self.normalise(obj)
        old = self.objects.get(place)
        if old is not None and {**obj, "metadata": {**obj["metadata"], "resourceVersion": ""}} == {
            **old,
            "metadata": {**old["metadata"], "resourceVersion": ""},
        }:
            return old
        if old is not None and obj["metadata"].get("deletionTimestamp") and not obj["metadata"].get("finalizers"):
            return self.remove(place)
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self.objects[place] = obj
        self.tell("MODIFIED" if old else "ADDED", place[0], obj)
        return obj

    def remove(self, place):
        gone = thaw(self.objects.pop(place))
        self.revision += 1
        gone["metadata"]["resourceVersion"] = str(self.revision)
        self.tell("DELETED", place[0], gone)
        return gone

    def tell(self, type, resource, obj):
        self.log.append((self.revision, resource, type, obj))
        self.news.set()

    def compact(self):
        self.floor = self.revision
        self.log.clear()

    def of(self, kind):
        return {name: obj for (resource, _, name), obj in self.objects.items() if resource == kind.resource}


def merge(target, patch):
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict) and isinstance(target.get(name), dict):
            merge(target[name], value)
        else:
            target[name] = thaw(value)
    return target


def world(**options):
    """(api, faults, client)"""
    api = MemoryApi(**options)
    faults = FaultyTransport(api)
    return api, faults, Client(faults)


def pod(name, namespace="default", owner=None, **spec):
    meta = {"name": name, "namespace": namespace}
    if owner is not None:
        reference = {"apiVersion": "toys.example/v1", "kind": "Toy", "name": owner["metadata"]["name"]}
        meta["ownerReferences"] = [{**reference, "uid": owner["metadata"]["uid"], "controller": True}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def toy(name, namespace="default", **spec):
    return {
        "apiVersion": "toys.example/v1",
        "kind": "Toy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def everything():
    return Capabilities(frozenset(f"{k.plural}.{k.version}" + (f".{k.group}" if k.group else "") for k in KINDS))


async def settle(condition, seconds=60.0):
    """Wait until a condition holds, in virtual time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
