"""The objects that run the gateway in a cluster, ready for `kubectl apply` anywhere.

The service account may read InferenceServices and EndpointSlices of all namespaces, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from argosy.meta.json import Obj

_NAME = "gateway"
_PORT = 8000
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class GatewayPlacement:
    """Where the gateway runs, and as what. The image must hold this package; `api_keys_secret` names a Secret whose
    values are the accepted keys.
    """

    image: str = "argosy/runtime:latest"
    namespace: str = "argosy-system"
    api_keys_secret: str = ""
    queue_seconds: float = 120.0
    create_namespace: bool = True


def gateway_manifests(placement: GatewayPlacement | None = None) -> list[Obj]:
    """Namespace, ServiceAccount, ClusterRole and binding, Deployment, Service."""
    place = placement or GatewayPlacement()
    role = f"argosy-{_NAME}"
    rules = [
        {"apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]},
    ]
    account = {"kind": "ServiceAccount", "name": _NAME, "namespace": place.namespace}
    binding = {
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [account],
    }
    port = {"name": "http", "port": _PORT, "targetPort": "http", "protocol": "TCP"}
    made = [
        _object("v1", "ServiceAccount", _NAME, place.namespace),
        _object(f"{_RBAC}/v1", "ClusterRole", role, "", rules=rules),
        _object(f"{_RBAC}/v1", "ClusterRoleBinding", role, "", **binding),
        _object("apps/v1", "Deployment", _NAME, place.namespace, spec=_deployment(place)),
        _object("v1", "Service", _NAME, place.namespace, spec={"selector": {"app": _NAME}, "ports": [port]}),
    ]
    return [_object("v1", "Namespace", place.namespace, ""), *made] if place.create_namespace else made


def _object(api_version: str, kind: str, name: str, namespace: str, **fields: object) -> Obj:
    metadata: Obj = {"name": name, "labels": {"app": _NAME, "app.kubernetes.io/part-of": "argosy"}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def _deployment(place: GatewayPlacement) -> Obj:
    command = ["python", "-m", "argosy.programs.gateway", "--host", "$(POD_IP)", "--port", str(_PORT)]
    command += ["--queue-seconds", f"{place.queue_seconds:g}"]
    container: Obj = {
        "name": _NAME,
        "image": place.image,
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "ports": [{"name": "http", "containerPort": _PORT}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": _PORT}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": _PORT}, "periodSeconds": 10, "timeoutSeconds": 5},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec: Obj = {"serviceAccountName": _NAME, "terminationGracePeriodSeconds": 30, "containers": [container]}
    if place.api_keys_secret:
        command += ["--api-keys", "/etc/argosy/keys"]
        container["volumeMounts"] = [{"name": "keys", "mountPath": "/etc/argosy/keys", "readOnly": True}]
        spec["volumes"] = [{"name": "keys", "secret": {"secretName": place.api_keys_secret}}]
    container["command"] = command
    return {
        "replicas": 1,
        "selector": {"matchLabels": {"app": _NAME}},
        "template": {"metadata": {"labels": {"app": _NAME}}, "spec": spec},
    }
