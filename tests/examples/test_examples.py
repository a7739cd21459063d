"""The examples are what people copy first: manifests that parse, scripts that run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
FILES = sorted(path for path in EXAMPLES.iterdir() if path.suffix in (".py", ".yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_first_line_says_how_to_run_it(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert first.startswith("# ")
    assert f"examples/{path.name}" in first


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".yaml"], ids=lambda path: path.name)
def test_manifests_parse(path: Path) -> None:
    for obj in yaml.safe_load_all(path.read_text()):
        assert obj["apiVersion"]
        assert obj["kind"]
        assert obj["metadata"]["name"]
        for name, text in (obj.get("data") or {}).items():
            if name.endswith(".py"):
                compile(text, f"{path.name}:{name}", "exec")
                assert "import argosy" not in text


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".py"], ids=lambda path: path.name)
def test_scripts_need_nothing_of_argosy(path: Path) -> None:
    text = path.read_text()
    compile(text, str(path), "exec")
    assert "import argosy" not in text
    assert "from argosy" not in text


def test_the_training_script_goes_on_where_it_stopped(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    small = ["--batch", "4", "--length", "16", "--width", "32"]

    def run(steps: int) -> str:
        environ = {**os.environ, "CHECKPOINT_DIR": str(tmp_path), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        for name in ("WORLD_SIZE", "RANK"):
            environ.pop(name, None)
        argv = [sys.executable, str(EXAMPLES / "train_ddp.py"), "--steps", str(steps), *small]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=True, timeout=120).stdout

    assert "step=50 " in run(50)
    said = run(60)
    assert "going on from step 50" in said
    assert "held_out_loss=" in said
