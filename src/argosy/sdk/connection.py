"""Which cluster Python code and the command line talk to: the engine of `$ARGOSY_HOME` unless they are aimed elsewhere."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from argosy.client import kubeconfig
from argosy.client.client import Client
from argosy.client.http import HttpTransport
from argosy.errors import UserError


@dataclass(frozen=True, slots=True)
class Connection:
    """A client, and the namespace to use when none is named."""

    client: Client
    namespace: str
    access: kubeconfig.Access


def access(context: str = "", path: Path | None = None) -> kubeconfig.Access:
    """Resolve a context and a kubeconfig's path. Raises UserError."""
    if path is not None:
        return kubeconfig.load([path], context)
    if context:
        named = os.environ.get("KUBECONFIG", "")
        paths = [Path(part) for part in named.split(os.pathsep) if part] or [Path.home() / ".kube" / "config"]
        return kubeconfig.load([p for p in paths if p.exists()] or paths, context)
    chosen = os.environ.get("ARGOSY_HOME")
    own = (Path(chosen).expanduser().absolute() if chosen else Path.home() / ".argosy") / "kubeconfig"
    if own.exists():
        return kubeconfig.load([own])
    in_pod = kubeconfig.in_cluster()
    if in_pod:
        return in_pod
    raise UserError(
        f"no engine has run in {own.parent}", "start one with: argosy up, or aim at a cluster with --context NAME"
    )


@asynccontextmanager
async def connect(context: str = "", path: Path | None = None, namespace: str = "") -> AsyncGenerator[Connection]:
    """A connection for the length of a block."""
    found = access(context, path)
    client = Client(HttpTransport(found), field_manager="argosy")
    try:
        yield Connection(client, namespace or found.namespace, found)
    finally:
        await client.close()
