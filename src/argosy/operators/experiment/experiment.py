"""An Experiment read once, with Katib's defaults in their places. Pure; `plan` asks nothing else of the raw object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from argosy.meta.json import Obj, dig
from argosy.meta.objects import uid_of
from argosy.operators.experiment import metrics, outcome, stopping, template
from argosy.operators.experiment.space import Parameter
from argosy.operators.experiment.space import read as read_space
from argosy.operators.experiment.suggest import ALGORITHMS, Search

_PARALLEL = 3
_STRATEGY = {"minimize": "min", "maximize": "max"}
_COLLECTORS = ("StdOut",)
_RESUMABLE = ("LongRunning", "FromVolume")
STARTUP_SETTING, SEED_SETTING = "n_startup_trials", "random_state"


@dataclass(frozen=True, slots=True)
class Experiment:
    """What a plan needs to know."""

    search: Search
    metric: str
    strategy: str
    """`min`, `max` or `latest`: which of a trial's values counts."""
    lowest: bool
    goal: float | None
    parallel: int
    most: int | None
    most_failed: int | None
    resumable: bool
    trial_spec: Obj
    """What every Trial's spec says alike."""
    template: Obj
    stop: stopping.MedianStop | None
    wrong: tuple[str, ...]

    def reached(self, value: float) -> bool:
        """Whether a value is as good as the goal."""
        return self.goal is not None and (value <= self.goal if self.lowest else value >= self.goal)


def read(subject: Obj) -> Experiment:
    """Read the object. Never fails: what is wrong comes out in `wrong`."""
    spec: Obj = subject.get("spec") or {}
    objective: Obj = dict(spec.get("objective") or {})
    given: Obj = spec.get("trialTemplate") or {}
    algorithm: Obj = spec.get("algorithm") or {}
    parameters, wrong = read_space(spec.get("parameters") or ())
    metric, type = str(objective.get("objectiveMetricName") or ""), str(objective.get("type") or "")
    objective["metricStrategies"] = _strategies(objective, metric, type)
    strategy = next((s["value"] for s in objective["metricStrategies"] if s["name"] == metric), "latest")
    stop, wrong_stop = stopping.read(spec)
    wrong += wrong_stop
    wrong += _problems(spec, algorithm, parameters, metric, type)
    trial_spec: Obj = {
        "objective": objective,
        "metricsCollector": _collector(spec),
        "retainRun": bool(given.get("retain")),
    }
    for field in ("primaryPodLabels", "primaryContainerName", "successCondition", "failureCondition"):
        if given.get(field):
            trial_spec[field] = given[field]
    settings = _settings(algorithm)
    startup = settings.get(STARTUP_SETTING, "")
    seed = settings.get(SEED_SETTING) or uid_of(subject)
    name = str(algorithm.get("algorithmName") or "")
    search = Search(name, tuple(parameters), seed, *((int(startup),) if startup.isdigit() else ()))
    goal = objective.get("goal")
    return Experiment(
        search=search,
        metric=metric,
        strategy=str(strategy),
        lowest=type != "maximize",
        goal=float(goal) if isinstance(goal, int | float) else None,
        parallel=_count(spec, "parallelTrialCount") or _PARALLEL,
        most=_count(spec, "maxTrialCount"),
        most_failed=_count(spec, "maxFailedTrialCount"),
        resumable=spec.get("resumePolicy") in _RESUMABLE,
        trial_spec=trial_spec,
        template=given,
        stop=stop,
        wrong=tuple(wrong),
    )


def _count(spec: Obj, field: str) -> int | None:
    value = spec.get(field)
    return value if isinstance(value, int) else None


def _strategies(objective: Obj, metric: str, type: str) -> list[Obj]:
    there = [dict(strategy) for strategy in objective.get("metricStrategies") or ()]
    named = {strategy.get("name") for strategy in there}
    wanted = [name for name in (metric, *(objective.get("additionalMetricNames") or ())) if name and name not in named]
    return there + [{"name": name, "value": _STRATEGY.get(type, "latest")} for name in wanted]


def _collector(spec: Obj) -> Obj:
    given: Obj = dict(spec.get("metricsCollectorSpec") or {})
    return {**given, "collector": given.get("collector") or {"kind": "StdOut"}}


def _settings(algorithm: Obj) -> Mapping[str, str]:
    return {str(s.get("name")): str(s.get("value")) for s in algorithm.get("algorithmSettings") or ()}


def _problems(spec: Obj, algorithm: Obj, parameters: list[Parameter], metric: str, type: str) -> list[str]:
    found = []
    given: Obj = spec.get("trialTemplate") or {}
    if not spec.get("parameters"):
        found.append("spec.parameters is empty")
    if not metric or type not in _STRATEGY:
        found.append("spec.objective needs objectiveMetricName, and type minimize or maximize")
    name = algorithm.get("algorithmName")
    if name not in ALGORITHMS:
        found.append(f"spec.algorithm.algorithmName {name!r} is none of {', '.join(ALGORITHMS)}")
    if spec.get("nasConfig"):
        found.append("spec.nasConfig: architecture search is not done here")
    counts = ("parallelTrialCount", "maxTrialCount")
    found += [
        f"spec.{field} must be at least 1" for field in counts if isinstance(spec.get(field), int) and spec[field] < 1
    ]
    kind = dig(_collector(spec), "collector", "kind")
    if kind not in _COLLECTORS:
        found.append(f"spec.metricsCollectorSpec.collector.kind {kind!r} is none of {', '.join(_COLLECTORS)}")
    found += metrics.problems(formats_of({"metricsCollector": _collector(spec)}))
    found += template.problems(given, {parameter.name for parameter in parameters})
    return found + outcome.problems(given)


def formats_of(trial_spec: Obj) -> list[str]:
    """The formats in which a trial prints its metrics; none for `name=value`."""
    return [str(text) for text in dig(trial_spec, "metricsCollector", "source", "filter", "metricsFormat", default=())]
