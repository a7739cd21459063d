"""Programs that stand in for those of a real image: `sshd` in an image that holds no SSH, say.

The catalogue names a module for each; here a directory of small scripts is made of them, which goes first on the PATH of
the image's containers. One that is named by its path (`/usr/sbin/sshd`) also takes that path's place in commands and
arguments. Called by `builder` when it has an environment.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from argosy.meta.json import encode


def write(images: Path, programs: Mapping[str, tuple[str, ...]], python: Path, package: Path) -> tuple[Path, ...]:
    """The directory with a script for each program, made if need be; none where there are no programs. Raises OSError."""
    if not programs:
        return ()
    scripts = {Path(name).name: _script(words, python, package) for name, words in programs.items()}
    directory = images / "programs" / hashlib.sha256(encode(sorted(scripts.items()))).hexdigest()[:16]
    for name, script in scripts.items():
        place = directory / name
        if place.is_file():
            continue
        directory.mkdir(parents=True, exist_ok=True)
        draft = place.with_suffix(".new")
        draft.write_text(script)
        draft.chmod(0o755)
        draft.replace(place)
    return (directory,)


def by_path(directories: Iterable[Path], programs: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """What takes the place of each program that is named by its path."""
    return {name: str(at / Path(name).name) for at in directories for name in programs if name.startswith("/")}


def _script(words: tuple[str, ...], python: Path, package: Path) -> str:
    """Finds the module whatever the container's own variables say."""
    command = shlex.join([str(python), "-m", *words])
    return f"""#!/bin/sh
PYTHONPATH={shlex.quote(str(package))}${{PYTHONPATH:+:$PYTHONPATH}} exec {command} "$@"
"""
