"""An API server in memory for a test, and clients of it as any user, in process and as bytes."""

import asyncio
from datetime import UTC, datetime, timedelta

from argosy.client.requests import Request, User
from argosy.engine.apiserver.settings import ApiSettings
from argosy.kinds import NAMESPACE, SERVICE_ACCOUNT
from argosy.meta.json import decode, encode
from argosy.testing.cluster import ADMIN, cluster

ALICE = User("alice", frozenset({"system:authenticated"}))
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class HandClock:
    """Stands still until it is moved."""

    def __init__(self):
        self.moment = START

    def now(self):
        return self.moment

    def advance(self, **by):
        self.moment += timedelta(**by)


class World:
    """What a test sees."""

    def __init__(self, cluster, clock):
        self.store, self.app, self.clock = cluster.store, cluster.app, clock
        self.admin = ADMIN
        self.client, self.as_user = cluster.client, cluster.as_user

    async def namespace(self, name):
        """A namespace with the account that pods need."""
        await self.client.create(NAMESPACE, {"metadata": {"name": name}})
        await self.client.create(SERVICE_ACCOUNT, {"metadata": {"name": "default", "namespace": name}})

    async def send(self, method, path, body=None, *, user=ADMIN, accept="application/json", type="application/json"):
        """As HTTP would: (status, decoded body, headers)."""
        path, _, text = path.partition("?")
        query = dict(part.partition("=")[::2] for part in text.split("&") if part)
        raw = body if isinstance(body, bytes) else encode(body) if body is not None else b""
        headers = {"accept": accept, "content-type": type, "user-agent": "test/1"}
        response = await self.app.handle(Request(method, path, query, headers, raw, user=user), wire=True)
        if response.chunks is not None:
            raw = b"".join([chunk async for chunk in response.chunks])
            return response.status, [decode(line) for line in raw.splitlines()], response.headers
        try:
            return response.status, decode(response.body) if response.body else None, response.headers
        except ValueError:
            return response.status, response.body.decode(), response.headers


def with_world(check, **settings):
    """Run an async check against a fresh server; the namespace `default` can run pods."""

    async def run():
        clock = settings.pop("clock", None) or HandClock()
        async with cluster(ApiSettings(clock=clock, **settings)) as made:
            return await asyncio.wait_for(check(World(made, clock)), 20)

    return asyncio.run(run())


def config_map(name="a", namespace="default", **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, **more}


def pod(name="a", namespace="default", meta=None, **spec):
    spec = {"containers": [{"name": "c", "image": "i:1"}], **spec}
    metadata = {"name": name, "namespace": namespace, **(meta or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def deployment(name="d", namespace="default", replicas=1):
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    }  # fmt: skip


def definition(plural="widgets", group="example.com", schema=None, **version):
    schema = schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    kind = plural.removesuffix("s").capitalize()
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}]
    spec = {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind}, "versions": versions}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"}, "spec": spec,
    }  # fmt: skip
