"""Limits that the kernel enforces, where this machine lets us write control groups; the rest of the logic on paper."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.engine.node.runtime import cgroups
from argosy.engine.node.runtime.limits import NoEnforcer, choose_cpus
from argosy.engine.node.runtime.spec import Limits

HOG = "kept = []\nwhile True: kept.append(bytearray(1_000_000))"
FORKS = """
import os, signal, sys
for count in range(200):
    try:
        if os.fork() == 0:
            signal.pause()
            os._exit(0)
    except BlockingIOError:
        print("stopped at", count, flush=True)
        sys.exit(9)
"""
BURN = """
import time
end, cpu = time.monotonic() + 1.0, time.process_time()
while time.monotonic() < end: pass
print(time.process_time() - cpu)
"""


@pytest.fixture
def enforced(alone, tmp_path):
    found = cgroups.find(tmp_path)
    found.close()
    if isinstance(found, NoEnforcer):
        pytest.skip("no control groups may be written here")
    alone.enforce = True
    return alone


def run(bench, program: str, limits: Limits):
    pod = bench.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        started = await runtime.start_container(bench.python(pod, program, limits=limits))
        return await runtime.wait(started.id), runtime.enforces

    return *bench.run(scenario), bench.output(pod)


def test_memory(enforced):
    ended, enforces, _ = run(enforced, HOG, Limits(memory_bytes=60_000_000))
    assert "memory" in enforces
    assert (ended.code, ended.signal, ended.reason) == (137, 9, "OOMKilled")


def test_pids(enforced):
    ended, enforces, output = run(enforced, FORKS, Limits(pids=10))
    if "pids" not in enforces:
        pytest.skip("pids are not limited here")
    assert ended.code == 9
    assert output.startswith("stopped at ")


def test_cpu(enforced):
    ended, enforces, output = run(enforced, BURN, Limits(cpu_millis=200))
    if "cpu" not in enforces:
        pytest.skip("cpu is not limited here")
    assert ended.code == 0
    assert float(output) < 0.5


def test_nothing_is_left(enforced):
    run(enforced, "pass", Limits(memory_bytes=100_000_000, pids=50, cpu_millis=1000))
    name = next(iter(getattr(cgroups.find(enforced.home), "bases", {}).values()), None)
    if name is not None:
        cgroups.find(enforced.home).close()
        assert not name.exists()


def test_v1_settings():
    found = cgroups.v1_settings(Limits(memory_bytes=1000, cpu_millis=250, pids=7))
    assert found["memory"][0] == ("memory.limit_in_bytes", "1000")
    assert found["cpu"] == (("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "25000"))
    assert found["pids"] == (("pids.max", "7"),)
    assert cgroups.v1_settings(Limits()) == {}
    assert cgroups.v1_settings(Limits(cpu_millis=1))["cpu"][1][1] == "1000", "the kernel takes no less"


def tree(root: Path, *directories: str, controllers: str = "cpu memory pids") -> None:
    for directory in directories:
        (root / directory).mkdir(parents=True, exist_ok=True)
        (root / directory / "cgroup.procs").touch()
        (root / directory / "cgroup.controllers").write_text(controllers)
        (root / directory / "cgroup.subtree_control").touch()


def test_a_delegated_v2_subtree_is_used(tmp_path):
    """A user's systemd session: the engine is in a scope, and may make groups beside it."""
    root = tmp_path / "cgroup"
    name = next(iter(Path(p).name for p in [find_name(tmp_path)]))
    tree(root, "", "user/app.slice", "user/app.slice/terminal.scope", f"user/app.slice/{name}")
    mountinfo = f"30 25 0:26 / {root} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
    found = cgroups.find(tmp_path, mountinfo, "0::/user/app.slice/terminal.scope\n")
    assert isinstance(found, cgroups.GroupsV2)
    assert found.base == root / "user" / "app.slice" / name
    assert found.enforces == {"memory", "cpu", "pids"}
    entries, oom = found.create("uid/main/0", Limits(memory_bytes=1000, cpu_millis=500, pids=3))
    directory = found.base / "uid_main_0"
    assert entries == [str(directory / "cgroup.procs")]
    assert oom == str(directory / "memory.events")
    written = {path.name: path.read_text() for path in directory.iterdir()}
    assert written["memory.max"] == "1000"
    assert written["cpu.max"] == "50000 100000"
    assert written["pids.max"] == "3"
    (directory / "memory.current").write_text("4096\n")
    (directory / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
    usage = found.usage("uid/main/0")
    assert usage is not None
    assert (usage.cpu_seconds, usage.memory_bytes) == (1.5, 4096)
    assert found.create("uid/other/0", Limits()) == ([], "")


def find_name(home: Path) -> str:
    import zlib

    return f"argosy-{zlib.crc32(str(home.resolve()).encode()):08x}"


def test_groups_without_controllers_enforce_nothing(tmp_path):
    root = tmp_path / "cgroup"
    tree(root, "", "a", f"a/{find_name(tmp_path)}", controllers="hugetlb")
    (root / "a" / "cgroup.subtree_control").chmod(0)
    if os.geteuid() == 0:
        pytest.skip("root writes whatever the mode")
    mountinfo = f"30 25 0:26 / {root} rw - cgroup2 cgroup2 rw\n"
    assert isinstance(cgroups.find(tmp_path, mountinfo, "0::/a/b\n"), NoEnforcer)


def test_no_control_groups_at_all(tmp_path):
    found = cgroups.find(tmp_path, "", "")
    assert isinstance(found, NoEnforcer)
    assert found.create("a/b/0", Limits(memory_bytes=1)) == ([], "")


def test_v1_hierarchies_are_found_where_the_engine_is(tmp_path):
    """Inside a container, whose own group is the mount's root."""
    for name in ("memory", "cpu"):
        (tmp_path / name / "engine").mkdir(parents=True)
    mountinfo = "".join(
        f"3{i} 25 0:26 /docker/abc {tmp_path}/{name} rw - cgroup cgroup rw,{options}\n"
        for i, (name, options) in enumerate({"memory": "memory", "cpu": "cpu,cpuacct"}.items())
    )
    own = "5:memory:/docker/abc/engine\n4:cpu,cpuacct:/docker/abc/engine\n3:pids:/docker/abc\n"
    found = cgroups._hierarchies(mountinfo, own)
    assert found["memory"] == (tmp_path / "memory", tmp_path / "memory" / "engine")
    assert found["cpu"] == (tmp_path / "cpu", tmp_path / "cpu" / "engine")
    assert "pids" not in found


def test_processors_are_spread():
    assert choose_cpus("a", None, [0, 1, 2, 3]) == []
    assert choose_cpus("a", 4000, [0, 1, 2, 3]) == []
    assert len(choose_cpus("a", 1500, [0, 1, 2, 3])) == 2
    assert {choose_cpus(f"run{i}", 100, [0, 1, 2, 3])[0] for i in range(50)} == {0, 1, 2, 3}


def test_what_a_killed_engine_left_goes_when_the_next_one_starts(tmp_path):
    for name in ("alive", "ended", "dying"):
        (tmp_path / name).mkdir()
    last = tmp_path / "dying" / "process"
    last.touch()  # a group with a process in it cannot be removed
    groups = cgroups.GroupsV2(tmp_path, frozenset())
    groups.keep(["alive"])
    assert {path.name for path in tmp_path.iterdir()} == {"alive", "dying"}
    last.unlink()
    groups.retry()
    assert [path.name for path in tmp_path.iterdir()] == ["alive"]
