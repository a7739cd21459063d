"""What a TrainJob, a queue or an administrator changes about the runtime's template before a JobSet is made of it.

`runtimePatches` are merged strategically, as upstream does: containers, volumes and variables by name. The form of earlier
releases, `podTemplateOverrides`, says the same with a list of jobs beside each pod spec. Pure; called by `compose`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from argosy.meta import pack
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.strategic import merge
from argosy.operators.trainjob.job import TrainJob
from argosy.operators.trainjob.template import job_named, pod_of


def carry_out(job: TrainJob, template: Obj) -> None:
    """Change the template in place, in the order that the patches have."""
    for patch in job.patches:
        wanted: Obj = dig(patch, "trainingRuntimeSpec", "template", default={})
        _add_metadata(template, wanted.get("metadata"))
    for name, replicated in targets(job):
        found = job_named(dig(template, "spec", "replicatedJobs", default=[]), name)
        if found is None:
            continue  # told of by `problems`
        _add_metadata(found["template"], dig(replicated, "metadata"))
        change: Obj = dig(replicated, "spec", "template", default={})
        pod = pod_of(found)
        _add_metadata(pod, change.get("metadata"))
        if change.get("spec"):
            pod["spec"] = _merged(pod.get("spec") or {}, change["spec"])


def targets(job: TrainJob) -> Iterator[tuple[str, Obj]]:
    """(replicated job, patch of its Job template), of both forms."""
    for patch in job.patches:
        path = ("trainingRuntimeSpec", "template", "spec", "replicatedJobs")
        for each in dig(patch, *path, default=()):
            yield each["name"], each.get("template") or {}
    for override in job.overrides:
        for target in override["targetJobs"]:
            pod = {field: override[field] for field in ("metadata", "spec") if override.get(field)}
            yield target["name"], {"spec": {"template": pod}}


def _merged(spec: Obj, change: Obj) -> Obj:
    schema = pack.definition_for("v1", "Pod")
    assert schema is not None, "Pods are built in"
    made: Obj = merge({"spec": spec}, {"spec": thaw(change)}, schema)["spec"]
    return made


def _add_metadata(obj: Obj, metadata: Mapping[str, Obj] | None) -> None:
    for field in ("labels", "annotations"):
        if metadata and metadata.get(field):
            mine: Obj = obj.setdefault("metadata", {})
            mine[field] = {**(mine.get(field) or {}), **metadata[field]}
