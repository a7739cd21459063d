"""Checkpoints as training code sees them: `from argosy.sdk import checkpoint` (docs/checkpoints.md).

The names of `argosy.programs.checkpoints`, the contract by files and environment, and `Checkpointer`, which keeps it for
PyTorch. It travels with the working directory into images that do not have this project.
"""

from __future__ import annotations

from argosy.programs.checkpoints import (
    complete,
    directory_of,
    epoch_of,
    fault_of,
    is_complete,
    save,
    step_of,
    to_resume,
)
from argosy.programs.notice import Notice
from argosy.programs.saving import Checkpointer

__all__ = [
    "Checkpointer",
    "Notice",
    "complete",
    "directory_of",
    "epoch_of",
    "fault_of",
    "is_complete",
    "save",
    "step_of",
    "to_resume",
]
