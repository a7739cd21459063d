"""Finding and changing the parts of a JobSet template: replicated jobs by their step, containers, lists by key.

Everything here works on the copy that `compose` makes of a runtime's template and changes it in place.
"""

from __future__ import annotations

from collections.abc import Iterable

from argosy.meta.json import Obj, dig
from argosy.operators.trainjob.schema import ANCESTOR, NODE


def step_of(job: Obj) -> str:
    """Which step of a TrainJob a replicated job is: `trainer`, an initializer, or nothing."""
    return str(dig(job, "template", "metadata", "labels", ANCESTOR, default=""))


def pod_of(job: Obj) -> Obj:
    """A replicated job's pod template, made where the runtime leaves it out."""
    spec: Obj = job.setdefault("template", {}).setdefault("spec", {})
    pod: Obj = spec.setdefault("template", {})
    return pod


def pod_spec_of(job: Obj) -> Obj:
    """A replicated job's pod spec, made where the runtime leaves it out."""
    spec: Obj = pod_of(job).setdefault("spec", {})
    return spec


def container_of(job: Obj, name: str = NODE) -> Obj | None:
    """A container, or an init container, by its name."""
    spec = pod_spec_of(job)
    both: list[Obj] = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return next((container for container in both if container.get("name") == name), None)


def job_named(jobs: Iterable[Obj], name: str) -> Obj | None:
    """A replicated job by its name."""
    return next((job for job in jobs if job.get("name") == name), None)


def upsert(owner: Obj, field: str, items: Iterable[Obj], *keys: str) -> None:
    """Put items into a list: one that has the same value under one of the keys is replaced, others come last."""
    merged: list[Obj] = list(owner.get(field) or ())
    for item in items:
        at = (
            i
            for i, old in enumerate(merged)
            if any(item.get(key) is not None and old.get(key) == item[key] for key in keys)
        )
        index = next(at, None)
        if index is None:
            merged.append(item)
        else:
            merged[index] = item
    if merged:
        owner[field] = merged


def set_env(container: Obj, entries: Iterable[Obj]) -> None:
    """Set environment variables."""
    upsert(container, "env", entries, "name")


def env(**values: object) -> list[Obj]:
    """Plain variables, in the order given."""
    return [{"name": name, "value": str(value)} for name, value in values.items()]


def env_of_index(name: str) -> Obj:
    """A variable that holds the pod's index in its Job."""
    path = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
