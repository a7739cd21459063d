"""The kind `kubeflow.org/v1 PyTorchJob`: its schema, columns and the names that its pods and Services carry.

The schema is our own writing of the upstream API; pod templates are Kubernetes' own schema, named.
"""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.meta.kind import Column, Kind

MASTER, WORKER = "Master", "Worker"
CONTAINER = "pytorch"
PORT_NAME, PORT = "pytorchjob-port", 23456
OPERATOR_NAME = "pytorchjob-controller"
MANAGED_BY = "kubeflow.org/training-operator"

_LABEL = "training.kubeflow.org/"
LABEL_OPERATOR = f"{_LABEL}operator-name"
LABEL_JOB = f"{_LABEL}job-name"
LABEL_TYPE = f"{_LABEL}replica-type"
LABEL_INDEX = f"{_LABEL}replica-index"
LABEL_ROLE = f"{_LABEL}job-role"

_INT32: Obj = {"type": "integer", "format": "int32"}
_STRING: Obj = {"type": "string"}
_QUANTITY: Obj = {"$builtin": "io.k8s.apimachinery.pkg.api.resource.Quantity"}
_TIME: Obj = {"type": "string", "format": "date-time"}


def _object(**properties: Obj) -> Obj:
    return {"type": "object", "properties": properties}


def _array(items: Obj) -> Obj:
    return {"type": "array", "items": items}


def _map(values: Obj) -> Obj:
    return {"type": "object", "additionalProperties": values}


_SCHEDULING = _object(
    minAvailable=_INT32,
    minResources=_map(_QUANTITY),
    priorityClass=_STRING,
    queue=_STRING
    | {
        "x-kubernetes-validations": [
            {"rule": "self == oldSelf", "message": "spec.runPolicy.schedulingPolicy.queue is immutable"}
        ]
    },
    scheduleTimeoutSeconds=_INT32,
)
_RUN_POLICY = _object(
    activeDeadlineSeconds={"type": "integer", "format": "int64"},
    backoffLimit=_INT32,
    cleanPodPolicy=_STRING,
    managedBy=_STRING,
    schedulingPolicy=_SCHEDULING,
    suspend={"type": "boolean", "default": False},
    ttlSecondsAfterFinished=_INT32,
)
_ELASTIC = _object(
    minReplicas=_INT32,
    maxReplicas=_INT32,
    rdzvBackend=_STRING,
    rdzvPort=_INT32,
    rdzvHost=_STRING,
    rdzvId=_STRING,
    rdzvConf=_array(_object(key=_STRING, value=_STRING)),
    standalone={"type": "boolean"},
    nProcPerNode=_INT32,
    maxRestarts=_INT32,
    metrics=_array({"$builtin": "io.k8s.api.autoscaling.v2.MetricSpec"}),
)
_REPLICA = _object(
    replicas=_INT32,
    restartPolicy=_STRING,
    template={"$builtin": "io.k8s.api.core.v1.PodTemplateSpec"},
)
_CONDITION = _object(
    type=_STRING,
    status=_STRING,
    reason=_STRING,
    message=_STRING,
    lastUpdateTime=_TIME,
    lastTransitionTime=_TIME,
) | {"required": ["status", "type"]}
_REPLICA_STATUS = _object(
    active=_INT32,
    succeeded=_INT32,
    failed=_INT32,
    selector=_STRING,
    labelSelector={"$builtin": "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"},
)
SCHEMA: Obj = _object(
    apiVersion=_STRING,
    kind=_STRING,
    metadata={"type": "object"},
    spec=_object(
        pytorchReplicaSpecs=_map(_REPLICA),
        nprocPerNode=_STRING,
        elasticPolicy=_ELASTIC,
        runPolicy=_RUN_POLICY,
    )
    | {"required": ["pytorchReplicaSpecs"]},
    status=_object(
        conditions=_array(_CONDITION),
        replicaStatuses=_map(_REPLICA_STATUS),
        startTime=_TIME,
        completionTime=_TIME,
        lastReconcileTime=_TIME,
    ),
)

PYTORCH_JOB = Kind(
    group="kubeflow.org",
    version="v1",
    kind="PyTorchJob",
    plural="pytorchjobs",
    subresources=frozenset({"status", "scale"}),
    scale=(
        ".spec.pytorchReplicaSpecs.Worker.replicas",
        ".status.replicaStatuses.Worker.active",
        ".status.replicaStatuses.Worker.selector",
    ),
    columns=(
        Column("State", path=".status.conditions[-1:].type"),
        Column("Age", path=".metadata.creationTimestamp", type="date"),
    ),
    schema=SCHEMA,
)
