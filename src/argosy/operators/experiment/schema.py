"""Katib's three kinds, and the names that their objects bear. Upstream's definitions are open and a webhook refuses and fills
in; here the schemas do. What they cannot tell is said in conditions, by `plan`.
"""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.meta.kind import Column, Kind
from argosy.operators.jobset.schema import INT32, STRING, array_of, object_of

LABEL_EXPERIMENT = "katib.kubeflow.org/experiment"
LABEL_TRIAL = "katib.kubeflow.org/trial"
NUMBER = "argosy.dev/trial-number"
"""On a Trial: which one it is, from 0; suggestions are a function of it."""
STEPS = "argosy.dev/early-stopping-steps"
"""On a Trial that may be ended early: after how many values it is looked at, `3` or `1,3,9`."""
RECORD = "argosy.dev/early-stopping-record"
"""On such a Trial: how it stood then, as `stopping.write` has it."""

_OPEN: Obj = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_TIME: Obj = {"type": "string", "format": "date-time"}
_LABELS: Obj = {"type": "object", "additionalProperties": STRING}
_BOOLEAN: Obj = {"type": "boolean"}
_FIXED = {
    "x-kubernetes-validations": [
        {
            "rule": "self == oldSelf",
            "message": "only spec.parallelTrialCount, spec.maxTrialCount and spec.maxFailedTrialCount are editable",
        }
    ]
}


def _one_of(*words: str) -> Obj:
    return {"type": "string", "enum": list(words)}


_SETTINGS = array_of(object_of(name=STRING, value=STRING)) | {"maxItems": 100}
_ALGORITHM = object_of(algorithmName=STRING, algorithmSettings=_SETTINGS)
_STRATEGIES = array_of(object_of(name=STRING, value=_one_of("min", "max", "latest"))) | {"maxItems": 100}
_OBJECTIVE = object_of(
    type=_one_of("minimize", "maximize"),
    goal={"type": "number"},
    objectiveMetricName=STRING,
    additionalMetricNames=array_of(STRING) | {"maxItems": 100},
    metricStrategies=_STRATEGIES,
)
_SPACE = object_of(
    max=STRING,
    min=STRING,
    step=STRING,
    list=array_of(STRING) | {"maxItems": 10000},
    distribution=_one_of("uniform", "logUniform", "normal", "logNormal", "unknown"),
)
_PARAMETER = object_of(
    name=STRING,
    parameterType=_one_of("double", "int", "discrete", "categorical", "unknown"),
    feasibleSpace=_SPACE,
)
_PAGE = object_of(
    host=STRING,
    httpHeaders=array_of(object_of(name=STRING, value=STRING)),
    path=STRING,
    port={"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
    scheme=STRING,
)
_COLLECTOR = object_of(
    source=object_of(
        httpGet=_PAGE,
        fileSystemPath=object_of(path=STRING, kind=STRING, format=_one_of("TEXT", "JSON", "")),
        filter=object_of(metricsFormat=array_of(STRING)),
    ),
    collector=object_of(kind=STRING, customCollector=_OPEN),
)
_TEMPLATE = object_of(
    retain=_BOOLEAN,
    trialSpec=_OPEN,
    configMap=object_of(configMapName=STRING, configMapNamespace=STRING, templatePath=STRING),
    trialParameters=array_of(object_of(name=STRING, description=STRING, reference=STRING)),
    primaryPodLabels=_LABELS,
    primaryContainerName=STRING,
    successCondition=STRING,
    failureCondition=STRING,
)
_POLICY = _one_of("Never", "LongRunning", "FromVolume")
_EXPERIMENT = object_of(
    parameters=array_of(_PARAMETER) | {"maxItems": 1000},
    objective=_OBJECTIVE | _FIXED,
    algorithm=_ALGORITHM | _FIXED,
    earlyStopping=_ALGORITHM | _FIXED,
    trialTemplate=_TEMPLATE,
    parallelTrialCount=INT32 | {"minimum": 1, "default": 3},
    maxTrialCount=INT32 | {"minimum": 1},
    maxFailedTrialCount=INT32 | {"minimum": 0},
    metricsCollectorSpec=_COLLECTOR | {"default": {"collector": {"kind": "StdOut"}}},
    nasConfig=_OPEN,
    resumePolicy=_POLICY | {"default": "Never"},
)
_ASSIGNMENTS = array_of(object_of(name=STRING, value=STRING))
_RULES = array_of(
    object_of(name=STRING, value=STRING, comparison=_one_of("equal", "less", "greater"), startStep={"type": "integer"})
)
_TRIAL = object_of(
    objective=_OBJECTIVE,
    parameterAssignments=_ASSIGNMENTS,
    earlyStoppingRules=_RULES,
    runSpec=_OPEN,
    retainRun=_BOOLEAN,
    metricsCollector=_COLLECTOR,
    primaryPodLabels=_LABELS,
    primaryContainerName=STRING,
    successCondition=STRING,
    failureCondition=STRING,
    labels=_LABELS,
)
_SUGGESTION = object_of(algorithm=_ALGORITHM, earlyStopping=_ALGORITHM, requests=INT32, resumePolicy=_POLICY)
_CONDITION = object_of(
    "status", "type",
    type=STRING,
    status=STRING,
    reason=STRING,
    message=STRING,
    lastUpdateTime=_TIME,
    lastTransitionTime=_TIME,
)  # fmt: skip
_OBSERVATION = object_of(metrics=array_of(object_of(name=STRING, min=STRING, max=STRING, latest=STRING)))


def _status(**more: Obj) -> Obj:
    times = dict.fromkeys(("startTime", "completionTime", "lastReconcileTime"), _TIME)
    return object_of(**times, conditions=array_of(_CONDITION), **more)


_STATES = ("Running", "Pending", "Failed", "Succeeded", "Killed", "EarlyStopped")
_EXPERIMENT_STATUS = _status(
    currentOptimalTrial=object_of(bestTrialName=STRING, parameterAssignments=_ASSIGNMENTS, observation=_OBSERVATION),
    trials=INT32,
    trialMetricsUnavailable=INT32,
    metricsUnavailableTrialList=array_of(STRING),
    **{f"trials{state}": INT32 for state in _STATES},
    **{f"{state[0].lower()}{state[1:]}TrialList": array_of(STRING) for state in _STATES},
)
_SUGGESTION_STATUS = _status(
    algorithmSettings=_SETTINGS,
    suggestionCount=INT32,
    suggestions=array_of(
        object_of(name=STRING, parameterAssignments=_ASSIGNMENTS, earlyStoppingRules=_RULES, labels=_LABELS)
    ),
)


def _kind(name: str, spec: Obj, status: Obj, *more: Column) -> Kind:
    return Kind(
        group="kubeflow.org",
        version="v1beta1",
        kind=name,
        plural=f"{name.lower()}s",
        categories=("all", "kubeflow", "katib"),
        subresources=frozenset({"status"}),
        columns=(
            Column("Type", path=".status.conditions[-1:].type"),
            Column("Status", path=".status.conditions[-1:].status"),
            *more,
            Column("Age", path=".metadata.creationTimestamp", type="date"),
        ),
        schema=object_of(spec=spec, status=status),
    )


EXPERIMENT = _kind("Experiment", _EXPERIMENT, _EXPERIMENT_STATUS)
TRIAL = _kind("Trial", _TRIAL, _status(observation=_OBSERVATION))
SUGGESTION = _kind(
    "Suggestion",
    _SUGGESTION,
    _SUGGESTION_STATUS,
    Column("Requested", path=".spec.requests"),
    Column("Assigned", path=".status.suggestionCount"),
)
