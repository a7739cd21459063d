from __future__ import annotations

import threading

import pytest

from argosy.cli.printing import Progress, progress


def test_a_wait_is_told_although_nothing_new_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    monkeypatch.setattr(Progress, "_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(Progress, "_LINE_SECONDS", 0.0)
    monkeypatch.setattr(Progress, "_FRAME_SECONDS", 0.001)
    monkeypatch.setattr("argosy.cli.printing.note", lambda _: told.set())
    with progress("pod/a: waiting"):
        assert told.wait(10)
