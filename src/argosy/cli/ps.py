"""`argosy ps`"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.connection import ContextOption, KubeconfigOption, connect
from argosy.cli.terminal import Format, Output, note, print_json, print_table
from argosy.client.discovery import discover, resolve
from argosy.client.requests import Request
from argosy.meta.json import Obj, dig

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def command(
    kind: Annotated[str, typer.Argument(help="pods, pytorchjobs, isvc, …")] = "pods",
    selector: Annotated[str, typer.Option("--selector", "-l", help="Labels to match.")] = "",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only this namespace.")] = "",
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces: the default.")] = False,
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = None,
    output: Output = Format.text,
) -> None:
    """List pods of all namespaces, or objects of any kind, in the columns that kubectl shows.

    Example: argosy ps pytorchjobs
    """
    table = asyncio.run(_table(kind, selector, "" if everywhere else namespace, context, kubeconfig))
    rows = table.get("rows") or []
    if output is Format.json:
        print_json([row.get("object") for row in rows])
        return
    if not rows:
        note(f"there are no {kind}")
        return
    shown = [index for index, column in enumerate(table["columnDefinitions"]) if not column.get("priority")]
    headers = ["NAMESPACE", *(str(table["columnDefinitions"][index]["name"]).upper() for index in shown)]
    lines = [
        [dig(row, "object", "metadata", "namespace", default=""), *(_cell(row["cells"][index]) for index in shown)]
        for row in rows
    ]
    print_table(headers, lines)


async def _table(kind: str, selector: str, namespace: str, context: str, kubeconfig: Path | None) -> Obj:
    async with connect(context, kubeconfig, namespace) as connection:
        found = resolve(await discover(connection.client), kind)
        query = {"includeObject": "Object"}
        if selector:
            query["labelSelector"] = selector
        path = found.path(namespace if found.namespaced else "")
        answer = await connection.client.raw(Request("GET", path, query, {"accept": _TABLE}))
        table: Obj = answer.decoded()
        return table


def _cell(value: object) -> object:
    return "<none>" if value in (None, "") else value
