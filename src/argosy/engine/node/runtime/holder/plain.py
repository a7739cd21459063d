"""L0: what stands in for a root file system where no namespace may be made.

Called by the child that becomes the command. Volumes become symlinks where their target is free; a target that exists on
the host cannot be shadowed, and then the run fails with a sentence that says so. Every mount also appears below the run's
own root directory, `$ARGOSY_ROOT`, for programs that know to look there. The engine removes the links after the run.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argosy.engine.node.runtime.holder.order import StartOrder


def enter(order: StartOrder) -> None:
    """Place the run's mounts. Raises OSError with the next step for a target that cannot be had."""
    root = order["root"]
    optional = set(order["optional_targets"])
    for source, target, _ in order["binds"]:
        _link(source, root + target)
        if target in optional:
            continue
        if os.path.realpath(target) == os.path.realpath(source):
            continue
        try:
            _link(source, target)
        except OSError as error:
            raise OSError(
                error.errno,
                f"cannot place a volume at {target} without mounts ({error.strerror}); "
                f"use another mountPath, read it at $ARGOSY_ROOT{target}, or run where user namespaces are allowed",
            ) from None


def _link(source: str, target: str) -> None:
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.symlink(source, target)
    except FileExistsError:
        if os.path.islink(target) and os.readlink(target) == source:
            return
        raise
