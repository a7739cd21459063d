"""The probe: what MLflow has of a job now. It reads only; `plan` decides what MLflow is told."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from argosy import kinds
from argosy.errors import ApiError, NotFound, ServiceUnavailable
from argosy.intent import Fetch
from argosy.meta.json import Obj, decode
from argosy.meta.kind import Kind
from argosy.meta.objects import name_of, namespace_of, uid_of
from argosy.operators.tracking import job as jobs
from argosy.operators.tracking import server as servers
from argosy.operators.tracking.server import Server
from argosy.operators.tracking.steps import reached

NO_SERVER = "NoTrackingServer"
UNTOLD = "TrackingFailed"
CLUSTER = "cluster"
"""A tag: which cluster's operators look after a run."""
_RUNS_MAX, _EXPERIMENTS_MAX = 1000, 1000


@dataclass(frozen=True, slots=True)
class Look:
    """The probe of one kind."""

    kind: Kind

    async def __call__(self, fetch: Fetch, job: Obj) -> Obj:
        """`{outcome, server, runs, experiments, known, versions}` as MLflow tells them, or `{outcome, trouble: code, message}`.

        `outcome` is what the job had come to when MLflow was asked.
        """
        return {"outcome": jobs.outcome(job), **await self._found(fetch, job)}

    async def _found(self, fetch: Fetch, job: Obj) -> Obj:
        try:
            server = await _server(fetch, job)
        except (ApiError, ConnectionError, TimeoutError, ValueError) as error:
            return {"trouble": UNTOLD, "message": f"MLflow's Service could not be looked for: {error}"}
        if isinstance(server, str):
            return {"trouble": NO_SERVER, "message": server}
        try:
            return {"server": server, **await self._state(fetch, server, job)}
        except (ServiceUnavailable, ConnectionError, TimeoutError):
            return {"trouble": UNTOLD, "message": f"MLflow at {server.address} does not answer"}
        except (ApiError, ValueError, KeyError, TypeError) as error:
            said = str(error) or type(error).__name__
            return {
                "trouble": UNTOLD,
                "message": f"MLflow at {server.address} does not answer as it should: {said[:300]}",
            }

    async def _state(self, fetch: Fetch, server: Server, job: Obj) -> Obj:
        experiments = await experiments_of(fetch, server)
        found: Obj = {
            "cluster": await cluster_of(fetch),
            "experiments": experiments,
            "runs": await _runs(fetch, server, job, list(experiments)),
        }
        model = jobs.model(job)
        if model and jobs.outcome(job) is jobs.Outcome.succeeded:
            named = await fetch(server.path("registered-models/search", filter=f"name = {literal(model)}"))
            found["known"] = bool(decode(named).get("registered_models"))
            own = f"name = {literal(model)} and tags.`job-uid` = {literal(uid_of(job))}"
            told = await fetch(server.path("model-versions/search", filter=own))
            found["versions"] = [
                {"version": str(each["version"]), "tags": tags_of(each.get("tags"))}
                for each in decode(told).get("model_versions") or ()
            ]
            found["progress"] = {} if found["versions"] else await reached(fetch, job)
        return found


def literal(text: str) -> str:
    """A text in MLflow's filters, which know no escapes: whichever quote it does not hold."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def tags_of(listed: object) -> dict[str, str]:
    """MLflow's `[{key, value}]` as a mapping."""
    pairs = listed if isinstance(listed, list) else []
    return {str(each.get("key")): str(each.get("value", "")) for each in pairs}


async def experiments_of(fetch: Fetch, server: Server) -> dict[str, str]:
    """A server's experiments: id → name."""
    answer = decode(await fetch(server.path("experiments/search", max_results=str(_EXPERIMENTS_MAX))))
    return {str(each["experiment_id"]): str(each["name"]) for each in answer.get("experiments") or ()}


async def cluster_of(fetch: Fetch) -> str:
    """What tells this cluster from others: the uid of a namespace that every cluster has."""
    return uid_of(decode(await fetch(kinds.NAMESPACE.path("", "kube-system"))))


async def _runs(fetch: Fetch, server: Server, job: Obj, experiments: list[str]) -> list[Obj]:
    """The runs that this very job started, the newest first."""
    since = f"attributes.start_time >= {jobs.created_ms(job)}"
    query = {
        "experiment_ids": experiments,
        "filter": f"tags.`job` = {literal(name_of(job))} and {since}",
        "max_results": _RUNS_MAX,
        "order_by": ["attributes.start_time DESC"],
    }
    answer = decode(await fetch(server.path("runs/search"), query)) if experiments else {}
    runs: list[Obj] = []
    for each in answer.get("runs") or ():
        info, tags = each["info"], tags_of((each.get("data") or {}).get("tags"))
        if tags.get("namespace", namespace_of(job)) == namespace_of(job):
            runs.append({
                "id": str(info["run_id"]), "status": str(info["status"]), "tags": tags,
                "artifacts": str(info.get("artifact_uri") or ""),
            })  # fmt: skip
    return runs


async def _server(fetch: Fetch, job: Obj) -> Server | str:
    """Where MLflow is for a job, or why it is nowhere."""
    namespace, uri = namespace_of(job), jobs.environment(job).get(jobs.URI, "")
    if uri:
        named = servers.of_uri(uri, namespace)
        if named is None:
            return f"{uri} is no Service of this cluster, and no other server can be told; give it one, or let the program register"
        return (
            named
            if await _may_be_asked(fetch, named, namespace)
            else (
                f"{uri} is another namespace's Service that is not marked as MLflow; label it {servers.APP_LABEL}={servers.NAME}"
            )
        )
    for where in (namespace, ""):
        services: list[Obj] = []
        for selector in (
            ("fieldSelector", servers.NAME, "metadata.name"),
            ("labelSelector", servers.NAME, servers.APP_LABEL),
        ):
            name, value, key = selector
            listed = await fetch(f"{kinds.SERVICE.path(where)}?{name}={quote(f'{key}={value}')}")
            services += decode(listed).get("items") or ()
        found = servers.first(services, namespace)
        if found is not None:
            return found
    return "the cluster has no Service that is named or labelled mlflow; start one, as docs/training.md shows"


async def _may_be_asked(fetch: Fetch, server: Server, namespace: str) -> bool:
    if server.namespace == namespace:
        return True
    try:
        service = decode(await fetch(kinds.SERVICE.path(server.namespace, server.name)))
    except NotFound:
        return False
    return servers.may_be_asked(server, namespace, service)
