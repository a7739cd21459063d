"""`argosy why`"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.connection import ContextOption, KubeconfigOption, NamespaceOption, connect
from argosy.cli.terminal import Format, Output, print_json, say
from argosy.sdk import why
from argosy.sdk.investigating import investigate
from argosy.sdk.ownership import find_target


def command(
    target: Annotated[str, typer.Argument(help="KIND/NAME, or a pod's name.")],
    all_: Annotated[bool, typer.Option("--all", "-a", help="Show what is well, too.")] = False,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = None,
    output: Output = Format.text,
) -> None:
    """Say why something is not ready: the chain from the object down to quota, placement, image, crash or probe.

    Example: argosy why pytorchjob/pretrain
    """
    finding = asyncio.run(_investigate(target, namespace, context, kubeconfig))
    if output is Format.json:
        print_json(asdict(finding) | {"blocked": finding.blocked})
        return
    for line in why.lines(finding, all_=all_):
        say(line)
    if not finding.blocked:
        say("nothing holds it up")


async def _investigate(target: str, namespace: str, context: str, kubeconfig: Path | None) -> why.Finding:
    async with connect(context, kubeconfig, namespace) as connection:
        kind, name = await find_target(connection.client, target, connection.namespace)
        return await investigate(connection.client, kind, name, connection.namespace)
