"""The kind `ray.io/v1 RayJob`, and the words of its status."""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.meta.kind import Column, Kind
from argosy.operators.ray.names import GROUP, VERSION
from argosy.operators.ray.schema import (
    BOOLEAN,
    CLUSTER_SPEC,
    CLUSTER_STATUS,
    INT32,
    INT64,
    MANAGED_BY,
    POD_TEMPLATE,
    STRING,
    TIME,
    array,
    enum,
    fields,
    kind_schema,
    mapping,
)

K8S_JOB, HTTP, SIDECAR, INTERACTIVE = "K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode"
MODES = (K8S_JOB, HTTP, SIDECAR, INTERACTIVE)

NEW, INITIALIZING, RUNNING, WAITING = "", "Initializing", "Running", "Waiting"
SUSPENDING, SUSPENDED, RETRYING = "Suspending", "Suspended", "Retrying"
COMPLETE, FAILED, INVALID = "Complete", "Failed", "ValidationFailed"
JOB_SUCCEEDED, JOB_FAILED = "SUCCEEDED", "FAILED"
JOB_ENDED = (JOB_SUCCEEDED, JOB_FAILED, "STOPPED")

_POLICY = enum("DeleteCluster", "DeleteWorkers", "DeleteSelf", "DeleteNone")
_CONDITION: Obj = fields(
    jobDeploymentStatus=enum("Failed"),
    jobStatus=enum("SUCCEEDED", "FAILED"),
    ttlSeconds=INT32 | {"default": 0, "minimum": 0},
) | {
    "x-kubernetes-validations": [
        {
            "rule": "!(has(self.jobStatus) && has(self.jobDeploymentStatus))",
            "message": "JobStatus and JobDeploymentStatus cannot be used together within the same deletion condition.",
        },
        {
            "rule": "has(self.jobStatus) || has(self.jobDeploymentStatus)",
            "message": "the deletion condition requires either the JobStatus or the JobDeploymentStatus field.",
        },
    ]
}
_DELETION: Obj = fields(
    deletionRules=array(fields(condition=_CONDITION, policy=_POLICY) | {"required": ["condition", "policy"]})
    | {"minItems": 1, "x-kubernetes-list-type": "atomic"},
    onFailure=fields(policy=_POLICY),
    onSuccess=fields(policy=_POLICY),
) | {
    "x-kubernetes-validations": [
        {
            "rule": "!((has(self.onSuccess) || has(self.onFailure)) && has(self.deletionRules))",
            "message": "legacy policies (onSuccess/onFailure) and deletionRules cannot be used together within the"
            " same deletionStrategy",
        },
        {
            "rule": "((has(self.onSuccess) && has(self.onFailure)) || has(self.deletionRules))",
            "message": "deletionStrategy requires either BOTH onSuccess and onFailure, OR the deletionRules field"
            " (cannot be empty)",
        },
    ]
}
_SPEC = fields(
    activeDeadlineSeconds=INT32,
    backoffLimit=INT32 | {"default": 0},
    clusterSelector=mapping(STRING),
    deletionStrategy=_DELETION,
    entrypoint=STRING,
    entrypointNumCpus={"type": "number"},
    entrypointNumGpus={"type": "number"},
    entrypointResources=STRING,
    jobId=STRING,
    managedBy=MANAGED_BY,
    metadata=mapping(STRING),
    preRunningDeadlineSeconds=INT32 | {"minimum": 1},
    rayClusterSpec=CLUSTER_SPEC,
    runtimeEnvYAML=STRING,
    shutdownAfterJobFinishes=BOOLEAN,
    submissionMode=STRING | {"default": K8S_JOB},
    submitterConfig=fields(backoffLimit=INT32),
    submitterPodTemplate=POD_TEMPLATE,
    suspend=BOOLEAN,
    ttlSecondsAfterFinished=INT32 | {"default": 0},
)
_STATUS = fields(
    dashboardURL=STRING,
    endTime=TIME,
    failed=INT32 | {"default": 0},
    jobDeploymentStatus=STRING,
    jobId=STRING,
    jobStatus=STRING,
    jobStatusCheckFailureStartTime=TIME,
    message=STRING,
    observedGeneration=INT64,
    rayClusterName=STRING,
    rayClusterStatus=CLUSTER_STATUS,
    rayJobInfo=fields(endTime=TIME, startTime=TIME),
    reason=STRING,
    startTime=TIME,
    succeeded=INT32 | {"default": 0},
)

RAY_JOB = Kind(
    group=GROUP,
    version=VERSION,
    kind="RayJob",
    plural="rayjobs",
    categories=("all",),
    subresources=frozenset({"status"}),
    columns=(
        Column("job status", path=".status.jobStatus"),
        Column("deployment status", path=".status.jobDeploymentStatus"),
        Column("ray cluster name", path=".status.rayClusterName"),
        Column("start time", path=".status.startTime"),
        Column("end time", path=".status.endTime"),
        Column("age", path=".metadata.creationTimestamp", type="date"),
    ),
    schema=kind_schema(_SPEC, _STATUS),
)
