"""Notice of an end: the signal, the file that all ranks share, and the step after which everybody stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.programs.notice import Notice

GANG = """
import sys, threading
from pathlib import Path
from argosy.programs.notice import Notice
rank, place = sys.argv[1], Path(sys.argv[2])
notice = Notice({"ARGOSY_NOTICE": str(place / "run" / ".notice-0")})
for step in range(1, 100000):
    (place / f"{step}-{rank}").touch()
    while not all((place / f"{step}-{other}").exists() for other in "012"):  # as a collective waits
        threading.Event().wait(0.0005)
    if step == 3:
        print("goes", flush=True)
    if notice.after(step):
        print(step, flush=True)
        notice.leave()
"""


def test_ranks_that_go_in_step_leave_after_the_same_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", GANG]
    ranks = [subprocess.Popen([*command, str(n), str(tmp_path)], stdout=subprocess.PIPE, text=True) for n in range(3)]
    try:
        assert [rank.stdout.readline() for rank in ranks if rank.stdout] == ["goes\n"] * 3
        ranks[2].send_signal(signal.SIGTERM)
        said = {rank.communicate(timeout=60)[0] for rank in ranks}
    finally:
        for rank in ranks:
            rank.kill()
    assert len(said) == 1
    assert [rank.returncode for rank in ranks] == [143] * 3
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".notice-0"]


def test_alone_the_signal_is_enough_and_sigterm_means_what_it_did_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    notice = Notice({})
    assert not notice.after(1)
    os.kill(os.getpid(), signal.SIGTERM)
    assert notice.came
    assert notice.after(2)
    with pytest.raises(SystemExit) as ended:
        notice.leave()
    assert ended.value.code == 143
    notice.close()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_file_of_an_earlier_run_is_about_nobody(tmp_path: Path) -> None:
    file = tmp_path / ".notice-0"
    file.write_text("7\n")
    os.utime(file, ns=(1, 1))
    notice = Notice({"ARGOSY_NOTICE": str(file)})
    try:
        assert not notice.after(8)
        os.kill(os.getpid(), signal.SIGTERM)
        assert not notice.after(9), "the others learn of it one step later"
        assert file.read_text() == "10\n"
        assert notice.after(10)
    finally:
        notice.close()


def test_a_peer_that_is_no_python_may_just_touch_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".notice-0"
    notice = Notice({"ARGOSY_NOTICE": str(file)})
    try:
        file.touch()
        assert notice.after(1)
    finally:
        notice.close()
