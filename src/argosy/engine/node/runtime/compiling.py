"""The small supervisor (`holder/shim.c`), compiled once per home where this machine has a compiler.

Used by `local`, in the background, once there are many runs: until it is there, and where it never will be, supervisors are
forks of the holder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_SOURCE = Path(__file__).parent / "holder" / "shim.c"
_COMPILERS = ("cc", "gcc", "clang")
_SECONDS = 60.0
_NICENESS = 10
_USAGE = 2
"""What the program answers to being called without arguments."""


def small_shim(directory: Path) -> str:
    """The program's path, compiled below `directory` if it is not there yet; empty when it cannot be. Blocking."""
    try:
        source = _SOURCE.read_bytes()
        place = directory / hashlib.sha256(source).hexdigest()[:16] / "argosy-shim"
        if place.exists():
            return str(place)
        compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
        if compiler is None:
            return ""
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
            made = Path(scratch) / "shim"
            command = [compiler, "-Os", "-s", "-o", str(made), str(_SOURCE)]
            nice = shutil.which("nice")
            command = [nice, "-n", str(_NICENESS), *command] if nice else command
            done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
            # A compiler without a C library, or a home from which nothing may be executed, is as good as none.
            if done.returncode or subprocess.run([str(made)], timeout=_SECONDS, check=False).returncode != _USAGE:
                return ""
            os.replace(made, place)  # noqa: PTH105
    except (OSError, subprocess.SubprocessError):
        return ""
    return str(place)
