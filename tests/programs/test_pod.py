"""What a pod tells its programs: address, threads, paths, last words."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.programs import pod


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("max 100000", 1), ("200000 100000", 2), ("150000\n 100000\n", 1), ("50000 100000", 1), ("-1 100000", 1), ("", 1)],
)
def test_whole_cpus(quota: str, cpus: int) -> None:
    assert pod.whole_cpus(quota) == cpus


def test_threads_can_be_asked_for() -> None:
    assert pod.threads({"OMP_NUM_THREADS": "3"}) == 3
    assert pod.threads({"OMP_NUM_THREADS": "many"}) >= 1


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({"POD_IP": "127.9.0.4", "KUBERNETES_SERVICE_HOST": "10.96.0.1"}, "127.9.0.4"),
        ({"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, "0.0.0.0"),
        ({}, "127.0.0.1"),
    ],
)
def test_address(environ: dict[str, str], address: str) -> None:
    assert pod.address(environ) == address


def test_paths_lie_below_the_root_where_pods_have_no_mounts(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "var").mkdir(parents=True)
    (root / "models").symlink_to(tmp_path)
    environ = {"ARGOSY_ROOT": str(root)}
    assert pod.path("/models/base/new", environ) == root / "models" / "base" / "new"
    assert pod.path("/var/lib/volume", environ) == Path("/var/lib/volume"), "nothing is mounted there"
    assert pod.path("/elsewhere/x", environ) == Path("/elsewhere/x")
    assert pod.path("relative", environ) == Path("relative")
    assert pod.path("/models/base", {}) == Path("/models/base")


def test_last_words_go_into_a_file_that_is_there(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    pod.leave_word("nobody listens", str(log))
    assert not log.exists()
    log.write_text("something long from before")
    pod.leave_word("the model is gone", str(log))
    assert log.read_text() == "the model is gone"
