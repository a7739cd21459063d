"""Reading where the ranks of a hung gang stand."""

from __future__ import annotations

import subprocess
import sys

import pytest

from argosy.operators.watching.stacks import COMMAND, Standing, odd, read

RUNNING = """\
process 1 S (sleeping): python train.py
Thread 1 (idle): "MainThread"
    all_reduce (torch/distributed/distributed_c10d.py:3104)
    backward (train.py:40)
    step (train.py:50)
    <module> (train.py:80)
Thread 9 (idle): "loader"
    wait (threading.py:600)
process 7 S (sleeping): sh -c tail
"""
LOADING = RUNNING.replace("all_reduce (torch/distributed/distributed_c10d.py:3104)", "read (data.py:7)")
STOPPED = RUNNING.replace("S (sleeping)", "T (stopped)")
BLIND = "process 1 S (sleeping): python train.py\nsh: py-spy: not found\n"


def test_a_dump_is_read() -> None:
    top = (
        "all_reduce (torch/distributed/distributed_c10d.py:3104)",
        "backward (train.py:40)",
        "step (train.py:50)",
    )
    assert read(RUNNING) == Standing(False, top)
    assert str(read(RUNNING)) == f"it is in {top[0]}"
    assert read(STOPPED).stopped
    assert str(read(STOPPED)) == "its process is stopped (SIGSTOP)"
    assert read(BLIND) == Standing()
    assert read("its processes could not be asked: no answer") == Standing()


@pytest.mark.parametrize(
    ("dumps", "steps", "name"),
    [
        ((RUNNING, STOPPED), ("75", "75"), "1"),
        ((RUNNING, RUNNING, LOADING), ("75", "75", "75"), "2"),
        ((RUNNING, LOADING), ("75", "75"), ""),
        ((BLIND, BLIND), ("75", "74"), "1"),
        ((BLIND, BLIND), ("75", ""), ""),
        ((RUNNING, RUNNING), ("75", "75"), ""),
    ],
)
def test_who_stands_apart(dumps: tuple[str, ...], steps: tuple[str, ...], name: str) -> None:
    standings = {str(rank): read(dump) for rank, dump in enumerate(dumps)}
    assert odd(standings, {str(rank): step for rank, step in enumerate(steps)}) == name


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are read from /proc")
def test_the_command_tells_of_processes_of_its_own_address() -> None:
    mine = {"ARGOSY_ROOT": "/x", "POD_IP": "10.9.8.7", "PATH": "/usr/bin:/bin"}
    other = {**mine, "POD_IP": "10.9.8.8"}
    with (
        subprocess.Popen(["sleep", "61"], env=mine) as one,
        subprocess.Popen(["sleep", "62"], env=other) as two,
    ):
        try:
            said = subprocess.run(COMMAND, env=mine, capture_output=True, text=True, timeout=60, check=False).stdout
        finally:
            one.kill()
            two.kill()
    assert f"process {one.pid} S (sleeping): sleep 61" in said
    assert "sleep 62" not in said
