"""The cache that jobs share: fetched once, whole or not at all, also when a fetch is killed; bounded, and never what is used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.programs.initializer import cache

_FETCH = """
import os, sys, time
from pathlib import Path
from argosy.programs.initializer import cache
place = Path(sys.argv[1])
def fill(directory):
    (directory / "a").write_text("half")
    with (place.parent / "fetches").open("a") as file:
        file.write("x")
    print("fetching", flush=True)
    sys.stdin.readline()
    (directory / "a").write_text("whole")
print(cache.use(place, "key", fill, now=time.time()) / "a", flush=True)
"""


def fill(text: str):
    def fetch(directory: Path) -> None:
        (directory / "a").write_text(text)

    return fetch


def fetcher(place: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _FETCH, str(place)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_many_at_once_fetch_once_and_one_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "cache"
    first = fetcher(place)
    assert first.stdout is not None
    assert first.stdout.readline() == "fetching\n"
    others = [fetcher(place) for _ in range(3)]
    first.send_signal(signal.SIGKILL)
    first.wait()
    for other in others:
        assert other.stdin is not None
        other.stdin.write("go\n")
        other.stdin.flush()
    said = [other.communicate(timeout=30)[0] for other in others]
    assert (tmp_path / "fetches").read_text() == "xx", "the one that was killed, and one more"
    assert {text.splitlines()[-1] for text in said} == {str(place / "key" / "a")}
    assert (place / "key" / "a").read_text() == "whole"
    first.stdout.close()
    assert first.stdin is not None
    first.stdin.close()


def test_the_longest_unused_goes_first_and_what_is_held_stays(tmp_path: Path) -> None:
    for number in range(4):
        cache.use(tmp_path, f"k{number}", fill("x" * 10), now=1000.0 + number, limit=1000)
    held = cache.hold(tmp_path, ["k0"])
    assert cache.evict(tmp_path, now=2000.0, limit=25) == ["k1", "k2"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["k0", "k3"]
    os.close(held[0])
    assert cache.evict(tmp_path, now=2000.0, limit=15) == ["k0"]
    assert cache.evict(tmp_path, now=1100.0, limit=1) == [], "what was asked for a moment ago is about to be held"


def test_a_fetch_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails(directory: Path) -> None:
        (directory / "a").write_text("half")
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        cache.use(tmp_path, "key", fails, now=1.0)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_full_volume_makes_room_once(tmp_path: Path) -> None:
    cache.use(tmp_path, "old", fill("x"), now=1.0)
    tried: list[int] = []

    def full(directory: Path) -> None:
        tried.append(1)
        if len(tried) == 1:
            raise OSError(28, "No space left on device")
        fill("new")(directory)

    assert (cache.use(tmp_path, "new", full, now=5000.0) / "a").read_text() == "new"
    assert not (tmp_path / "old").exists()
