"""An Experiment read once, with Katib's defaults in their places. Pure; `plan` asks nothing else of the raw object."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.meta.json import Obj
from argosy.meta.objects import uid_of
from argosy.operators.experiment import collector, outcome, template
from argosy.operators.experiment.template import Source
from argosy.operators.search import stopping
from argosy.operators.search.hyperband import Hyperband
from argosy.operators.search.space import Parameter
from argosy.operators.search.space import read as read_space
from argosy.operators.search.suggest import ALGORITHMS, Search

_PARALLEL = 3
_STRATEGY = {"minimize": "min", "maximize": "max"}
_STRATEGIES = ("min", "max", "latest")
NEVER, LONG_RUNNING, FROM_VOLUME = "Never", "LongRunning", "FromVolume"
_POLICIES = (NEVER, LONG_RUNNING, FROM_VOLUME)
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
    resume: str
    trial_spec: Obj
    """What every Trial's spec says alike."""
    template: Obj
    source: Source | None
    """The job to fill in; None where there is none."""
    stop: stopping.MedianStop | stopping.Asha | None
    wrong: tuple[str, ...]

    @property
    def resumable(self) -> bool:
        """Whether it goes on when it is given more trials after its end."""
        return self.resume in (LONG_RUNNING, FROM_VOLUME)

    def reached(self, value: float) -> bool:
        """Whether a value is as good as the goal."""
        return self.goal is not None and (value <= self.goal if self.lowest else value >= self.goal)


def read(subject: Obj, config_maps: Sequence[Obj] = ()) -> Experiment:
    """Read the object and the ConfigMap of its template. Never fails: what is wrong comes out in `wrong`."""
    spec: Obj = subject.get("spec") or {}
    objective: Obj = dict(spec.get("objective") or {})
    given: Obj = spec.get("trialTemplate") or {}
    algorithm: Obj = spec.get("algorithm") or {}
    parameters, wrong = read_space(spec.get("parameters") or ())
    metric, type = str(objective.get("objectiveMetricName") or ""), str(objective.get("type") or "")
    objective["metricStrategies"] = _strategies(objective, metric, type)
    strategy = next((s["value"] for s in objective["metricStrategies"] if s["name"] == metric), "latest")
    stop, wrong_stop = stopping.read(spec)
    source, _ = template.source_of(given, config_maps)
    search, wrong_search = _search(algorithm, parameters, uid_of(subject))
    wrong += wrong_search + wrong_stop + _problems(spec, metric, type)
    wrong += template.problems(given, {parameter.name for parameter in parameters}, config_maps)
    wrong += _unread_file(spec, given, source)
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
        resume=str(spec.get("resumePolicy") or NEVER),
        trial_spec=_trial_spec(spec, objective, source),
        template=given,
        source=source,
        stop=stop,
        wrong=tuple(wrong),
    )


def _trial_spec(spec: Obj, objective: Obj, source: Source | None) -> Obj:
    """What a Trial says besides its job and parameters; Katib's defaults are written out where a kind has some."""
    given: Obj = spec.get("trialTemplate") or {}
    made: Obj = {
        "objective": objective,
        "metricsCollector": collector.spec_of(spec.get("metricsCollectorSpec")),
        "retainRun": bool(given.get("retain")),
    }
    if isinstance(source, dict):
        rule = outcome.rule_of(str(source.get("kind")))
        made |= {"successCondition": rule.success, "failureCondition": outcome.FAILURE}
        if rule.primary:
            made["primaryPodLabels"] = dict(rule.primary)
    for field in ("primaryPodLabels", "primaryContainerName", "successCondition", "failureCondition"):
        if given.get(field):
            made[field] = given[field]
    return made


def _count(spec: Obj, field: str) -> int | None:
    value = spec.get(field)
    return value if isinstance(value, int) else None


def _strategies(objective: Obj, metric: str, type: str) -> list[Obj]:
    there = [dict(strategy) for strategy in objective.get("metricStrategies") or ()]
    named = {strategy.get("name") for strategy in there}
    wanted = [name for name in (metric, *(objective.get("additionalMetricNames") or ())) if name and name not in named]
    return there + [{"name": name, "value": _STRATEGY.get(type, "latest")} for name in wanted]


def _settings(algorithm: Obj) -> Mapping[str, str]:
    return {str(s.get("name")): str(s.get("value")) for s in algorithm.get("algorithmSettings") or ()}


def _search(algorithm: Obj, parameters: list[Parameter], uid: str) -> tuple[Search, list[str]]:
    name, settings = str(algorithm.get("algorithmName") or ""), _settings(algorithm)
    wrong: list[str] = []
    if name not in ALGORITHMS:
        wrong.append(
            f"spec.algorithm.algorithmName {algorithm.get('algorithmName')!r} is none of {', '.join(ALGORITHMS)}"
        )
    band = None
    if name == "hyperband":
        band, wrong = _band(settings, {parameter.name for parameter in parameters})
    startup = settings.get(STARTUP_SETTING, "")
    search = Search(name, tuple(parameters), settings.get(SEED_SETTING) or uid, band=band)
    if startup:
        if startup.isdecimal():
            search = Search(name, search.parameters, search.seed, int(startup), band)
        else:
            wrong.append(f"spec.algorithm.algorithmSettings {STARTUP_SETTING} {startup!r} is no whole number")
    return search, wrong


def _band(settings: Mapping[str, str], names: set[str]) -> tuple[Hyperband | None, list[str]]:
    where = "spec.algorithm.algorithmSettings of hyperband"
    if "r_l" not in settings or "resource_name" not in settings:
        return None, [
            f"{where}: r_l, the most of the resource that a trial gets, and resource_name, its parameter, are needed"
        ]
    try:
        most, eta = float(settings["r_l"]), float(settings.get("eta", 3))
    except ValueError as error:
        return None, [f"{where}: {error}"]
    if not (1 <= most <= 1e9 and 1.1 <= eta <= 1e6 and math.isfinite(most)):
        return None, [f"{where}: r_l must be at least 1, and eta above 1"]
    if settings["resource_name"] not in names:
        return None, [f"{where}: resource_name {settings['resource_name']!r} is none of spec.parameters"]
    return Hyperband(settings["resource_name"], most, eta), []


def _problems(spec: Obj, metric: str, type: str) -> list[str]:
    found = []
    objective: Obj = spec.get("objective") or {}
    if not spec.get("parameters"):
        found.append("spec.parameters is empty")
    if not metric or type not in _STRATEGY:
        found.append("spec.objective needs objectiveMetricName, and type minimize or maximize")
    if metric in (objective.get("additionalMetricNames") or ()):
        found.append("spec.objective.additionalMetricNames must not name the objectiveMetricName again")
    found += [
        f"spec.objective.metricStrategies {s.get('name')}: {s.get('value')!r} is none of {', '.join(_STRATEGIES)}"
        for s in objective.get("metricStrategies") or ()
        if s.get("value") not in _STRATEGIES
    ]
    if spec.get("nasConfig"):
        found.append("spec.nasConfig: architecture search is not done here")
    if spec.get("resumePolicy") not in (None, "", *_POLICIES):
        found.append(f"spec.resumePolicy {spec['resumePolicy']!r} is none of {', '.join(_POLICIES)}")
    counts = ("parallelTrialCount", "maxTrialCount")
    found += [
        f"spec.{field} must be at least 1" for field in counts if isinstance(spec.get(field), int) and spec[field] < 1
    ]
    found += collector.problems(spec.get("metricsCollectorSpec"))
    return found + outcome.problems(spec.get("trialTemplate") or {})


def _unread_file(spec: Obj, given: Obj, source: Source | None) -> list[str]:
    """Whether the metrics are in a file of which no container is known."""
    name = str(given.get("primaryContainerName") or "")
    if not isinstance(source, dict) or collector.read(spec.get("metricsCollectorSpec")).kind != collector.FILE:
        return []
    if collector.has_container(source, name):
        return []
    what = f"the {source.get('kind')} of trialSpec has no container {name}".rstrip()
    return [f"spec.metricsCollectorSpec: {what} whose file could be read; have it print its metrics instead"]
