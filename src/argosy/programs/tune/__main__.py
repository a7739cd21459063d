"""`tune run [--rdzv_endpoint=HOST:PORT] RECIPE --config NAME key=value …`

A recipe for one device runs in this process; a distributed one is started through torchrun, which reads the rest of its
arguments from `PET_*`.
"""

from __future__ import annotations

import os
import sys

from argosy.programs import pod
from argosy.programs.tune import settings


def main() -> None:
    """The command."""
    try:
        asked = settings.read(sys.argv[1:])
    except ValueError as error:
        pod.give_up(f"tune: {error}", code=2)
    many = os.environ.get("PET_NNODES", "1") != "1" or os.environ.get("PET_NPROC_PER_NODE", "1") != "1"
    if asked.distributed and many and "LOCAL_RANK" not in os.environ:
        meet = [f"--rdzv_endpoint={asked.meet_at}"] if asked.meet_at else []
        again = ["-m", "torch.distributed.run", *meet, "-m", "argosy.programs.tune", *sys.argv[1:]]
        os.execv(sys.executable, [sys.executable, *again])
    from argosy.programs.tune import recipe  # noqa: PLC0415 - seconds of imports, that a wrong command line need not wait for

    try:
        recipe.run(asked)
    except (ValueError, OSError) as error:
        pod.give_up(f"tune: {error}")


if __name__ == "__main__":
    main()
