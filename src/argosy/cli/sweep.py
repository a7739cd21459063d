"""`argosy sweep`"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.connection import Connection, ContextOption, KubeconfigOption, NamespaceOption, connect
from argosy.cli.terminal import Format, Output, Progress, note, print_json, print_table, progress, say
from argosy.cli.train import Where, code_of
from argosy.errors import UserError
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, key_of, name_of
from argosy.operators.experiment.schema import EXPERIMENT, LABEL_EXPERIMENT, TRIAL
from argosy.sdk import waiting
from argosy.sdk.launching import Launch, Wish, prepare
from argosy.sdk.shipping import free_name, submit
from argosy.sdk.sweeping import (
    ALGORITHMS,
    TRIAL_NAME,
    Sweep,
    arguments_for,
    experiment,
    parse_objective,
    parse_parameter,
    rows,
)
from argosy.sdk.training import DEFAULT_IMAGE, name_from, parse_pairs, resources_of


def command(
    script: Annotated[Path, typer.Argument(help="A Python file of the working directory, which travels as a whole.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Arguments of the script, after --; {NAME} becomes a parameter's value.")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="NAME=LOW..HIGH[:log|:STEP] or NAME=A,B,C; repeatable.")
    ] = None,
    objective: Annotated[str, typer.Option(help="METRIC:min or METRIC:max; the script prints METRIC=NUMBER.")] = "loss",
    trials: Annotated[int, typer.Option(min=1, help="How many trials.")] = 12,
    parallel: Annotated[int, typer.Option(min=1, help="How many at a time.")] = 3,
    algorithm: Annotated[str, typer.Option(help=f"One of {', '.join(ALGORITHMS)}.")] = "random",
    goal: Annotated[float | None, typer.Option(help="End when a trial is as good as this.")] = None,
    failures: Annotated[int, typer.Option(min=0, help="End when more trials than this have failed.")] = 3,
    stop_after: Annotated[
        int, typer.Option(min=0, help="End a trial that is worse than the median after so many values; 0: never.")
    ] = 0,
    seed: Annotated[str, typer.Option(help="The same seed makes the same trials.")] = "",
    nodes: Annotated[int, typer.Option(min=1, help="How many pods a trial.")] = 1,
    name: Annotated[str, typer.Option(help="The experiment's name; default: the script's, numbered.")] = "",
    image: Annotated[str, typer.Option(help="What to run it in, e.g. pytorch; needs Python.")] = DEFAULT_IMAGE,
    workdir: Annotated[Path | None, typer.Option(help="The directory that travels; default: this one.")] = None,
    requirements: Annotated[str, typer.Option(help="A requirements or lock file of it, or none; default: found.")] = "",
    env: Annotated[list[str] | None, typer.Option("--env", "-e", help="NAME=VALUE, repeatable.")] = None,
    cpu: Annotated[str, typer.Option(help="CPUs a pod, e.g. 500m.")] = "",
    memory: Annotated[str, typer.Option(help="Memory a pod, e.g. 2Gi.")] = "",
    gpus: Annotated[int, typer.Option(min=0, help="GPUs a pod.")] = 0,
    claim: Annotated[str, typer.Option(help="A PersistentVolumeClaim to mount at /data.")] = "",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the end.")] = 86_400,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = None,
    output: Output = Format.text,
) -> None:
    """Search for the best parameters of a training script, as Katib's Experiment: many trials, some at a time.

    Example: argosy sweep train.py --param lr=1e-4..1e-2:log --param bs=8,16 --objective loss:min
    """
    if not param:
        raise UserError("there is nothing to search", "name parameters with --param, e.g. --param lr=1e-4..1e-2:log")
    if algorithm not in ALGORITHMS:
        raise UserError(f"there is no algorithm {algorithm!r}", f"choose one of {', '.join(ALGORITHMS)}")
    parameters = tuple(parse_parameter(text) for text in param)
    metric, lowest = parse_objective(objective)
    workspace, path = code_of(script, workdir)
    wish = Wish(
        command=("python", path, *arguments_for(arguments or (), [p["name"] for p in parameters])),
        name=name,
        named_after=name_from(script.name),
        nodes=nodes,
        image=image,
        env=parse_pairs(env or [], "--env"),
        resources=resources_of(cpu, memory, gpus),
        processes=max(gpus, 1),
        claim=claim,
        backoff_limit=0,
    )
    sweep = Sweep(name, parameters, metric, lowest, goal, trials, parallel, failures, algorithm, seed, stop_after)
    where = (namespace, context, kubeconfig)
    asyncio.run(_sweep(Launch(wish, workspace, requirements), sweep, where, None if detach else timeout, output))


async def _sweep(wanted: Launch, sweep: Sweep, where: Where, timeout: float | None, output: Format) -> None:
    namespace, context, kubeconfig = where
    async with connect(context, kubeconfig, namespace) as connection:
        client, namespace = connection.client, connection.namespace
        name = sweep.name or await free_name(client, EXPERIMENT, namespace, wanted.wish.named_after)
        prepared = await prepare(client, wanted, namespace, TRIAL_NAME)
        wished = experiment(replace(sweep, name=name), prepared.run, prepared.sent, namespace)
        made = await submit(client, EXPERIMENT, wished, prepared.sent)
        if timeout is None:
            say(f"experiment/{name} runs; see: kubectl get experiment {name} -n {namespace}")
            return
        with progress(f"experiment/{name}: starting") as shown:
            ended = await _wait(connection, key_of(made), sweep.metric, timeout, shown)
        listed = await client.list(TRIAL, namespace, labels=f"{LABEL_EXPERIMENT}={name}")
    if output is Format.json:
        print_json(ended)
        return
    names = [p["name"] for p in sweep.parameters]
    table = rows(listed.items, sweep.metric, lowest=sweep.lowest)
    print_table(
        ["TRIAL", "STATE", sweep.metric.upper(), *(each.upper() for each in names)],
        [[row.name, row.state, row.value, *(row.assignments.get(each, "") for each in names)] for row in table],
    )
    best = table[0] if table and table[0].value is not None else None
    if best is None:
        note(f"no trial printed {sweep.metric}=NUMBER; see: argosy logs job/TRIAL")
    else:
        chosen = " ".join(f"--{each} {best.assignments.get(each, '')}" for each in names)
        say(f"best: {sweep.metric}={best.value} with {chosen}; its logs: argosy logs job/{best.name}")


async def _wait(connection: Connection, key: Key, metric: str, timeout: float, shown: Progress) -> Obj:
    def seen(obj: Obj) -> None:
        status = obj.get("status") or {}
        ended = sum(status.get(n, 0) for n in ("trialsSucceeded", "trialsFailed", "trialMetricsUnavailable"))
        metrics = dig(status, "currentOptimalTrial", "observation", "metrics", default=())
        best = next((f", best {metric}={m.get('latest')}" for m in metrics if m.get("name") == metric), "")
        total = dig(obj, "spec", "maxTrialCount", default="?")
        shown.update(f"experiment/{name_of(obj)}: {ended} of {total} trials{best}")

    return await waiting.until(
        connection.client, EXPERIMENT, key, waiting.succeeded_or_raise, timeout_seconds=timeout, seen=seen
    )
