"""What `argosy train` applies: a PyTorchJob that runs a person's script, and the ConfigMap that carries it. Pure.

The script travels in a ConfigMap, so it runs unchanged on any cluster, without an image being built. It is started once
a pod with the environment that PyTorch's `env://` rendezvous reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from argosy.errors import UserError
from argosy.meta.json import Obj

_BYTES_MAX = 900_000
"""A ConfigMap holds 1 MiB; leave room for its metadata."""
_WORKSPACE = "/workspace"


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One training run. `files` are names and texts, the script's own among them."""

    name: str
    script: str
    files: Mapping[str, str]
    nodes: int = 1
    image: str = "argosy/torch"
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)
    """Requests and limits of each pod, e.g. `{"cpu": "1", "memory": "2Gi"}`."""
    claim: str = ""
    """A PersistentVolumeClaim to mount at /data."""
    backoff_limit: int = 3


def name_from(script: str) -> str:
    """A job name from a script's file name: `my_train.py` → `my-train`."""
    stem = re.sub(r"[^a-z0-9]+", "-", script.rsplit("/", 1)[-1].removesuffix(".py").lower()).strip("-")
    return stem[:50] or "train"


def training_objects(run: TrainingRun, namespace: str) -> list[Obj]:
    """The ConfigMap and the PyTorchJob. Raises UserError when the files do not fit."""
    size = sum(len(text.encode()) for text in run.files.values())
    if size > _BYTES_MAX:
        raise UserError(
            f"the code is {size // 1000} kB, more than a ConfigMap holds ({_BYTES_MAX // 1000} kB)",
            "put it on a volume and name that with --claim",
        )
    code = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{run.name}-code", "namespace": namespace},
        "data": dict(run.files),
    }
    specs = {"Master": _replica(run, 1)}
    if run.nodes > 1:
        specs["Worker"] = _replica(run, run.nodes - 1)
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": run.name, "namespace": namespace},
        "spec": {
            "runPolicy": {"backoffLimit": run.backoff_limit, "cleanPodPolicy": "None"},
            "pytorchReplicaSpecs": specs,
        },
    }
    return [code, job]


def _replica(run: TrainingRun, replicas: int) -> Obj:
    volumes: list[Obj] = [{"name": "code", "configMap": {"name": f"{run.name}-code"}}]
    mounts: list[Obj] = [{"name": "code", "mountPath": _WORKSPACE}]
    if run.claim:
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": run.claim}})
        mounts.append({"name": "data", "mountPath": "/data"})
    container: Obj = {
        "name": "pytorch",
        "image": run.image,
        "command": ["python", f"{_WORKSPACE}/{run.script}", *run.arguments],
        "workingDir": _WORKSPACE,
        "env": [{"name": name, "value": value} for name, value in run.env.items()],
        "volumeMounts": mounts,
    }
    if run.resources:
        container["resources"] = {"requests": dict(run.resources), "limits": dict(run.resources)}
    return {
        "replicas": replicas,
        "restartPolicy": "OnFailure",
        "template": {"spec": {"containers": [container], "volumes": volumes}},
    }


def parse_pairs(pairs: Sequence[str], what: str) -> dict[str, str]:
    """`["A=1", "B=2"]` → a mapping. Raises UserError."""
    parsed: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UserError(f"{what} {pair!r} is not NAME=VALUE", f"write for example: {what} LR=0.001")
        parsed[name] = value
    return parsed
