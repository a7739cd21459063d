"""The kind `ray.io/v1 RayService`, and the words of its status."""

from __future__ import annotations

from argosy.meta.kind import Column, Kind
from argosy.operators.ray.names import GROUP, VERSION
from argosy.operators.ray.schema import (
    BOOLEAN,
    CLUSTER_SPEC,
    CLUSTER_STATUS,
    CONDITIONS,
    INT32,
    INT64,
    MANAGED_BY,
    SERVICE,
    STRING,
    TIME,
    fields,
    kind_schema,
    mapping,
)

NEW_CLUSTER, INCREMENTAL, NO_UPGRADE = "NewCluster", "NewClusterWithIncrementalUpgrade", "None"
READY, UPGRADING = "Ready", "UpgradeInProgress"
SUSPENDING, SUSPENDED = "Suspending", "Suspended"

_SPEC = fields(
    deploymentUnhealthySecondThreshold=INT32,
    excludeHeadPodFromServeSvc=BOOLEAN,
    managedBy=MANAGED_BY,
    rayClusterConfig=CLUSTER_SPEC,
    rayClusterDeletionDelaySeconds=INT32 | {"minimum": 0},
    serveConfigV2=STRING,
    serveService=SERVICE,
    serviceUnhealthySecondThreshold=INT32,
    suspend=BOOLEAN,
    upgradeStrategy=fields(
        clusterUpgradeOptions=fields(
            gatewayClassName=STRING,
            intervalSeconds=INT32,
            maxSurgePercent=INT32 | {"default": 100},
            stepSizePercent=INT32,
        )
        | {"required": ["gatewayClassName", "intervalSeconds", "stepSizePercent"]},
        type=STRING,
    ),
) | {"required": ["rayClusterConfig"]}
_SERVED = fields(
    applicationStatuses=mapping(
        fields(message=STRING, status=STRING, serveDeploymentStatuses=mapping(fields(message=STRING, status=STRING)))
    ),
    lastTrafficMigratedTime=TIME,
    rayClusterName=STRING,
    rayClusterStatus=CLUSTER_STATUS,
    targetCapacity=INT32,
    trafficRoutedPercent=INT32,
)
_STATUS = fields(
    activeServiceStatus=_SERVED,
    conditions=CONDITIONS,
    lastUpdateTime=TIME,
    numServeEndpoints=INT32,
    observedGeneration=INT64,
    pendingServiceStatus=_SERVED,
    serviceStatus=STRING,
)

RAY_SERVICE = Kind(
    group=GROUP,
    version=VERSION,
    kind="RayService",
    plural="rayservices",
    categories=("all",),
    subresources=frozenset({"status"}),
    columns=(
        Column("service status", path=".status.serviceStatus"),
        Column("num serve endpoints", path=".status.numServeEndpoints"),
        Column("age", path=".metadata.creationTimestamp", type="date"),
    ),
    schema=kind_schema(_SPEC, _STATUS),
)
