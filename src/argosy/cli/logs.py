"""`argosy logs`"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from argosy import kinds
from argosy.cli.connection import Connection, ContextOption, KubeconfigOption, NamespaceOption, connect
from argosy.cli.terminal import Format, Output, print_json
from argosy.client.discovery import discover, resolve
from argosy.errors import ApiError, UserError
from argosy.meta.json import Obj
from argosy.meta.objects import Key, key_of
from argosy.sdk.ownership import family_of, split_target


def command(
    target: Annotated[str, typer.Argument(help="A pod's name, or KIND/NAME.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    container: Annotated[str, typer.Option("--container", "-c", help="One container; default: the first.")] = "",
    tail: Annotated[int, typer.Option(help="Only the last lines of each pod; -1: all.")] = -1,
    previous: Annotated[bool, typer.Option("--previous", "-p", help="Of the run before the last restart.")] = False,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = None,
    output: Output = Format.text,
) -> None:
    """Show logs; of several pods together, each line after its pod's name. With -o json, one object of pod → text.

    Example: argosy logs pytorchjob/pretrain -f
    """
    query = {"tailLines": str(tail)} if tail >= 0 else {}
    if previous:
        query["previous"] = "true"
    asyncio.run(
        _logs(target, container, follow and output is Format.text, query, (namespace, context, kubeconfig), output)
    )


async def _logs(
    target: str,
    container: str,
    follow: bool,
    query: dict[str, str],
    where: tuple[str, str, Path | None],
    output: Format,
) -> None:
    namespace, context, kubeconfig = where
    async with connect(context, kubeconfig, namespace) as connection:
        pods = await _pods(connection, target)
        if not pods:
            raise UserError(f"{target} has no pods yet", f"see: argosy why {target}")
        if output is Format.json:
            texts = [await _text(connection, pod, container, query) for pod in pods]
            print_json({key_of(pod).name: text for pod, text in zip(pods, texts, strict=True)})
            return
        prefixed = len(pods) > 1
        await asyncio.gather(*(_show(connection, pod, container, follow, query, prefixed) for pod in pods))


async def _pods(connection: Connection, target: str) -> list[Obj]:
    word, name = split_target(target)
    if word in ("pod", "pods", "po"):
        return [await connection.client.get(kinds.POD, name, connection.namespace)]
    kind = resolve(await discover(connection.client), word)
    return (await family_of(connection.client, kind, name, connection.namespace)).pods()


async def _text(connection: Connection, pod: Obj, container: str, query: dict[str, str]) -> str:
    chosen = container or _first_container(pod)
    chunks = connection.client.logs(kinds.POD, key_of(pod), container=chosen, query=query)
    return b"".join([chunk async for chunk in chunks]).decode(errors="replace")


async def _show(
    connection: Connection, pod: Obj, container: str, follow: bool, query: dict[str, str], prefixed: bool
) -> None:
    key = key_of(pod)
    prefix = f"{key.name} | ".encode() if prefixed else b""
    pending = b""
    try:
        async for chunk in connection.client.logs(
            kinds.POD, Key(key.namespace, key.name), container=container or _first_container(pod), follow=follow,
            query=query,
        ):  # fmt: skip
            *lines, pending = (pending + chunk).split(b"\n")
            if lines:
                sys.stdout.buffer.write(b"".join(prefix + line + b"\n" for line in lines))
                sys.stdout.buffer.flush()
    except ApiError as error:
        if not prefixed:
            raise
        sys.stderr.write(f"{key.name}: {error.message}\n")
    if pending:
        sys.stdout.buffer.write(prefix + pending + b"\n")
        sys.stdout.buffer.flush()


def _first_container(pod: Obj) -> str:
    return str(pod["spec"]["containers"][0]["name"])
