"""`argosy why`"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.connection import ContextOption, KubeconfigOption, NamespaceOption, connect
from argosy.cli.terminal import Format, Output, print_json, say
from argosy.clock import SystemClock
from argosy.sdk import goodput, usage, why
from argosy.sdk.investigating import investigate
from argosy.sdk.ownership import family_of, find_target

_TRAINING_GROUPS = ("kubeflow.org", "trainer.kubeflow.org", "jobset.x-k8s.io", "ray.io")


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
    finding, told = asyncio.run(_investigate(target, namespace, context, kubeconfig))
    if output is Format.json:
        print_json(asdict(finding) | {"blocked": finding.blocked} | told)
        return
    for line in why.lines(finding, all_=all_):
        say(line)
    if not finding.blocked:
        say("nothing holds it up")
    for sentence in told.values():
        say(sentence)


async def _investigate(
    target: str, namespace: str, context: str, kubeconfig: Path | None
) -> tuple[why.Finding, dict[str, str]]:
    """What stands in the way; and of a training job `goodput` and `usage`, a sentence each, as far as they are known."""
    async with connect(context, kubeconfig, namespace) as connection:
        kind, name = await find_target(connection.client, target, connection.namespace)
        client, namespace = connection.client, connection.namespace
        finding = await investigate(client, kind, name, namespace)
        if kind.group not in _TRAINING_GROUPS:
            return finding, {}
        family = await family_of(client, kind, name, namespace)
        told = {
            "goodput": await goodput.report(client, family.obj, family.pods(), SystemClock().now()),
            "usage": await usage.report(client, family.pods()),
        }
        return finding, {name: sentence for name, sentence in told.items() if sentence}
