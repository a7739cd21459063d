"""The line that says what is being waited for."""

from __future__ import annotations

import io
import threading
from contextlib import redirect_stderr

from argosy.cli.printing import Progress


class Hurried(Progress):
    """One that need not be waited for."""

    _QUIET_SECONDS = 0.0
    _LINE_SECONDS = 0.0
    _FRAME_SECONDS = 0.001


class Heard(io.StringIO):
    """A stream that tells when something is written."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()

    def write(self, text: str) -> int:
        self.told.set()
        return super().write(text)


def test_a_wait_is_told_although_nothing_new_happens() -> None:
    stream, ended = Heard(), threading.Event()
    with redirect_stderr(stream):
        drawing = threading.Thread(target=Hurried("pod/a: waiting").keep, args=(ended,))
        drawing.start()
        heard = stream.told.wait(10)
        ended.set()
        drawing.join()
    assert heard
    assert stream.getvalue() == "… pod/a: waiting\n"
