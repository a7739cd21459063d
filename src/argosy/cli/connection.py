"""The options that say which cluster a verb talks to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from argosy.sdk.connection import Connection, access, connect

__all__ = ["Connection", "ContextOption", "KubeconfigOption", "NamespaceOption", "access", "connect"]

ContextOption = Annotated[str, typer.Option("--context", help="A context of your kubeconfig: any cluster.")]
KubeconfigOption = Annotated[Path | None, typer.Option("--kubeconfig", help="A kubeconfig file.")]
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="Default: the context's namespace.")]
