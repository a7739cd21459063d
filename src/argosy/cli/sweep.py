"""`argosy sweep`"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.connection import Connection, ContextOption, KubeconfigOption, NamespaceOption, connect
from argosy.cli.terminal import Format, Output, Progress, note, print_json, print_table, progress, say
from argosy.cli.train import Where, code_of
from argosy.errors import UserError
from argosy.meta.json import Obj, dig
from argosy.meta.objects import key_of, name_of
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
    going_on,
    has_ended,
    parse_objective,
    parse_parameter,
    parse_stopping,
    progress_of,
    rows,
)
from argosy.sdk.training import DEFAULT_IMAGE, name_from, parse_pairs, resources_of


def command(
    script: Annotated[
        Path | None, typer.Argument(help="A Python file of the working directory, which travels as a whole.")
    ] = None,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Arguments of the script, after --; {NAME} becomes a parameter's value.")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="NAME=LOW..HIGH[:log|:STEP] or NAME=A,B,C; repeatable.")
    ] = None,
    objective: Annotated[str, typer.Option(help="METRIC:min or METRIC:max; the script prints METRIC=NUMBER.")] = "loss",
    trials: Annotated[int | None, typer.Option(min=1, help="How many trials; default: 12.")] = None,
    parallel: Annotated[int | None, typer.Option(min=1, help="How many at a time; default: 3.")] = None,
    algorithm: Annotated[str, typer.Option(help=f"One of {', '.join(ALGORITHMS)}.")] = "random",
    goal: Annotated[float | None, typer.Option(help="End when a trial is as good as this.")] = None,
    failures: Annotated[int, typer.Option(min=0, help="End when more trials than this have failed.")] = 3,
    early_stopping: Annotated[
        str, typer.Option(help="End bad trials early: asha[:STEPS[:FACTOR]] or medianstop[:STEPS[:TRIALS]].")
    ] = "",
    stop_after: Annotated[int, typer.Option(min=0, help="The same as --early-stopping medianstop:N; 0: never.")] = 0,
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
    resume: Annotated[str, typer.Option(help="Go on with this experiment, or wait for it again; no SCRIPT.")] = "",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the end.")] = 86_400,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = None,
    output: Output = Format.text,
) -> None:
    """Search for the best parameters of a training script, as Katib's Experiment: many trials, some at a time.

    Example: argosy sweep train.py --param lr=1e-4..1e-2:log --param bs=8,16 --objective loss:min --early-stopping asha:2

    Ctrl-C ends the waiting, not the search: argosy sweep --resume NAME waits on, with --trials 24 for more of them.
    """
    where, waits = (namespace, context, kubeconfig), None if detach else timeout
    if resume:
        _only(resume, script, param)
        asyncio.run(_resume(resume, (trials, parallel), where, waits, output))
        return
    script, parameters = _searched(script, param, algorithm)
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
    early, counts = _early(early_stopping, stop_after), (trials or 12, parallel or 3, failures)
    sweep = Sweep(name, parameters, metric, lowest, goal, *counts, algorithm, seed, early)
    asyncio.run(_sweep(Launch(wish, workspace, requirements), sweep, where, waits, output))


def _only(resume: str, script: Path | None, param: list[str] | None) -> None:
    if script is not None or param:
        raise UserError("--resume takes no script and no --param", f"say: argosy sweep --resume {resume} --trials N")


def _searched(script: Path | None, param: list[str] | None, algorithm: str) -> tuple[Path, tuple[Obj, ...]]:
    """The script and its parameters, once it is clear that there is something to search."""
    if script is None:
        raise UserError("there is no script to run", "say: argosy sweep train.py --param lr=1e-4..1e-2:log")
    if not param:
        raise UserError("there is nothing to search", "name parameters with --param, e.g. --param lr=1e-4..1e-2:log")
    if algorithm not in ALGORITHMS:
        raise UserError(f"there is no algorithm {algorithm!r}", f"choose one of {', '.join(ALGORITHMS)}")
    return script, tuple(parse_parameter(text) for text in param)


def _early(text: str, stop_after: int) -> Obj:
    if stop_after and text:
        raise UserError("--stop-after and --early-stopping are two words for one thing", "leave --stop-after out")
    text = f"medianstop:{stop_after}" if stop_after else text
    return parse_stopping(text) if text else {}


async def _sweep(wanted: Launch, sweep: Sweep, where: Where, timeout: float | None, output: Format) -> None:
    namespace, context, kubeconfig = where
    async with connect(context, kubeconfig, namespace) as connection:
        client, namespace = connection.client, connection.namespace
        name = sweep.name or await free_name(client, EXPERIMENT, namespace, wanted.wish.named_after)
        prepared = await prepare(client, wanted, namespace, TRIAL_NAME)
        wished = experiment(replace(sweep, name=name), prepared.run, prepared.sent, namespace)
        made = await submit(client, EXPERIMENT, wished, prepared.sent)
        await _see_through(connection, made, timeout, output)


async def _resume(
    name: str, wanted: tuple[int | None, int | None], where: Where, timeout: float | None, output: Format
) -> None:
    namespace, context, kubeconfig = where
    async with connect(context, kubeconfig, namespace) as connection:
        found = await connection.client.get(EXPERIMENT, name, connection.namespace)
        patch = going_on(found, *wanted)
        if patch:
            found = await connection.client.patch(EXPERIMENT, key_of(found), patch)
        await _see_through(connection, found, timeout, output)


async def _see_through(connection: Connection, made: Obj, timeout: float | None, output: Format) -> None:
    """Wait for the end, tell of every trial that ends, and show them all."""
    key = key_of(made)
    if timeout is None:
        if output is Format.json:
            print_json(made)
        else:
            say(f"experiment/{key.name} runs; see: argosy sweep --resume {key.name} -n {key.namespace}")
        return
    with progress(f"experiment/{key.name}: starting") as shown:
        telling = asyncio.create_task(_tell(connection, made, shown))
        try:
            ended = await _wait(connection, made, timeout, shown)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
    listed = await connection.client.list(TRIAL, key.namespace, labels=f"{LABEL_EXPERIMENT}={key.name}")
    if output is Format.json:
        print_json(ended)
    else:
        _show(made, listed.items)


def _show(made: Obj, trials: Sequence[Obj]) -> None:
    metric, lowest, names = _objective(made)
    table = rows(trials, metric, lowest=lowest)
    print_table(
        ["TRIAL", "STATE", metric.upper(), *(each.upper() for each in names)],
        [[row.name, row.state, row.value, *(row.assignments.get(each, "") for each in names)] for row in table],
    )
    best = table[0] if table and table[0].value is not None else None
    if best is None:
        note(f"no trial printed {metric}=NUMBER; see: argosy logs job/TRIAL")
    else:
        chosen = " ".join(f"--{each} {best.assignments.get(each, '')}" for each in names)
        say(f"best: {metric}={best.value} with {chosen}; its logs: argosy logs job/{best.name}")


def _objective(made: Obj) -> tuple[str, bool, list[str]]:
    """(metric, whether lower is better, names of the parameters)."""
    objective = made["spec"]["objective"]
    names = [str(parameter["name"]) for parameter in made["spec"]["parameters"]]
    return str(objective["objectiveMetricName"]), objective["type"] == "minimize", names


async def _tell(connection: Connection, made: Obj, shown: Progress) -> None:
    """A line on stderr for each trial that ends from now on."""
    client, key = connection.client, key_of(made)
    metric, lowest, names = _objective(made)
    labels = f"{LABEL_EXPERIMENT}={key.name}"
    listed = await client.list(TRIAL, key.namespace, labels=labels)
    told = {name_of(trial) for trial in listed.items if has_ended(trial)}
    since = listed.resource_version
    async with aclosing(client.watch(TRIAL, key.namespace, since=since, labels=labels)) as events:
        async for event in events:
            name = name_of(event.obj) if event.type == "MODIFIED" else ""
            if name and name not in told and has_ended(event.obj):
                told.add(name)
                (row,) = rows([event.obj], metric, lowest=lowest)
                given = " ".join(f"{each}={row.assignments.get(each, '')}" for each in names)
                shown.close()
                note(f"{name}  {row.state}  {metric}={'?' if row.value is None else row.value}  {given}")


async def _wait(connection: Connection, made: Obj, timeout: float, shown: Progress) -> Obj:
    metric, generation = _objective(made)[0], int(made["metadata"].get("generation") or 0)
    most = dig(made, "spec", "maxTrialCount", default=0)

    def seen(obj: Obj) -> None:
        shown.update(f"experiment/{name_of(obj)}: {progress_of(obj, metric)}")

    def over(obj: Obj) -> bool:
        # One that has just been given more trials still says that it had enough.
        ended = waiting.succeeded_or_raise(obj)
        reached = dig(obj, "status", "conditions", -1, "reason") == "ExperimentMaxTrialsReached"
        return ended and not (reached and int(dig(obj, "status", "trials", default=0)) < most and generation > 1)

    def held_up(because: str) -> None:
        shown.update(f"experiment/{name_of(made)}: {because}")

    return await waiting.until(
        connection.client, EXPERIMENT, key_of(made), over, timeout_seconds=timeout, seen=seen, held_up=held_up
    )
