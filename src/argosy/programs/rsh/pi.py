"""`python -m argosy.programs.rsh.pi`: π by throwing darts, each rank its share; what mpi-operator's image `mpi-pi` has in C++.

Runs under mpirun in an environment with mpi4py.
"""

from __future__ import annotations

import math
import random
import socket

_DARTS = 200_000


def main() -> None:
    """Print where each rank runs, and what they found together."""
    from mpi4py import MPI  # noqa: PLC0415 - only environments for MPI have it

    world = MPI.COMM_WORLD
    random.seed(world.rank)
    print(f"Rank {world.rank} on host {socket.gethostname()}", flush=True)
    hits = sum(math.hypot(random.random(), random.random()) <= 1 for _ in range(_DARTS))
    total = world.reduce(hits, op=MPI.SUM, root=0)
    if world.rank == 0:
        print(f"pi is approximately {4 * total / (_DARTS * world.size):.6f}", flush=True)


if __name__ == "__main__":
    main()
