"""What makes built-in objects invalid beyond their types: one function a kind, in Kubernetes' words.

The API server calls `check` on every built-in object, decoded and defaulted, before it stores it; `metadata` it checks
itself. Custom objects are checked by their schema (`validation`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from argosy.errors import Cause
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.rules import (
    admission,
    attachments,
    certificates,
    cluster,
    config,
    crd,
    devices,
    flow,
    jobs,
    network,
    nodes,
    pod,
    scaling,
    services,
    slices,
    storage,
    workloads,
)

Rule = Callable[[Obj, Obj | None], list[Cause]]

_TABLE: Final[dict[str, Rule]] = {
    "v1/Pod": pod.check,
    "v1/PodTemplate": pod.pod_template,
    "v1/ReplicationController": workloads.replication_controller,
    "apps/v1/Deployment": workloads.deployment,
    "apps/v1/ReplicaSet": workloads.replica_set,
    "apps/v1/StatefulSet": workloads.stateful_set,
    "apps/v1/DaemonSet": workloads.daemon_set,
    "apps/v1/ControllerRevision": workloads.controller_revision,
    "batch/v1/Job": jobs.job,
    "batch/v1/CronJob": jobs.cron_job,
    "autoscaling/v1/HorizontalPodAutoscaler": scaling.autoscaler,
    "autoscaling/v2/HorizontalPodAutoscaler": scaling.autoscaler,
    "policy/v1/PodDisruptionBudget": scaling.disruption_budget,
    "v1/Service": services.service,
    "v1/Endpoints": network.endpoints,
    "discovery.k8s.io/v1/EndpointSlice": network.endpoint_slice,
    "networking.k8s.io/v1/Ingress": network.ingress,
    "networking.k8s.io/v1/IngressClass": network.ingress_class,
    "networking.k8s.io/v1/NetworkPolicy": network.network_policy,
    "v1/PersistentVolumeClaim": storage.claim,
    "v1/PersistentVolume": storage.volume,
    "storage.k8s.io/v1/StorageClass": storage.storage_class,
    "storage.k8s.io/v1/CSIDriver": storage.csi_driver,
    "storage.k8s.io/v1/CSINode": attachments.csi_node,
    "storage.k8s.io/v1/VolumeAttachment": attachments.volume_attachment,
    "storage.k8s.io/v1/CSIStorageCapacity": attachments.storage_capacity,
    "storage.k8s.io/v1/VolumeAttributesClass": attachments.attributes_class,
    "v1/Node": nodes.node,
    "v1/Namespace": nodes.namespace,
    "v1/Event": nodes.core_event,
    "events.k8s.io/v1/Event": nodes.event,
    "v1/ConfigMap": config.config_map,
    "v1/Secret": config.secret,
    "v1/ResourceQuota": config.quota,
    "v1/LimitRange": config.limit_range,
    "scheduling.k8s.io/v1/PriorityClass": config.priority_class,
    "rbac.authorization.k8s.io/v1/Role": cluster.role,
    "rbac.authorization.k8s.io/v1/ClusterRole": cluster.cluster_role,
    "rbac.authorization.k8s.io/v1/RoleBinding": cluster.role_binding,
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": cluster.cluster_role_binding,
    "node.k8s.io/v1/RuntimeClass": cluster.runtime_class,
    "coordination.k8s.io/v1/Lease": cluster.lease,
    "apiregistration.k8s.io/v1/APIService": cluster.api_service,
    "certificates.k8s.io/v1/CertificateSigningRequest": certificates.request,
    "flowcontrol.apiserver.k8s.io/v1/FlowSchema": flow.flow_schema,
    "flowcontrol.apiserver.k8s.io/v1/PriorityLevelConfiguration": flow.priority_level,
    "resource.k8s.io/v1/ResourceClaim": devices.claim,
    "resource.k8s.io/v1/ResourceClaimTemplate": devices.claim_template,
    "resource.k8s.io/v1/DeviceClass": devices.device_class,
    "resource.k8s.io/v1/ResourceSlice": slices.resource_slice,
    "apiextensions.k8s.io/v1/CustomResourceDefinition": crd.check,
    "authorization.k8s.io/v1/SubjectAccessReview": cluster.access_review,
    "authorization.k8s.io/v1/LocalSubjectAccessReview": cluster.access_review,
    "authorization.k8s.io/v1/SelfSubjectAccessReview": cluster.self_access_review,
    "authentication.k8s.io/v1/TokenRequest": cluster.token_request,
    "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration": admission.webhooks,
    "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration": admission.webhooks,
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy": admission.admission_policy,
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": admission.admission_binding,
}


def check(kind: Kind, new: Obj, old: Obj | None = None) -> list[Cause]:
    """What is wrong with a built-in object, created (`old` is None) or updated; nothing for kinds without rules."""
    rule = _TABLE.get(f"{kind.api_version}/{kind.kind}")
    return rule(new, old) if rule is not None else []
