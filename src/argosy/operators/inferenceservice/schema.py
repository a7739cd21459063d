"""The kind `serving.kserve.io/v1beta1 InferenceService`: its schema, columns, names and labels.

A component (predictor, transformer, explainer) is a pod's spec with fields of its own beside it; a model framework is a
container with a few more. Both are written here as additions to Kubernetes' own schemas.
"""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.meta.kind import Column, Kind

FRAMEWORKS = (
    "huggingface", "lightgbm", "onnx", "paddle", "pmml", "pytorch", "sklearn", "tensorflow", "triton", "xgboost",
)  # fmt: skip
CONTAINER = "kserve-container"
LABEL_SERVICE = "serving.kserve.io/inferenceservice"
LABEL_COMPONENT = "component"
MODE_ANNOTATION = "serving.kserve.io/deploymentMode"
AUTOSCALER_ANNOTATION = "serving.kserve.io/autoscalerClass"
STOP_ANNOTATION = "serving.kserve.io/stop"
MODEL_DIR = "/mnt/models"
HTTP_PORT, SERVICE_PORT = 8080, 80

_STRING: Obj = {"type": "string"}
_INT32: Obj = {"type": "integer", "format": "int32"}
_INT64: Obj = {"type": "integer", "format": "int64"}
_INT: Obj = {"type": "integer"}
_BOOL: Obj = {"type": "boolean"}
_QUANTITY: Obj = {"$builtin": "io.k8s.apimachinery.pkg.api.resource.Quantity"}


def _object(required: tuple[str, ...] = (), /, **properties: Obj) -> Obj:
    made: Obj = {"type": "object", "properties": properties}
    return made | {"required": list(required)} if required else made


def _array(items: Obj) -> Obj:
    return {"type": "array", "items": items}


def _atomic(items: Obj) -> Obj:
    return _array(items) | {"x-kubernetes-list-type": "atomic"}


def _map(values: Obj) -> Obj:
    return {"type": "object", "additionalProperties": values}


def _enum(*values: str) -> Obj:
    return {"type": "string", "enum": list(values)}


def _extended(builtin: str, additions: dict[str, Obj]) -> Obj:
    """A built-in type with more fields, and none of them required."""
    return {"$builtin": builtin, "properties": additions, "required": []}


_STORAGE = _object(key=_STRING, path=_STRING, parameters=_map(_STRING), schemaPath=_STRING)
_STORAGE_URIS = _atomic(
    _object(
        ("uri",),
        uri=_STRING | {"minLength": 1},
        mountPath=_STRING | {"default": MODEL_DIR, "maxLength": 255, "pattern": "^/.*"},
    )
) | {"minItems": 1}
_MODEL_FIELDS: dict[str, Obj] = {
    "storageUri": _STRING,
    "storage": _STORAGE,
    "protocolVersion": _STRING,
    "runtimeVersion": _STRING,
    "confidential": _object(("enabled",), enabled=_BOOL, resourceId=_STRING),
}
_FRAMEWORK = _extended("io.k8s.api.core.v1.Container", _MODEL_FIELDS)
_MODEL = _extended(
    "io.k8s.api.core.v1.Container",
    _MODEL_FIELDS | {"modelFormat": _object(("name",), name=_STRING, version=_STRING), "runtime": _STRING},
)
_METRIC_TARGET = _object(
    type=_enum("Utilization", "Value", "AverageValue"),
    value=_QUANTITY,
    averageValue=_QUANTITY,
    averageUtilization=_INT32,
)
_METRIC = _object(
    ("type",),
    type=_enum("Resource", "External", "PodMetric"),
    resource=_object(("name", "target"), name=_enum("cpu", "memory"), target=_METRIC_TARGET),
    external=_object(
        ("metric", "target"),
        metric=_object(
            backend=_enum("prometheus", "graphite"), serverAddress=_STRING, query=_STRING, namespace=_STRING
        ),
        authenticationRef=_object(
            ("authenticationRef",),
            authModes=_STRING,
            authenticationRef=_object(("name",), name=_STRING),
        ),
        target=_METRIC_TARGET,
    ),
    podmetric=_object(
        ("metric", "target"),
        metric=_object(
            backend=_enum("opentelemetry"),
            metricNames=_array(_STRING),
            operationOverTime=_STRING,
            query=_STRING,
            serverAddress=_STRING,
        ),
        target=_METRIC_TARGET,
    ),
)
_COMPONENT_FIELDS: dict[str, Obj] = {
    "minReplicas": _INT32,
    "maxReplicas": _INT32,
    "scaleTarget": _INT32,
    "scaleMetric": _enum("cpu", "memory", "concurrency", "rps"),
    "scaleMetricType": _enum("Utilization", "Value", "AverageValue"),
    "autoScaling": _object(
        metrics=_array(_METRIC),
        behavior={"$builtin": "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior"},
    ),
    "containerConcurrency": _INT64,
    "timeout": _INT64,
    "canaryTrafficPercent": _INT64,
    "logger": _object(
        url=_STRING,
        mode=_enum("all", "request", "response"),
        metadataHeaders=_array(_STRING),
        metadataAnnotations=_array(_STRING),
        batchSize=_INT,
        batchInterval=_STRING,
        marshallerUrl=_STRING,
        storage=_object(key=_STRING, path=_STRING, parameters=_map(_STRING), serviceAccountName=_STRING),
    ),
    "batcher": _object(maxBatchSize=_INT, maxLatency=_INT, timeout=_INT),
    "labels": _map(_STRING),
    "annotations": _map(_STRING),
    "deploymentStrategy": {"$builtin": "io.k8s.api.apps.v1.DeploymentStrategy"},
    "storageUris": _STORAGE_URIS,
}
COMPONENT_FIELDS = frozenset(_COMPONENT_FIELDS)
"""The fields of a component that are not its pod's."""
_POD = "io.k8s.api.core.v1.PodSpec"
_WORKER = _extended(_POD, {"pipelineParallelSize": _INT, "tensorParallelSize": _INT})
_PREDICTOR = _extended(
    _POD,
    _COMPONENT_FIELDS
    | dict.fromkeys(FRAMEWORKS, _FRAMEWORK)
    | {
        "model": _MODEL,
        "workerSpec": _WORKER,
        "storageContainerName": _STRING,
        "name": _STRING | {"pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$"},
    },
)
_EXPLAINER_KIND = _extended(
    "io.k8s.api.core.v1.Container",
    {
        "storageUri": _STRING,
        "storage": _STORAGE,
        "runtimeVersion": _STRING,
        "type": _STRING,
        "config": _map(_STRING),
    },
)
_CANARY: Obj = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
"""A predictor once more. Structural schemas cannot refer, and a third of the definition is a high price for a canary."""
_TRANSFORMER = _extended(_POD, _COMPONENT_FIELDS)
_EXPLAINER = _extended(_POD, _COMPONENT_FIELDS | {"art": _EXPLAINER_KIND})

_MODEL_STATE = _enum("", "Pending", "Standby", "Loading", "Loaded", "FailedToLoad")
_MODEL_STATUS = _object(
    ("transitionStatus",),
    transitionStatus=_enum("", "UpToDate", "InProgress", "BlockedByFailedLoad", "InvalidSpec") | {"default": "UpToDate"},
    states=_object(
        ("activeModelState",),
        activeModelState=_MODEL_STATE | {"default": "Pending"},
        targetModelState=_MODEL_STATE | {"default": ""},
    ),
    copies=_object(("failedCopies",), failedCopies=_INT | {"default": 0}, totalCopies=_INT),
    lastFailureInfo=_object(
        location=_STRING,
        reason=_enum(
            "ModelLoadFailed", "RuntimeUnhealthy", "RuntimeDisabled", "NoSupportingRuntime", "RuntimeNotRecognized",
            "InvalidPredictorSpec",
        ),
        message=_STRING,
        modelRevisionName=_STRING,
        exitCode=_INT32,
        time={"type": "string", "format": "date-time"},
    ),
)  # fmt: skip
_ADDRESS = _object(name=_STRING, url=_STRING, CACerts=_STRING, audience=_STRING)
_TRAFFIC = _object(
    configurationName=_STRING,
    latestRevision=_BOOL,
    percent=_INT64,
    revisionName=_STRING,
    tag=_STRING,
    url=_STRING,
)
_COMPONENT_STATUS = _object(
    address=_ADDRESS,
    url=_STRING,
    restUrl=_STRING,
    grpcUrl=_STRING,
    latestCreatedRevision=_STRING,
    latestReadyRevision=_STRING,
    latestRolledoutRevision=_STRING,
    previousRolledoutRevision=_STRING,
    traffic=_array(_TRAFFIC),
)
_CONDITION = _object(
    ("status", "type"),
    type=_STRING,
    status=_STRING,
    reason=_STRING,
    message=_STRING,
    severity=_STRING,
    lastTransitionTime=_STRING,
)
_STATUS = _object(
    address=_ADDRESS,
    annotations=_map(_STRING),
    canaryStatuses=_atomic(
        _object(
            ("name", "ready", "trafficPercent"),
            name=_STRING,
            ready=_BOOL,
            trafficPercent=_INT32,
            modelStatus=_MODEL_STATUS,
        )
    ),
    clusterServingRuntimeName=_STRING,
    components=_map(_COMPONENT_STATUS),
    conditions=_array(_CONDITION),
    deploymentMode=_STRING,
    modelStatus=_MODEL_STATUS,
    observedGeneration=_INT64,
    servingRuntimeName=_STRING,
    url=_STRING,
)
SCHEMA: Obj = _object(
    apiVersion=_STRING,
    kind=_STRING,
    metadata={"type": "object"},
    spec=_object(
        ("predictor",),
        predictor=_PREDICTOR,
        transformer=_TRANSFORMER,
        explainer=_EXPLAINER,
        canary=_atomic(
            _object(("predictor", "trafficPercent"), predictor=_CANARY, trafficPercent=_INT32 | {"minimum": 0, "maximum": 100})
        ),
    ),
    status=_STATUS | {"x-kubernetes-preserve-unknown-fields": True},
)  # fmt: skip

INFERENCE_SERVICE = Kind(
    group="serving.kserve.io",
    version="v1beta1",
    kind="InferenceService",
    plural="inferenceservices",
    short_names=("isvc",),
    subresources=frozenset({"status"}),
    columns=(
        Column("URL", path=".status.url"),
        Column("Ready", path=".status.conditions[?(@.type=='Ready')].status"),
        Column("Prev", path=".status.components.predictor.traffic[?(@.tag=='prev')].percent", type="integer"),
        Column(
            "Latest", path=".status.components.predictor.traffic[?(@.latestRevision==true)].percent", type="integer"
        ),
        Column(
            "PrevRolledoutRevision",
            path=".status.components.predictor.traffic[?(@.tag=='prev')].revisionName",
        ),
        Column(
            "LatestReadyRevision",
            path=".status.components.predictor.traffic[?(@.latestRevision==true)].revisionName",
        ),
        Column("Age", path=".metadata.creationTimestamp", type="date"),
    ),
    schema=SCHEMA,
)
