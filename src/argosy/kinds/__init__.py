"""The built-in kinds that the engine serves: one file a group of kin, each a `Kind` value with its printer columns.

Everything that names a kind imports it from here (`kinds.POD`); the API server serves `ALL`.
"""

from __future__ import annotations

from argosy.kinds import (
    apps,
    autoscaling,
    batch,
    core_config,
    core_node,
    core_pod,
    core_service,
    events,
    extensions,
    metrics,
    networking,
    policy,
    rbac,
    resources,
    reviews,
    volumes,
)
from argosy.kinds.apps import (
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
)
from argosy.kinds.autoscaling import HORIZONTAL_POD_AUTOSCALER, HORIZONTAL_POD_AUTOSCALER_V1, SCALE
from argosy.kinds.batch import CRON_JOB, JOB
from argosy.kinds.core_config import (
    COMPONENT_STATUS,
    CONFIG_MAP,
    LIMIT_RANGE,
    NAMESPACE,
    RESOURCE_QUOTA,
    SECRET,
    SERVICE_ACCOUNT,
)
from argosy.kinds.core_node import LEASE, NODE, RUNTIME_CLASS
from argosy.kinds.core_pod import (
    BINDING,
    POD,
    POD_TEMPLATE,
    REPLICATION_CONTROLLER,
)
from argosy.kinds.core_service import ENDPOINT_SLICE, ENDPOINTS, SERVICE
from argosy.kinds.events import EVENT, EVENTS_V1
from argosy.kinds.extensions import (
    API_SERVICE,
    CERTIFICATE_SIGNING_REQUEST,
    CUSTOM_RESOURCE_DEFINITION,
    FLOW_SCHEMA,
    MUTATING_WEBHOOK_CONFIGURATION,
    PRIORITY_LEVEL_CONFIGURATION,
    VALIDATING_ADMISSION_POLICY,
    VALIDATING_ADMISSION_POLICY_BINDING,
    VALIDATING_WEBHOOK_CONFIGURATION,
)
from argosy.kinds.metrics import NODE_METRICS, POD_METRICS
from argosy.kinds.networking import (
    INGRESS,
    INGRESS_CLASS,
    IP_ADDRESS,
    NETWORK_POLICY,
    SERVICE_CIDR,
)
from argosy.kinds.policy import EVICTION, POD_DISRUPTION_BUDGET, PRIORITY_CLASS
from argosy.kinds.rbac import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    ROLE,
    ROLE_BINDING,
)
from argosy.kinds.resources import (
    DEVICE_CLASS,
    RESOURCE_CLAIM,
    RESOURCE_CLAIM_TEMPLATE,
    RESOURCE_SLICE,
)
from argosy.kinds.reviews import (
    LOCAL_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    SUBJECT_ACCESS_REVIEW,
    TOKEN_REQUEST,
    TOKEN_REVIEW,
)
from argosy.kinds.volumes import (
    CSI_DRIVER,
    CSI_NODE,
    CSI_STORAGE_CAPACITY,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    STORAGE_CLASS,
    VOLUME_ATTACHMENT,
    VOLUME_ATTRIBUTES_CLASS,
)
from argosy.meta.kind import Kind

ALL: tuple[Kind, ...] = (
    *core_pod.ALL,
    *core_service.ALL,
    *core_config.ALL,
    *core_node.ALL,
    *events.ALL,
    *volumes.ALL,
    *apps.ALL,
    *batch.ALL,
    *autoscaling.ALL,
    *policy.ALL,
    *networking.ALL,
    *rbac.ALL,
    *reviews.ALL,
    *extensions.ALL,
    *resources.ALL,
    *metrics.ALL,
)
"""Every served built-in kind, once per version."""

_BY_GVK = {(kind.group, kind.version, kind.kind): kind for kind in (*ALL, SCALE, EVICTION, TOKEN_REQUEST)}
_BY_RESOURCE = {(kind.group, kind.version, kind.plural): kind for kind in ALL}


def by_gvk(group: str, version: str, kind: str) -> Kind | None:
    """The built-in kind of that name, `by_gvk("apps", "v1", "Deployment")`."""
    return _BY_GVK.get((group, version, kind))


def by_resource(group: str, version: str, plural: str) -> Kind | None:
    """The built-in kind under that path, `by_resource("apps", "v1", "deployments")`."""
    return _BY_RESOURCE.get((group, version, plural))


def of(obj_api_version: str, obj_kind: str) -> Kind | None:
    """The built-in kind that an object's `apiVersion` and `kind` name."""
    group, slash, version = obj_api_version.rpartition("/")
    return _BY_GVK.get((group if slash else "", version, obj_kind))


__all__ = [
    "ALL",
    "API_SERVICE",
    "BINDING",
    "CERTIFICATE_SIGNING_REQUEST",
    "CLUSTER_ROLE",
    "CLUSTER_ROLE_BINDING",
    "COMPONENT_STATUS",
    "CONFIG_MAP",
    "CONTROLLER_REVISION",
    "CRON_JOB",
    "CSI_DRIVER",
    "CSI_NODE",
    "CSI_STORAGE_CAPACITY",
    "CUSTOM_RESOURCE_DEFINITION",
    "DAEMON_SET",
    "DEPLOYMENT",
    "DEVICE_CLASS",
    "ENDPOINTS",
    "ENDPOINT_SLICE",
    "EVENT",
    "EVENTS_V1",
    "EVICTION",
    "FLOW_SCHEMA",
    "HORIZONTAL_POD_AUTOSCALER",
    "HORIZONTAL_POD_AUTOSCALER_V1",
    "INGRESS",
    "INGRESS_CLASS",
    "IP_ADDRESS",
    "JOB",
    "LEASE",
    "LIMIT_RANGE",
    "LOCAL_SUBJECT_ACCESS_REVIEW",
    "MUTATING_WEBHOOK_CONFIGURATION",
    "NAMESPACE",
    "NETWORK_POLICY",
    "NODE",
    "NODE_METRICS",
    "PERSISTENT_VOLUME",
    "PERSISTENT_VOLUME_CLAIM",
    "POD",
    "POD_DISRUPTION_BUDGET",
    "POD_METRICS",
    "POD_TEMPLATE",
    "PRIORITY_CLASS",
    "PRIORITY_LEVEL_CONFIGURATION",
    "REPLICATION_CONTROLLER",
    "REPLICA_SET",
    "RESOURCE_CLAIM",
    "RESOURCE_CLAIM_TEMPLATE",
    "RESOURCE_QUOTA",
    "RESOURCE_SLICE",
    "ROLE",
    "ROLE_BINDING",
    "RUNTIME_CLASS",
    "SCALE",
    "SECRET",
    "SELF_SUBJECT_ACCESS_REVIEW",
    "SELF_SUBJECT_REVIEW",
    "SELF_SUBJECT_RULES_REVIEW",
    "SERVICE",
    "SERVICE_ACCOUNT",
    "SERVICE_CIDR",
    "STATEFUL_SET",
    "STORAGE_CLASS",
    "SUBJECT_ACCESS_REVIEW",
    "TOKEN_REQUEST",
    "TOKEN_REVIEW",
    "VALIDATING_ADMISSION_POLICY",
    "VALIDATING_ADMISSION_POLICY_BINDING",
    "VALIDATING_WEBHOOK_CONFIGURATION",
    "VOLUME_ATTACHMENT",
    "VOLUME_ATTRIBUTES_CLASS",
    "by_gvk",
    "by_resource",
    "of",
]
