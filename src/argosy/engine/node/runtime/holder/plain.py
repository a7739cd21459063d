"""L0: what stands in for a root file system where no namespace may be made.

Called by the shim before the command starts. Every mount appears as a link below the run's own root directory,
`$ARGOSY_ROOT`, and nothing is made anywhere else on the host: it belongs to everybody there. `runtime.paths` is what makes
programs find their volumes.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argosy.engine.node.runtime.holder.order import StartOrder


def place(order: StartOrder) -> None:
    """Link the run's mounts into its root. Raises OSError."""
    root = order["root"]
    for source, target, _ in order["binds"]:
        place = root + target.rstrip("/")
        if place == root or source == target:
            continue
        parent = os.path.dirname(place)
        if not os.path.realpath(parent).startswith(os.path.realpath(root)):
            continue  # below another volume, in which nothing is made
        os.makedirs(parent, exist_ok=True)
        if os.path.islink(place):
            os.unlink(place)  # of two mounts at one place the second wins, as with mounts
        os.symlink(source, place)
    os.makedirs(f"{root}/tmp", exist_ok=True)
