"""Notice that a pod is about to go, and the step after which all ranks save together (docs/checkpoints.md).

A drained or reclaimed node sends SIGTERM to the pods on it, to one rank of many perhaps, and waits for their grace period. The
rank that hears it writes the file `$ARGOSY_NOTICE`, which all ranks share, with the step after which everybody stops: the
one after the step that it has just done. Ranks that exchange gradients are never further apart than that, so all of them find
the file in time, take the same checkpoint, and leave with exit code 143.

Imported by training code as `argosy.sdk.checkpoint`, and travels with it like `checkpoints`; the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

LEFT = 143
"""What a program exits with that was told to end and did so in order: 128 + SIGTERM."""


class Notice:
    """What this rank knows of an end that is near. Make one in the main thread, before training begins."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Listens for SIGTERM from now on; outside of the main thread, where Python hears no signals, for the file alone."""
        named = environ.get("ARGOSY_NOTICE", "")
        self._file = Path(named) if named else None
        self._old = self._written_at()
        """Of a file from an earlier run, which is about nobody any more."""
        self.came = False
        """Whether this very rank was told."""
        self._hears = threading.current_thread() is threading.main_thread()
        self._before = signal.signal(signal.SIGTERM, self._hear) if self._hears else None

    def after(self, step: int) -> bool:
        """Whether to save and leave now that `step` is done; call it once after each step. All ranks get the same answer."""
        if self._file is None:
            return self.came
        if self.came:
            self._tell(step + 1)
        if self._written_at() == self._old:
            return False
        try:
            told = self._file.read_text().strip()
        except OSError:
            return False
        return not told.isdigit() or step >= int(told)

    def close(self) -> None:
        """Listen no more: SIGTERM means again what it meant before."""
        if self._hears:
            signal.signal(signal.SIGTERM, self._before)

    def leave(self) -> NoReturn:
        """End the program in order."""
        sys.stdout.flush()
        raise SystemExit(LEFT)

    def _hear(self, *_: object) -> None:
        self.came = True

    def _tell(self, last: int) -> None:
        """Write the file whole, unless a peer did so before."""
        if self._file is None or self._written_at() != self._old:
            return
        draft = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(f"{last}\n")
            draft.replace(self._file)

    def _written_at(self) -> int | None:
        try:
            return self._file.stat().st_mtime_ns if self._file is not None else None
        except OSError:
            return None
