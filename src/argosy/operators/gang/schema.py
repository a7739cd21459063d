"""The schema that all `kubeflow.org/v1` kinds share: `runPolicy`, replica specs and the status.

Our own writing of the upstream API; pod templates are Kubernetes' own schema, named. Each kind's `schema.py` calls `kind`.
"""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.meta.kind import Column, Kind

INT32: Obj = {"type": "integer", "format": "int32"}
STRING: Obj = {"type": "string"}
BOOLEAN: Obj = {"type": "boolean"}
_QUANTITY: Obj = {"$builtin": "io.k8s.apimachinery.pkg.api.resource.Quantity"}
_TIME: Obj = {"type": "string", "format": "date-time"}


def object_of(**properties: Obj) -> Obj:
    """An object with these properties."""
    return {"type": "object", "properties": properties}


def array_of(items: Obj) -> Obj:
    """A list."""
    return {"type": "array", "items": items}


def map_of(values: Obj) -> Obj:
    """An object with free names."""
    return {"type": "object", "additionalProperties": values}


METRICS: Obj = array_of({"$builtin": "io.k8s.api.autoscaling.v2.MetricSpec"})
_SCHEDULING = object_of(
    minAvailable=INT32,
    minResources=map_of(_QUANTITY),
    priorityClass=STRING,
    queue=STRING
    | {
        "x-kubernetes-validations": [
            {"rule": "self == oldSelf", "message": "spec.runPolicy.schedulingPolicy.queue is immutable"}
        ]
    },
    scheduleTimeoutSeconds=INT32,
)
RUN_POLICY = object_of(
    activeDeadlineSeconds={"type": "integer", "format": "int64"},
    backoffLimit=INT32,
    cleanPodPolicy=STRING,
    managedBy=STRING,
    schedulingPolicy=_SCHEDULING,
    suspend={"type": "boolean", "default": False},
    ttlSecondsAfterFinished=INT32,
)
REPLICA = object_of(
    replicas=INT32,
    restartPolicy=STRING,
    template={"$builtin": "io.k8s.api.core.v1.PodTemplateSpec"},
)
_CONDITION = object_of(
    type=STRING,
    status=STRING,
    reason=STRING,
    message=STRING,
    lastUpdateTime=_TIME,
    lastTransitionTime=_TIME,
) | {"required": ["status", "type"]}
_REPLICA_STATUS = object_of(
    active=INT32,
    succeeded=INT32,
    failed=INT32,
    selector=STRING,
    labelSelector={"$builtin": "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"},
)
STATUS = object_of(
    conditions=array_of(_CONDITION),
    replicaStatuses=map_of(_REPLICA_STATUS),
    startTime=_TIME,
    completionTime=_TIME,
    lastReconcileTime=_TIME,
)


def kind(name: str, specs: str, *, scales: bool = True, version: str = "v1", **fields: Obj) -> Kind:
    """A kind of the group `kubeflow.org` whose replicas are in `spec.<specs>`, with these further fields in its spec.

    `scales`: whether it has the subresource `scale`, which then counts its workers.
    """
    spec = object_of(**{specs: map_of(REPLICA), "runPolicy": RUN_POLICY}, **fields) | {"required": [specs]}
    worker = ".status.replicaStatuses.Worker"
    return Kind(
        group="kubeflow.org",
        version=version,
        kind=name,
        plural=f"{name.lower()}s",
        subresources=frozenset({"status", "scale"} if scales else {"status"}),
        scale=(f".spec.{specs}.Worker.replicas", f"{worker}.active", f"{worker}.selector") if scales else None,
        columns=(
            Column("State", path=".status.conditions[-1:].type"),
            Column("Age", path=".metadata.creationTimestamp", type="date"),
        ),
        schema=object_of(apiVersion=STRING, kind=STRING, metadata={"type": "object"}, spec=spec, status=STATUS),
    )
