"""The trials of an OptimizationJob: their names, their TrainJobs, and what became of each. Pure; `plan` puts it together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from argosy.clock import parse_time, rfc3339
from argosy.meta.conditions import find, is_true
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import (
    annotations_of,
    created_of,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
)
from argosy.operators.optimizationjob.schema import LABEL, METRICS, OPTIMIZATION_JOB, PARAMETERS, environment_name
from argosy.operators.trainjob.schema import TRAIN_JOB

RUNNING, SUCCEEDED, FAILED = "Running", "Succeeded", "Failed"
_PREFIX_MAX = 40
"""Of a trial's name, so that those of its pods, which are longer, can be host names still."""
PATIENCE_SECONDS = 10.0
"""How long after its end a TrainJob's log is looked for."""
_MARK = "-trial-"


def prefix_of(job: Obj) -> str:
    """What the names of its trials begin with: its own, or as much of it as there is room for."""
    name = name_of(job)
    if len(name) <= _PREFIX_MAX:
        return name
    return f"{name[: _PREFIX_MAX - 9].rstrip('-.')}-{hashlib.sha256(uid_of(job).encode()).hexdigest()[:8]}"


def trial_name(job: Obj, number: int) -> str:
    """`tuning-trial-0`."""
    return f"{prefix_of(job)}{_MARK}{number}"


def prefix_and_number(name: str) -> tuple[str, int]:
    """The inverse: the prefix, and the number or -1 of what is no trial."""
    prefix, _, number = name.rpartition(_MARK)
    return prefix, int(number) if number.isdecimal() else -1


def train_job(job: Obj, number: int, assignments: Mapping[str, str]) -> Obj:
    """The TrainJob of a trial: the template, told its parameters in variables."""
    template: Obj = thaw(dig(job, "spec", "trainJobTemplate"))
    meta: Obj = template.get("metadata") or {}
    given = [{"name": name, "value": value} for name, value in assignments.items()]
    told = {environment_name(name): value for name, value in assignments.items()}
    spec: Obj = template["spec"]
    trainer: Obj = spec.get("trainer") or {}
    kept = [each for each in trainer.get("env") or () if each.get("name") not in told]
    spec["trainer"] = {**trainer, "env": [*kept, *({"name": name, "value": told[name]} for name in told)]}
    return {
        "apiVersion": TRAIN_JOB.api_version,
        "kind": TRAIN_JOB.kind,
        "metadata": {
            **meta,
            "name": trial_name(job, number),
            "namespace": namespace_of(job),
            "labels": {**(meta.get("labels") or {}), LABEL: name_of(job)},
            "annotations": {**(meta.get("annotations") or {}), PARAMETERS: json.dumps(given, separators=(",", ":"))},
            "ownerReferences": [owner_reference(job, OPTIMIZATION_JOB)],
        },
        "spec": spec,
    }


def history(job: Obj, children: Sequence[Obj], now: datetime) -> list[Obj]:
    """What is known of every trial so far, by number: what was recorded, and what its TrainJob says since."""
    records = {str(record["trainJobName"]): record for record in dig(job, "status", "trials", default=()) or ()}
    there = {name_of(child): child for child in children if prefix_and_number(name_of(child))[1] >= 0}
    found = []
    for name in sorted({*records, *there}, key=lambda each: prefix_and_number(each)[1]):
        record = records.get(name)
        if record is not None and record["state"] != RUNNING:
            found.append(record)
        elif name not in there or is_deleting(there[name]):
            before = record or _begun(there[name])
            found.append({**before, "state": FAILED, "reason": "TrainJobDeleted", "completionTime": rfc3339(now)})
        else:
            metric = str(dig(job, "spec", "objectives", 0, "metric"))
            found.append(_judged(record or _begun(there[name]), there[name], metric, now))
    return found


def waits_for_metrics(child: Obj, metric: str) -> bool:
    """Whether a TrainJob has ended well, and nobody has told what it achieved."""
    return is_true(child, "Complete") and not is_deleting(child) and metric not in metrics_of(child)


def metrics_of(child: Obj) -> dict[str, str]:
    """What a TrainJob told of itself, by name: pushed into its status, or read from its log."""
    try:
        read = json.loads(annotations_of(child).get(METRICS) or "{}")
    except ValueError:
        read = {}
    pushed = dig(child, "status", "trainerStatus", "metrics", default=()) or ()
    return {**(read if isinstance(read, dict) else {}), **{str(m.get("name")): str(m.get("value")) for m in pushed}}


def seconds_since_end(child: Obj, now: datetime) -> float:
    """How long ago a TrainJob came to its good end."""
    since = (find(child, "Complete") or {}).get("lastTransitionTime")
    return (now - parse_time(since)).total_seconds() if since else 0.0


def why_failed(child: Obj) -> str:
    """What a TrainJob says about its failure."""
    return str((find(child, "Failed") or {}).get("message") or "")


def assignments_of(record: Obj) -> dict[str, str]:
    """The parameters of a recorded trial."""
    return {str(pair["name"]): str(pair["value"]) for pair in record.get("parameters") or ()}


def prints(job: Obj, pod: Obj) -> bool:
    """Whether a pod is the first of one of its trials' TrainJobs, and has ended well."""
    labels = labels_of(pod)
    return (
        namespace_of(pod) == namespace_of(job)
        and prefix_and_number(jobset_of(pod))[0] == prefix_of(job)
        and labels.get("batch.kubernetes.io/job-completion-index", "0") == "0"
        and dig(pod, "status", "phase") == "Succeeded"
    )


def jobset_of(pod: Obj) -> str:
    """The JobSet, and so the TrainJob, that a pod belongs to; empty for any other."""
    return labels_of(pod).get("jobset.sigs.k8s.io/jobset-name", "")


def _begun(child: Obj) -> Obj:
    try:
        given = json.loads(annotations_of(child).get(PARAMETERS) or "[]")
    except ValueError:
        given = []
    return {"trainJobName": name_of(child), "state": RUNNING, "parameters": given, "creationTime": created_of(child)}


def _judged(record: Obj, child: Obj, metric: str, now: datetime) -> Obj:
    if is_true(child, "Failed"):
        at = (find(child, "Failed") or {}).get("lastTransitionTime") or rfc3339(now)
        return {**record, "state": FAILED, "reason": "TrainJobFailed", "completionTime": at}
    if not is_true(child, "Complete"):
        return record
    at = (find(child, "Complete") or {}).get("lastTransitionTime") or rfc3339(now)
    value = metrics_of(child).get(metric)
    if value is not None:
        told = [{"name": metric, "value": value}]
        return {**record, "state": SUCCEEDED, "metrics": told, "completionTime": at}
    if METRICS in annotations_of(child) or seconds_since_end(child, now) > PATIENCE_SECONDS:
        return {**record, "state": FAILED, "reason": "MetricsUnavailable", "completionTime": at}
    return record
