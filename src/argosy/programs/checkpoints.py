"""The checkpoint contract: a directory per step, complete or not there (docs/checkpoints.md).

A checkpoint is written beside its place, flushed to the disk, marked `COMPLETE` with the sizes of its files and then
renamed, so a reader never meets half of one, whatever was killed when. Training resumes from the newest complete one below
`$CHECKPOINT_DIR`, or from what `$RESUME_FROM` names (`latest`, or a path). Nothing here knows about a framework; what is
written is the caller's, and `Checkpointer` of `argosy.programs.saving` is one caller.

Imported by training code as `argosy.sdk.checkpoint`. It travels with such code into images that know nothing of this
project, so it imports the standard library only.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

COMPLETE = "COMPLETE"
STATE = "state.pt"
LATEST = "latest"
_PREFIX, _UNFINISHED = "step-", ".unfinished-"


def directory_of(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where the job wants its checkpoints (`CHECKPOINT_DIR`); None where it keeps none."""
    named = environ.get("CHECKPOINT_DIR", "")
    return Path(named) if named else None


def epoch_of(environ: Mapping[str, str] = os.environ) -> int:
    """How often the job's gang was restarted before this start; 0 the first time, and outside of jobs."""
    text = environ.get("ARGOSY_RESTART_EPOCH", "")
    return int(text) if text.isdigit() else 0


def save(directory: Path, step: int, write: Callable[[Path], None], keep: int = 2) -> Path:
    """Write checkpoint `step` by calling `write` with an empty directory; then drop all but the newest `keep`.

    Raises OSError when the disk does; the checkpoints that were there stay.
    """
    target = place_of(directory, step)
    if is_complete(target):
        return target
    unfinished = begin(directory, step)
    try:
        write(unfinished)
        return finish(unfinished, step, keep)
    except BaseException as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if isinstance(error, OSError):
            raise told(error, directory) from error
        raise


def begin(directory: Path, step: int) -> Path:
    """An empty directory in which checkpoint `step` may be written; what a killed writer left there goes."""
    unfinished = directory / f"{_UNFINISHED}{step:08d}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        unfinished.mkdir()
    except OSError as error:
        raise told(error, directory) from error
    return unfinished


def finish(unfinished: Path, step: int, keep: int = 2) -> Path:
    """Mark a checkpoint that is wholly written, give it its name and drop all but the newest `keep`."""
    files = sorted(path for path in unfinished.rglob("*") if path.is_file())
    sizes = "".join(f"{path.stat().st_size} {path.relative_to(unfinished).as_posix()}\n" for path in files)
    (unfinished / COMPLETE).write_text(f"step {step}\n{sizes}")
    target = place_of(unfinished.parent, step)
    publish(unfinished, target)
    for old in complete(unfinished.parent)[: -max(keep, 1)]:
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


def fault_of(checkpoint: Path) -> str:
    """What is wrong with a checkpoint, as the end of a sentence about it; empty when it is complete."""
    try:
        lines = (checkpoint / COMPLETE).read_text().splitlines()
    except OSError:
        return f"has no {COMPLETE}: its writer did not end"
    for line in lines[1:]:
        size, _, name = line.partition(" ")
        try:
            found = (checkpoint / name).stat().st_size
        except OSError:
            return f"lacks {name}"
        if size.isdigit() and found != int(size):
            return f"is cut: {name} has {found} bytes of {size}"
    return ""


def is_complete(checkpoint: Path) -> bool:
    """Whether everything is there that its writer wrote. A marker without sizes is taken at its word."""
    return not fault_of(checkpoint)


def complete(directory: Path) -> list[Path]:
    """The complete checkpoints below a directory, oldest first."""
    if not directory.is_dir():
        return []
    named = (path for path in directory.glob(f"{_PREFIX}*") if path.name.removeprefix(_PREFIX).isdigit())
    return sorted((path for path in named if is_complete(path)), key=step_of)


def place_of(directory: Path, step: int) -> Path:
    """Where the checkpoint of a step is, or will be."""
    return directory / f"{_PREFIX}{step:08d}"


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint's name tells."""
    return int(checkpoint.name.removeprefix(_PREFIX))


def to_resume(directory: Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where to continue: what `RESUME_FROM` names, else the newest complete checkpoint of the job's own, else None.

    A job that began from a named checkpoint and was restarted has gone on since: then its own come first. Raises
    FileNotFoundError when `RESUME_FROM` names a path at which no complete checkpoint is.
    """
    own = complete(directory)[-1:] if directory else []
    asked = environ.get("RESUME_FROM", "")
    if not asked or asked == LATEST or (own and epoch_of(environ)):
        return own[0] if own else None
    path = Path(asked)
    found = [path] if is_complete(path) else complete(path)[-1:]
    if not found:
        fault = f" ({path.name} {fault_of(path)})" if path.is_dir() else ""
        raise FileNotFoundError(f"RESUME_FROM={asked} is not a complete checkpoint{fault}; unset it to start anew")
    return found[0]


def told(error: OSError, directory: Path) -> OSError:
    """The error, with the next step where it is a full volume."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return error
    free = shutil.disk_usage(directory).free if directory.is_dir() else 0
    return OSError(
        error.errno,
        f"the checkpoint volume at {directory} is full ({free // 1_000_000} MB are free); enlarge it, or keep fewer "
        "checkpoints; the last complete one stays",
    )


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
