"""`argosy down`"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from argosy.cli.terminal import Format, Output, print_json, progress, say
from argosy.cluster import process
from argosy.cluster.leftovers import clear
from argosy.cluster.settings import Layout, home_directory


def command(
    purge: Annotated[bool, typer.Option(help="Also delete the cluster's state and volumes (not the images).")] = False,
    output: Output = Format.text,
) -> None:
    """End the engine and everything it started: pods, networks, mounts. Objects and volumes stay for the next up.

    Example: argosy down
    """
    layout = Layout(home_directory())
    state = process.find(layout)
    if state is not None:
        with progress("ending pods and the engine") as shown:
            process.stop(layout, state, lambda _: shown.update())
    # An engine that was killed leaves its pods running on purpose; this ends them.
    cleared = asyncio.run(clear(layout, purge=purge)) if layout.home.exists() else False
    ended = state is not None or cleared
    if output is Format.json:
        print_json({"ended": ended, "home": str(layout.home)})
        return
    say("everything has ended" if ended else "nothing was running")
