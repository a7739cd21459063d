"""Images that are themselves, as a person meets them: a registry on loopback, an engine, `argosy apply`, `why` and `images`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from engine_home import EngineHome, best_available, running_home, until_said

from argosy.engine.node.runtime.spec import Level

sys.path.insert(0, str(Path(__file__).parent.parent / "engine" / "node"))

from oci.making import Entry, layout, runnable
from oci.serving import serving


@pytest.fixture(scope="module")
def home() -> Iterator[EngineHome]:
    if best_available() is Level.L0:
        pytest.skip("images that are themselves need mounts, and this machine gives none")
    yield from running_home(best_available())


def apply(home: EngineHome, tmp_path: Path, name: str, image: str) -> None:
    spec = {"restartPolicy": "Never", "containers": [{"name": "c", "image": image}]}
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}))
    home.argosy("apply", "-f", str(path))


def test_an_image_that_nothing_maps_comes_from_its_registry_and_one_of_a_layout_from_the_disk(home, tmp_path):
    made = runnable(
        Entry("hello", "from the image\n"), tools=("cat", "sh", "sleep"), Cmd=["sh", "-c", "cat /hello; echo $MORE; exec sleep 999"], Env=["PATH=/bin", "MORE=more"]
    )  # fmt: skip
    with serving() as registry:
        reference = registry.push("team/app", "1", made)
        apply(home, tmp_path, "remote", reference)
        until_said(home, "remote", "more")
        assert f"OCI image from {reference}" in home.argosy("images", reference, "--output", "json")
        at = layout(tmp_path / "layout", v=made)
        (home.path / "images.yaml").write_text(f"images: [{{match: me/app, oci: 'oci:{at}:v'}}]\n")
        apply(home, tmp_path, "local", "me/app")
        until_said(home, "local", "from the image")
        assert "removed 0 images" in home.argosy("images", "--prune")
        assert f"OCI image from {reference}" in home.argosy("images", "--output", "json")  # of a pod that runs
