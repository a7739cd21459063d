"""The kind `jobset.x-k8s.io/v1alpha2 JobSet`: its schema, columns and the names that its Jobs carry.

The schema is our own writing of the upstream API. Upstream fills some fields in by a webhook; here they are defaults of
the schema, so that every cluster that knows the kind fills them in, before it checks what is required. TrainJob's
runtimes hold a JobSet's spec too, but keep it as it was written: `spec_schema` serves both.
"""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.meta.kind import Column, Kind

CONTROLLER = "jobset.sigs.k8s.io/jobset-controller"
"""The value of `spec.managedBy` that means this operator."""

_KEY = "jobset.sigs.k8s.io/"
NAME = f"{_KEY}jobset-name"
UID = f"{_KEY}jobset-uid"
REPLICATED_JOB = f"{_KEY}replicatedjob-name"
RESTART_ATTEMPT = f"{_KEY}restart-attempt"
JOB_RESTART_ATTEMPT = f"{_KEY}job-restart-attempt"
REPLICAS = f"{_KEY}replicatedjob-replicas"
GLOBAL_REPLICAS = f"{_KEY}global-replicas"
JOB_INDEX = f"{_KEY}job-index"
GLOBAL_INDEX = f"{_KEY}job-global-index"
JOB_KEY = f"{_KEY}job-key"
GROUP = f"{_KEY}group-name"
GROUP_REPLICAS = f"{_KEY}group-replicas"
GROUP_INDEX = f"{_KEY}job-group-index"
COORDINATOR = f"{_KEY}coordinator"
EXCLUSIVE = "alpha.jobset.sigs.k8s.io/exclusive-topology"
NODE_SELECTOR = "alpha.jobset.sigs.k8s.io/node-selector"
NAMESPACED_JOB = "alpha.jobset.sigs.k8s.io/namespaced-job"
NO_SCHEDULE = "alpha.jobset.sigs.k8s.io/no-schedule"

INT32: Obj = {"type": "integer", "format": "int32"}
STRING: Obj = {"type": "string"}
_BOOLEAN: Obj = {"type": "boolean"}
_IMMUTABLE: Obj = {"x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "Value is immutable"}]}


def object_of(*required: str, **properties: Obj) -> Obj:
    """The schema of an object."""
    made: Obj = {"type": "object", "properties": properties}
    return made | {"required": list(required)} if required else made


def array_of(items: Obj, *, key: str = "") -> Obj:
    """The schema of a list; with `key`, one whose items are told apart by that field."""
    made: Obj = {"type": "array", "items": items}
    return made | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]} if key else made


_ATOMIC: Obj = array_of(STRING) | {"x-kubernetes-list-type": "atomic"}
CONDITION = object_of(
    "lastTransitionTime", "message", "reason", "status", "type",
    type=STRING,
    status={"type": "string", "enum": ["True", "False", "Unknown"]},
    reason={"type": "string", "minLength": 1, "maxLength": 1024},
    message={"type": "string", "maxLength": 32768},
    lastTransitionTime={"type": "string", "format": "date-time"},
    observedGeneration={"type": "integer", "format": "int64", "minimum": 0},
)  # fmt: skip
"""`metav1.Condition`."""

_RULE = object_of(
    "action",  # upstream requires a name too, after its webhook has given one; here `failure` does
    name=STRING,
    action={
        "type": "string",
        "enum": [
            "FailJobSet",
            "RestartJobSet",
            "RestartJobSetAndIgnoreMaxRestarts",
            "RestartJob",
            "RestartJobAndIgnoreMaxRestarts",
        ],
    },
    onJobFailureReasons=array_of(STRING),
    onJobFailureMessagePatterns=array_of(STRING),
    targetReplicatedJobs=_ATOMIC,
)
_FAILURE_POLICY = _IMMUTABLE | object_of(
    maxRestarts=INT32,
    restartStrategy={
        "type": "string",
        "enum": ["Recreate", "BlockingRecreate", "InPlaceRestart"],
        "default": "Recreate",
    },
    rules=array_of(_RULE),
)
_WHEN_DELETED: Obj = {"type": "string", "enum": ["Delete", "Retain"], "default": "Delete"}
_CLAIM = object_of(
    apiVersion=STRING,
    kind=STRING,
    metadata=object_of(
        name=STRING,
        namespace=STRING,
        labels={"type": "object", "additionalProperties": STRING},
        annotations={"type": "object", "additionalProperties": STRING},
        finalizers=array_of(STRING),
    ),
    spec={"$builtin": "io.k8s.api.core.v1.PersistentVolumeClaimSpec"},
    status={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
)


def _replicated_job(*, filled_in: bool) -> Obj:
    template: Obj = {"$builtin": "io.k8s.api.batch.v1.JobTemplateSpec"}
    if filled_in:
        pod_spec = {"properties": {"restartPolicy": {"default": "OnFailure"}}}
        job_spec = {"completionMode": {"default": "Indexed"}, "template": {"properties": {"spec": pod_spec}}}
        template["properties"] = {"spec": {"properties": job_spec}}
    dependency = object_of("name", "status", name=STRING, status={"type": "string", "enum": ["Ready", "Complete"]})
    return object_of(
        "name", "template",
        name=STRING,
        groupName={"type": "string", "default": "default"},
        replicas=INT32 | {"minimum": 0, "default": 1},
        template=template,
        dependsOn=array_of(dependency, key="name") | {"maxItems": 5} | _IMMUTABLE,
    )  # fmt: skip


def spec_schema(*, filled_in: bool) -> Obj:
    """The schema of a JobSet's spec; with `filled_in`, what upstream's webhook adds stands in it as defaults."""
    network = object_of(enableDNSHostnames=_BOOLEAN, publishNotReadyAddresses=_BOOLEAN, subdomain=STRING)
    success = object_of("operator", operator={"type": "string", "enum": ["All", "Any"]}, targetReplicatedJobs=_ATOMIC)
    startup = object_of("startupPolicyOrder", startupPolicyOrder={"type": "string", "enum": ["AnyOrder", "InOrder"]})
    retention = object_of(whenDeleted=_WHEN_DELETED)
    if filled_in:
        for field in ("enableDNSHostnames", "publishNotReadyAddresses"):
            network["properties"][field] = _BOOLEAN | {"default": True}
        network["default"] = {}
        success["default"] = {"operator": "All"}
        startup["default"] = {"startupPolicyOrder": "AnyOrder"}
        retention["default"] = {}
    claims = object_of(
        templates=array_of(_CLAIM) | {"x-kubernetes-list-type": "atomic", "maxItems": 50}, retentionPolicy=retention
    )
    return object_of(
        replicatedJobs=array_of(_replicated_job(filled_in=filled_in), key="name"),
        network=network | _IMMUTABLE,
        successPolicy=success | _IMMUTABLE,
        failurePolicy=_FAILURE_POLICY,
        startupPolicy=startup | _IMMUTABLE,
        suspend=_BOOLEAN,
        coordinator=object_of(
            "replicatedJob", replicatedJob=STRING, jobIndex={"type": "integer"}, podIndex={"type": "integer"}
        ),
        managedBy=STRING,
        ttlSecondsAfterFinished=INT32 | {"minimum": 0},
        volumeClaimPolicies=array_of(claims) | {"x-kubernetes-list-type": "atomic", "maxItems": 50} | _IMMUTABLE,
    )


_REPLICATED_JOB_STATUS = object_of(
    "active", "failed", "name", "ready", "succeeded", "suspended",
    name=STRING,
    ready=INT32,
    succeeded=INT32,
    failed=INT32,
    active=INT32,
    suspended=INT32,
    jobRestarts=array_of(INT32) | {"x-kubernetes-list-type": "atomic"},
    jobRestartsCountTowardsMax=array_of(INT32) | {"x-kubernetes-list-type": "atomic"},
)  # fmt: skip

JOB_SET = Kind(
    group="jobset.x-k8s.io",
    version="v1alpha2",
    kind="JobSet",
    plural="jobsets",
    subresources=frozenset({"status"}),
    columns=(
        Column("TerminalState", path=".status.terminalState", description="Final state of JobSet"),
        Column("Restarts", path=".status.restarts", description="Number of restarts"),
        Column("Completed", path='.status.conditions[?(@.type=="Completed")].status'),
        Column("Suspended", path=".spec.suspend", description="JobSet suspended"),
        Column("Age", path=".metadata.creationTimestamp", type="date", description="Time this JobSet was created"),
    ),
    schema=object_of(
        spec=spec_schema(filled_in=True),
        status=object_of(
            conditions=array_of(CONDITION, key="type"),
            restarts=INT32,
            restartsCountTowardsMax=INT32,
            terminalState=STRING,
            replicatedJobsStatus=array_of(_REPLICATED_JOB_STATUS, key="name"),
            previousInPlaceRestartAttempt=INT32,
            currentInPlaceRestartAttempt=INT32,
        ),
    ),
)
