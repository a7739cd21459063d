"""What Kubernetes fills into built-in objects that leave it out: facts that its OpenAPI does not carry.

One function a kind, in place, over an object that `decode` made; the API server calls `set_defaults` on every built-in
object before it validates. Custom kinds get their defaults from their schema (`structural`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from argosy.meta.defaults import allotment, cluster, network, pods, storage, workloads
from argosy.meta.json import Obj

_TABLE: Final[dict[str, Callable[[Obj], None]]] = {
    "v1/Pod": pods.pod,
    "v1/PodTemplate": pods.pod_template,
    "v1/ReplicationController": workloads.replication_controller,
    "apps/v1/Deployment": workloads.deployment,
    "apps/v1/ReplicaSet": workloads.replica_set,
    "apps/v1/StatefulSet": workloads.stateful_set,
    "apps/v1/DaemonSet": workloads.daemon_set,
    "batch/v1/Job": workloads.job,
    "batch/v1/CronJob": workloads.cron_job,
    "autoscaling/v1/HorizontalPodAutoscaler": workloads.autoscaler_v1,
    "autoscaling/v2/HorizontalPodAutoscaler": workloads.autoscaler,
    "v1/Service": network.service,
    "v1/Endpoints": network.endpoints,
    "discovery.k8s.io/v1/EndpointSlice": network.endpoint_slice,
    "networking.k8s.io/v1/NetworkPolicy": network.network_policy,
    "networking.k8s.io/v1/IngressClass": network.ingress_class,
    "v1/PersistentVolumeClaim": storage.claim,
    "v1/PersistentVolume": storage.volume,
    "storage.k8s.io/v1/StorageClass": storage.storage_class,
    "storage.k8s.io/v1/CSIDriver": storage.csi_driver,
    "v1/Secret": cluster.secret,
    "v1/Namespace": cluster.namespace,
    "v1/Node": cluster.node,
    "v1/LimitRange": cluster.limit_range,
    "rbac.authorization.k8s.io/v1/RoleBinding": cluster.binding,
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": cluster.binding,
    "apiregistration.k8s.io/v1/APIService": cluster.api_service,
    "scheduling.k8s.io/v1/PriorityClass": cluster.priority_class,
    "apiextensions.k8s.io/v1/CustomResourceDefinition": cluster.custom_resource_definition,
    "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration": cluster.webhooks,
    "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration": cluster.webhooks,
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy": cluster.admission_policy,
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": cluster.admission_binding,
    "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy": cluster.admission_policy,
    "admissionregistration.k8s.io/v1/MutatingAdmissionPolicyBinding": cluster.admission_binding,
    "authentication.k8s.io/v1/TokenRequest": cluster.token_request,
    "flowcontrol.apiserver.k8s.io/v1/FlowSchema": allotment.flow_schema,
    "flowcontrol.apiserver.k8s.io/v1/PriorityLevelConfiguration": allotment.priority_level,
    "resource.k8s.io/v1/ResourceClaim": allotment.resource_claim,
    "resource.k8s.io/v1/ResourceSlice": allotment.resource_slice,
    "resource.k8s.io/v1/ResourceClaimTemplate": allotment.resource_claim_template,
}


def set_defaults(api_version: str, kind: str, obj: Obj) -> None:
    """Fill in what the object leaves out, in place. Kinds without defaults stay as they are."""
    fill = _TABLE.get(f"{api_version}/{kind}")
    if fill is not None:
        fill(obj)
