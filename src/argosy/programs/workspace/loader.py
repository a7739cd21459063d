"""Unpacks the workspace in a pod, and makes the environment that its requirements ask for where the image lacks it.

Its source travels along with the workspace and runs in an init container in the job's own image: it needs nothing but
Python 3.8 and must not import anything of this project. In: `WORKSPACE_PARTS`, a directory with the pieces of the archive;
`WORKSPACE`, the directory to fill; `WORKSPACE_CACHE`, a shared directory that keeps environments, optional. Out: the files,
and `.argosy/start`, the shell script that starts the job's program among them.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NoReturn

OWN = ".argosy"
"""What is ours in the workspace: `requirements.txt`, `lib` with the helpers of `argosy.sdk`, and `start`."""
REQUIREMENTS, LIBRARY = OWN + "/requirements.txt", OWN + "/lib"
ANSWERED = "ARGOSY_REQUIREMENTS"
"""Set in images that were made for some requirements already: the SHA-256 of their text."""
_START = """\
#!/bin/sh
# Starts a program of the workspace; made when the workspace was unpacked.
place=${0%%/%(own)s/start}
%(lines)sif [ "$1" = python ] && ! command -v python >/dev/null 2>&1; then shift; set -- python3 "$@"; fi
exec "$@"
"""


def main() -> None:
    """The init container."""
    place = Path(os.environ["WORKSPACE"])
    unpack(Path(os.environ["WORKSPACE_PARTS"]), place)
    environment = prepare(place, os.environ.get("WORKSPACE_CACHE", ""))
    (place / OWN).mkdir(exist_ok=True)
    (place / OWN / "start").write_text(start_script(place, environment))


def unpack(parts: Path, place: Path) -> None:
    """Put the pieces together and lay out their files. Ends the program with a sentence when they are damaged."""
    data = b"".join(part.read_bytes() for part in sorted(parts.glob("part-*")))
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(place, filter="data")
            else:
                archive.extractall(place)  # ours, and its address was checked when it was made
    except (tarfile.TarError, EOFError, ValueError) as error:
        give_up(f"the workspace is damaged: {error}; submit the job again")
    except OSError as error:
        give_up(f"the workspace cannot be written to {place}: {error.strerror}")


def prepare(place: Path, cache: str) -> str:
    """The environment for the requirements: empty when the image answers them already."""
    wanted = place / REQUIREMENTS
    if not wanted.exists():
        return ""
    text = wanted.read_bytes()
    digest = hashlib.sha256(text).hexdigest()
    if os.environ.get(ANSWERED) == digest:
        return ""
    kept = hashlib.sha256(text + sys.version.encode() + sys.prefix.encode()).hexdigest()[:20]
    directory = Path(cache or str(place / OWN)) / f"environment-{kept}"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(str(directory) + ".lock", "a") as lock:  # noqa: PTH123 - Path.open would do as well
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / ".complete").exists():
            shutil.rmtree(str(directory), ignore_errors=True)
            install(directory, wanted)
            (directory / ".complete").write_text("")
    return str(directory)


def install(directory: Path, wanted: Path) -> None:
    """A virtual environment on top of the image's packages."""
    bare = importlib.util.find_spec("pip") is None
    uv = shutil.which("uv")
    making = [sys.executable, "-m", "venv", str(directory)] + ([] if bare and not uv else ["--without-pip"])
    run(making, "a virtual environment cannot be made with this image's Python")
    python = str(directory / "bin" / "python")
    inside = [path for path in sys.path if path.rstrip("/").endswith(("site-packages", "dist-packages"))]
    packages = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], text=True
    ).strip()
    Path(packages, "_image.pth").write_text("\n".join(inside) + "\n")
    if uv:
        command = [uv, "pip", "install", "--python", python, "-r", str(wanted)]
    else:
        pip = [python, "-m", "pip"] if bare else [sys.executable, "-m", "pip", "--python", python]
        command = [*pip, "--disable-pip-version-check", "--no-input", "install", "-q", "-r", str(wanted)]
    run(command, "the requirements cannot be installed")


def run(command: list[str], what: str) -> None:
    """Run a program, its output into the log; end with one sentence when it fails."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    said = done.stdout.decode(errors="replace").strip()
    if done.returncode:
        print(said, file=sys.stderr)
        lines = [line for line in said.splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower() or "no solution" in line.lower()]
        give_up("{}: {}".format(what, (telling or lines or [f"exit code {done.returncode}"])[-1].strip()))


def start_script(place: Path, environment: str) -> str:
    """The text of `start`: the environment first on PATH, then whatever the program is."""
    lines = []
    if environment:
        inside = environment.startswith(str(place))
        where = "$place" + environment[len(str(place)) :] if inside else environment
        lines.append(f'VIRTUAL_ENV="{where}" PATH="{where}/bin:$PATH"\nexport VIRTUAL_ENV PATH\n')
    behind = []
    if (place / "pyproject.toml").exists() or (place / "setup.py").exists():
        behind.append("$place/src" if (place / "src").is_dir() else "$place")
    if importlib.util.find_spec("argosy") is None:
        behind.append("$place/" + LIBRARY)
    if behind:
        lines.append('PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}{}"\nexport PYTHONPATH\n'.format(":".join(behind)))
    return _START % {"own": OWN, "lines": "".join(lines)}


def give_up(message: str) -> NoReturn:
    """End with one sentence: the pod's log, and through it the termination message."""
    sys.stderr.write(message + "\n")
    raise SystemExit(1)


if __name__ == "__main__":
    main()
