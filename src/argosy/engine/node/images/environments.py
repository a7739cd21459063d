"""Builds one environment: a venv at its content address, whole or not at all.

Blocking; `builder` calls `build` from a thread. A lock per environment keeps two engines from building the same one, the
file `.complete` is written last, and what lies there without it is made anew. A child finds its parent's packages through
a `.pth` file, so that PyTorch is on the disk once.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from argosy.engine.node.images import installers
from argosy.engine.node.images.installers import InstallFailed
from argosy.engine.node.images.resolve import Environment, Platform, address
from argosy.meta.json import decode, encode

COMPLETE = ".complete"
_SIZE = re.compile(r"\(([\d.]+) ?([kMG])i?B\)")
_SHOW_SECONDS = 0.3
_UNITS = {"k": 0.001, "M": 1.0, "G": 1000.0}
_WARM = """
import importlib, sys
for name in sys.argv[1:]:
    head, _, tail = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        try:
            getattr(importlib.import_module(head), tail)
        except Exception:
            pass
    except Exception:
        pass
"""


@dataclass(slots=True)
class Progress:
    """How far a build has come; rewritten by the building thread, read by anyone."""

    environment: str
    digest: str
    began: float
    """Seconds since the epoch."""
    stage: str = "waiting"
    """waiting, resolving, downloading, installing, compiling, done or failed."""
    megabytes: float = 0.0
    """Announced for download so far."""
    packages: int = 0
    detail: str = ""
    shown: Path | None = None
    """A file that shows this to other processes (`read_progress`)."""
    _shown_at: float = 0.0

    def line(self, text: str) -> None:
        """Take in a line of pip's or uv's output."""
        text = text.strip()
        size = _SIZE.search(text)
        if text.startswith(("Downloading", "Obtaining")):
            self.stage = "downloading"
            self.packages += 1
            if size:
                self.megabytes += float(size[1]) * _UNITS[size[2]]
        elif text.startswith(("Installing", "Prepared")):
            self.stage = "installing"
        elif text.startswith(("Collecting", "Resolved", "Processing")):
            self.stage = "resolving" if self.stage == "waiting" else self.stage
        if text:
            self.detail = text[:160]
        if time.monotonic() - self._shown_at > _SHOW_SECONDS:
            self.show()

    def enter(self, stage: str) -> None:
        """Another stage begins."""
        self.stage = stage
        self.show()

    def show(self) -> None:
        """Let other processes see it."""
        self._shown_at = time.monotonic()
        if self.shown is not None:
            told = {field: getattr(self, field) for field in _TOLD}
            with suppress(OSError):
                draft = self.shown.with_suffix(".tmp")
                draft.write_bytes(encode(told))
                draft.replace(self.shown)


_TOLD = ("environment", "digest", "began", "stage", "megabytes", "packages", "detail")


def read_progress(images: Path) -> list[Progress]:
    """The builds that go on in a directory of images, whichever process does them."""
    found = []
    for path in sorted(images.glob("*.progress")):
        with suppress(OSError, ValueError, TypeError):
            found.append(Progress(**decode(path.read_bytes())))
    return found


@dataclass(frozen=True, slots=True)
class Built:
    """What `.complete` says of an environment."""

    bytes: int
    seconds: float


def site_packages(directory: Path) -> Path:
    """Where a venv keeps its packages."""
    return directory / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def built(directory: Path) -> Built | None:
    """What is known about a finished environment; None when it is not finished."""
    try:
        told = decode((directory / COMPLETE).read_bytes())
        return Built(int(told["bytes"]), float(told["seconds"]))
    except (OSError, ValueError, KeyError):
        return None


def build(images: Path, line: Sequence[Environment], platform: Platform, progress: Progress) -> Built:
    """Build an environment (first its ancestors) unless it is there. Raises InstallFailed or OSError."""
    digest = address(line, platform)
    directory = images / digest
    done = built(directory)
    if done is not None:
        return done
    if len(line) > 1:
        build(images, line[1:], platform, progress)
    with (images / f"{digest}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = built(directory)
        if done is not None:
            return done
        began = time.monotonic()
        shutil.rmtree(directory, ignore_errors=True)
        progress.shown = images / f"{digest}.progress"
        try:
            ancestors = [images / address(line[n:], platform) for n in range(1, len(line))]
            _make_venv(directory, ancestors)
            _install(images, line, directory, ancestors, progress)
            progress.enter("compiling")
            _warm(directory, line[0])
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        finally:
            progress.shown.unlink(missing_ok=True)
        done = Built(_size_of(directory), time.monotonic() - began)
        told = {"environment": line[0].name, "requirements": line[0].requirements, "python": platform.python}
        _write_complete(directory, encode({**told, "bytes": done.bytes, "seconds": round(done.seconds, 1)}))
        return done


def _make_venv(directory: Path, ancestors: Sequence[Path]) -> None:
    venv.EnvBuilder(symlinks=True, with_pip=False).create(directory)
    if ancestors:
        lines = [str(site_packages(ancestor)) for ancestor in ancestors]
        (site_packages(directory) / "_argosy_parents.pth").write_text("\n".join(lines) + "\n")


def _install(
    images: Path, line: Sequence[Environment], directory: Path, ancestors: Sequence[Path], progress: Progress
) -> None:
    requirements, index = list(line[0].requirements), ""
    if not requirements:
        return
    progress.enter("resolving")
    config = installers.translate(installers.pip_config())
    uv = (
        None if config.untranslatable else installers.find_uv(images / "tools", progress.line, fetch=not config.offline)
    )
    if line[0].torch:
        for n, requirement in enumerate(requirements):
            if re.match(r"torch\b(?!vision)", requirement):
                requirements[n], index = installers.torch_build(requirement, nvidia=installers.has_nvidia())
    python = str(directory / "bin" / "python")
    if uv is not None:
        given = [*config.arguments, *(("--index", index) if index else ()), "--python", python]
        installer = _Uv(uv, given, dict(config.environment), images, progress.line)
        try:
            installer.install(requirements, ancestors, directory.name)
            return
        except InstallFailed as error:
            progress.line(f"uv gave up ({error}), trying pip")
    extra = ["--extra-index-url", index] if index else []
    progress.packages, progress.megabytes = 0, 0.0
    command = installers.pip(
        "--python", python, "install", "--no-compile", "--progress-bar", "off", *extra, *requirements
    )
    installers.run(command, progress.line, {"PIP_ROOT_USER_ACTION": "ignore"})


@dataclass(frozen=True, slots=True)
class _Uv:
    """How to call uv for one environment."""

    program: str
    arguments: Sequence[str]
    variables: Mapping[str, str]
    images: Path
    line: installers.Line

    def install(self, requirements: Sequence[str], ancestors: Sequence[Path], name: str) -> None:
        if not ancestors:
            self._run(["install", *self.arguments, *requirements], self.line)
            return
        # uv does not look through .pth files: let it resolve against what the ancestors have, and install only the rest.
        there = installers.distributions(site_packages(a) for a in ancestors)
        try:
            resolved = self._resolve(requirements, there, self.images / f"{name}.in")
        except InstallFailed:
            # Another version of what an ancestor has: it comes first on the path, so it may stand in front of it.
            named = {installers.canonical(re.split(r"[^-\w.]", r)[0]) for r in requirements}
            rest = {package: version for package, version in there.items() if package not in named}
            resolved = self._resolve(requirements, rest, self.images / f"{name}.in")
        pinned = [(r, *r.split(" ")[0].split("==", 1)) for r in resolved if "==" in r]
        missing = [r for r, package, version in pinned if there.get(installers.canonical(package)) != version]
        options = [r for r in requirements if r.startswith("--")]
        if missing:
            self._run(["install", "--no-deps", *self.arguments, *options, *missing], self.line)

    def _resolve(self, requirements: Sequence[str], there: Mapping[str, str], wanted: Path) -> list[str]:
        given = wanted.with_suffix(".constraints")
        resolved: list[str] = []
        quiet = ["-q", "--no-header", "--no-annotate"]
        try:
            wanted.write_text("\n".join(requirements) + "\n")
            given.write_text("".join(f"{name}=={version}\n" for name, version in there.items()))
            command = ["compile", *quiet, "--constraints", str(given), str(wanted), *self.arguments]
            self._run(command, resolved.append)
        finally:
            wanted.unlink(missing_ok=True)
            given.unlink(missing_ok=True)
        return resolved

    def _run(self, arguments: Sequence[str], line: installers.Line) -> None:
        variables = dict(self.variables)
        if Path(self.program).is_relative_to(self.images):
            variables["UV_CACHE_DIR"] = str(self.images / "cache")
        installers.run([self.program, "pip", *arguments], line, variables)


def _warm(directory: Path, environment: Environment) -> None:
    """Import what its pods will import: a read-only environment cannot keep what a pod compiles.

    Whatever the packages write on that occasion, caches, configuration, an identity to be tracked by, goes with it.
    """
    if not environment.warm:
        return
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        elsewhere = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), scratch)
        subprocess.run(
            [str(directory / "bin" / "python"), "-c", _WARM, *environment.warm], stdin=subprocess.DEVNULL,
            capture_output=True, check=False, cwd="/", timeout=300,
            env=installers.clean_environment({**elsewhere, "DO_NOT_TRACK": "true"}),
        )  # fmt: skip


def compile_rest(directory: Path) -> subprocess.Popen[bytes] | None:
    """Compile whatever is left, only with CPU time that nobody else wants. None when that was done before."""
    if (directory / ".compiled").exists():
        return None
    packages = site_packages(directory)
    script = (
        "import compileall, pathlib, sys; compileall.compile_dir(sys.argv[1], quiet=2, workers=1);"
        "pathlib.Path(sys.argv[2]).touch()"
    )
    return subprocess.Popen(
        [str(directory / "bin" / "python"), "-c", script, str(packages), str(directory / ".compiled")],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
        env=installers.clean_environment(), preexec_fn=_idle,  # noqa: PLW1509 (sets the priority only)
    )  # fmt: skip


def _idle() -> None:
    os.nice(19)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _size_of(directory: Path) -> int:
    total = 0
    for root, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += os.lstat(f"{root}/{name}").st_size
    return total


def _write_complete(directory: Path, content: bytes) -> None:
    draft = directory / f"{COMPLETE}.tmp"
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(directory / COMPLETE)
