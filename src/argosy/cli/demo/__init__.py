"""`argosy demo`: a language model's whole life, told while it happens."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.connection import connect
from argosy.cli.demo import chapters, ending
from argosy.cli.demo.stage import Stage
from argosy.cli.demo.story import Story
from argosy.cli.terminal import Format, Output, print_json, say
from argosy.cluster import process
from argosy.cluster.settings import Layout, Settings, home_directory, prepare
from argosy.engine.node.images.builder import Images
from argosy.engine.node.images.resolve import ImageError
from argosy.engine.node.runtime.spec import Level
from argosy.errors import UserError
from argosy.programs.demo.manifests import Demo


def command(
    isolation: Annotated[Level | None, typer.Option(help="Force an isolation level for a fresh engine.")] = None,
    steps: Annotated[int, typer.Option(min=40, help="Pre-training steps.")] = 160,
    data: Annotated[
        Path | None, typer.Option(help="A text to train on, instead of the library's documentation.")
    ] = None,
    output: Output = Format.text,
) -> None:
    """A language model's whole life on this machine: pre-train on two pods, survive a failure, fine-tune three variants,
    track, register, serve, scale, chat. Leaves everything running until argosy down.

    Example: argosy demo --steps 300
    """
    if data is not None and not data.is_file():
        raise UserError(f"there is no text {data}", "name a file with at least some hundred kB of text")
    layout = prepare(Settings(home_directory()))
    state = process.find(layout) or process.start(Settings(layout.home, isolation=isolation), layout)
    run = time.strftime("%m%d-%H%M%S")
    if output is Format.text:
        say(f"engine at {state.server} (isolation {state.isolation}); home {layout.home}")
    plan = Demo(namespace="demo", run=run, steps=steps, data=data.name if data else "")
    story = asyncio.run(_tell(plan, state, layout, data, output is Format.json))
    report = ending.write_report(story, layout.home / "demo")
    if output is Format.json:
        print_json({**story.as_json(), "report": str(report), "ingress": state.ingress})
    else:
        ending.print_summary(story, state, report)


async def _tell(plan: Demo, state: process.EngineState, layout: Layout, data: Path | None, quiet: bool) -> Story:
    story = Story(plan.run)
    async with connect(path=Path(state.kubeconfig)) as connection:
        stage = Stage(connection.client, plan, state.ingress, story, quiet)
        pulling = asyncio.create_task(_pull(layout))
        try:
            await chapters.prepare(stage)
            if data is not None:
                await chapters.bring_text(stage, data)
            await chapters.pretrain(stage)
            await chapters.fine_tune(stage)
            await chapters.serve(stage)
            await chapters.scale(stage)
        finally:
            pulling.cancel()
        story.facts["whole demo"] = f"{stage.seconds():.0f} s"
    return story


async def _pull(layout: Layout) -> None:
    """Build what later chapters need while the first ones run; the engine would do it when the pods come."""
    images = Images(layout.home)
    try:
        await images.prebuild(["argosy/torch", "argosy/gradio"])
    except ImageError:
        return  # the pod that needs it will say so
    finally:
        await images.close()
