"""L0: what stands in for a root file system where no namespace may be made.

Called by the shim around the command's life. Every mount appears below the run's own root directory, `$ARGOSY_ROOT`, for
programs that know to look there, and as a symlink where it was asked for if this user may make one; if not, the log says
so. A target that exists on the host cannot be shadowed: then the run fails with a sentence that says what to do. The links go away with the run; the state file
names them, so that the engine can clear up after a shim that was killed.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argosy.engine.node.runtime.holder.order import StartOrder


def place(order: StartOrder, placed: list[str]) -> list[str]:
    """Place the run's mounts, noting in `placed` what was made on the host outside the run's own directory.

    Returns sentences for the log. Raises OSError with the next step for a target that is taken.
    """
    root = order["root"]
    optional = set(order["optional_targets"])
    notes = []
    os.makedirs(f"{root}/tmp", exist_ok=True)
    for source, target, _ in order["binds"]:
        _link(source, root + target, [])
        if target in optional or os.path.realpath(target) == os.path.realpath(source):
            continue
        try:
            _link(source, target, placed)
        except FileExistsError:
            raise OSError(
                errno.EEXIST,
                f"cannot place a volume at {target}: the host has that path, and without mounts it cannot be shadowed; "
                f"use another mountPath, or run where user namespaces are allowed",
            ) from None
        except OSError as error:
            notes.append(f"argosy: the volume of {target} is at $ARGOSY_ROOT{target} only ({error.strerror})")
    return notes


def clear(placed: list[str]) -> None:
    """Take away what `place` made, newest first: links, and directories if nothing else is in them by now."""
    for path in reversed(placed):
        try:
            if os.path.islink(path):
                os.unlink(path)
            else:
                os.rmdir(path)
        except OSError:
            pass


def _link(source: str, target: str, placed: list[str]) -> None:
    missing = []
    parent = os.path.dirname(target)
    while not os.path.lexists(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    for directory in reversed(missing):
        os.mkdir(directory)
        placed.append(directory)
    os.symlink(source, target)
    placed.append(target)
