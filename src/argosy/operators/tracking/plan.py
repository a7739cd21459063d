"""What MLflow is told of a job, from what both say of it now. Pure.

One thing after the other, each looked for before it is done: whatever is interrupted, by an operator that ends or a server
that goes away, is neither lost nor done twice.
"""

from __future__ import annotations

from argosy.intent import Action, Observed, Patch, Plan, Reason
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import annotations_of, is_deleting, key_of, name_of, uid_of
from argosy.operators.tracking import job as jobs
from argosy.operators.tracking.job import Outcome
from argosy.operators.tracking.look import CLUSTER, NO_SERVER
from argosy.operators.tracking.server import Server

_DEFAULT_EXPERIMENT = "0"
_PARENT = "mlflow.parentRunId"
_OPEN = ("RUNNING", "SCHEDULED")
_ENDS = {
    Outcome.succeeded: "FINISHED",
    Outcome.failed: "FAILED",
    Outcome.suspended: "KILLED",
    Outcome.stopped: "KILLED",
}


def plan(seen: Observed, kind: Kind, others: tuple[Kind, ...] = ()) -> Plan:
    """Decide about one job. `others` are newer versions of its kind, which go before where they are served."""
    job, found = seen.subject, seen.probed
    if (
        is_deleting(job)
        or not jobs.asked_for(job)
        or jobs.is_settled(job)
        or any(map(seen.capabilities.serves, others))
    ):
        return Plan()
    wrong = jobs.unfit(jobs.model(job))
    if wrong:
        return Plan(
            reasons=(Reason("ModelNotRegistered", f"{wrong}; change the annotation {jobs.REGISTER}", warning=True),)
        )
    if found is None or found["outcome"] != jobs.outcome(job):
        return Plan()  # a run may have been started since MLflow was asked
    if "trouble" in found:
        return _tell(job, found)
    if jobs.outcome(job) is Outcome.running:
        return _adopt(job, kind, found)
    return _close(job, kind, found)


def _tell(job: Obj, found: Obj) -> Plan:
    """Say what is in the way, to those who wait for it."""
    if found["trouble"] == NO_SERVER:
        if not jobs.model(job):
            return Plan()  # the program knows a server of its own
        return Plan(
            reasons=(Reason(NO_SERVER, f"The model {jobs.model(job)} is not registered: {found['message']}.", True),)
        )
    if jobs.outcome(job) is Outcome.running:
        return Plan()
    return Plan(reasons=(Reason(str(found["trouble"]), f"{found['message']}; it is asked again.", warning=True),))


def _adopt(job: Obj, kind: Kind, found: Obj) -> Plan:
    """Note which run the job writes, so that the next gang goes on with it; mark its runs as ours to end, should it go."""
    lead = lead_run(found["runs"])
    if lead is None:
        return Plan()
    mark = {**jobs.context(job, kind), CLUSTER: found["cluster"]}
    marks = [
        found["server"].call("runs/set-tag", {"run_id": run["id"], "key": key, "value": value})
        for run in found["runs"]
        for key, value in mark.items()
        if run["status"] in _OPEN and run["tags"].get(key) != value
    ]
    if marks:
        return Plan(tuple(marks))
    return Plan((_annotate(job, kind, {jobs.RUN: lead["id"], jobs.TOLD: None}),))


def _close(job: Obj, kind: Kind, found: Obj) -> Plan:
    """Bring MLflow to the end that the job has come to."""
    server: Server = found["server"]
    outcome, lead, model = jobs.outcome(job), lead_run(found["runs"]), jobs.model(job)
    wanted = bool(model) and outcome is Outcome.succeeded
    if lead is None and wanted:
        return Plan((_new_run(job, kind, found),))
    ends = {run["id"]: status for run in found["runs"] if (status := _end(run, outcome, is_lead=run is lead))}
    if ends:
        at = {"end_time": jobs.ended_ms(job)} if jobs.ended_ms(job) else {}
        calls = [server.call("runs/update", {"run_id": id, "status": status, **at}) for id, status in ends.items()]
        return Plan(tuple(calls))
    facts: dict[str, str | None] = {jobs.TOLD: outcome.value}
    if lead is not None:
        facts[jobs.RUN] = lead["id"]
    if not wanted or lead is None:
        return Plan((_annotate(job, kind, facts),))
    version = next((each["version"] for each in found["versions"] if each["tags"].get("job-uid") == uid_of(job)), "")
    if not version:
        return Plan((_new_version(job, kind, found, lead) if found["known"] else _new_model(job, server),))
    facts[jobs.REGISTERED] = f"{model}/{version}"
    said = f"Version {version} of the model {model} is registered at {server.address}, from run {lead['id']}."
    return Plan((_annotate(job, kind, facts),), reasons=(Reason("ModelRegistered", said),))


def lead_run(runs: list[Obj]) -> Obj | None:
    """Of a job's runs, newest first, the one that stands for it: the newest that is no other's child."""
    return next((run for run in runs if _PARENT not in run["tags"]), None)


def _end(run: Obj, outcome: Outcome, *, is_lead: bool) -> str:
    """The status that a run has to be given; empty where it has one that may be true.

    A program's own word counts, but for two: a run that was closed while its job was suspended, and one that a program which
    then failed has left as FINISHED, as MLflow's client does when Python ends.
    """
    status, wanted = run["status"], _ENDS[outcome]
    if status in _OPEN:
        return wanted
    revived = is_lead and outcome is Outcome.succeeded and status == "KILLED"
    belied = is_lead and outcome is Outcome.failed and status == "FINISHED"
    return wanted if revived or belied else ""


def _new_run(job: Obj, kind: Kind, found: Obj) -> Action:
    """A run for a program that made none itself: a model's lineage needs one."""
    server: Server = found["server"]
    named = jobs.environment(job).get(jobs.EXPERIMENT, "")
    experiment = next((id for id, name in found["experiments"].items() if name == named), "")
    if named and not experiment:
        return server.call("experiments/create", {"name": named})
    return server.call(
        "runs/create",
        {
            "experiment_id": experiment or _DEFAULT_EXPERIMENT,
            "run_name": name_of(job),
            "start_time": jobs.started_ms(job),
            "tags": _tags(jobs.lineage(job, kind)),
        },
    )


def _new_model(job: Obj, server: Server) -> Action:
    return server.call(
        "registered-models/create", {"name": jobs.model(job)}, optional=True
    )  # another job may be quicker


def _new_version(job: Obj, kind: Kind, found: Obj, run: Obj) -> Action:
    server: Server = found["server"]
    facts = jobs.lineage(job, kind) | found["progress"]
    body = {
        "name": jobs.model(job),
        "source": jobs.checkpoint_source(job) or run["artifacts"],
        "run_id": run["id"],
        "description": f"Made by {kind.kind} {facts['namespace']}/{facts['job']}.",
        "tags": _tags(facts),
    }
    return server.call("model-versions/create", body)


def _tags(facts: dict[str, str]) -> list[Obj]:
    return [{"key": key, "value": value} for key, value in facts.items()]


def _annotate(job: Obj, kind: Kind, facts: dict[str, str | None]) -> Patch:
    present = annotations_of(job)
    changed = {name: value for name, value in facts.items() if present.get(name) != value}
    return Patch(kind, key_of(job), {"metadata": {"annotations": changed}}, uid=uid_of(job))
