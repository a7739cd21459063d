"""How packages are fetched: uv where it can be had (it downloads and unpacks in parallel), else pip.

pip as the user configured it is the authority: its indexes, links, certificates and proxies are handed to uv, and when it
is configured in a way that uv has no word for, or when uv fails, pip itself is used. Blocking; `builder` calls this from a
thread. The parsing of configuration and output is pure.
"""

from __future__ import annotations

import ast
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

UV_REQUIREMENT = "uv>=0.5,<1"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_UV_FETCH_SECONDS = 60
_IGNORED = frozenset(
    {
        "disable-pip-version-check", "no-input", "no-color", "progress-bar", "quiet", "verbose", "retries", "cache-dir",
        "no-cache-dir", "no-warn-script-location", "root-user-action", "break-system-packages", "require-virtualenv",
        "no-compile", "no-python-version-warning", "user", "exists-action",
    }
)  # fmt: skip

Line = Callable[[str], None]


class InstallFailed(Exception):
    """An installer gave up; the message is its last meaningful line."""


@dataclass(frozen=True, slots=True)
class PipConfig:
    """The configuration of pip in uv's words."""

    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    untranslatable: tuple[str, ...] = ()

    @property
    def offline(self) -> bool:
        """Whether no index may be asked."""
        return "--no-index" in self.arguments


def translate(config: Mapping[str, str]) -> PipConfig:
    """Translate pip options (`extra-index-url` …) as uv's arguments and environment."""
    arguments: list[str] = []
    environment: dict[str, str] = {}
    unknown: list[str] = []
    for key, value in config.items():
        match key:
            case "index-url":
                arguments += ["--default-index", value]
            case "extra-index-url":
                arguments += [part for url in value.split() for part in ("--index", url)]
            case "find-links":
                arguments += [part for url in value.split() for part in ("--find-links", url)]
            case "trusted-host":
                arguments += [part for host in value.split() for part in ("--allow-insecure-host", host)]
            case "no-index" if _true(value):
                arguments.append("--no-index")
            case "pre" if _true(value):
                arguments += ["--prerelease", "allow"]
            case "cert":
                environment["SSL_CERT_FILE"] = value
            case "proxy":
                environment |= {"HTTP_PROXY": value, "HTTPS_PROXY": value}
            case "timeout" | "default-timeout":
                environment["UV_HTTP_TIMEOUT"] = value
            case "no-index" | "pre":
                pass
            case _ if key not in _IGNORED:
                unknown.append(key)
    return PipConfig((*arguments, "--index-strategy", "unsafe-best-match"), environment, tuple(unknown))


def parse_config(listing: str) -> dict[str, str]:
    """What `pip config list` prints, the environment above the files, `install` above `global`."""
    levels: tuple[dict[str, str], ...] = ({}, {}, {})
    for line in listing.splitlines():
        match = re.fullmatch(r"(global|install|:env:)\.([-\w]+)=(.*)", line.strip())
        if match:
            try:
                value = str(ast.literal_eval(match[3]))
            except (ValueError, SyntaxError):
                value = match[3]
            levels[("global", "install", ":env:").index(match[1])][match[2]] = value
    return {**levels[0], **levels[1], **levels[2]}


def _true(value: str) -> bool:
    return value.strip().lower() in {"1", "true", "yes", "on", "y", "t"}


def meaningful(lines: Iterable[str]) -> str:
    """The line of an installer's output that says what went wrong."""
    kept = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith(("[notice]", "hint:"))]
    for line in reversed(kept):
        if re.match(r"(error|fatal)\b|.*\b(No matching distribution|No space left|No solution)", line, re.IGNORECASE):
            return line.removeprefix("ERROR:").removeprefix("error:").strip()
    return kept[-1] if kept else "the installer said nothing"


def clean_environment(extra: Mapping[str, str] = {}) -> dict[str, str]:
    """Our environment without what would make another interpreter behave like this one."""
    dropped = ("PYTHON", "VIRTUAL_ENV", "__PYVENV")
    return {**{k: v for k, v in os.environ.items() if not k.startswith(dropped)}, **extra}


def run(command: list[str], line: Line, environment: Mapping[str, str] = {}) -> None:
    """Run an installer, hand its output on by line. Raises InstallFailed."""
    said: list[str] = []
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", env=clean_environment(environment), cwd="/",
        )  # fmt: skip
    except OSError as error:
        raise InstallFailed(f"{command[0]} cannot be run: {error.strerror}") from None
    assert process.stdout is not None
    with process:
        for text in process.stdout:
            said.append(text)
            del said[:-200]
            line(text.rstrip())
    if process.returncode:
        raise InstallFailed(meaningful(said))


def pip(*arguments: str) -> list[str]:
    """A command line of this interpreter's pip."""
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]


def pip_config() -> dict[str, str]:
    """How pip is configured; empty where pip cannot tell."""
    done = subprocess.run(
        pip("config", "list"), capture_output=True, text=True, check=False, env=clean_environment(), cwd="/"
    )
    return parse_config(done.stdout) if done.returncode == 0 else {}


def find_uv(tools: Path, line: Line, *, fetch: bool = True) -> str | None:
    """uv: the user's, else one of our own under `tools`, fetched with pip (2 s, saves minutes). None: do without."""
    found = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if found:
        return found
    own = tools / "bin" / "uv"
    if own.exists():
        return str(own)
    if not fetch:
        return None
    with tools.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not own.exists():
            line("fetching uv")
            _fetch_uv(tools)
    return str(own) if own.exists() else None


def _fetch_uv(tools: Path) -> None:
    draft = tools.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    command = pip("install", "-q", "--no-compile", "--target", str(draft), UV_REQUIREMENT)
    with suppress(subprocess.SubprocessError, OSError):
        subprocess.run(
            command, capture_output=True, check=True, timeout=_UV_FETCH_SECONDS, env=clean_environment(), cwd="/"
        )
        draft.rename(tools)


def has_nvidia() -> bool:
    """Whether this machine has an NVIDIA GPU."""
    return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None


def torch_build(
    requirement: str, *, nvidia: bool, found: Callable[..., TorchBuild | None] | None = None
) -> tuple[str, str]:
    """(requirement, extra index) for PyTorch's build for this machine.

    With a GPU the plain wheel. Else whatever pip is configured to find, if that is a build without NVIDIA's libraries;
    else PyTorch's own index of CPU builds: the wheel on PyPI brings gigabytes of CUDA along. It is taken all the same
    where that index is out of reach.
    """
    if nvidia:
        return requirement, ""
    found = found or _found
    build = found(requirement)
    if build is not None and not build.nvidia:
        return f"torch=={build.version}", ""
    wanted = cpu_requirement(requirement)
    if build is not None and found("--extra-index-url", TORCH_CPU_INDEX, "--retries", "1", wanted) is None:
        return f"torch=={build.version}", ""
    return wanted, TORCH_CPU_INDEX


def _found(*arguments: str) -> TorchBuild | None:
    """What pip would install, without its dependencies; None when it finds nothing."""
    command = pip("install", "-q", "--dry-run", "--no-deps", "--ignore-installed", "--report", "-", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment(), cwd="/")
    return read_report(done.stdout) if done.returncode == 0 else None


@dataclass(frozen=True, slots=True)
class TorchBuild:
    """What pip would install as torch."""

    version: str
    nvidia: bool


def read_report(text: str) -> TorchBuild | None:
    """Read `pip install --report`."""
    try:
        installed = json.loads(text)["install"][0]["metadata"]
    except (ValueError, KeyError, IndexError):
        return None
    requires = [
        r for r in installed.get("requires_dist") or () if re.match(r"(nvidia|cuda)[-_]", r) and "extra ==" not in r
    ]
    linux = [r for r in requires if "platform_system" not in r or sys.platform == "linux"]
    return TorchBuild(str(installed["version"]), bool(linux))


def cpu_requirement(requirement: str) -> str:
    """`torch==2.13.0` asks for exactly the CPU build as `torch==2.13.0+cpu`."""
    return (
        f"{requirement}+cpu" if re.fullmatch(r"torch==[\d.]+", requirement) and sys.platform == "linux" else requirement
    )


def distributions(site_packages: Iterable[Path]) -> dict[str, str]:
    """Names and versions of what is installed in some directories."""
    found = {}
    for distribution in metadata.distributions(path=[str(path) for path in site_packages]):
        name = distribution.metadata["Name"]
        if name:
            found[canonical(name)] = distribution.version
    return found


def canonical(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
