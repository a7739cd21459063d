"""What `argosy train` makes: a PyTorchJob that runs a person's code, and the ConfigMaps that carry it. Pure.

The code travels through the Kubernetes API alone: its archive lies in immutable ConfigMaps, in pieces, under a name that is
its content's address. Every pod unpacks it in an init container that runs in the job's own image, so nothing has to be
built, pushed or mounted, on any cluster. Jobs of the same content share the pieces; the pieces go with the last of them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from argosy.errors import UserError
from argosy.meta import quantity
from argosy.meta.json import Obj
from argosy.sdk.workspace import Packed

WORKSPACE = "/workspace"
LABEL_WORKSPACE = "argosy.dev/workspace"
REQUIREMENTS = "argosy.dev/requirements"
"""On a pod: the packages that its images must have, for nodes that make environments; others leave it to the loader."""
_PIECE = 900_000
"""Bytes in one ConfigMap, which holds 1 MiB."""
_PARTS, _CACHE = "/argosy/workspace", "/argosy/environments"
_INIT = "workspace"
_FIND_PYTHON = (
    "for python in python3 python; do command -v $python >/dev/null 2>&1 && exec $python {parts}/load.py; done; "
    'echo "the image {image} has no Python, which unpacks the workspace; choose one that has with --image" >&2; exit 1'
)
_SHORT_IMAGES = {
    "pytorch": "pytorch/pytorch:latest",
    "torch": "pytorch/pytorch:latest",
    "tensorflow": "tensorflow/tensorflow:latest",
    "ray": "rayproject/ray:latest",
    "transformers": "huggingface/transformers-pytorch-gpu:latest",
}
DEFAULT_IMAGE = _SHORT_IMAGES["pytorch"]


@dataclass(frozen=True, slots=True)
class Shipment:
    """A packed workspace on its way: the pieces, and what runs it."""

    packed: Packed
    loader: str
    """The loader's source."""
    requirements: str = ""
    """The text of its requirements."""

    @property
    def name(self) -> str:
        """What the names of its ConfigMaps begin with."""
        return f"workspace-{self.packed.digest[:20]}"

    @property
    def pieces(self) -> int:
        """How many ConfigMaps it takes."""
        return max(1, -(-len(self.packed.data) // _PIECE))

    def names(self) -> list[str]:
        """The names of its ConfigMaps."""
        return [f"{self.name}-{number}" for number in range(self.pieces)]

    def config_maps(self, namespace: str) -> list[Obj]:
        """The ConfigMaps, the loader in the first."""
        return [self._piece(number, name, namespace) for number, name in enumerate(self.names())]

    def _piece(self, number: int, name: str, namespace: str) -> Obj:
        data = self.packed.data[number * _PIECE : (number + 1) * _PIECE]
        labels = {LABEL_WORKSPACE: self.packed.digest[:20]}
        piece: Obj = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "immutable": True,
            "binaryData": {f"part-{number:04d}": base64.b64encode(data).decode()},
        }
        if number == 0:
            piece["data"] = {"load.py": self.loader}
        return piece


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One training run."""

    name: str
    command: tuple[str, ...]
    """What runs in the workspace, e.g. `("python", "train.py", "--lr", "1")`."""
    nodes: int = 1
    image: str = DEFAULT_IMAGE
    env: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)
    """Requests and limits of each pod, e.g. `{"cpu": "1", "memory": "2Gi"}`."""
    claim: str = ""
    """A PersistentVolumeClaim to mount at /data."""
    cache: str = ""
    """A PersistentVolumeClaim, shared by nodes, that keeps environments made for requirements."""
    processes: int = 1
    """How many processes a pod; more than one are started by torchrun."""
    backoff_limit: int = 3
    annotations: Mapping[str, str] = field(default_factory=dict)


def name_from(script: str) -> str:
    """A job name from a script's file name: `my_train.py` → `my-train`."""
    stem = re.sub(r"[^a-z0-9]+", "-", script.rsplit("/", 1)[-1].removesuffix(".py").lower()).strip("-")
    return (stem if stem[:1].isalpha() else f"run-{stem}" if stem else "train")[:40].rstrip("-")


def image_named(word: str) -> str:
    """The image that a short word such as `pytorch` stands for; anything else is an image already."""
    return _SHORT_IMAGES.get(word, word)


def training_job(run: TrainingRun, shipment: Shipment, namespace: str) -> Obj:
    """The PyTorchJob."""
    specs = {"Master": _replica(run, shipment, 1)}
    if run.nodes > 1:
        specs["Worker"] = _replica(run, shipment, run.nodes - 1)
    spec: Obj = {
        "runPolicy": {"backoffLimit": run.backoff_limit, "cleanPodPolicy": "None"},
        "pytorchReplicaSpecs": specs,
    }
    if run.processes > 1:
        spec["nprocPerNode"] = str(run.processes)
    metadata: Obj = {"name": run.name, "namespace": namespace, "labels": {LABEL_WORKSPACE: shipment.packed.digest[:20]}}
    if run.annotations:
        metadata["annotations"] = dict(run.annotations)
    return {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": metadata, "spec": spec}


def pod_template(run: TrainingRun, shipment: Shipment, container: str) -> Obj:
    """A pod that unpacks the workspace and runs the command in it, in a container of the given name."""
    image = image_named(run.image)
    volumes, mounts = _volumes(run, shipment)
    resources: Obj = {}
    if run.resources:
        resources = {"resources": {"requests": dict(run.resources), "limits": dict(run.resources)}}
    parts: Obj = {"name": "workspace-parts", "mountPath": _PARTS, "readOnly": True}
    init_env = {"WORKSPACE": WORKSPACE, "WORKSPACE_PARTS": _PARTS} | ({"WORKSPACE_CACHE": _CACHE} if run.cache else {})
    init: Obj = {
        "name": _INIT,
        "image": image,
        "command": ["sh", "-c", _FIND_PYTHON.format(parts=_PARTS, image=image)],
        "env": _variables(init_env),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [*mounts, parts],
    }
    main: Obj = {
        "name": container,
        "image": image,
        "command": ["sh", f"{WORKSPACE}/.argosy/start", *_started(run)],
        "workingDir": WORKSPACE,
        "env": _variables({"PYTHONUNBUFFERED": "1", **run.env}),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }
    template: Obj = {
        "spec": {"initContainers": [init | resources], "containers": [main | resources], "volumes": volumes}
    }
    if shipment.requirements:
        template["metadata"] = {"annotations": {REQUIREMENTS: shipment.requirements}}
    return template


def _replica(run: TrainingRun, shipment: Shipment, replicas: int) -> Obj:
    return {"replicas": replicas, "restartPolicy": "OnFailure", "template": pod_template(run, shipment, "pytorch")}


def _started(run: TrainingRun) -> list[str]:
    if run.processes <= 1 or run.command[0] != "python":
        return list(run.command)
    return ["python", "-m", "torch.distributed.run", *run.command[1:]]  # the rest is in the environment, as PET_*


def _volumes(run: TrainingRun, shipment: Shipment) -> tuple[list[Obj], list[Obj]]:
    sources = [{"configMap": {"name": name}} for name in shipment.names()]
    volumes: list[Obj] = [
        {"name": "workspace-parts", "projected": {"sources": sources}},
        {"name": "workspace", "emptyDir": {}},
    ]
    mounts: list[Obj] = [{"name": "workspace", "mountPath": WORKSPACE}]
    for name, claim, path in (("data", run.claim, "/data"), ("environments", run.cache, _CACHE)):
        if claim:
            volumes.append({"name": name, "persistentVolumeClaim": {"claimName": claim}})
            mounts.append({"name": name, "mountPath": path})
    return volumes, mounts


def _variables(values: Mapping[str, str]) -> list[Obj]:
    return [{"name": name, "value": value} for name, value in values.items()]


def parse_pairs(pairs: Sequence[str], what: str, *, example: str = "LR=0.001") -> dict[str, str]:
    """`["A=1", "B=2"]` → a mapping. Raises UserError that shows `example`."""
    parsed: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UserError(f"{what} {pair!r} is not NAME=VALUE", f"write for example: {what} {example}")
        parsed[name] = value
    return parsed


def resources_of(cpu: str, memory: str, gpus: int) -> dict[str, str]:
    """What each pod asks for; nothing for what is empty or 0. Raises UserError for what is no quantity."""
    for option, text, example in (("--cpu", cpu, "500m"), ("--memory", memory, "2Gi")):
        try:
            quantity.parse(text or "0")
        except ValueError:
            raise UserError(f"{option} {text!r} is not a quantity", f"write for example: {option} {example}") from None
    asked = {"cpu": cpu, "memory": memory, "nvidia.com/gpu": str(gpus or "")}
    return {name: text for name, text in asked.items() if text}
