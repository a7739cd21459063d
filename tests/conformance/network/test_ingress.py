"""Ingress by hosts and paths, asked where its own status says that it is."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from argosy import kinds
from argosy.meta.json import dig
from conformance.town import Town

pytestmark = pytest.mark.needs("pods", "ingress controller")


def _path(service, path="/", kind="Prefix"):
    return {"path": path, "pathType": kind, "backend": {"service": {"name": service, "port": {"name": "http"}}}}


async def _ingress(town: Town, *rules, **spec):
    """An Ingress of the cluster's class; the base of its URLs."""
    made = {"rules": list(rules), **await town.ingress_class(), **spec}
    await town.namespace.create(kinds.INGRESS, {"metadata": {"name": "front"}, "spec": made})
    found = await town.namespace.until(
        kinds.INGRESS, "front", lambda each: dig(each, "status", "loadBalancer", "ingress")
    )
    where = found["status"]["loadBalancer"]["ingress"][0]
    port = (where.get("ports") or [{"port": 80}])[0]["port"]
    return f"http://{where.get('ip') or where.get('hostname')}:{port}"


async def _ask(base, path, host):
    """Status and what was told; 0 while nobody answers."""
    try:
        asking = aiohttp.ClientTimeout(total=5)
        async with (
            aiohttp.ClientSession(timeout=asking) as session,
            session.get(base + path, headers={"Host": host}) as answer,
        ):
            body = await answer.read()
            return answer.status, json.loads(body) if body.startswith(b"{") else {}
    except (aiohttp.ClientError, TimeoutError, OSError):
        return 0, {}


async def _until(base, path, host, wanted):
    """Wait until the wanted server answers; `None`: until 404."""
    last = None
    for _ in range(600):
        last = status, told = await _ask(base, path, host)
        if (status == 404 and wanted is None) or (status == 200 and told.get("name") == wanted):
            return told
        await asyncio.sleep(0.1)
    raise AssertionError(f"{host}{path} at {base}: {last}")


async def test_hosts_and_paths_lead_to_their_services(town: Town):
    for name in ("one", "two", "three"):
        await town.server(name)
        await town.service(name)
    name = town.namespace.name
    base = await _ingress(
        town,
        {
            "host": f"a.{name}.example.com",
            "http": {"paths": [_path("one"), _path("two", "/deep"), _path("three", "/deep/exact", "Exact")]},
        },
        {"host": f"*.{name}.example.org", "http": {"paths": [_path("two")]}},
    )
    a = f"a.{name}.example.com"
    told = await _until(base, "/some/where?x=1", a, "one")
    assert told["path"] == "/some/where?x=1"
    await _until(base, "/deep", a, "two")
    await _until(base, "/deep/er", a, "two")
    await _until(base, "/deeper", a, "one")
    await _until(base, "/deep/exact", a, "three")
    await _until(base, "/deep/exact/ly", a, "two")
    await _until(base, "/", f"any.{name}.example.org", "two")
    await _until(base, "/", f"b.{name}.example.com", None)
