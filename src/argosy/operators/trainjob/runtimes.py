"""What comes with the kinds: ClusterTrainingRuntimes, those of upstream by their names, and the note of a version.

Called when the kinds are installed. What is there already stays as it is.
"""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.operators.trainjob.schema import ANCESTOR, DATASET, FRAMEWORK, GROUP, LAUNCHER, MODEL, NODE, TRAINER

_TORCH_IMAGE = "pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime"
_JAX_IMAGE = "nvcr.io/nvidia/jax:25.10-py3"
_IMAGES = "ghcr.io/kubeflow/trainer"
_CLAIM = "initializer"
_MPI_HOME = "/home/mpiuser"
_NAMESPACE = "kubeflow-system"
_VERSION = "v2.3.0"
"""The release of Kubeflow Trainer whose API this is."""


def note_of_version() -> list[Obj]:
    """The ConfigMap in which Kubeflow's Python client looks for the version that it talks to, and its namespace."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}
    note = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kubeflow-trainer-public", "namespace": _NAMESPACE},
        "data": {"kubeflow_trainer_version": _VERSION},
    }
    return [namespace, note]


def ready_made() -> list[Obj]:
    """One object each."""
    return [
        _single("torch-distributed", "torch", "torch", _TORCH_IMAGE),
        _single("jax-distributed", "jax", "jax", _JAX_IMAGE),
        _single("xgboost-distributed", "xgboost", "xgboost", f"{_IMAGES}/xgboost-runtime"),
        _mpi("deepspeed-distributed", "deepspeed", f"{_IMAGES}/deepspeed-runtime"),
        _mpi("mpi-distributed", "mpi", f"{_IMAGES}/deepspeed-runtime"),
        _peft(),
    ]


def _runtime(name: str, framework: str, policy: Obj, spec: Obj) -> Obj:
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "ClusterTrainingRuntime",
        "metadata": {"name": name, "labels": {FRAMEWORK: framework}},
        "spec": {"mlPolicy": {"numNodes": 1, **policy}, "template": {"spec": spec}},
    }


def _job(name: str, container: Obj, *, step: str = "", **pod_spec: object) -> Obj:
    template: Obj = {"spec": {"template": {"spec": {"containers": [container], **pod_spec}}}}
    if step:
        template["metadata"] = {"labels": {ANCESTOR: step}}
    return {"name": name, "template": template}


def _single(name: str, framework: str, policy: str, image: str) -> Obj:
    """Every node is alike."""
    job = _job(NODE, {"name": NODE, "image": image}, step=TRAINER)
    return _runtime(name, framework, {policy: {}}, {"replicatedJobs": [job]})


def _peft() -> Obj:
    """LoRA with peft on a model and a data set that initializers fetch; Kubeflow's BuiltinTrainer runs on it too."""
    mounts = [{"name": _CLAIM, "mountPath": "/workspace"}]
    fetching = [
        _job(step, {"name": step, "image": f"{_IMAGES}/{step}", "volumeMounts": mounts}, step=step)
        for step in (DATASET, MODEL)
    ]
    command = ["tune", "run", "lora_finetune_distributed", "--config", "lora", "output_dir=/workspace/output"]
    node = _job(NODE, {"name": NODE, "image": "argosy/tune", "command": command, "volumeMounts": mounts}, step=TRAINER)
    node["dependsOn"] = [{"name": step, "status": "Complete"} for step in (DATASET, MODEL)]
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}}
    policy = {
        "templates": [{"metadata": {"name": _CLAIM}, "spec": claim}],
        "retentionPolicy": {"whenDeleted": "Retain"},
    }
    spec = {"volumeClaimPolicies": [policy], "replicatedJobs": [*fetching, node]}
    return _runtime("peft-lora", "torchtune", {"torch": {}}, spec)


def _mpi(name: str, framework: str, image: str) -> Obj:
    """A launcher that is a node itself, and nodes that wait for it with sshd."""
    user = {"runAsUser": 1000}
    daemon = {
        "name": NODE,
        "image": image,
        "securityContext": user,
        "command": ["/usr/sbin/sshd"],
        "args": ["-De", "-f", f"{_MPI_HOME}/.sshd_config"],
        "readinessProbe": {"tcpSocket": {"port": 2222}, "initialDelaySeconds": 5},
    }
    launcher = _job(
        LAUNCHER,
        {"name": NODE, "image": image, "securityContext": user},
        step=TRAINER,
        securityContext={"fsGroup": 1000},
    )
    launcher["dependsOn"] = [{"name": NODE, "status": "Ready"}]
    policy = {
        "numProcPerNode": 1,
        "mpiImplementation": "OpenMPI",
        "sshAuthMountPath": f"{_MPI_HOME}/.ssh",
        "runLauncherAsNode": True,
    }
    spec = {
        "network": {"publishNotReadyAddresses": True},
        "successPolicy": {"operator": "All", "targetReplicatedJobs": [LAUNCHER]},
        "replicatedJobs": [_job(NODE, daemon, securityContext={"fsGroup": 1000}), launcher],
    }
    return _runtime(name, framework, {"mpi": policy}, spec)
