"""What a job says of tracking: which server, which model, how far it is, and what it was made from. Pure.

Works on any kind that trains: it reads annotations, conditions, and whatever containers the spec has, wherever they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from argosy.clock import parse_time
from argosy.meta.json import Obj, dig, encode
from argosy.meta.kind import Kind
from argosy.meta.objects import annotations_of, controller_of, created_of, name_of, namespace_of, uid_of
from argosy.operators.settings import PREFIX

REGISTER = f"{PREFIX}register-model"
"""Asked for by a person: the registered model that gets a version when the job succeeds."""
REGISTERED = f"{PREFIX}registered-model"
"""The version that was made, `NAME/3`."""
RUN = f"{PREFIX}mlflow-run"
"""The run that a gang which starts again continues."""
TOLD = f"{PREFIX}tracked"
"""The outcome that MLflow has been told."""
URI, EXPERIMENT, CONTEXT, RUN_ID = (
    "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_CONTEXT", "MLFLOW_RUN_ID",
)  # fmt: skip
_FACTS = ("git-commit", "git-branch", "git-remote", "git-dirty", "command", "environment", "workspace-digest",
          "dataset-versions", "checkpoint-dir")  # fmt: skip
_EPOCH = f"{PREFIX}restart-epoch"
_LONGEST_TAG = 4900
"""Characters; MLflow takes 5,000."""
_BEGINS_MS, _GIVEN_UP_MS = 600_000, 3_600_000
"""How long after a job's last change its run is looked for while it runs (most programs start it in their first seconds), and
how long after its end a server is asked that does not answer."""
_UNFIT = re.compile(r"[/:\x00-\x1f]")


class Outcome(StrEnum):
    """How far a job is, in what MLflow's runs tell apart."""

    running = "Running"
    succeeded = "Succeeded"
    failed = "Failed"
    suspended = "Suspended"
    stopped = "Stopped"


def outcome(job: Obj) -> Outcome:
    """By the conditions of whatever kind it is; KubeRay's jobs have fields instead."""
    true = {str(c.get("type")) for c in dig(job, "status", "conditions", default=()) if c.get("status") == "True"}
    if true & {"Succeeded", "Complete", "Completed"}:
        return Outcome.succeeded
    if "Failed" in true:
        return Outcome.failed
    stage = str(dig(job, "status", "jobDeploymentStatus", default=""))
    if stage == "Complete":
        ended = str(dig(job, "status", "jobStatus", default=""))
        return {"FAILED": Outcome.failed, "STOPPED": Outcome.stopped}.get(ended, Outcome.succeeded)
    if stage in ("Failed", "ValidationFailed"):
        return Outcome.failed
    return Outcome.suspended if "Suspended" in true or stage == "Suspended" else Outcome.running


def asked_for(job: Obj) -> bool:
    """Whether MLflow has anything to do with a job: its pods are told a server, or a model is to be registered.

    A JobSet that a TrainJob made is that one's business.
    """
    owner = controller_of(job)
    if owner is not None and owner.get("kind") == "TrainJob":
        return False
    return bool(model(job) or environment(job).get(URI))


def is_settled(job: Obj) -> bool:
    """Whether MLflow knows all that there is to tell at this moment."""
    if outcome(job) is Outcome.running:
        return RUN in annotations_of(job) and TOLD not in annotations_of(job)
    return annotations_of(job).get(TOLD) == outcome(job)


def is_due(job: Obj, now_ms: float) -> bool:
    """Whether MLflow is to be asked about a job now. A model that is to be registered is asked for until it is."""
    if not asked_for(job) or is_settled(job):
        return False
    since = now_ms - changed_ms(job)
    if outcome(job) is Outcome.running:
        return since < _BEGINS_MS
    return since < _GIVEN_UP_MS or (bool(model(job)) and outcome(job) is Outcome.succeeded)


def model(job: Obj) -> str:
    """The registered model's name; empty where none is asked for."""
    return annotations_of(job).get(REGISTER, "").strip()


def unfit(name: str) -> str:
    """What is wrong with a registered model's name; empty if nothing."""
    if name and _UNFIT.search(name):
        return f"{name!r} cannot name a model: MLflow takes no slashes, colons and control characters"
    return f"a model's name has at most 250 characters, not {len(name)}" if len(name) > 250 else ""


def environment(job: Obj) -> dict[str, str]:
    """The variables that the spec gives its containers as plain values; the first one of a name counts."""
    found: dict[str, str] = {}
    for each in _lists(job.get("spec"), "env"):
        if isinstance(each.get("name"), str) and isinstance(each.get("value"), str):
            found.setdefault(each["name"], each["value"])
    return found


def path(job: Obj, kind: Kind) -> str:
    """Where the API has the job."""
    return kind.path(namespace_of(job), name_of(job))


def created_ms(job: Obj) -> int:
    """When it was made, in milliseconds; 0 where it does not say."""
    return _milliseconds(created_of(job))


def started_ms(job: Obj) -> int:
    """When it began."""
    return _milliseconds(str(dig(job, "status", "startTime", default=""))) or created_ms(job)


def ended_ms(job: Obj) -> int:
    """When it ended, 0 while it has not; of kinds that do not say, when the condition changed."""
    times = [str(dig(job, "status", field, default="")) for field in ("completionTime", "endTime")]
    conditions = dig(job, "status", "conditions", default=())
    times += [str(condition.get("lastTransitionTime") or "") for condition in reversed(conditions)]
    return 0 if outcome(job) is Outcome.running else next(filter(None, map(_milliseconds, times)), 0)


def changed_ms(job: Obj) -> int:
    """When a condition last changed; of a job without any, when it was made."""
    stamps = (str(each.get("lastTransitionTime") or "") for each in dig(job, "status", "conditions", default=()))
    return max((_milliseconds(stamp) for stamp in stamps), default=0) or started_ms(job)


def checkpoint_dir(job: Obj) -> str:
    """Where it writes checkpoints, as its containers see it."""
    return annotations_of(job).get(f"{PREFIX}checkpoint-dir") or environment(job).get("CHECKPOINT_DIR", "")


def checkpoint_source(job: Obj) -> str:
    """`pvc://CLAIM/PATH` of its checkpoints, which an InferenceService can serve; empty where they lie on no claim."""
    directory, spec = checkpoint_dir(job).rstrip("/"), job.get("spec")
    volumes = {v.get("name"): dig(v, "persistentVolumeClaim", "claimName") for v in _lists(spec, "volumes")}
    best: tuple[int, str] = (-1, "")
    for mount in _lists(spec, "volumeMounts"):
        place, claim = str(mount.get("mountPath") or "").rstrip("/"), volumes.get(mount.get("name"))
        if claim and directory and f"{directory}/".startswith(f"{place}/") and "subPathExpr" not in mount:
            parts = (str(mount.get("subPath") or "").strip("/"), directory[len(place) :].strip("/"))
            best = max(best, (len(place), "/".join(filter(None, (f"pvc://{claim}", *parts)))))
    return best[1]


def lineage(job: Obj, kind: Kind) -> dict[str, str]:
    """Where a model comes from, as tags."""
    annotations = annotations_of(job)
    images = dict.fromkeys(
        str(each["image"]) for each in _lists(job.get("spec"), "containers") if isinstance(each.get("image"), str)
    )
    trainer = dig(job, "spec", "trainer", "image")
    facts = {
        **context(job, kind),
        "job-kind": f"{kind.kind}.{kind.api_version}",
        "job-uid": uid_of(job),
        **{name: annotations.get(f"{PREFIX}{name}", "") for name in _FACTS},
        "image": str(trainer or ", ".join(images)),
        "checkpoint-dir": checkpoint_dir(job),
        "restarts": annotations.get(_EPOCH, ""),
    }
    return {name: value[:_LONGEST_TAG] for name, value in facts.items() if value}


def context(job: Obj, kind: Kind) -> dict[str, str]:
    """The tags by which a run is known to belong to a job."""
    return {"job": name_of(job), "namespace": namespace_of(job), "job-path": path(job, kind)}


def run_context(job: Obj, kind: Kind) -> str:
    """The value of MLFLOW_RUN_CONTEXT, from which MLflow's client tags the runs that a job's pods start."""
    return encode(context(job, kind)).decode()


def _milliseconds(stamp: str) -> int:
    try:
        return int(parse_time(stamp).timestamp() * 1000) if stamp else 0
    except ValueError:
        return 0


def _lists(place: Any, field: str) -> Iterator[Obj]:
    """The objects in every list of this name, however deep."""
    if isinstance(place, dict):
        for name, value in place.items():
            if name == field and isinstance(value, list | tuple):
                yield from (each for each in value if isinstance(each, dict))
            yield from _lists(value, field)
    elif isinstance(place, list | tuple):
        for each in place:
            yield from _lists(each, field)
