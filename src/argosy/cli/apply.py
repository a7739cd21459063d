"""`argosy apply`"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.connection import ContextOption, KubeconfigOption, NamespaceOption, connect
from argosy.cli.terminal import Format, Output, print_json, progress, say
from argosy.errors import UserError
from argosy.meta.json import Obj
from argosy.meta.objects import key_of
from argosy.sdk import manifests
from argosy.sdk.apply import Applied, apply


def command(
    filename: Annotated[list[str], typer.Option("--filename", "-f", help="A file, a directory, or - for stdin.")],
    recursive: Annotated[bool, typer.Option("--recursive", "-R", help="Descend into directories.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Let the server check, and change nothing.")] = False,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = None,
    output: Output = Format.text,
) -> None:
    """Apply manifests (server-side), in an order that works: namespaces and CRDs first.

    Example: argosy apply -f examples/pytorchjob.yaml
    """
    objects = manifests.read(filename, recursive=recursive)
    if not objects:
        named = ", ".join("standard input" if each == "-" else each for each in filename)
        raise UserError(f"there is no object in {named}", "name manifests: .yaml, .yml or .json files")
    results = asyncio.run(_apply(objects, namespace, context, kubeconfig, dry_run, output is Format.text))
    if output is Format.json:
        print_json([{"outcome": result.outcome, "object": result.obj} for result in results])


async def _apply(
    objects: list[Obj], namespace: str, context: str, kubeconfig: Path | None, dry_run: bool, tell: bool
) -> list[Applied]:
    async with connect(context, kubeconfig, namespace) as connection:
        with progress(f"applying {len(objects)} objects") as shown:

            def done(applied: Applied) -> None:
                shown.close()
                if tell:
                    suffix = " (dry run)" if dry_run else ""
                    say(f"{applied.kind.singular}/{key_of(applied.obj).name} {applied.outcome}{suffix}")
                shown.update()

            return await apply(connection.client, objects, namespace=connection.namespace, dry_run=dry_run, done=done)
