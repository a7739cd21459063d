"""Where a container's paths lead at L0."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.engine.node.runtime.paths import places, translate
from argosy.engine.node.runtime.spec import ContainerSpec, Mount, PodSpec

POD = PodSpec(
    "u", "ns", "p", "host", "127.66.0.2", Path("/tmp/home/pods/u"), Path("/dev/shm/argosy/u/hosts"), Path("/dev/shm/argosy/u/r")
)  # fmt: skip


def table(*mounts: Mount) -> dict[str, str]:
    spec = ContainerSpec(
        pod=POD, name="c", attempt=0, argv=("run",), env={}, working_dir="/", log_path=Path("/logs/c"), mounts=mounts,
        read_only_paths=(Path("/tmp/home/images/x"),),
    )  # fmt: skip
    return places(spec, Path("/root"), Path("/termination"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/data", "/real/v"),
        ("--in=/data/x --out=/data/y/", "--in=/real/v/x --out=/real/v/y/"),
        ("/data/sub/z", "/real/s/z"),
        ("/database /my/data data", "/database /my/data data"),
        ("file:///data/x", "file:///real/v/x"),
        ("sqlite:////data/x.db", "sqlite:////real/v/x.db"),
        ("https://host/data", "https://host/data"),
        ("a:/data:/b", "a:/real/v:/b"),
        ("${ROOT}/data", "${ROOT}/data"),
    ],
)
def test_paths_are_translated_where_they_stand_as_paths(value: str, expected: str) -> None:
    assert translate(value, {"/data": "/real/v", "/data/sub": "/real/s"}) == expected


def test_a_run_has_its_volumes_a_tmp_and_a_place_for_its_last_words() -> None:
    found = table(Mount(Path("/v"), "/data/"))
    assert translate("echo x > /dev/termination-log; cp /data/a /tmp/b", found) == (
        "echo x > /termination; cp /v/a /root/tmp/b"
    )


def test_what_the_host_has_below_a_mount_path_stays_in_reach() -> None:
    found = table(Mount(Path("/m"), "/dev/shm"), Mount(Path("/t"), "/tmp"))
    assert translate("/tmp/home/images/x/bin:/tmp/y", found) == "/tmp/home/images/x/bin:/t/y"
    assert translate("/dev/shm/argosy/u/kubeconfig", found) == "/dev/shm/argosy/u/kubeconfig"
    assert translate("/dev/shm/torch", found) == "/m/torch"
