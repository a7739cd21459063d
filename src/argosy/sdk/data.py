"""Data sets as training code sees them: `from argosy.sdk import data` (docs/training.md).

It travels with the working directory into images that do not have this project.
"""

from __future__ import annotations

from argosy.programs.shards import path, place_of, shard, versions

__all__ = ["path", "place_of", "shard", "versions"]
