"""The demo as Kubernetes objects: what `argosy demo` applies, and what anyone may apply with kubectl.

Pure. Every function returns plain objects; nothing in them is Argosy's own but the image names and two annotations that
other clusters ignore. Containers bind `$POD_IP`, so they work where pods share the host's ports too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.meta.json import Obj, thaw
from argosy.programs.demo.variants import VARIANTS

_APP = "app.kubernetes.io/name"
_PART_OF = {"app.kubernetes.io/part-of": "argosy-demo"}
_MODELS = "/models"
_TRACKING = "/var/lib/mlflow"
_MLFLOW_PORT, _CHAT_PORT = 5000, 7860
_OUT_OF_REACH: Obj = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
_POD_IP: Obj = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


@dataclass(frozen=True, slots=True)
class Demo:
    """What can be chosen. `run` names a directory for checkpoints: another run starts anew."""

    namespace: str = "default"
    run: str = "first"
    model: str = "demo"
    gateway_namespace: str = "argosy-system"
    gateway_service: str = "gateway"
    gateway_port: int = 8000
    torch_image: str = "argosy/torch"
    mlflow_image: str = "argosy/mlflow"
    gradio_image: str = "argosy/gradio"
    steps: int = 160
    data: str = ""
    """A text file, below /models in the claim; empty for the documentation of Python's library."""
    max_replicas: int = 3
    scale_target: int = 2
    """Requests in flight that a replica should have."""
    scale_down_seconds: int = 10
    mlflow_hosts: Sequence[str] = ()
    """Names by which browsers reach MLflow, besides localhost and private addresses."""

    @property
    def tracking_uri(self) -> str:
        """Where MLflow answers, inside the cluster."""
        return f"http://mlflow:{_MLFLOW_PORT}/mlflow"

    @property
    def endpoint(self) -> str:
        """The gateway's OpenAI endpoint, inside the cluster."""
        return f"http://{self.gateway_service}.{self.gateway_namespace}.svc:{self.gateway_port}/v1"

    @property
    def base_dir(self) -> str:
        """The base model, in the claim `models`; its adapters lie below."""
        return f"{_MODELS}/base"


def claims(demo: Demo) -> list[Obj]:
    """Two volumes: models with their checkpoints, and what MLflow keeps."""
    return [
        _object("v1", "PersistentVolumeClaim", demo, name)
        | {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}}
        for name, size in (("models", "2Gi"), ("mlflow", "1Gi"))
    ]


def mlflow(demo: Demo) -> list[Obj]:
    """The real MLflow server: runs in SQLite and artifacts on a volume, below the path /mlflow."""
    hosts = ["localhost", "127.*", "10.*", "172.*", "192.168.*", "mlflow", "mlflow.*", *demo.mlflow_hosts]
    # Paths are relative to the volume, which is the working directory.
    command = ["python", "-m", "mlflow", "server", "--host", "$(POD_IP)", "--port", str(_MLFLOW_PORT)]
    command += ["--workers", "1", "--static-prefix", "/mlflow", "--allowed-hosts"]
    command.append(",".join(name for host in hosts for name in (host, f"{host}:*")))
    command += ["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "./artifacts"]
    container = _container("mlflow", demo.mlflow_image, command, cpu="100m", memory="600Mi") | {
        "workingDir": _TRACKING,
        "ports": [{"name": "http", "containerPort": _MLFLOW_PORT}],
        "readinessProbe": {"httpGet": {"path": "/mlflow/health", "port": _MLFLOW_PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": _TRACKING}],
    }
    container["env"] += _variables(
        {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    )
    spec = {"containers": [container], "volumes": [_volume("data", "mlflow")], "enableServiceLinks": False}
    service = _service(demo, "mlflow", _MLFLOW_PORT)
    service["metadata"]["annotations"] = {"argosy.dev/base-path": "mlflow"}
    return [_deployment(demo, "mlflow", spec, recreate=True), service]


def pretrain(demo: Demo) -> Obj:
    """Two pods that train one model, data-parallel; a new gang resumes from the last checkpoint."""
    checkpoints = f"{_MODELS}/checkpoints/{demo.run}"
    command = ["python", "-m", "argosy.programs.demo.pretrain", "--steps", str(demo.steps)]
    env = {
        "CHECKPOINT_DIR": checkpoints,
        "OUTPUT_DIR": demo.base_dir,
        "MLFLOW_TRACKING_URI": demo.tracking_uri,
        "MLFLOW_EXPERIMENT_NAME": "pretrain",
    }
    if demo.data:
        command += ["--data", f"{_MODELS}/{demo.data}"]
    template = _training(demo, command, env, cpu="400m", memory="700Mi")
    job = _job(demo, "pretrain", {"Master": (1, template), "Worker": (1, template)})
    job["metadata"]["annotations"] = {"argosy.dev/checkpoint-dir": checkpoints}
    return job


def finetunes(demo: Demo) -> list[Obj]:
    """A LoRA fine-tune of each variant; they run side by side."""
    return [finetune(demo, name) for name in VARIANTS]


def finetune(demo: Demo, variant: str) -> Obj:
    """The LoRA fine-tune of one variant."""
    command = ["python", "-m", "argosy.programs.demo.finetune", "--variant", variant, "--base", demo.base_dir]
    if demo.data:
        command += ["--data", f"{_MODELS}/{demo.data}"]
    env = {
        "OUTPUT_DIR": f"{demo.base_dir}/adapters/{variant}",
        "MLFLOW_TRACKING_URI": demo.tracking_uri,
        "MLFLOW_EXPERIMENT_NAME": "finetune",
    }
    return _job(demo, f"finetune-{variant}", {"Master": (1, _training(demo, command, env, cpu="300m", memory="700Mi"))})


def register(demo: Demo) -> Obj:
    """A Job that registers the best variant; its log is one JSON object."""
    command = ["python", "-m", "argosy.programs.demo.register", "--experiment", "finetune", "--name", demo.model]
    container = _container("register", demo.torch_image, command, cpu="100m", memory="300Mi")
    container["env"] += _variables({"MLFLOW_TRACKING_URI": demo.tracking_uri})
    template: Obj = {
        "metadata": {"labels": {_APP: "register", **_PART_OF}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    return _object("batch/v1", "Job", demo, "register") | {"spec": {"backoffLimit": 3, "template": template}}


def inference_service(demo: Demo) -> Obj:
    """The base model and every adapter behind one Service, one to `max_replicas` replicas by requests in flight."""
    adapters = [f"{name}=/mnt/models/adapters/{name}" for name in VARIANTS]
    service = _object("serving.kserve.io/v1beta1", "InferenceService", demo, demo.model)
    service["metadata"]["annotations"] = {
        "serving.kserve.io/deploymentMode": "Standard",
        "argosy.dev/scale-down-seconds": str(demo.scale_down_seconds),
    }
    model: Obj = {
        "modelFormat": {"name": "huggingface"},
        "storageUri": "pvc://models/base",
        "args": ["--enable-lora", "--lora-modules", *adapters],
        "env": _variables({"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}),
        "resources": _resources("100m", "700Mi"),
    }
    predictor = {
        "minReplicas": 1,
        "maxReplicas": demo.max_replicas,
        "scaleMetric": "concurrency",
        "scaleTarget": demo.scale_target,
        "model": model,
    }
    return service | {"spec": {"predictor": predictor}}


def burst(demo: Demo, seconds: int, concurrency: int, number: int = 1) -> Obj:
    """The Job `burst-NUMBER` that loads the endpoint; its log is one JSON object."""
    command = ["python", "-m", "argosy.programs.demo.load", "--model", demo.model]
    command += ["--seconds", str(seconds), "--concurrency", str(concurrency)]
    container = _container("burst", demo.gradio_image, command, cpu="50m", memory="100Mi")
    container["env"] += _variables({"OPENAI_BASE_URL": demo.endpoint})
    template: Obj = {
        "metadata": {"labels": {_APP: "burst", **_PART_OF}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    return _object("batch/v1", "Job", demo, f"burst-{number}") | {"spec": {"backoffLimit": 0, "template": template}}


def chat(demo: Demo) -> list[Obj]:
    """The chat app, below the path /chat, against the gateway's endpoint."""
    container = _container(
        "chat", demo.gradio_image, ["python", "-m", "argosy.programs.demo.chat"], "100m", "300Mi"
    ) | {
        "ports": [{"name": "http", "containerPort": _CHAT_PORT}],
        "readinessProbe": {"httpGet": {"path": "/chat/health", "port": _CHAT_PORT}, "periodSeconds": 1},
    }
    container["env"] += _variables({"OPENAI_BASE_URL": demo.endpoint, "ROOT_PATH": "/chat"})
    return [_deployment(demo, "chat", {"containers": [container]}), _service(demo, "chat", _CHAT_PORT)]


def ingresses(demo: Demo) -> list[Obj]:
    """What browsers reach: /chat, /mlflow, and the endpoint at /v1, whose Ingress lives with the gateway."""
    gateway = _ingress(demo, "gateway", [("/v1", demo.gateway_service, demo.gateway_port)])
    gateway["metadata"]["namespace"] = demo.gateway_namespace
    return [_ingress(demo, "demo", [("/chat", "chat", _CHAT_PORT), ("/mlflow", "mlflow", _MLFLOW_PORT)]), gateway]


def everything(demo: Demo) -> list[Obj]:
    """All objects, in the order in which the demo needs them."""
    training = [pretrain(demo), *finetunes(demo), register(demo)]
    return [*claims(demo), *mlflow(demo), *training, inference_service(demo), *chat(demo), *ingresses(demo)]


def _training(demo: Demo, command: Sequence[str], env: Mapping[str, str], *, cpu: str, memory: str) -> Obj:
    container = _container("pytorch", demo.torch_image, command, cpu, memory)
    container["env"] += _variables({"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **env})
    container["volumeMounts"] = [{"name": "models", "mountPath": _MODELS}]
    return {
        "metadata": {"labels": dict(_PART_OF)},
        "spec": {"containers": [container], "volumes": [_volume("models", "models")]},
    }


def _job(demo: Demo, name: str, replicas: Mapping[str, tuple[int, Obj]]) -> Obj:
    specs = {
        type: {"replicas": count, "restartPolicy": "OnFailure", "template": template}
        for type, (count, template) in replicas.items()
    }
    return _object("kubeflow.org/v1", "PyTorchJob", demo, name) | {
        "spec": {"runPolicy": {"backoffLimit": 5}, "pytorchReplicaSpecs": specs}
    }


def _container(name: str, image: str, command: Sequence[str], cpu: str, memory: str) -> Obj:
    return {
        "name": name,
        "image": image,
        "command": list(command),
        "env": [thaw(_POD_IP)],
        "resources": _resources(cpu, memory),
        "securityContext": thaw(_OUT_OF_REACH),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _resources(cpu: str, memory: str) -> Obj:
    """Requests small enough for two CPUs; what is free may be used."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": "2Gi"}}


def _deployment(demo: Demo, name: str, spec: Obj, *, recreate: bool = False) -> Obj:
    labels = {_APP: name, **_PART_OF}
    body: Obj = {
        "replicas": 1,
        "selector": {"matchLabels": {_APP: name}},
        "template": {"metadata": {"labels": labels}, "spec": spec},
    }
    if recreate:
        body["strategy"] = {"type": "Recreate"}  # two would write to one volume
    return _object("apps/v1", "Deployment", demo, name) | {"spec": body}


def _service(demo: Demo, name: str, port: int) -> Obj:
    ports = [{"name": "http", "port": port, "targetPort": "http"}]
    return _object("v1", "Service", demo, name) | {"spec": {"selector": {_APP: name}, "ports": ports}}


def _ingress(demo: Demo, name: str, routes: Sequence[tuple[str, str, int]]) -> Obj:
    paths = [
        {
            "path": path,
            "pathType": "Prefix",
            "backend": {"service": {"name": service, "port": {"number": port}}},
        }
        for path, service, port in routes
    ]
    return _object("networking.k8s.io/v1", "Ingress", demo, name) | {"spec": {"rules": [{"http": {"paths": paths}}]}}


def _object(api_version: str, kind: str, demo: Demo, name: str) -> Obj:
    metadata = {"name": name, "namespace": demo.namespace, "labels": {_APP: name, **_PART_OF}}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _variables(values: Mapping[str, str]) -> list[Obj]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _volume(name: str, claim: str) -> Obj:
    return {"name": name, "persistentVolumeClaim": {"claimName": claim}}
