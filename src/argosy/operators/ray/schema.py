"""What the schemas of the three kinds have in common: the spec of a cluster, its status, and conditions.

The schema is our own writing of the upstream API; what Kubernetes defines is named and not repeated.
"""

from __future__ import annotations

from argosy.meta.json import Obj

INT32: Obj = {"type": "integer", "format": "int32"}
INT64: Obj = {"type": "integer", "format": "int64"}
STRING: Obj = {"type": "string"}
BOOLEAN: Obj = {"type": "boolean"}
QUANTITY: Obj = {"$builtin": "io.k8s.apimachinery.pkg.api.resource.Quantity"}
TIME: Obj = {"type": "string", "format": "date-time"}
POD_TEMPLATE: Obj = {"$builtin": "io.k8s.api.core.v1.PodTemplateSpec"}
SERVICE: Obj = {"$builtin": "io.k8s.api.core.v1.Service"}
_CORE = "io.k8s.api.core.v1"


def fields(**properties: Obj) -> Obj:
    """An object with these properties."""
    return {"type": "object", "properties": properties}


def array(items: Obj) -> Obj:
    """A list of these."""
    return {"type": "array", "items": items}


def mapping(values: Obj) -> Obj:
    """A map from strings to these."""
    return {"type": "object", "additionalProperties": values}


def enum(*values: str) -> Obj:
    """One of these strings."""
    return {"type": "string", "enum": list(values)}


MANAGED_BY: Obj = STRING | {
    "x-kubernetes-validations": [
        {"rule": "self == oldSelf", "message": "the managedBy field is immutable"},
        {
            "rule": "self in ['ray.io/kuberay-operator', 'kueue.x-k8s.io/multikueue']",
            "message": "the managedBy field value must be either 'ray.io/kuberay-operator' or"
            " 'kueue.x-k8s.io/multikueue'",
        },
    ]
}
_ENV = array({"$builtin": f"{_CORE}.EnvVar"})
_RESOURCES: Obj = {"$builtin": f"{_CORE}.ResourceRequirements"}
_CREDENTIAL = fields(value=STRING, valueFrom={"$builtin": f"{_CORE}.EnvVarSource"})
_GROUP: dict[str, Obj] = {
    "labels": mapping(STRING),
    "resources": mapping(STRING),
    "rayStartParams": mapping(STRING),
    "template": POD_TEMPLATE,
}
_HEAD = fields(
    **_GROUP,
    enableIngress=BOOLEAN,
    headService=SERVICE,
    ingressOptions=fields(
        host=STRING,
        path=STRING,
        pathType=enum("Exact", "Prefix", "ImplementationSpecific"),
        tls=array({"$builtin": "io.k8s.api.networking.v1.IngressTLS"}),
    ),
    serviceType=STRING,
) | {"required": ["template"]}
_WORKERS = fields(
    **_GROUP,
    groupName=STRING,
    idleTimeoutSeconds=INT32,
    maxReplicas=INT32 | {"default": 2147483647},
    minReplicas=INT32 | {"default": 0},
    numOfHosts=INT32 | {"default": 1},
    priority=INT32 | {"default": 0},
    replicas=INT32 | {"default": 0},
    scaleStrategy=fields(workersToDelete=array(STRING)),
    suspend=BOOLEAN,
) | {"required": ["groupName", "maxReplicas", "minReplicas", "template"]}
_AUTOSCALER = fields(
    args=array(STRING),
    command=array(STRING),
    env=_ENV,
    envFrom=array({"$builtin": f"{_CORE}.EnvFromSource"}),
    idleTimeoutSeconds=INT32,
    image=STRING,
    imagePullPolicy=STRING,
    resources=_RESOURCES,
    securityContext={"$builtin": f"{_CORE}.SecurityContext"},
    upscalingMode=enum("Default", "Aggressive", "Conservative"),
    version=enum("v1", "v2"),
    volumeMounts=array({"$builtin": f"{_CORE}.VolumeMount"}),
)
_FAULT_TOLERANCE = fields(
    backend=enum("redis", "rocksdb")
    | {
        "x-kubernetes-validations": [
            {"rule": "self == oldSelf", "message": "gcsFaultToleranceOptions.backend is immutable"}
        ]
    },
    externalStorageNamespace=STRING,
    redisAddress=STRING,
    redisPassword=_CREDENTIAL,
    redisUsername=_CREDENTIAL,
    storage=fields(
        accessModes=array(STRING),
        claimName=STRING,
        deletionPolicy=enum("DeleteWithCluster", "Retain"),
        size=QUANTITY,
        storageClassName=STRING,
        subPath=STRING,
    ),
)
_RULES: dict[str, Obj] = {
    "egressRules": array({"$builtin": "io.k8s.api.networking.v1.NetworkPolicyEgressRule"}),
    "ingressRules": array({"$builtin": "io.k8s.api.networking.v1.NetworkPolicyIngressRule"}),
}
_NETWORK_POLICY = fields(
    mode=enum("DenyAll", "DenyAllIngress", "DenyAllEgress") | {"default": "DenyAll"},
    head=fields(**_RULES),
    worker=fields(**_RULES),
    workerGroups=array(fields(**_RULES, groupName=STRING) | {"required": ["groupName"]})
    | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["groupName"]},
)
CLUSTER_SPEC: Obj = fields(
    authOptions=fields(enableK8sTokenAuth=BOOLEAN, mode=enum("disabled", "token"), secretName=STRING),
    autoscalerOptions=_AUTOSCALER,
    enableInTreeAutoscaling=BOOLEAN,
    gcsFaultToleranceOptions=_FAULT_TOLERANCE,
    headGroupSpec=_HEAD,
    headServiceAnnotations=mapping(STRING),
    historyServerOptions=fields(
        collectorOptions=fields(env=_ENV, image=STRING, imagePullPolicy=STRING, resources=_RESOURCES)
    ),
    managedBy=MANAGED_BY,
    networkPolicy=_NETWORK_POLICY,
    rayVersion=STRING,
    suspend=BOOLEAN,
    tlsOptions=fields(enabled=BOOLEAN),
    upgradeStrategy=fields(type=enum("Recreate", "None")),
    workerGroupSpecs=array(_WORKERS),
) | {"required": ["headGroupSpec"]}

CONDITIONS: Obj = array(
    fields(
        lastTransitionTime=TIME,
        message=STRING,
        observedGeneration=INT64,
        reason=STRING,
        status=enum("True", "False", "Unknown"),
        type=STRING,
    )
    | {"required": ["lastTransitionTime", "message", "reason", "status", "type"]}
) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
CLUSTER_STATUS: Obj = fields(
    availableWorkerReplicas=INT32,
    conditions=CONDITIONS,
    desiredCPU=QUANTITY,
    desiredGPU=QUANTITY,
    desiredMemory=QUANTITY,
    desiredTPU=QUANTITY,
    desiredWorkerReplicas=INT32,
    endpoints=mapping(STRING),
    head=fields(podIP=STRING, podName=STRING, serviceIP=STRING, serviceName=STRING),
    lastUpdateTime=TIME | {"nullable": True},
    maxWorkerReplicas=INT32,
    minWorkerReplicas=INT32,
    observedGeneration=INT64,
    readyWorkerReplicas=INT32,
    reason=STRING,
    state=STRING,
    stateTransitionTimes=mapping(TIME),
)


def kind_schema(spec: Obj, status: Obj) -> Obj:
    """The whole schema of a kind."""
    return fields(apiVersion=STRING, kind=STRING, metadata={"type": "object"}, spec=spec, status=status)
