"""Where a job's data sets lie, which versions they are, and which part of them this process reads.

By the environment alone, for any framework; `argosy.sdk.data` offers it to training code, with which it travels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from argosy.programs import pod

T = TypeVar("T")
_RANKS = (
    ("RANK", "WORLD_SIZE"),
    ("PROCESS_ID", "NUM_PROCESSES"),
    ("JAX_PROCESS_ID", "JAX_NUM_PROCESSES"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"),
)
_PLACE = "/datasets"


def path(name: str, environ: Mapping[str, str] = os.environ) -> Path:
    """The directory of a data set. Raises KeyError where the job does not ask for it."""
    return pod.path(environ[f"DATASET_{name.upper().replace('-', '_')}"], environ)


def versions(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The version of each data set that was fetched, by name; empty where none was."""
    try:
        found = json.loads((pod.path(_PLACE, environ) / "versions.json").read_text())
    except OSError:
        return {}
    return {str(name): str(version) for name, version in found.items()}


def place_of(environ: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """(rank, world size) of this process, from what torchrun, JAX, MPI or TensorFlow are told; (0, 1) when alone."""
    for rank, size in _RANKS:
        if environ.get(rank, "").isdigit() and environ.get(size, "").isdigit():
            return int(environ[rank]), max(int(environ[size]), 1)
    try:
        told = json.loads(environ.get("TF_CONFIG") or "{}")
        workers = [
            (type, i) for type in ("chief", "master", "worker") for i in range(len(told["cluster"].get(type, ())))
        ]
        return workers.index((told["task"]["type"], int(told["task"]["index"]))), len(workers)
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0, 1


def shard(items: Sequence[T], rank: int | None = None, world: int | None = None, *, even: bool = False) -> list[T]:
    """Every `world`-th item from the `rank`-th on: together the ranks read each once. With `even` all get equally many, so
    that nobody waits in a collective for a peer that has run out: what does not divide is left out. Raises ValueError.
    """
    here, among = place_of()
    rank, world = here if rank is None else rank, among if world is None else world
    if not 0 <= rank < world:
        raise ValueError(f"rank {rank} of {world}: a rank is from 0 to {world - 1}")
    whole = len(items) - len(items) % world if even else len(items)
    return list(items[rank:whole:world])
