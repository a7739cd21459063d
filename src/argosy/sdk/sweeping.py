"""What `argosy sweep` makes: Katib's Experiment, whose trials are the PyTorchJobs of `training`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.errors import UserError
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of
from argosy.sdk.training import Shipment, TrainingRun, training_job

ALGORITHMS = ("random", "grid", "tpe")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::(log|{_NUMBER}))?")
_TRIAL = "argosyTrialName"
TRIAL_NAME = f"${{trialParameters.{_TRIAL}}}"
"""Stands for the trial's name wherever a run is described."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What to search, and for how long."""

    name: str
    parameters: tuple[Obj, ...]
    metric: str
    lowest: bool = True
    goal: float | None = None
    trials: int = 12
    parallel: int = 3
    failures: int = 3
    algorithm: str = "random"
    seed: str = ""
    stop_after: int = 0
    """How many values a trial prints before it may be ended early for doing worse than the median; 0: never."""


def parse_parameter(text: str) -> Obj:
    """`lr=1e-4..1e-2:log`, `layers=1..8`, `drop=0..0.5:0.1` or `bs=8,16` as Katib writes it. Raises UserError."""
    name, equals, space = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z][\w.-]*", name) or not space:
        raise UserError(f"--param {text!r} is not NAME=SPACE", "write for example: --param lr=1e-4..1e-2:log")
    match = _RANGE.fullmatch(space)
    if match is None:
        choices = [choice.strip() for choice in space.split(",")]
        if ".." in space or not all(choices):
            raise UserError(f"--param {text!r}: {space!r} is neither LOW..HIGH nor a list", "write 1..8, or 8,16,32")
        return {"name": name, "parameterType": "categorical", "feasibleSpace": {"list": choices}}
    low, high, extra = match[1], match[2], match[3]
    if float(low) > float(high) or (extra == "log" and float(low) <= 0):
        raise UserError(
            f"--param {text!r}: the range is empty, or has no logarithm", "write for example: 1e-4..1e-2:log"
        )
    feasible: Obj = {"min": low, "max": high}
    if extra == "log":
        feasible["distribution"] = "logUniform"
    elif extra:
        feasible["step"] = extra
    whole = all(re.fullmatch(r"[+-]?\d+", part) for part in (low, high, extra or "0") if part != "log")
    return {"name": name, "parameterType": "int" if whole else "double", "feasibleSpace": feasible}


def parse_objective(text: str) -> tuple[str, bool]:
    """`loss:min` → (`loss`, True). Raises UserError."""
    metric, colon, way = text.partition(":")
    if not metric or (colon and way not in ("min", "max")):
        raise UserError(f"--objective {text!r} is not METRIC:min or METRIC:max", "write for example: loss:min")
    return metric, way != "max"


def arguments_for(arguments: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The script's arguments with each parameter in its place: where `{NAME}` stands, else as `--NAME VALUE` at the end."""
    found = list(arguments)
    for name in names:
        place, value = f"{{{name}}}", f"${{trialParameters.{name}}}"
        if any(place in argument for argument in found):
            found = [argument.replace(place, value) for argument in found]
        else:
            found += [f"--{name}", value]
    return tuple(found)


def experiment(sweep: Sweep, run: TrainingRun, shipment: Shipment, namespace: str) -> Obj:
    """The Experiment. The run's command and annotations may speak of parameters and of `TRIAL_NAME`."""
    job = training_job(run, shipment, namespace)
    del job["metadata"]["name"], job["metadata"]["namespace"]
    given = [{"name": p["name"], "reference": p["name"]} for p in sweep.parameters]
    objective: Obj = {"type": "minimize" if sweep.lowest else "maximize", "objectiveMetricName": sweep.metric}
    if sweep.goal is not None:
        objective["goal"] = sweep.goal
    algorithm: Obj = {"algorithmName": sweep.algorithm}
    if sweep.seed:
        algorithm["algorithmSettings"] = [{"name": "random_state", "value": sweep.seed}]
    facts: Mapping[str, str] = run.annotations
    stopping: Obj = {}
    if sweep.stop_after:
        settings = [{"name": "start_step", "value": str(sweep.stop_after)}]
        stopping = {"earlyStopping": {"algorithmName": "medianstop", "algorithmSettings": settings}}
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {
            "name": sweep.name,
            "namespace": namespace,
            "labels": dict(job["metadata"]["labels"]),
            "annotations": {name: value for name, value in facts.items() if "${" not in value},
        },
        "spec": {
            "objective": objective,
            "algorithm": algorithm,
            **stopping,
            "parameters": list(sweep.parameters),
            "parallelTrialCount": sweep.parallel,
            "maxTrialCount": sweep.trials,
            "maxFailedTrialCount": sweep.failures,
            "resumePolicy": "LongRunning",
            "trialTemplate": {
                "retain": True,
                "primaryContainerName": "pytorch",
                "trialParameters": [*given, {"name": _TRIAL, "reference": "${trialSpec.Name}"}],
                "trialSpec": job,
            },
        },
    }


@dataclass(frozen=True, slots=True)
class Row:
    """One trial as the table shows it."""

    name: str
    state: str
    value: float | None
    assignments: Mapping[str, str]


def rows(trials: Sequence[Obj], metric: str, *, lowest: bool) -> list[Row]:
    """The trials, the best first; those without a value last."""
    found = [_row(trial, metric, lowest) for trial in trials]
    sign = 1 if lowest else -1
    return sorted(found, key=lambda row: (row.value is None, sign * (row.value or 0.0), row.name))


def _row(trial: Obj, metric: str, lowest: bool) -> Row:
    given = dig(trial, "spec", "parameterAssignments", default=())
    assignments = {str(pair["name"]): str(pair["value"]) for pair in given}
    state = str(dig(trial, "status", "conditions", -1, "type", default="Pending"))
    for found in dig(trial, "status", "observation", "metrics", default=()):
        if found.get("name") == metric:
            try:
                return Row(name_of(trial), state, float(found["min" if lowest else "max"]), assignments)
            except ValueError:
                break
    return Row(name_of(trial), state, None, assignments)
