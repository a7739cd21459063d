"""The kinds of `trainer.kubeflow.org/v1alpha1`: TrainJob and the runtimes it refers to, and the names they use.

The schemas are our own writing of the upstream API. What earlier releases called `podTemplateOverrides`, `labels` and
`annotations` is understood beside today's `runtimePatches`, and processes per node may be a word, as it was there.
"""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.meta.kind import Column, Kind
from argosy.operators.jobset.schema import CONDITION, INT32, STRING, array_of, object_of, spec_schema

GROUP = "trainer.kubeflow.org"
CONTROLLER = f"{GROUP}/trainjob-controller"
ANCESTOR = f"{GROUP}/trainjob-ancestor-step"
FRAMEWORK = f"{GROUP}/framework"

TRAINER = "trainer"
NODE, LAUNCHER = "node", "launcher"
DATASET, MODEL = "dataset-initializer", "model-initializer"
PORT = 29500

_INT_OR_STRING: Obj = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
_BOOLEAN: Obj = {"type": "boolean"}
_TIME: Obj = {"type": "string", "format": "date-time"}
_MAP: Obj = {"type": "object", "additionalProperties": STRING}
_COUNT = INT32 | {"minimum": 0}
_NAME: Obj = {"type": "string", "minLength": 1, "maxLength": 253}
_FIXED: Obj = {"x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "field is immutable"}]}


def _core(name: str, *, key: str = "") -> Obj:
    """A list of Kubernetes' own type, or one value of it."""
    schema: Obj = {"$builtin": f"io.k8s.api.core.v1.{name}"}
    return array_of(schema, key=key) if key else schema


_URI: Obj = {
    "type": "string",
    "maxLength": 2048,
    "x-kubernetes-validations": [
        {
            "rule": "self == '' || self.matches('^[A-Za-z][A-Za-z0-9+.-]*://.+$')",
            "message": "storageUri may be empty, or it must be a valid URI (scheme://...)",
        }
    ],
}
_INITIALIZER = object_of(storageUri=_URI, env=_core("EnvVar", key="name"), secretRef=_core("LocalObjectReference"))
_WORDS = array_of({"type": "string", "maxLength": 1048576}) | {"x-kubernetes-list-type": "atomic", "maxItems": 128}
_TRAINER = object_of(
    image={"type": "string", "maxLength": 500},
    command=_WORDS,
    args=_WORDS,
    env=_core("EnvVar", key="name"),
    numNodes=_COUNT,
    resourcesPerNode=_core("ResourceRequirements"),
    numProcPerNode=_INT_OR_STRING,
)
METADATA = object_of(name=STRING, namespace=STRING, labels=_MAP, annotations=_MAP, finalizers=array_of(STRING))
_CONTAINER_PATCH = object_of(
    "name",
    name=_NAME,
    env=_core("EnvVar", key="name"),
    volumeMounts=_core("VolumeMount", key="name"),
    securityContext=_core("SecurityContext"),
)
_POD_PATCH = object_of(
    serviceAccountName={"type": "string", "maxLength": 253},
    volumes=_core("Volume", key="name"),
    initContainers=array_of(_CONTAINER_PATCH, key="name"),
    containers=array_of(_CONTAINER_PATCH, key="name"),
    imagePullSecrets=array_of(object_of(name={"type": "string", "default": ""}), key="name"),
    securityContext=_core("PodSecurityContext"),
    nodeSelector=_MAP,
    affinity=_core("Affinity"),
    tolerations=array_of(_core("Toleration")) | {"x-kubernetes-list-type": "atomic"},
    schedulingGates=_core("PodSchedulingGate", key="name"),
    terminationGracePeriodSeconds={"type": "integer", "format": "int64", "minimum": 0},
)


def _template(spec: Obj) -> Obj:
    return object_of(metadata=METADATA, spec=spec)


_JOB_PATCH = object_of("name", name=_NAME, template=_template(object_of(template=_template(_POD_PATCH))))
_RUNTIME_PATCH = object_of(
    "manager",
    manager=_NAME,
    time=_TIME,
    trainingRuntimeSpec=object_of(template=_template(object_of(replicatedJobs=array_of(_JOB_PATCH, key="name")))),
)
_OVERRIDE = object_of(
    "targetJobs", targetJobs=array_of(object_of("name", name=STRING), key="name"), metadata=METADATA, spec=_POD_PATCH
)
_RUNTIME_REF = object_of(
    "name",
    name=_NAME,
    apiGroup={"type": "string", "default": GROUP, "maxLength": 253},
    kind={"type": "string", "default": "ClusterTrainingRuntime", "maxLength": 253},
)
_JOB_STATUS = object_of(
    "active", "failed", "name", "ready", "succeeded", "suspended",
    name=_NAME,
    ready=_COUNT,
    succeeded=_COUNT,
    failed=_COUNT,
    active=_COUNT,
    suspended=_COUNT,
)  # fmt: skip
METRIC = object_of("name", "value", name=STRING, value=STRING)
_TRAINER_STATUS = object_of(
    progressPercentage=INT32 | {"minimum": 0, "maximum": 100},
    estimatedRemainingSeconds=_COUNT,
    metrics=array_of(METRIC) | {"x-kubernetes-list-type": "atomic"},
    lastUpdatedTime=_TIME,
)

TRAIN_JOB_SPEC = object_of(
    "runtimeRef",
    runtimeRef=_RUNTIME_REF | _FIXED,
    initializer=object_of(dataset=_INITIALIZER, model=_INITIALIZER) | _FIXED,
    trainer=_TRAINER | _FIXED,
    runtimePatches=array_of(_RUNTIME_PATCH, key="manager") | {"maxItems": 16},
    podTemplateOverrides=array_of(_OVERRIDE),
    labels=_MAP,
    annotations=_MAP,
    suspend=_BOOLEAN | {"default": False},
    activeDeadlineSeconds={"type": "integer", "format": "int64", "minimum": 1} | _FIXED,
    managedBy={
        "type": "string",
        "default": CONTROLLER,
        "maxLength": 253,
        "x-kubernetes-validations": [
            {
                "rule": f"self in ['{CONTROLLER}', 'kueue.x-k8s.io/multikueue']",
                "message": f"ManagedBy must be {CONTROLLER} or kueue.x-k8s.io/multikueue if set",
            },
            *_FIXED["x-kubernetes-validations"],
        ],
    },
)
"""Of a TrainJob, and of what makes some of a template."""

TRAIN_JOB = Kind(
    group=GROUP,
    version="v1alpha1",
    kind="TrainJob",
    plural="trainjobs",
    subresources=frozenset({"status"}),
    columns=(
        Column("State", path=".status.conditions[-1:].type"),
        Column("Age", path=".metadata.creationTimestamp", type="date"),
    ),
    schema=object_of(
        spec=TRAIN_JOB_SPEC,
        status=object_of(
            conditions=array_of(CONDITION, key="type"),
            jobsStatus=array_of(_JOB_STATUS, key="name"),
            trainerStatus=_TRAINER_STATUS,
        ),
    )
    | {
        "x-kubernetes-validations": [
            {
                "rule": "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "message": "metadata.name must match RFC 1035 DNS label format",
            },
            {
                "rule": "size(self.metadata.name) <= 63",
                "message": "metadata.name must be no more than 63 characters",
            },
        ]
    },
)

_PROCESSES = INT32 | {"default": 1, "minimum": 1}
_TARGET = object_of("containerNames", "jobName", jobName=_NAME, containerNames=array_of(STRING))
_ML_POLICY = object_of(
    numNodes=INT32,
    torch=object_of(
        envInjection=object_of(targets=array_of(_TARGET, key="jobName")),
        numProcPerNode=_INT_OR_STRING,
    ),
    mpi=object_of(
        numProcPerNode=_PROCESSES,
        mpiImplementation={"type": "string", "enum": ["OpenMPI", ""], "default": "OpenMPI"},
        sshAuthMountPath={"type": "string", "default": "/root/.ssh", "maxLength": 4096},
        runLauncherAsNode=_BOOLEAN | {"default": False},
    ),
    flux=object_of(numProcPerNode=_PROCESSES),
    jax={"type": "object"},
    xgboost={"type": "object"},
) | {
    "x-kubernetes-validations": [
        {
            "rule": "[has(self.torch), has(self.mpi), has(self.jax), has(self.xgboost),has(self.flux)]"
            ".filter(x, x).size() <= 1",
            "message": "Only one of the policy can be configured",
        }
    ]
}
_TOPOLOGY = object_of(
    highestTierAllowed={"type": "integer", "default": 1},
    mode={"type": "string", "enum": ["hard", "soft"], "default": "hard"},
)
_RUNTIME_SPEC = object_of(
    mlPolicy=_ML_POLICY,
    podGroupPolicy=object_of(
        coscheduling=object_of(scheduleTimeoutSeconds=INT32 | {"default": 60}),
        volcano=object_of(networkTopology=_TOPOLOGY),
    ),
    template=object_of(metadata=METADATA, spec=spec_schema(filled_in=False)),
) | {"minProperties": 1}


def _runtime(kind: str, *, namespaced: bool) -> Kind:
    return Kind(
        group=GROUP,
        version="v1alpha1",
        kind=kind,
        plural=f"{kind.lower()}s",
        namespaced=namespaced,
        schema=object_of(spec=_RUNTIME_SPEC),
    )


CLUSTER_TRAINING_RUNTIME = _runtime("ClusterTrainingRuntime", namespaced=False)
TRAINING_RUNTIME = _runtime("TrainingRuntime", namespaced=True)
