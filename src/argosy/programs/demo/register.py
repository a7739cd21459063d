"""Put the best run of an experiment into MLflow's model registry, with the alias `champion` and its lineage.

    python -m argosy.programs.demo.register --experiment finetune --metric held_out_loss --name demo

Prints one JSON object: the chosen run, the registered version, and what it was chosen from. Running it again with the
same best run changes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from argosy.meta.json import Obj
from argosy.programs import pod
from argosy.programs.demo import tracking

_LINEAGE = ("stage", "variant", "base", "base_run", "adapter")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finished run."""

    run: str
    name: str
    value: float
    tags: Mapping[str, str]


def best(candidates: Sequence[Candidate], *, highest: bool) -> Candidate | None:
    """The candidate with the best value; of equals the first by name."""
    return min(candidates, key=lambda c: (-c.value if highest else c.value, c.name), default=None)


def candidates(client: Any, experiment: str, metric: str) -> list[Candidate]:
    """The finished runs of an experiment that have the metric."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    runs = client.search_runs([found.experiment_id], "attributes.status = 'FINISHED'")
    return [
        Candidate(run.info.run_id, run.info.run_name or "", run.data.metrics[metric], run.data.tags)
        for run in runs
        if metric in run.data.metrics
    ]


def register(client: Any, chosen: Candidate, name: str, artifact: str, alias: str) -> str:
    """Make the chosen run the model's champion. The version's number."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        client.create_registered_model(name, description="Made by the demo: the best of its fine-tuned variants.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    known = [v for v in client.search_model_versions(f"name = '{name}'") if v.run_id == chosen.run]
    if known:
        version = str(known[0].version)
    else:
        source = f"{client.get_run(chosen.run).info.artifact_uri}/{artifact}"
        tags = {key: chosen.tags[key] for key in _LINEAGE if chosen.tags.get(key)}
        version = str(client.create_model_version(name, source, chosen.run, tags=tags).version)
    client.set_registered_model_alias(name, alias, version)
    return version


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="register", description="Register the best run of an experiment.")
    parser.add_argument("--experiment", default="finetune")
    parser.add_argument("--metric", default="held_out_loss")
    parser.add_argument("--highest", action="store_true", help="the highest value is best; default: the lowest")
    parser.add_argument("--name", default="demo", help="the registered model")
    parser.add_argument("--artifact", default="adapter", help="the run's artifact that is the model")
    parser.add_argument("--alias", default="champion")
    options = parser.parse_args()
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        pod.give_up("register: set MLFLOW_TRACKING_URI to the MLflow server's address")
    for variable, value in tracking.QUIET.items():
        os.environ.setdefault(variable, value)
    from mlflow import MlflowClient  # noqa: PLC0415  (reads the environment when imported)
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        client = MlflowClient()
        found = candidates(client, options.experiment, options.metric)
        chosen = best(found, highest=options.highest)
        if chosen is None:
            pod.give_up(
                f"register: the experiment {options.experiment} has no finished run with the metric {options.metric}"
            )
        version = register(client, chosen, options.name, options.artifact, options.alias)
    except MlflowException as error:
        pod.give_up(f"register: MLflow refused: {(str(error).splitlines() or ['no reason given'])[0]}")
    print(json.dumps(report(chosen, found, options.name, version, options.alias), indent=1))


def report(chosen: Candidate, found: Sequence[Candidate], name: str, version: str, alias: str) -> Obj:
    """What was done."""
    return {
        "model": name,
        "version": version,
        "alias": alias,
        "run_name": chosen.name,
        "run": chosen.run,
        "value": chosen.value,
        "candidates": {c.name: c.value for c in sorted(found, key=lambda c: c.name)},
        "lineage": {key: chosen.tags[key] for key in _LINEAGE if chosen.tags.get(key)},
    }


if __name__ == "__main__":
    main()
