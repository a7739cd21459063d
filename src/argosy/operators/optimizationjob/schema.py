"""The kind OptimizationJob, and the names that its trials bear. The schema is our own writing of the upstream API.

`status.trials` is what upstream's KEP-3744 proposes: the whole history in one place, whatever becomes of the TrainJobs.
"""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.meta.kind import Column, Kind
from argosy.operators.jobset.schema import CONDITION, INT32, array_of, object_of
from argosy.operators.trainjob.schema import GROUP, METADATA, METRIC, TRAIN_JOB_SPEC

LABEL = f"{GROUP}/optimizationjob-name"
"""On a trial's TrainJob: whose it is."""
PARAMETERS = f"{GROUP}/optimization-parameters"
"""On a trial's TrainJob: its parameters as JSON, `[{"name": …, "value": …}]`."""
METRICS = "argosy.dev/metrics"
"""On a trial's TrainJob: the metrics that it printed, as JSON."""
ENVIRONMENT = "KUBEFLOW_TRAINER_OPT_"
"""What the variables begin with that tell a trial its parameters."""

_TRIALS_MAX = 100
_SHORT: Obj = {"type": "string", "minLength": 1, "maxLength": 64}
_NUMBER: Obj = _SHORT | {"pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"}
_TIME: Obj = {"type": "string", "format": "date-time"}


def _rules(*pairs: tuple[str, str]) -> Obj:
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


def _one_of(*fields: str) -> Obj:
    there = ",".join(f"has(self.{field})" for field in fields)
    message = f"exactly one of the fields in [{' '.join(fields)}] must be set"
    return _rules((f"[{there}].filter(x,x==true).size() == 1", message))


_ORDERED = ("double(self.min) < double(self.max)", "min must be strictly less than max")
_POSITIVE = ("double(self.min) > 0.0", "min must be strictly greater than 0")
_RANGE = object_of(
    "max", "min", min=_NUMBER, max=_NUMBER, type={"type": "string", "enum": ["Int", "Float"], "default": "Float"}
)
_CHOICES = array_of({"type": "string", "maxLength": 64}) | {
    "x-kubernetes-list-type": "set",
    "minItems": 1,
    "maxItems": 100,
}
_SPACE = object_of(
    uniform=_RANGE | _rules(_ORDERED),
    logUniform=_RANGE | _rules(_POSITIVE, _ORDERED),
    categorical=object_of("choices", choices=_CHOICES),
) | _one_of("uniform", "logUniform", "categorical")
_DIRECTION: Obj = {"type": "string", "enum": ["Maximize", "Minimize"], "default": "Minimize"}
_COUNT = INT32 | {"default": 1, "minimum": 1, "maximum": _TRIALS_MAX}
_SPEC = object_of(
    "objectives", "parameters", "trainJobTemplate",
    objectives=array_of(object_of("metric", metric=_SHORT, direction=_DIRECTION), key="metric")
    | {"minItems": 1, "maxItems": 1},
    searchAlgorithm=object_of(
        random=object_of(seed={"type": "integer", "format": "int64"}),
        grid={"type": "object"},
    ) | {"default": {"random": {}}} | _one_of("random", "grid"),
    parameters=array_of(object_of("name", "searchSpace", name=_SHORT, searchSpace=_SPACE), key="name")
    | {"minItems": 1, "maxItems": 100},
    numTrials=_COUNT,
    parallelTrials=_COUNT,
    trainJobTemplate=object_of(
        "spec",
        metadata=METADATA
        | _rules(("!has(self.name) && !has(self.namespace)", "name and namespace cannot be set in a template.")),
        spec=TRAIN_JOB_SPEC,
    ),
) | _rules(
    ("self == oldSelf", "OptimizationJobSpec is immutable and cannot be updated after creation"),
    ("self.parallelTrials <= self.numTrials", "parallelTrials cannot exceed numTrials"),
    (
        "!has(self.searchAlgorithm.grid) || self.parameters.all(p, has(p.searchSpace.categorical))",
        "Grid search requires all parameters to be Categorical; Uniform and LogUniform are not supported.",
    ),
)  # fmt: skip
_ASSIGNMENT = object_of("name", "value", name=_SHORT, value=_SHORT)
_ASSIGNMENTS = array_of(_ASSIGNMENT, key="name") | {"maxItems": 100}
_NAME: Obj = {"type": "string", "minLength": 1, "maxLength": 63}
_TRIAL = object_of(
    "trainJobName", "state",
    trainJobName=_NAME,
    state={"type": "string", "enum": ["Running", "Succeeded", "Failed", "EarlyStopped"]},
    reason={"type": "string", "maxLength": 128},
    parameters=array_of(_ASSIGNMENT) | {"x-kubernetes-list-type": "atomic", "maxItems": 100},
    metrics=array_of(METRIC) | {"x-kubernetes-list-type": "atomic", "maxItems": 8},
    creationTime=_TIME,
    completionTime=_TIME,
)  # fmt: skip

OPTIMIZATION_JOB = Kind(
    group=GROUP,
    version="v1alpha1",
    kind="OptimizationJob",
    plural="optimizationjobs",
    subresources=frozenset({"status"}),
    columns=(
        Column("State", path=".status.conditions[-1:].type"),
        Column("Best", path=".status.result.trainJobName"),
        Column("Age", path=".metadata.creationTimestamp", type="date"),
    ),
    schema=object_of(
        spec=_SPEC,
        status=object_of(
            conditions=array_of(CONDITION, key="type") | {"maxItems": 100},
            result=object_of("trainJobName", trainJobName=_NAME, parameters=_ASSIGNMENTS),
            trials=array_of(_TRIAL, key="trainJobName") | {"maxItems": _TRIALS_MAX},
        ),
    ),
)


def environment_name(parameter: str) -> str:
    """The variable that tells a parameter: `learning-rate` → `KUBEFLOW_TRAINER_OPT_LEARNING_RATE`."""
    return ENVIRONMENT + "".join(c if c.isascii() and c.isalnum() else "_" for c in parameter.upper())
