"""Images as the node agent has them: `present` at once, `get` after building what is missing.

Builds run in threads, one an environment however many pods wait for it, and go on when the pod that asked is deleted.
A failure is remembered for nobody: the next try (the kubelet's back-off) builds again.
"""

from __future__ import annotations

import asyncio
import hashlib
import platform as machine
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import argosy
from argosy.engine.node.images import environments, installers, standins
from argosy.engine.node.images.catalogue import CatalogueFiles
from argosy.engine.node.images.environments import Progress
from argosy.engine.node.images.resolve import (
    Catalogue,
    CatalogueError,
    Entry,
    Environment,
    ImageError,
    Platform,
    address,
    extended,
    find,
    other_python,
    unmapped,
)
from argosy.engine.node.runtime.spec import Image

REQUIREMENTS = "argosy.dev/requirements"
"""On a pod: packages that its images shall have besides their own, as the lines of a requirements file."""
AT_ONCE = 3
"""How many environments are built at the same time."""
ANSWERED = "ARGOSY_REQUIREMENTS"
"""In the environment of what was built for requirements: the SHA-256 of their text, so that nothing installs them again."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """An image, and what it cost to get it."""

    image: Image
    seconds: float = 0.0
    """0 when it was present."""
    bytes: int = 0
    note: str = ""


class Images:
    """The images of one engine, under `<home>/images`; the user's own mappings are in `<home>/images.yaml`."""

    def __init__(self, home: Path) -> None:
        self._directory = (home / "images").resolve()  # scripts name their interpreter by its real path
        self._files = CatalogueFiles(home / "images.yaml")
        self._platform: Platform | None = None
        self._ready: dict[tuple[str, str], Pulled] = {}
        self._ready_of: object = None
        self._builds: dict[str, asyncio.Task[environments.Built]] = {}
        self._progress: dict[str, Progress] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._compilers: dict[str, subprocess.Popen[bytes]] = {}

    def present(self, reference: str, requirements: str = "") -> Pulled | None:
        """The image if nothing has to be built for it; with `requirements`, the text of such a file, one that has those
        packages too. Raises ImageError for one that cannot be.
        """
        self._catalogue()
        known = self._ready.get((reference, requirements))
        if known is not None:
            return known
        entry, line = self._resolve(reference, requirements)
        if line[0].kind == "venv" and environments.built(self._place(line)) is None:
            return None
        return self._remember(reference, requirements, entry, line)

    async def get(
        self, reference: str, pulling: Callable[[], None] = lambda: None, *, requirements: str = ""
    ) -> Pulled:
        """The image, built if need be; `pulling` is called when that is the case. Raises ImageError."""
        ready = self.present(reference, requirements)
        if ready is not None:
            return ready
        pulling()
        began = time.monotonic()
        entry, line = self._resolve(reference, requirements)
        built = await self._build(line)
        ready = self._remember(reference, requirements, entry, line)
        return Pulled(ready.image, time.monotonic() - began, built.bytes, ready.note)

    async def prebuild(self, references: Iterable[str]) -> None:
        """Get several images at once. Raises ImageError for the first that fails, after all have ended."""
        results = await asyncio.gather(*(self.get(r) for r in references), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def progress(self) -> Sequence[Progress]:
        """The builds that go on now, in this process or in another one of the same home."""
        return environments.read_progress(self._directory)

    def advice(self, reference: str) -> str:
        """What to do when a program is not in an image; empty when there is nothing to add."""
        try:
            kind = self._resolve(reference)[1][0].kind
        except ImageError:
            return ""
        stands_for = "this machine's own tools" if kind == "host" else "a Python environment of this machine"
        return (
            f"the image {reference} stands for {stands_for}: install the program there, "
            f"or map the image to another environment in {self._files.user_file}"
        )

    def unmapped(self, reference: str) -> str:
        """How to map an image. Raises ImageError."""
        return unmapped(self._catalogue(), reference, str(self._files.user_file))

    def catalogue(self) -> Catalogue:
        """The catalogue as it is now. Raises ImageError."""
        return self._catalogue()

    async def close(self) -> None:
        """Stop compiling in the background. A build that still runs is left to its installer's end and thrown away."""
        for process in self._compilers.values():
            process.kill()
            process.wait()
        self._compilers.clear()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    def _catalogue(self) -> Catalogue:
        """The catalogue as it is now; what is known of images goes with the one that it was known by."""
        try:
            catalogue = self._files.current()
        except CatalogueError as error:
            raise ImageError(str(error)) from None
        if catalogue is not self._ready_of:
            self._ready, self._ready_of = {}, catalogue
        return catalogue

    def _resolve(self, reference: str, requirements: str = "") -> tuple[Entry, tuple[Environment, ...]]:
        catalogue = self._catalogue()
        try:
            entry = find(catalogue, reference, str(self._files.user_file))
            return entry, extended(catalogue.line(entry.environment), requirements.splitlines())
        except CatalogueError as error:
            raise ImageError(str(error)) from None

    async def _build(self, line: tuple[Environment, ...]) -> environments.Built:
        digest = address(line, self._here())
        task = self._builds.get(digest)
        if task is None or task.done():
            progress = self._progress[digest] = Progress(line[0].name, digest, time.time())
            task = asyncio.create_task(self._run_build(line, progress), name=f"image {line[0].name}")
            self._builds[digest] = task
        return await asyncio.shield(task)

    async def _run_build(self, line: tuple[Environment, ...], progress: Progress) -> environments.Built:
        loop = asyncio.get_running_loop()
        self._directory.mkdir(parents=True, exist_ok=True)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(AT_ONCE, "image")
        try:
            built = await loop.run_in_executor(
                self._threads, environments.build, self._directory, line, self._here(), progress
            )
        except installers.InstallFailed as error:
            progress.stage = "failed"
            raise ImageError(f"the environment {line[0].name} could not be installed: {error}") from None
        except OSError as error:
            progress.stage = "failed"
            raise ImageError(
                f"the environment {line[0].name} could not be written to {self._directory}: {error.strerror}; "
                "free some space or set ARGOSY_HOME to another disk"
            ) from None
        progress.stage = "done"
        if not any(not task.done() and task is not self._builds.get(progress.digest) for task in self._builds.values()):
            self._compile_rest()
        return built

    def _compile_rest(self) -> None:
        for digest, progress in self._progress.items():
            if progress.stage == "done" and digest not in self._compilers:
                process = environments.compile_rest(self._directory / digest)
                if process is not None:
                    self._compilers[digest] = process

    def _here(self) -> Platform:
        if self._platform is None:
            tag = f"{sys.implementation.cache_tag}-{machine.machine()}-{sys.platform}-{'-'.join(machine.libc_ver())}"
            accelerator = "cuda" if installers.has_nvidia() else "cpu"
            self._platform = Platform(machine.python_version(), tag, accelerator)
        return self._platform

    def _place(self, line: tuple[Environment, ...]) -> Path:
        return self._directory / address(line, self._here())

    def _package(self) -> Path:
        """A directory that holds nothing but the package `argosy`: what PYTHONPATH may name without shadowing anything."""
        place = self._directory / "argosy"
        link = place / "argosy"
        target = Path(argosy.__file__).resolve().parent
        if not (link.is_symlink() and link.readlink() == target):
            place.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(target)
        return place

    def _remember(self, reference: str, requirements: str, entry: Entry, line: tuple[Environment, ...]) -> Pulled:
        digest = address(line, self._here())
        kind = line[0].kind
        common = {"entrypoint": entry.entrypoint, "command": entry.command, "working_dir": entry.working_dir}
        if kind == "host":
            image = Image(reference, f"sha256:{digest}", env=dict(entry.env), **common)  # type: ignore[arg-type]
        else:
            places = (
                [Path(sys.prefix)]
                if kind == "interpreter"
                else [self._directory / address(line[n:], self._here()) for n in range(len(line))]
            )
            answered = {ANSWERED: hashlib.sha256(requirements.encode()).hexdigest()} if requirements else {}
            stand_ins = standins.write(self._directory, entry.programs, places[0] / "bin" / "python", self._package())
            image = Image(
                reference,
                f"sha256:{digest}",
                path_entries=(*map(str, stand_ins), str(places[0] / "bin")),
                env={"PYTHONPATH": str(self._package()), "PYTHONDONTWRITEBYTECODE": "1", **answered, **entry.env},
                read_only_paths=tuple(dict.fromkeys((*places, *stand_ins, self._package(), *python_paths()))),
                programs=standins.by_path(stand_ins, entry.programs),
                **common,  # type: ignore[arg-type]
            )
        pulled = Pulled(image, note=entry.note or other_python(reference, self._here().python))
        self._ready[reference, requirements] = pulled
        return pulled


def python_paths() -> tuple[Path, ...]:
    """What every Python image needs to see besides its packages: the interpreter, and the package `argosy`."""
    base = Path(sys.base_prefix)
    binary = Path(getattr(sys, "_base_executable", sys.executable)).resolve().parent.parent
    return tuple(dict.fromkeys((base, binary, Path(argosy.__file__).resolve().parent)))
