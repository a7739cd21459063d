"""From the agent's values to the holder's orders."""

from __future__ import annotations

from pathlib import Path

from argosy.engine.node.runtime import orders
from argosy.engine.node.runtime.holder import landlock
from argosy.engine.node.runtime.spec import ContainerSpec, Level, Mount, PodSpec

POD = PodSpec("u", "ns", "p", "host", "10.64.0.2", Path("/pods/u"), Path("/pods/u/hosts"), Path("/pods/u/resolv"))


def container(**changes: object) -> ContainerSpec:
    values: dict[str, object] = {"env": {"A": "1"}, "working_dir": "/work", "log_path": Path("/logs/c")}
    return ContainerSpec(pod=POD, name="c", attempt=2, argv=("run",), **{**values, **changes})  # type: ignore[arg-type]


def order(spec: ContainerSpec, level: Level):
    return orders.start_order(spec, level, orders.confinement(spec, level, [], []), "", 0)


def test_everything_of_a_run_lies_in_the_pods_directory():
    state, root, termination = orders.run_paths(container())
    assert (str(state), str(root)) == ("/pods/u/runtime/c-2.json", "/pods/u/runtime/c-2.root")
    assert str(termination) == "/pods/u/runtime/c-2.termination"


def test_variables_that_every_process_expects():
    env = order(container(), Level.L2)["confinement"]["env"]
    assert env == {"A": "1", "PATH": orders.DEFAULT_PATH, "HOSTNAME": "host", "HOME": "/root"}
    assert order(container(run_as_user=5), Level.L2)["confinement"]["env"]["HOME"] == "/"
    given = order(container(env={"HOME": "/here", "PATH": "/bin"}, tty=True), Level.L1)["confinement"]["env"]
    assert (given["HOME"], given["PATH"], given["TERM"]) == ("/here", "/bin", "xterm")


def test_binds_come_in_order_and_the_volumes_after_the_image():
    spec = container(read_only_paths=(Path("/env"),), mounts=(Mount(Path("/v"), "/data", read_only=True),))
    binds = order(spec, Level.L2)["binds"]
    assert binds[0] == ("/env", "/env", True)
    assert ("/pods/u/hosts", "/etc/hosts", False) in binds
    assert ("/pods/u/resolv", "/etc/resolv.conf", True) in binds
    assert binds.index(("/v", "/data", True)) > 0
    assert binds[-1] == ("/pods/u/runtime/c-2.termination", "/dev/termination-log", False)


def test_at_l0_the_working_directory_is_the_runs_own_unless_the_host_has_it():
    spec = container(working_dir="/no/such")
    assert order(spec, Level.L0)["confinement"]["cwd"] == "/pods/u/runtime/c-2.root/no/such"
    assert order(container(working_dir="/"), Level.L0)["confinement"]["cwd"] == "/pods/u/runtime/c-2.root"
    assert order(container(working_dir="/usr"), Level.L0)["confinement"]["cwd"] == "/usr"
    assert order(container(), Level.L1)["confinement"]["cwd"] == "/work"


def test_landlock_guards_the_file_system_only_at_l0():
    mounts = (Mount(Path("/v"), "/data"), Mount(Path("/r"), "/ro", read_only=True))
    rules = order(container(mounts=mounts), Level.L0)["confinement"]["rules"]
    assert rules is not None
    assert ("/v", True) in rules
    assert ("/r", False) in rules
    assert not [path for path, _ in rules if path in {"/", "/home", "/tmp", "/var"}]
    assert order(container(), Level.L1)["confinement"]["rules"] is None
    assert order(container(), Level.L1)["confinement"]["scope"] == landlock.SCOPE_ABSTRACT_SOCKETS
    assert order(container(), Level.L2)["confinement"]["scope"] == 0
