"""The objects that serve a model: a Deployment, the Service before it, and its autoscaler.

Names, labels and ports are KServe's in Standard mode. Pure construction, called by `plan`.
"""

from __future__ import annotations

from argosy import kinds
from argosy.meta.json import Obj, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import annotations_of, labels_of, owner_reference
from argosy.operators.inferenceservice.schema import (
    COMPONENT_FIELDS,
    CONTAINER,
    FRAMEWORKS,
    INFERENCE_SERVICE,
    LABEL_COMPONENT,
    LABEL_SERVICE,
    MODEL_DIR,
    SERVICE_PORT,
)
from argosy.operators.inferenceservice.service import Service
from argosy.operators.inferenceservice.storage import Storage
from argosy.operators.settings import PREFIX

_NOT_OF_THE_POD = COMPONENT_FIELDS | {*FRAMEWORKS, "model", "workerSpec", "storageContainerName", "name", "containers"}
_NOT_OF_THE_CONTAINER = frozenset(
    {"modelFormat", "storageUri", "storage", "protocolVersion", "runtime", "runtimeVersion", "confidential", "name"}
)
_NOT_INHERITED = ("kubectl.kubernetes.io/", "serving.kserve.io/", PREFIX)
_READY_PATH = "/v2/health/ready"
_STRATEGY: Obj = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}


def labels(service: Service, subject: Obj) -> dict[str, str]:
    """The labels of everything that belongs to the service."""
    return {
        **labels_of(subject),
        "app": f"isvc.{service.workload}",
        LABEL_SERVICE: service.name,
        LABEL_COMPONENT: "predictor",
    }


def deployment(service: Service, storage: Storage, subject: Obj) -> Obj:
    """The Deployment, without `spec.replicas`: who sets those depends on the autoscaler."""
    predictor, own = service.predictor, labels(service, subject)
    template_meta: Obj = {"labels": {**own, **(predictor.get("labels") or {}), "app": own["app"]}}
    annotations = {**_inherited(subject), **(predictor.get("annotations") or {})}
    if annotations:
        template_meta["annotations"] = annotations
    return _object(
        kinds.DEPLOYMENT,
        service,
        subject,
        {
            "selector": {"matchLabels": {"app": own["app"]}},
            "strategy": thaw(predictor.get("deploymentStrategy") or _STRATEGY),
            "template": {"metadata": template_meta, "spec": _pod_spec(service, storage)},
        },
    )


def front(service: Service, subject: Obj) -> Obj:
    """The Service: port 80 leads to the model server."""
    port = service.port
    return _object(
        kinds.SERVICE,
        service,
        subject,
        {
            "selector": {"app": f"isvc.{service.workload}"},
            "ports": [
                {
                    "name": port["name"],
                    "port": SERVICE_PORT,
                    "targetPort": port["containerPort"],
                    "protocol": port["protocol"],
                }
            ],
        },
    )


def autoscaler(service: Service, subject: Obj) -> Obj | None:
    """The HorizontalPodAutoscaler for the metrics that a cluster measures itself: cpu and memory."""
    if service.scales_by_requests or service.metric not in ("cpu", "memory"):
        return None
    asked = "scaleMetric" in service.predictor or "scaleTarget" in service.predictor
    if service.autoscaler in ("none", "external") or not (asked or service.rule.most > service.rule.least):
        return None
    spec: Obj = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.workload},
        "minReplicas": max(service.rule.least, 1),
        "maxReplicas": service.rule.most,
        "metrics": [_metric(service)],
    }
    behavior = (service.predictor.get("autoScaling") or {}).get("behavior")
    if behavior:
        spec["behavior"] = thaw(behavior)
    return _object(kinds.HORIZONTAL_POD_AUTOSCALER, service, subject, spec)


def _metric(service: Service) -> Obj:
    kind = service.predictor.get("scaleMetricType") or "Utilization"
    if kind == "Utilization":
        target: Obj = {"type": kind, "averageUtilization": service.rule.target}
    else:
        amount = f"{service.rule.target}Mi" if service.metric == "memory" else str(service.rule.target)
        target = {"type": "AverageValue", "averageValue": amount}
    return {"type": "Resource", "resource": {"name": service.metric, "target": target}}


def _pod_spec(service: Service, storage: Storage) -> Obj:
    predictor = service.predictor
    spec: Obj = {name: thaw(value) for name, value in predictor.items() if name not in _NOT_OF_THE_POD}
    given: list[Obj] = thaw(predictor.get("containers") or [])
    if service.framework:
        beside = [container for container in given if container.get("name") != CONTAINER]
        over = next((container for container in given if container.get("name") == CONTAINER), {})
        spec["containers"] = [_overlay(_server(service, storage), over), *beside]
    else:
        spec["containers"] = given
        for container in given:
            container.setdefault("name", CONTAINER)
        _mount(given[0], storage)
    if storage.volumes:
        spec["volumes"] = [*(spec.get("volumes") or ()), *storage.volumes]
    return spec


def _server(service: Service, storage: Storage) -> Obj:
    """The container of a model framework: what the spec says, and the arguments that every KServe runtime takes."""
    model = service.model
    container: Obj = {name: thaw(value) for name, value in model.items() if name not in _NOT_OF_THE_CONTAINER}
    container |= {"name": CONTAINER, "image": service.image}
    given = list(storage.args)
    args = [] if _gives(given, "--model_name") else [f"--model_name={service.name}"]
    if storage.has_model and not _gives(given, "--model_dir"):
        args.append(f"--model_dir={MODEL_DIR}")
    if service.own_server:
        container.setdefault("command", ["python", "-m", "argosy.programs.model_server"])
        args += [f"--http_port={service.port['containerPort']}", "--host=$(POD_IP)"]
        _set_env(container, {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
        ready = {"path": _READY_PATH, "port": service.port["containerPort"]}
        container.setdefault("readinessProbe", {"httpGet": ready, "periodSeconds": 1, "timeoutSeconds": 5})
    container["args"] = args + given
    # What the server says last is what explains a model that does not load.
    container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    container.setdefault("ports", [{"containerPort": service.port["containerPort"], "protocol": "TCP"}])
    _mount(container, storage)
    return container


def _overlay(container: Obj, over: Obj) -> Obj:
    """A container of the spec that is named as the serving one changes it: lists of names merge, the rest replaces."""
    merged = {**container, **{name: value for name, value in over.items() if name not in ("env", "args")}}
    if over.get("args"):
        merged["args"] = [*container["args"], *over["args"]]
    for entry in over.get("env") or ():
        _set_env(merged, entry)
    return merged


def _set_env(container: Obj, entry: Obj) -> None:
    others = [each for each in container.get("env") or () if each.get("name") != entry["name"]]
    container["env"] = [*others, entry]


def _mount(container: Obj, storage: Storage) -> None:
    if storage.mounts:
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), *storage.mounts]


def _gives(args: list[str], option: str) -> bool:
    return any(arg == option or arg.startswith(f"{option}=") for arg in args)


def _inherited(subject: Obj) -> dict[str, str]:
    return {k: v for k, v in annotations_of(subject).items() if not k.startswith(_NOT_INHERITED)}


def _object(kind: Kind, service: Service, subject: Obj, spec: Obj) -> Obj:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": service.workload,
            "namespace": service.namespace,
            "labels": labels(service, subject),
            "annotations": _inherited(subject),
            "ownerReferences": [owner_reference(subject, INFERENCE_SERVICE)],
        },
        "spec": spec,
    }
