"""Runs whose job is gone: nobody is left to say how they ended, so they are ended as KILLED.

The subject is MLflow's Service, and a run is looked at when this cluster's operators have put their mark on it: a server
may be shared with other clusters, whose jobs are not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from argosy import kinds
from argosy.clock import Clock
from argosy.errors import ApiError, NotFound
from argosy.intent import Fetch, Observed, Operator, Plan
from argosy.meta.json import Obj, decode
from argosy.operators.tracking import job as jobs
from argosy.operators.tracking import server as servers
from argosy.operators.tracking.look import CLUSTER, cluster_of, experiments_of, literal, tags_of

EVERY_SECONDS = 10.0
_RUNS_MAX = 200
_JOB = re.compile(r"/apis/[a-z0-9.-]+/v[a-z0-9]+/namespaces/[a-z0-9-]+/[a-z]+/[a-z0-9.-]+")


def operator(clock: Clock) -> Operator:
    """The operator of MLflow's Services."""
    return Operator(
        kind=kinds.SERVICE,
        plan=partial(plan, clock=clock),
        name="mlflow-tracking",
        probe=_orphans,
        probe_every_seconds=EVERY_SECONDS,
        probed=servers.is_mlflow,
    )


def plan(seen: Observed, clock: Clock) -> Plan:
    """End what the probe found."""
    if not seen.probed or not seen.probed.get("orphans"):
        return Plan()
    server, now = servers.of_service(seen.subject), int(clock.now().timestamp() * 1000)
    ended = ({"run_id": id, "status": "KILLED", "end_time": now} for id in seen.probed["orphans"])
    return Plan(tuple(server.call("runs/update", body) for body in ended))


@dataclass(frozen=True, slots=True)
class Open:
    """A run that has not ended."""

    id: str
    path: str
    """The API's path of its job."""
    started_ms: int


def open_runs(answer: Obj) -> list[Open]:
    """The runs of jobs, from what MLflow's search says; tags are anybody's to write, so a path has to look like a job's."""
    found: list[Open] = []
    for each in answer.get("runs") or ():
        path = tags_of((each.get("data") or {}).get("tags")).get("job-path", "")
        if _JOB.fullmatch(path):
            found.append(Open(str(each["info"]["run_id"]), path, int(each["info"]["start_time"])))
    return found


def is_orphan(run: Open, job: Obj | None) -> bool:
    """Whether the job of a run is gone; a namesake that was made later is another job."""
    return job is None or jobs.created_ms(job) > run.started_ms


async def _orphans(fetch: Fetch, service: Obj) -> Obj:
    """`{"orphans": [run ids]}`"""
    server = servers.of_service(service)
    try:
        experiments = list(await experiments_of(fetch, server))
        mark = await cluster_of(fetch)
        query = {
            "experiment_ids": experiments,
            "filter": f"attributes.status = 'RUNNING' and tags.`{CLUSTER}` = {literal(mark)}",
            "max_results": _RUNS_MAX,
        }
        runs = open_runs(decode(await fetch(server.path("runs/search"), query)) if experiments else {})
        there = {path: await _job(fetch, path) for path in dict.fromkeys(run.path for run in runs)}
        return {"orphans": [run.id for run in runs if is_orphan(run, there[run.path])]}
    except (ApiError, ConnectionError, TimeoutError, ValueError, KeyError, TypeError):
        return {}  # it is not up, or is no MLflow; whoever waits for it is told


async def _job(fetch: Fetch, path: str) -> Obj | None:
    try:
        found: Obj = decode(await fetch(path))
    except NotFound:
        return None
    return found
