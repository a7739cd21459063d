"""`argosy images`"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from argosy.cli.terminal import Format, Output, print_json, print_table, progress, say
from argosy.cluster import process
from argosy.cluster.settings import Layout, home_directory
from argosy.engine.node.images.builder import Images, Pulled
from argosy.engine.node.images.environments import Progress
from argosy.engine.node.images.resolve import ImageError
from argosy.engine.node.oci import OciImages
from argosy.engine.node.oci.pull import Wanted
from argosy.engine.node.pulling import Asking, hosts_of, how_to_map, wanted_of
from argosy.engine.node.runtime.spec import Level
from argosy.errors import UserError
from argosy.meta.json import Obj

_SHOWN = ("argosy/torch", "argosy/mlflow", "argosy/gradio", "argosy/runtime", "busybox", "python")


def command(
    references: Annotated[
        list[str] | None, typer.Argument(help="Image references; default: the demo's and those that were pulled.")
    ] = None,
    pull: Annotated[bool, typer.Option(help="Build or fetch what is not there yet.")] = False,
    prune: Annotated[bool, typer.Option(help="Remove the OCI images that no container uses.")] = False,
    output: Output = Format.text,
) -> None:
    """What an image reference stands for on the embedded engine, an environment or the OCI image itself, and whether it is here.

    Example: argosy images --pull argosy/torch argosy/gradio
    """
    here = _Here()
    if prune:
        here.prune()
    rows = asyncio.run(here.images(references, pull))
    if output is Format.json:
        print_json(rows)
        return
    columns = ("image", "present", "digest", "note")
    print_table([column.upper() for column in columns], [[row[column] for column in columns] for row in rows])


class _Here:
    """The images of this home."""

    def __init__(self) -> None:
        layout = Layout(home_directory())
        running = process.find(layout)
        level = Level(running.isolation) if running is not None else Level.L2
        self._asking = Asking(level, registries=True)
        self._environments = Images(layout.home)
        self._oci = OciImages(layout.home, lambda: hosts_of(self._environments))

    def prune(self) -> None:
        try:
            removed = self._oci.prune(everything=True)
        except BlockingIOError:
            raise UserError(
                "an image is being pulled, so none can be removed now", "try again when it is there"
            ) from None
        size = sum(record.size for record in removed)
        count = f"{len(removed)} image{'' if len(removed) == 1 else 's'}"
        say(f"removed {count}, {size / 1e6:.0f} MB as a registry counts")

    async def images(self, references: list[str] | None, pull: bool) -> list[Obj]:
        """A row an image, first pulled if need be."""
        pulled = [record.reference for record, _ in self._oci.store.records()]
        wanted = references or list(dict.fromkeys([*_SHOWN, *sorted(pulled)]))
        try:
            if pull:
                await self._pull(wanted)
            return [self._row(reference) for reference in wanted]
        finally:
            self._oci.close()
            await self._environments.close()

    async def _pull(self, references: list[str]) -> None:
        task = asyncio.create_task(self._get_all(references))
        with progress("getting images") as shown:
            while not task.done():
                await asyncio.wait({task}, timeout=0.2)
                shown.update(", ".join(_line(p) for p in self._environments.progress()) or "getting images")
        try:
            await task
        except ImageError as error:
            raise UserError(str(error)) from None

    async def _get_all(self, references: list[str]) -> None:
        """All at once; raises ImageError for the first that fails, after all have ended."""
        results = await asyncio.gather(*(self._get(r) for r in references), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _get(self, reference: str) -> None:
        wanted = wanted_of(self._environments, reference, self._asking)
        if wanted is None:
            await self._environments.get(reference)
            return
        try:
            await self._oci.get(wanted, newest=True)
        except ImageError as error:
            raise ImageError(f"{error.message}{how_to_map(self._environments, reference)}", error.reason) from None

    def _row(self, reference: str) -> Obj:
        try:
            wanted = wanted_of(self._environments, reference, self._asking)
            if wanted is not None:
                return self._itself(wanted)
            pulled: Pulled | None = self._environments.present(reference)
        except ImageError as error:
            return {"image": reference, "present": "unknown", "digest": "", "note": str(error)}
        if pulled is None:
            return {"image": reference, "present": "no", "digest": "", "note": "built when first used"}
        return {"image": reference, "present": "yes", "digest": pulled.image.digest[:19], "note": pulled.note}

    def _itself(self, wanted: Wanted) -> Obj:
        image, record = self._oci.present(wanted), self._oci.store.read(str(wanted.target))
        if image is None or record is None:
            going_on = [_line(p) for p in self._environments.progress() if p.environment == wanted.reference]
            note = f"OCI image, fetched from {wanted.target} when first used"
            note = f"being fetched: {going_on[0]}" if going_on else note
            return {"image": wanted.reference, "present": "no", "digest": "", "note": note}
        note = f"OCI image from {wanted.target}, {record.size / 1e6:.1f} MB"
        return {"image": wanted.reference, "present": "yes", "digest": record.digest[:19], "note": note}


def _line(build: Progress) -> str:
    size = f"{build.megabytes:.0f} MB" if build.megabytes else ""
    packages = f"{build.packages} packages" if build.packages else ""
    return f"{build.environment}: {build.stage} ({', '.join(filter(None, (packages, size))) or 'begun'})"
