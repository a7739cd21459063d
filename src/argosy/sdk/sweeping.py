"""What `argosy sweep` makes: Katib's Experiment, whose trials are the PyTorchJobs of `training`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from argosy.errors import UserError
from argosy.meta.conditions import find, is_true
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of
from argosy.sdk.training import Shipment, TrainingRun, training_job

ALGORITHMS = ("random", "grid", "tpe")
STOPPING = {"asha": ("start_step", "reduction_factor"), "medianstop": ("start_step", "min_trials_required")}
"""How trials may be ended early, and what the numbers after the name are."""
_ENDS = ("Succeeded", "EarlyStopped", "Failed", "MetricsUnavailable", "Killed")
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
    early: Obj = field(default_factory=dict)
    """Katib's `earlyStopping`; empty: trials are not ended early."""


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


def parse_stopping(text: str) -> Obj:
    """`asha`, `asha:2`, `asha:2:4` or `medianstop:5:3` as Katib writes it. Raises UserError."""
    name, *numbers = text.split(":")
    settings = STOPPING.get(name)
    if settings is None or len(numbers) > len(settings) or not all(n.isdecimal() and int(n) for n in numbers):
        raise UserError(
            f"--early-stopping {text!r} is neither asha[:STEPS[:FACTOR]] nor medianstop[:STEPS[:TRIALS]]",
            "write for example: --early-stopping asha:2:3",
        )
    if name == "asha" and len(numbers) > 1 and int(numbers[1]) < 2:
        raise UserError(f"--early-stopping {text!r}: FACTOR must be at least 2", "write for example: asha:2:3")
    given = [{"name": setting, "value": number} for setting, number in zip(settings, numbers, strict=False)]
    return {"algorithmName": name, **({"algorithmSettings": given} if given else {})}


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
            **({"earlyStopping": sweep.early} if sweep.early else {}),
            "parameters": list(sweep.parameters),
            "parallelTrialCount": min(sweep.parallel, sweep.trials),
            "maxTrialCount": sweep.trials,
            # One more than may fail: at that many it ends.
            "maxFailedTrialCount": min(sweep.failures + 1, sweep.trials),
            "resumePolicy": "LongRunning",
            "trialTemplate": {
                "retain": True,
                "primaryContainerName": "pytorch",
                "trialParameters": [*given, {"name": _TRIAL, "reference": "${trialSpec.Name}"}],
                "trialSpec": job,
            },
        },
    }


def going_on(found: Obj, trials: int | None = None, parallel: int | None = None) -> Obj:
    """The merge patch by which an experiment goes on until it has had so many trials, so many at a time (None: as before);
    empty where it does already, or has ended and is only to be looked at again.

    Raises UserError for one that cannot go on.
    """
    name, spec = name_of(found), found["spec"]
    if is_true(found, "Failed"):
        why = (find(found, "Failed") or {}).get("message")
        raise UserError(f"experiment {name} has failed: {why}", "mend what failed and start a new sweep")
    ended = find(found, "Succeeded") or {}
    had = int(dig(found, "status", "trials", default=0))
    if ended.get("status") == "True" and (trials or parallel):
        if ended.get("reason") != "ExperimentMaxTrialsReached" or spec.get("resumePolicy") not in (
            "LongRunning",
            "FromVolume",
        ):
            raise UserError(f"experiment {name} is over: {ended.get('message')}", "start a new sweep")
        if trials is None:
            return {}
        if trials <= had:
            raise UserError(f"experiment {name} has had {had} trials", f"name more: --trials {had + 4}")
    if trials is not None and trials < had:
        raise UserError(f"experiment {name} has {had} trials already", f"name at least as many: --trials {had}")
    wanted = {"maxTrialCount": trials, "parallelTrialCount": parallel}
    changed = {name: value for name, value in wanted.items() if value is not None and spec.get(name) != value}
    return {"spec": changed} if changed else {}


def has_ended(trial: Obj) -> bool:
    """Whether nothing more will become of a trial."""
    return any(is_true(trial, type) for type in _ENDS)


def progress_of(found: Obj, metric: str) -> str:
    """`5 of 12 trials (2 ended early, 1 failed), 3 running, best loss=0.1`."""
    status: Obj = found.get("status") or {}
    early = int(status.get("trialsEarlyStopped", 0))
    failed = sum(int(status.get(name, 0)) for name in ("trialsFailed", "trialMetricsUnavailable"))
    ended = early + failed + int(status.get("trialsSucceeded", 0)) + int(status.get("trialsKilled", 0))
    remarks = [f"{count} {what}" for count, what in ((early, "ended early"), (failed, "failed")) if count]
    metrics = dig(status, "currentOptimalTrial", "observation", "metrics", default=())
    which = "min" if dig(found, "spec", "objective", "type") == "minimize" else "max"
    best = next((f", best {metric}={m.get(which)}" for m in metrics if m.get("name") == metric), "")
    running = int(status.get("trialsRunning", 0))
    told = f"{ended} of {dig(found, 'spec', 'maxTrialCount', default='?')} trials"
    told += f" ({', '.join(remarks)})" if remarks else ""
    told += f", {running} running" if running else ""
    return told + best


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
