"""`argosy train`"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.connection import Connection, ContextOption, KubeconfigOption, NamespaceOption, connect
from argosy.cli.terminal import Format, Output, Progress, note, print_json, progress, say
from argosy.errors import UserError
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.sdk import waiting
from argosy.sdk.apply import apply
from argosy.sdk.training import TrainingRun, name_from, parse_pairs, training_objects


def command(
    script: Annotated[Path, typer.Argument(help="A Python file; the .py files beside it travel with it.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="Arguments of the script, after --.")] = None,
    nodes: Annotated[int, typer.Option(min=1, help="How many pods; one field to scale an experiment.")] = 1,
    name: Annotated[str, typer.Option(help="The job's name; default: the script's.")] = "",
    image: Annotated[str, typer.Option(help="What to run it in.")] = "argosy/torch",
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
    """Run a training script on one or many pods as a PyTorchJob, and wait for it.

    Example: argosy train train.py --nodes 2 -- --epochs 3
    """
    if not script.is_file():
        raise UserError(f"there is no script {script}", "name a Python file")
    resources = {"cpu": cpu, "memory": memory, "nvidia.com/gpu": str(gpus or "")}
    run = TrainingRun(
        name=name or name_from(script.name),
        script=script.name,
        files={path.name: path.read_text() for path in {script, *script.parent.glob("*.py")}},
        nodes=nodes,
        image=image,
        arguments=tuple(arguments or ()),
        env=parse_pairs(env or [], "--env"),
        resources={key: value for key, value in resources.items() if value},
        claim=claim,
    )
    job = asyncio.run(_train(run, detach, timeout, (namespace, context, kubeconfig)))
    if output is Format.json:
        print_json(job)
    elif detach:
        say(f"pytorchjob/{run.name} applied; follow it with: argosy logs pytorchjob/{run.name} -f")
    else:
        say(f"pytorchjob/{run.name} succeeded; its logs: argosy logs pytorchjob/{run.name}")


async def _train(run: TrainingRun, detach: bool, timeout: float, where: tuple[str, str, Path | None]) -> Obj:
    namespace, context, kubeconfig = where
    async with connect(context, kubeconfig, namespace) as connection:
        applied = await apply(connection.client, training_objects(run, connection.namespace))
        if applied[-1].outcome == "unchanged":
            note(f"pytorchjob/{run.name} exists already and is as it was; delete it to run it again")
        if detach:
            return applied[-1].obj
        with progress(f"pytorchjob/{run.name}: starting") as shown:
            return await _wait(connection, run.name, timeout, shown)


async def _wait(connection: Connection, name: str, timeout: float, shown: Progress) -> Obj:
    def seen(job: Obj) -> None:
        last = dig(job, "status", "conditions", -1, default={})
        shown.update(f"pytorchjob/{name}: {last.get('type', 'Pending')}: {last.get('message', 'waiting')}")

    return await waiting.until(
        connection.client, PYTORCH_JOB, Key(connection.namespace, name), waiting.succeeded_or_raise,
        timeout_seconds=timeout, seen=seen,
    )  # fmt: skip
