"""`argosy images`"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from argosy.cli.terminal import Format, Output, print_json, print_table, progress
from argosy.cluster.settings import Layout, home_directory
from argosy.engine.node.images.builder import Images, Pulled
from argosy.engine.node.images.environments import Progress
from argosy.engine.node.images.resolve import ImageError
from argosy.errors import UserError
from argosy.meta.json import Obj


def command(
    references: Annotated[list[str] | None, typer.Argument(help="Image references; default: the demo's.")] = None,
    pull: Annotated[bool, typer.Option(help="Build the environments that are not there yet.")] = False,
    output: Output = Format.text,
) -> None:
    """Which environment an image reference stands for on the embedded engine, and whether it is built.

    Example: argosy images --pull argosy/torch argosy/gradio
    """
    wanted = references or ["argosy/torch", "argosy/mlflow", "argosy/gradio", "argosy/runtime", "busybox", "python"]
    rows = asyncio.run(_images(wanted, pull))
    if output is Format.json:
        print_json(rows)
        return
    columns = ("image", "present", "digest", "note")
    print_table([column.upper() for column in columns], [[row[column] for column in columns] for row in rows])


async def _images(references: list[str], pull: bool) -> list[Obj]:
    layout = Layout(home_directory())
    images = Images(layout.home)
    try:
        if pull:
            await _pull(images, references)
        return [_row(images, reference) for reference in references]
    finally:
        await images.close()


async def _pull(images: Images, references: list[str]) -> None:
    task = asyncio.create_task(images.prebuild(references))
    with progress("building environments") as shown:
        while not task.done():
            await asyncio.wait({task}, timeout=0.2)
            shown.update(", ".join(_line(p) for p in images.progress()) or "building environments")
    try:
        await task
    except ImageError as error:
        raise UserError(str(error)) from None


def _row(images: Images, reference: str) -> Obj:
    try:
        pulled: Pulled | None = images.present(reference)
    except ImageError as error:
        return {"image": reference, "present": "unknown", "digest": "", "note": str(error)}
    if pulled is None:
        return {"image": reference, "present": "no", "digest": "", "note": "built when first used"}
    return {"image": reference, "present": "yes", "digest": pulled.image.digest[:19], "note": pulled.note}


def _line(build: Progress) -> str:
    size = f", {build.megabytes:.0f} MB" if build.megabytes else ""
    return f"{build.environment}: {build.stage} ({build.packages} packages{size})"
