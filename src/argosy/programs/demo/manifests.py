"""The demo's Kubernetes objects, as values. `argosy demo` applies them in this order; on any cluster they are the same.

Pods that share the host's ports bind `$(POD_IP)`; Services use ports above 1024, so that an ordinary user's engine can
serve them at every isolation level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from argosy.meta.json import Obj
from argosy.programs.demo.variants import VARIANTS

MLFLOW_PORT, CHAT_PORT, GATEWAY_PORT = 5000, 7860, 8000
GATEWAY_NAMESPACE, GATEWAY_SERVICE = "argosy-system", "gateway"
PRETRAIN, SERVED = "pretrain", "demo"
_STORAGE, _TEXT = "/storage", "/data/text"
_TRACKING = f"http://mlflow:{MLFLOW_PORT}/mlflow"


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What one run of the demo asks for. `run` keeps its checkpoints apart from those of earlier runs."""

    run: str
    namespace: str = "demo"
    steps: int = 200
    workers: int = 1
    """Pods beside the master."""
    max_replicas: int = 3
    data: str = ""
    """A text on the node to train on (an absolute path), instead of the standard library's documentation."""


def foundations(plan: DemoPlan) -> list[Obj]:
    """Namespace, the volume that everything is kept on, and MLflow."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": plan.namespace}}
    claims = [_claim(plan, "storage", "2Gi"), _claim(plan, "mlflow", "1Gi")]
    command = (
        "exec mlflow server --host $(POD_IP) --port 5000 --static-prefix /mlflow --workers 1"
        " --backend-store-uri sqlite:////data/mlflow.db --artifacts-destination /data/artifacts"
        " --allowed-hosts '*' --cors-allowed-origins '*'"
    )
    container = {
        "name": "mlflow",
        "image": "argosy/mlflow",
        "command": ["sh", "-c", command],
        "env": [_pod_ip(), {"name": "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "value": "false"}],
        "ports": [{"name": "http", "containerPort": MLFLOW_PORT}],
        "readinessProbe": {"httpGet": {"path": "/mlflow/health", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "600Mi"}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "mlflow"}}]
    return [namespace, *claims, *_web(plan, "mlflow", MLFLOW_PORT, container, volumes)]


def gateway_ingress() -> Obj:
    """The one endpoint, `/v1`, at the Ingress."""
    return _ingress("gateway", GATEWAY_NAMESPACE, "/v1", GATEWAY_SERVICE, GATEWAY_PORT)


def pretraining(plan: DemoPlan) -> list[Obj]:
    """The PyTorchJob that trains the base model on `1 + workers` pods."""
    checkpoints = f"{_STORAGE}/checkpoints/{plan.run}"
    command = ["python", "-m", "argosy.programs.demo.pretrain", "--steps", str(plan.steps), "--run-name", plan.run]
    env = {"CHECKPOINT_DIR": checkpoints, "OUTPUT_DIR": f"{_STORAGE}/base", "MLFLOW_EXPERIMENT_NAME": "pretrain"}
    template = _trainer(plan, command, env)
    replicas = {"Master": _replica(1, template), "Worker": _replica(plan.workers, template)}
    return [_job(plan, PRETRAIN, replicas if plan.workers else {"Master": replicas["Master"]}, checkpoints)]


def fine_tuning(plan: DemoPlan) -> list[Obj]:
    """One PyTorchJob a variant; they run at the same time."""
    jobs = []
    for name in VARIANTS:
        command = ["python", "-m", "argosy.programs.demo.finetune", "--variant", name, "--base", f"{_STORAGE}/base"]
        template = _trainer(plan, command, {"MLFLOW_EXPERIMENT_NAME": f"finetune-{plan.run}"})
        jobs.append(_job(plan, f"finetune-{name}", {"Master": _replica(1, template)}))
    return jobs


def registration(plan: DemoPlan) -> Obj:
    """A Job that registers the best fine-tune as `demo`, alias `champion`."""
    command = ["python", "-m", "argosy.programs.demo.register", "--experiment", f"finetune-{plan.run}"]
    return _batch(plan, "register", [*command, "--model", SERVED])


def serving(plan: DemoPlan) -> Obj:
    """Base model and adapters behind one InferenceService that scales by requests in flight."""
    modules = [f"{name}=/mnt/models/adapters/{name}" for name in VARIANTS]
    model = {
        "modelFormat": {"name": "huggingface"},
        "storageUri": "pvc://storage/base",
        "args": ["--enable-lora", "--lora-modules", *modules],
        "resources": {"requests": {"cpu": "100m", "memory": "600Mi"}},
    }
    annotations = {"serving.kserve.io/deploymentMode": "Standard", "argosy.dev/scale-down-seconds": "6"}
    predictor = {"minReplicas": 1, "maxReplicas": plan.max_replicas, "scaleMetric": "concurrency", "scaleTarget": 4}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": SERVED, "namespace": plan.namespace, "annotations": annotations},
        "spec": {"predictor": {**predictor, "model": model}},
    }


def burst(plan: DemoPlan, seconds: int, concurrency: int) -> Obj:
    """A Job that loads the endpoint."""
    command = ["python", "-m", "argosy.programs.demo.load", "--model", SERVED]
    command += ["--seconds", str(seconds), "--concurrency", str(concurrency)]
    return _batch(plan, "burst", command, {"OPENAI_BASE_URL": _gateway_url()})


def chat_app(plan: DemoPlan) -> list[Obj]:
    """The Gradio chat app, at `/chat` of the Ingress."""
    env = {"OPENAI_BASE_URL": _gateway_url(), "ROOT_PATH": "/chat"}
    container = {
        "name": "chat",
        "image": "argosy/gradio",
        "command": ["python", "-m", "argosy.programs.demo.chat"],
        "env": [_pod_ip(), *_env(env)],
        "ports": [{"name": "http", "containerPort": CHAT_PORT}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}},
    }
    return _web(plan, "chat", CHAT_PORT, container, [])


def _gateway_url() -> str:
    return f"http://{GATEWAY_SERVICE}.{GATEWAY_NAMESPACE}:{GATEWAY_PORT}/v1"


def _web(plan: DemoPlan, name: str, port: int, container: Obj, volumes: Sequence[Obj]) -> list[Obj]:
    """Deployment, Service and Ingress path of a web application."""
    labels = {"app": name}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": plan.namespace},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], **({"volumes": list(volumes)} if volumes else {})},
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": plan.namespace},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": port, "targetPort": "http"}]},
    }
    return [deployment, service, _ingress(name, plan.namespace, f"/{name}", name, port)]


def _ingress(name: str, namespace: str, path: str, service: str, port: int) -> Obj:
    backend = {"service": {"name": service, "port": {"number": port}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"rules": [{"http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}]},
    }


def _claim(plan: DemoPlan, name: str, size: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": plan.namespace},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": size}}},
    }


def _trainer(plan: DemoPlan, command: Sequence[str], env: dict[str, str]) -> Obj:
    container: Obj = {
        "name": "pytorch",
        "image": "argosy/torch",
        "command": [*command, *(["--data", _TEXT] if plan.data else [])],
        "env": [_pod_ip(), *_env({"MLFLOW_TRACKING_URI": _TRACKING, **env})],
        "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}},
        "volumeMounts": [{"name": "storage", "mountPath": _STORAGE}],
    }
    volumes: list[Obj] = [{"name": "storage", "persistentVolumeClaim": {"claimName": "storage"}}]
    if plan.data:
        volumes.append({"name": "text", "hostPath": {"path": plan.data, "type": "File"}})
        container["volumeMounts"].append({"name": "text", "mountPath": _TEXT, "readOnly": True})
    return {"spec": {"containers": [container], "volumes": volumes}}


def _replica(replicas: int, template: Obj) -> Obj:
    return {"replicas": replicas, "restartPolicy": "ExitCode", "template": template}


def _job(plan: DemoPlan, name: str, replicas: Obj, checkpoints: str = "") -> Obj:
    annotations = {"annotations": {"argosy.dev/checkpoint-dir": checkpoints}} if checkpoints else {}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": name, "namespace": plan.namespace, **annotations},
        "spec": {"runPolicy": {"backoffLimit": 3, "cleanPodPolicy": "None"}, "pytorchReplicaSpecs": replicas},
    }


def _batch(plan: DemoPlan, name: str, command: Sequence[str], env: dict[str, str] | None = None) -> Obj:
    template = _trainer(replace(plan, data=""), command, env or {})
    template["spec"] |= {"restartPolicy": "Never"}
    template["spec"]["containers"][0]["name"] = name
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": plan.namespace},
        "spec": {"backoffLimit": 1, "template": template},
    }


def _env(values: dict[str, str]) -> list[Obj]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _pod_ip() -> Obj:
    return {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
