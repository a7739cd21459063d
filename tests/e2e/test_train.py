"""Code without images, as a person meets it: `argosy train` and `argosy sweep` on an engine, at every isolation level."""

from __future__ import annotations

import subprocess

import pytest
from engine_home import EngineHome

from argosy.meta.json import decode

SCRIPT = """
import argparse, os, pathlib, deep.other
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float, default=1.0)
x = parser.parse_args().x
from argosy.sdk import checkpoint
there = sorted(str(path) for path in pathlib.Path(".").rglob("*.*") if not str(path).startswith("."))
print("files", there, deep.other.VALUE, os.environ["KEY"], os.environ["RANK"], checkpoint.epoch_of())
print(f"loss={(x - 0.5) ** 2}")
"""


@pytest.mark.slow
def test_a_directory_trains_and_is_swept(home: EngineHome) -> None:
    home.up()
    code = home.path / "code"
    (code / "deep").mkdir(parents=True)
    (code / "deep" / "other.py").write_text("VALUE = 7")
    (code / "secret.txt").write_text("x" * 100)
    (code / ".gitignore").write_text("*.txt\n")
    (code / "train.py").write_text(SCRIPT)

    def argosy(*arguments: str) -> str:
        done = subprocess.run(
            home.command(*arguments), cwd=code, env=home.environ, capture_output=True, text=True, timeout=120,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    common = ("train.py", "--image", "python:3", "--env", "KEY=value")
    said = argosy("train", *common)
    assert "files ['deep/other.py', 'train.py'] 7 value 0 0\n" in said
    assert "pytorchjob/train succeeded" in said
    assert "loss=0.25" in argosy("logs", "job/train")
    swept = argosy("sweep", *common, "--param", "x=0..1", "--trials", "4", "--parallel", "2", "-o", "json")
    status = decode(swept)["status"]
    assert status["trialsSucceeded"] == 4
    best = status["currentOptimalTrial"]
    assert float(best["observation"]["metrics"][0]["latest"]) <= 0.25
    assert "loss=" in argosy("logs", f"job/{best['bestTrialName']}")
    home.argosy("down")
    assert home.leftovers() == []
