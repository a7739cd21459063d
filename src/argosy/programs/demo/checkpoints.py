"""The checkpoint contract: a directory per step, complete or not there.

A checkpoint is written beside its place, flushed to the disk, marked `COMPLETE` and then renamed, so a reader never
meets half of one, whatever was killed when. Training resumes from the newest complete one below `$CHECKPOINT_DIR`, or
from what `$RESUME_FROM` names (`latest`, or a path). Nothing here knows about torch: what is written is the caller's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from argosy.programs import pod

COMPLETE = "COMPLETE"
STATE = "state.pt"
_PREFIX, _UNFINISHED = "step-", ".unfinished-"
LATEST = "latest"


def save(directory: Path, step: int, write: Callable[[Path], None], keep: int = 2) -> Path:
    """Write checkpoint `step` by calling `write` with an empty directory; then drop all but the newest `keep`.

    Raises OSError when the disk does; the checkpoints that were there stay.
    """
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / f"{_PREFIX}{step:08d}"
    if (target / COMPLETE).exists():
        return target
    unfinished = directory / f"{_UNFINISHED}{step:08d}"
    for leftover in directory.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir()
    try:
        write(unfinished)
        (unfinished / COMPLETE).write_text(f"{step}\n")
        publish(unfinished, target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    for old in complete(directory)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def publish(unfinished: Path, target: Path) -> None:
    """Flush a directory's files to the disk and give it its name, in place of what had that name."""
    for path in sorted(unfinished.rglob("*")):
        if path.is_file():
            path.chmod(0o644)  # whatever the writer chose: other pods read it, perhaps as other users
            _flush(path)
    _flush(unfinished)
    if target.exists():
        doomed = target.with_name(f".replaced-{target.name}")
        shutil.rmtree(doomed, ignore_errors=True)
        target.rename(doomed)
        unfinished.rename(target)
        shutil.rmtree(doomed, ignore_errors=True)
    else:
        unfinished.rename(target)
    _flush(target.parent)


def complete(directory: Path) -> list[Path]:
    """The complete checkpoints below a directory, oldest first."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.glob(f"{_PREFIX}*") if (path / COMPLETE).exists())


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint's name tells."""
    return int(checkpoint.name.removeprefix(_PREFIX))


def to_resume(directory: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Where to continue: what `RESUME_FROM` names, else the newest complete checkpoint, else None.

    Raises FileNotFoundError when `RESUME_FROM` names a path at which no complete checkpoint is.
    """
    asked = environ.get("RESUME_FROM", "")
    if asked and asked != LATEST:
        path = pod.path(asked)
        found = [path] if (path / COMPLETE).exists() else complete(path)[-1:]
        if not found:
            raise FileNotFoundError(f"RESUME_FROM={asked} is not a complete checkpoint; unset it to start anew")
        return found[0]
    found = complete(directory)[-1:] if directory else []
    return found[0] if found else None


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
