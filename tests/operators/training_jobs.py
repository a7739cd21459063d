"""Jobs of the `kubeflow.org/v1` kinds in a small world, for the tests of each kind."""

from __future__ import annotations

from operator_world import World

from argosy import kinds
from argosy.meta.json import Obj
from argosy.operators.gang.framework import Framework
from argosy.operators.gang.operator import operator
from argosy.operators.settings import OperatorSettings


def template(container: str, **spec: object) -> Obj:
    return {"spec": {"containers": [{"name": container, "image": "x"}], **spec}}


def job(framework: Framework, replicas: dict[str, int], *, policy: str = "", **spec: object) -> Obj:
    """A job named `job` with so many pods of each type."""
    given = {"restartPolicy": policy} if policy else {}
    specs = {
        type: {"replicas": count, "template": template(framework.container), **given}
        for type, count in replicas.items()
    }
    return {
        "apiVersion": framework.kind.api_version,
        "kind": framework.kind.kind,
        "metadata": {"name": "job"},
        "spec": {framework.specs: specs, **spec},
    }


def settled(framework: Framework, subject: Obj) -> World:
    """A world with the job's objects made."""
    world = World(operator(framework, OperatorSettings()), subject)
    world.settle()
    return world


def running(framework: Framework, replicas: dict[str, int], **given: object) -> World:
    """A world in which all of the job's pods run."""
    world = settled(framework, job(framework, replicas, **given))  # type: ignore[arg-type]
    world.pods("Running")
    world.settle()
    return world


def env(world: World, pod: str, container: int = 0) -> dict[str, object]:
    """The environment of a pod without our own part of it: a value, or where it comes from."""
    entries = world.get(kinds.POD, pod)["spec"]["containers"][container].get("env") or ()
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in entries if not e["name"].startswith("ARGOSY_")}


def role(world: World, pod: str) -> str | None:
    return world.get(kinds.POD, pod)["metadata"]["labels"].get("training.kubeflow.org/job-role")
