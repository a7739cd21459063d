"""`argosy status`"""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import typer

from argosy import kinds
from argosy.cli.connection import connect
from argosy.cli.terminal import Format, Output, print_facts, print_json
from argosy.cluster import process
from argosy.cluster.settings import Layout, home_directory
from argosy.meta.json import Obj, dig


def command(output: Output = Format.text) -> None:
    """What runs in this home. Exit code 1 when no engine does.

    Example: argosy status -o json
    """
    layout = Layout(home_directory())
    state = process.find(layout)
    if state is None:
        facts: Obj = {"running": False, "home": str(layout.home)}
    else:
        facts = {"running": True, "home": str(layout.home), **asdict(state)}
        facts |= {"rss_bytes": process.resident_bytes(state.pid)}
        facts |= asyncio.run(_counts())
    if output is Format.json:
        print_json(facts)
    elif state is None:
        print_facts({"engine": "not running; start it with: argosy up", "home": layout.home})
    else:
        phases = ", ".join(f"{count} {phase}" for phase, count in sorted(facts["pods_by_phase"].items()))
        print_facts(
            {
                "engine": f"running (pid {state.pid}, since {state.started_at}, {facts['rss_bytes'] >> 20} MiB)",
                "isolation": state.isolation,
                "server": state.server,
                "ingress": state.ingress,
                "nodes": facts["nodes"],
                "pods": f"{facts['pods']} ({phases})" if phases else 0,
                "kubeconfig": state.kubeconfig,
                "home": layout.home,
            }
        )
    if state is None:
        raise typer.Exit(1)


async def _counts() -> Obj:
    async with connect() as connection:
        nodes = await connection.client.list(kinds.NODE)
        pods = await connection.client.list(kinds.POD)
    phases: dict[str, int] = {}
    for pod in pods.items:
        phase = str(dig(pod, "status", "phase", default="Pending"))
        phases[phase] = phases.get(phase, 0) + 1
    return {"nodes": len(nodes.items), "pods": len(pods.items), "pods_by_phase": phases}
