"""Ray's dashboard, reached through the API server: where it is, and what it says about jobs and Serve.

The operators of RayJob and RayService see no more of a cluster than a client does, so they ask through the proxy of the
head's Service, wherever the cluster runs. The functions that are given a `Fetch` are the operators' probes.
"""

from __future__ import annotations

from argosy import kinds
from argosy.errors import ApiError, NotFound
from argosy.intent import Call, Fetch
from argosy.meta.json import Obj, decode, dig
from argosy.meta.objects import Key, name_of, namespace_of

JOBS, APPLICATIONS = "api/jobs/", "api/serve/applications/"


def url(service: Obj, domain: str) -> str:
    """The dashboard's address for programs in the cluster, `name.namespace.svc.domain:port`; empty without its port."""
    ports = dig(service, "spec", "ports", default=())
    port = next((port["port"] for port in ports if port.get("name") == "dashboard"), None)
    return f"{name_of(service)}.{namespace_of(service)}.svc.{domain}:{port}" if port else ""


def place(dashboard: str) -> Key:
    """The Service and its port behind such an address."""
    host, _, port = dashboard.partition(":")
    name, namespace, *_ = [*host.split("."), ""]
    return Key(namespace, f"{name}:{port}")


def call(method: str, dashboard: str, path: str, body: Obj | None = None, *, optional: bool = False) -> Call:
    """Tell the dashboard something."""
    return Call(kinds.SERVICE, place(dashboard), method, path, body, optional)


async def job(fetch: Fetch, dashboard: str, job_id: str) -> Obj:
    """`{"job": {status, message, start_time, end_time}}`, `{"missing": true}`, or `{"error": …}` if nobody answers."""
    try:
        found = decode(await fetch(_path(dashboard, f"{JOBS}{job_id}")))
    except NotFound as error:
        # The API server answers alike when the Service is gone; Ray's own words tell the two apart.
        return {"missing": True} if job_id in str(error) else {"error": str(error)}
    except (ApiError, ConnectionError, TimeoutError, ValueError) as error:
        return {"error": str(error)}
    return {"job": {name: found.get(name) for name in ("status", "message", "start_time", "end_time")}}


async def applications(fetch: Fetch, dashboard: str) -> Obj:
    """`{"applications": {name: {status, message, serveDeploymentStatuses}}}`, or `{"error": …}`."""
    try:
        found = decode(await fetch(f"{_path(dashboard, APPLICATIONS)}?api_type=declarative"))
    except (ApiError, ConnectionError, TimeoutError, ValueError) as error:
        return {"error": str(error)}
    return {"applications": {name or "default": _application(each) for name, each in _items(found, "applications")}}


def _application(found: Obj) -> Obj:
    deployments = {name: _told(each) for name, each in _items(found, "deployments")}
    return {**_told(found), "serveDeploymentStatuses": deployments}


def _told(found: Obj) -> Obj:
    return {name: str(found[name]) for name in ("status", "message") if found.get(name)}


def _items(found: Obj, name: str) -> list[tuple[str, Obj]]:
    return sorted((found.get(name) or {}).items())


def _path(dashboard: str, path: str) -> str:
    where = place(dashboard)
    return kinds.SERVICE.path(where.namespace, where.name, f"proxy/{path}")
