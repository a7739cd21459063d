"""Programs that stand in for those of a real image."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from argosy.engine.node import launch
from argosy.engine.node.images import standins
from argosy.engine.node.images.resolve import CatalogueError, read
from argosy.engine.node.runtime.spec import Image
from argosy.engine.node.sources import Missing


def test_they_are_scripts_that_find_their_module(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "double.py").write_text("import sys; print(*sys.argv[1:], *sys.argv[1:])")
    programs = {"twice": ("double",), "/usr/sbin/thrice": ("double", "first")}
    (directory,) = standins.write(tmp_path, programs, Path(sys.executable), package)
    said = subprocess.run([directory / "thrice", "a b"], capture_output=True, text=True, check=True, env={}).stdout
    assert said == "first a b first a b\n"
    assert standins.by_path([directory], programs) == {"/usr/sbin/thrice": str(directory / "thrice")}
    assert standins.write(tmp_path, programs, Path(sys.executable), package) == (directory,)


def test_most_images_have_none(tmp_path: Path) -> None:
    assert standins.write(tmp_path, {}, Path(sys.executable), tmp_path) == ()


def test_they_need_python() -> None:
    mapping = {"match": "x", "environment": "tools", "programs": {"ssh": "module"}}
    with pytest.raises(CatalogueError, match="programs"):
        read({"environments": {"tools": {"kind": "host"}}, "images": [mapping]})


def test_their_paths_take_the_place_of_the_real_ones(tmp_path: Path) -> None:
    image = Image("x", "sha256:0", programs={"/usr/sbin/sshd": "/stand-ins/sshd", "/home/u/pi": "/stand-ins/pi"})
    container = {"name": "main", "command": ["/usr/sbin/sshd", "-De"], "args": ["/home/u/pi", "/home/u/pie"]}
    pod = {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"containers": [container]}}
    sandbox = launch.pod_spec(pod, "127.1.0.2", tmp_path, tmp_path)
    made = launch.container_spec(pod, container, 0, image, sandbox, {})
    assert made.argv == ("/stand-ins/sshd", "-De", "/stand-ins/pi", "/home/u/pie")


def test_options_alone_are_for_a_program_that_is_not_here(tmp_path: Path) -> None:
    container = {"name": "main", "args": ["--backend", "gloo"]}
    pod = {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"containers": [container]}}
    sandbox = launch.pod_spec(pod, "127.1.0.2", tmp_path, tmp_path)
    with pytest.raises(
        Missing, match="no program here that would take --backend, give the container a command, or the"
    ):
        launch.container_spec(pod, container, 0, Image("kubeflow/mnist", "sha256:0"), sandbox, {})
    mapped = Image("kubeflow/mnist", "sha256:0", entrypoint=("python", "/mnist.py"))
    made = launch.container_spec(pod, container, 0, mapped, sandbox, {})
    assert made.argv == ("python", "/mnist.py", "--backend", "gloo")
