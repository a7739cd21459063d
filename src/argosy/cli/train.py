"""`argosy train`"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.connection import ContextOption, KubeconfigOption, NamespaceOption, connect
from argosy.cli.terminal import Format, Output, note, print_json, progress, say
from argosy.errors import UserError
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, key_of, name_of
from argosy.operators.tracking.job import REGISTERED, URI, environment, model
from argosy.sdk.launching import Launch, Wish, follow_to_the_end, launch, until_registered
from argosy.sdk.training import DEFAULT_IMAGE, name_from, parse_pairs, resources_of
from argosy.sdk.workspace import Workspace, collect

Where = tuple[str, str, Path | None]


def command(
    script: Annotated[Path, typer.Argument(help="A Python file of the working directory, which travels as a whole.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="Arguments of the script, after --.")] = None,
    nodes: Annotated[int, typer.Option(min=1, help="How many pods.")] = 1,
    scale: Annotated[int, typer.Option(min=1, help="So many times the pods; one field to scale an experiment.")] = 1,
    name: Annotated[str, typer.Option(help="The job's name; default: the script's, numbered.")] = "",
    image: Annotated[str, typer.Option(help="What to run it in, e.g. pytorch; needs Python.")] = DEFAULT_IMAGE,
    workdir: Annotated[Path | None, typer.Option(help="The directory that travels; default: this one.")] = None,
    requirements: Annotated[str, typer.Option(help="A requirements or lock file of it, or none; default: found.")] = "",
    env: Annotated[list[str] | None, typer.Option("--env", "-e", help="NAME=VALUE, repeatable.")] = None,
    cpu: Annotated[str, typer.Option(help="CPUs a pod, e.g. 500m.")] = "",
    memory: Annotated[str, typer.Option(help="Memory a pod, e.g. 2Gi.")] = "",
    gpus: Annotated[int, typer.Option(min=0, help="GPUs a pod; more than one: a process for each.")] = 0,
    processes: Annotated[int, typer.Option(min=0, help="Processes a pod, by torchrun; default: one a GPU.")] = 0,
    claim: Annotated[str, typer.Option(help="A PersistentVolumeClaim at /data; checkpoints go there.")] = "",
    cache: Annotated[str, typer.Option(help="A claim that keeps environments and data sets.")] = "",
    data: Annotated[list[str] | None, typer.Option(help="NAME=URI, repeatable: at /datasets/NAME.")] = None,
    data_secret: Annotated[str, typer.Option(help="A Secret with credentials for the data sets.")] = "",
    register: Annotated[
        str, typer.Option(help="Register it in MLflow as a version of this model, once it succeeded.")
    ] = "",
    restarts: Annotated[int, typer.Option(min=0, help="How often the gang may start again.")] = 3,
    follow: Annotated[bool, typer.Option("--follow/--quiet", "-f/-q", help="Show the output as it comes.")] = True,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the end.")] = 86_400,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = None,
    output: Output = Format.text,
) -> None:
    """Run a training script on one or many pods as a PyTorchJob, and wait for it.

    The working directory goes along, without what .gitignore and .argosyignore name; packages are installed from its
    requirements.txt, lock file or pyproject.toml.

    Example: argosy train train.py --nodes 2 -- --epochs 3
    """
    workspace, path = code_of(script, workdir)
    wish = Wish(
        command=("python", path, *(arguments or ())),
        name=name,
        named_after=name_from(script.name),
        nodes=nodes * scale,
        image=image,
        env=parse_pairs(env or [], "--env"),
        resources=resources_of(cpu, memory, gpus),
        processes=processes or max(gpus, 1),
        claim=claim,
        cache=cache,
        data=parse_pairs(data or [], "--data", example="corpus=s3://bucket/corpus"),
        data_secret=data_secret,
        backoff_limit=restarts,
        register=register,
    )
    to_launch = Launch(wish, workspace, requirements)
    shown = follow and not detach and output is Format.text
    job = asyncio.run(_train(to_launch, (namespace, context, kubeconfig), shown, None if detach else timeout))
    target = f"pytorchjob/{name_of(job)}"
    if output is Format.json:
        print_json(job)
    elif detach:
        say(f"{target} runs; follow it with: argosy logs {target} -f")
    else:
        say(f"{target} succeeded; its logs: argosy logs {target}")
        version = annotations_of(job).get(REGISTERED, "")
        if version:
            say(f"registered as models:/{version}")
        elif register:
            note(f"{register} is not registered yet; what it waits for: argosy why {target}")


def code_of(script: Path, workdir: Path | None) -> tuple[Workspace, str]:
    """The workspace of a script and the script's path in it. Raises UserError."""
    if not script.is_file():
        raise UserError(f"there is no script {script}", "name a Python file")
    place, here = script.resolve(), Path.cwd().resolve()
    root = workdir.resolve() if workdir else here if place.is_relative_to(here) else place.parent
    if not place.is_relative_to(root):
        raise UserError(f"{script} is not in the working directory {root}", "name a directory around it with --workdir")
    workspace = collect(root)
    path = place.relative_to(root).as_posix()
    if not any(file.path == path for file in workspace.files):
        raise UserError(
            f"{path} is left out of the working directory by an ignore file",
            "take it out of there: it is what shall run",
        )
    for remark in workspace.notes:
        note(remark)
    return workspace, path


def _goes_on(job: Obj) -> str:
    key, target = key_of(job), f"pytorchjob/{name_of(job)}"
    return (
        f"{target} goes on: argosy logs {target} -n {key.namespace} -f follows it, "
        f"kubectl delete {target} -n {key.namespace} ends it"
    )


async def _train(to_launch: Launch, where: Where, shown: bool, timeout: float | None) -> Obj:
    namespace, context, kubeconfig = where
    async with connect(context, kubeconfig, namespace) as connection:
        job = await launch(connection.client, to_launch, connection.namespace)
        if model(job) and URI not in environment(job):
            note(
                f"{model(job)} is registered once an MLflow runs in the cluster, in a Service named mlflow; none is there"
            )
        if timeout is None:
            return job
        with progress(f"pytorchjob/{name_of(job)}: starting") as line:

            def seen(obj: Obj) -> None:
                last = dig(obj, "status", "conditions", -1, default={})
                line.update(
                    f"pytorchjob/{name_of(obj)}: {last.get('type', 'Pending')}: {last.get('message', 'waiting')}"
                )

            def write(lines: bytes) -> None:
                line.close()
                sys.stdout.buffer.write(lines)
                sys.stdout.buffer.flush()

            def held_up(because: str) -> None:
                line.update(f"pytorchjob/{name_of(job)}: {because}")

            try:
                ended = await follow_to_the_end(
                    connection.client, job, write=write if shown else None, seen=seen, held_up=held_up,
                    timeout_seconds=timeout,
                )  # fmt: skip
            except asyncio.CancelledError:  # Ctrl-C ends the waiting, not the job
                line.close()
                note(_goes_on(job))
                raise
        return await until_registered(connection.client, ended)
