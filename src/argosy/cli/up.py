"""`argosy up`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.starting import start
from argosy.cli.terminal import Format, Output
from argosy.cluster.settings import Settings, home_directory
from argosy.engine.node.runtime.spec import Level
from argosy.errors import UserError


def command(
    isolation: Annotated[Level | None, typer.Option(help="Force a level instead of the best one possible.")] = None,
    nodes: Annotated[int, typer.Option(min=1, max=1000, help="How many nodes the machine appears as.")] = 1,
    token_auth_file: Annotated[Path | None, typer.Option(help="Static tokens: token,user,uid,groups lines.")] = None,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, show_default=False, help="The API server's port; default: as last time, or 6443 if free."
        ),
    ] = 0,
    ingress_port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, show_default=False, help="The Ingress port; default: as last time, or 8080 if free."
        ),
    ] = 0,
    output: Output = Format.text,
) -> None:
    """Start the engine in the background; returns when it is ready. A second call changes nothing.

    Example: argosy up --nodes 4 && kubectl --kubeconfig $(argosy kubeconfig) get nodes
    """
    if token_auth_file is not None and not token_auth_file.is_file():
        raise UserError(f"there is no token file {token_auth_file}", "name one with lines of: token,user,uid")
    settings = Settings(
        home=home_directory(),
        isolation=isolation,
        nodes=nodes,
        token_auth_file=token_auth_file.absolute() if token_auth_file else None,
        api_port=port,
        ingress_port=ingress_port,
    )
    start(settings, output)
