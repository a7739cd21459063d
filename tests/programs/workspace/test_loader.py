"""The loader as an init container runs it: a program of its own, with nothing but the standard library."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.programs.workspace import call, loader
from argosy.sdk import shipping
from argosy.sdk.training import Shipment
from argosy.sdk.workspace import collect


def shipped(code: Path, parts: Path, pieces: int = 3) -> Shipment:
    sent = shipping.shipment(collect(code))
    parts.mkdir()
    size = -(-len(sent.packed.data) // pieces)
    for number in range(pieces):
        (parts / f"part-{number:04d}").write_bytes(sent.packed.data[number * size : (number + 1) * size])
    (parts / "load.py").write_text(sent.loader)
    return sent


def run(*argv: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    # -S: without the packages of this machine, among them this project, as in an image that knows nothing of it
    given = {"PATH": os.environ["PATH"], **environ}
    return subprocess.run(argv, cwd=cwd, env=given, capture_output=True, text=True, timeout=60, check=False)


def load(tmp_path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "place").mkdir(exist_ok=True)
    places = {"WORKSPACE": str(tmp_path / "place"), "WORKSPACE_PARTS": str(tmp_path / "parts")}
    return run(sys.executable, "-S", str(tmp_path / "parts" / "load.py"), cwd=tmp_path, **places, **environ)


def test_the_code_runs_as_it_did_here(tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "src" / "mine").mkdir(parents=True)
    (code / "src" / "mine" / "__init__.py").write_text("WHO = 'mine'")
    (code / "pyproject.toml").write_text("[build-system]\nrequires = []\n")
    (code / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (code / "run.sh").chmod(0o755)
    (code / "train.py").write_text(
        "import sys, mine\nfrom argosy.sdk import checkpoint\nprint(mine.WHO, sys.argv[1], checkpoint.epoch_of({}))\n"
    )
    (code / "link.py").symlink_to("train.py")
    shipped(code, tmp_path / "parts")
    assert (done := load(tmp_path)).returncode == 0, done.stderr
    place = tmp_path / "place"
    start = ["sh", str(place / ".argosy" / "start")]
    assert run(*start, "./run.sh", cwd=place).stdout == "ran\n"
    done = run(*start, sys.executable, "-S", "link.py", "a b", cwd=place)
    assert (done.stdout, done.stderr) == ("mine a b 0\n", "")
    assert (place / "link.py").is_symlink()


def test_an_image_that_answers_the_requirements_gets_no_other(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "requirements.txt").write_text("no-such-package-at-all==1\n")
    sent = shipped(code, tmp_path / "parts")
    answered = {loader.ANSWERED: hashlib.sha256(sent.requirements.encode()).hexdigest()}
    assert load(tmp_path, **answered).returncode == 0
    assert "VIRTUAL_ENV" not in (tmp_path / "place" / ".argosy" / "start").read_text()


def test_the_environment_is_kept_and_used(tmp_path: Path) -> None:
    place, cache = tmp_path / "place", tmp_path / "cache"
    (place / ".argosy").mkdir(parents=True)
    (place / loader.REQUIREMENTS).write_text("")  # nothing to fetch: the environment itself is what is looked at
    first = loader.prepare(place, str(cache))
    made = (Path(first) / "pyvenv.cfg").stat().st_mtime_ns
    assert loader.prepare(place, str(cache)) == first
    assert (Path(first) / "pyvenv.cfg").stat().st_mtime_ns == made
    assert first.startswith(str(cache))
    assert f'PATH="{first}/bin:$PATH"' in loader.start_script(place, first)


def test_requirements_that_cannot_be_solved_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    (tmp_path / ".argosy").mkdir()
    (tmp_path / loader.REQUIREMENTS).write_text("no-such-package-at-all==1\n")
    with pytest.raises(SystemExit):
        loader.prepare(tmp_path, "")
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("the requirements cannot be installed: ")
    assert not list((tmp_path / ".argosy").glob("environment-*/.complete"))


def test_a_damaged_archive_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    shipped(tmp_path / "code", tmp_path / "parts")
    (tmp_path / "parts" / "part-0002").unlink()
    done = load(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("the workspace is damaged: ")
    assert done.stderr.count("\n") == 1


def test_a_function_is_called_and_its_file_is_not_main(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("X = 2")
    (tmp_path / "fit.py").write_text(
        "import other\nclass Trainer:\n    @staticmethod\n    def fit(lr):\n        print(lr * other.X, __name__)\n"
        "if __name__ == '__main__':\n    raise SystemExit('submitted again')\n"
    )
    argv = [sys.executable, str(call.__file__), "fit.py", "Trainer.fit", '{"lr": 3}']
    done = run(*argv, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("6 fit\n", "")
    argv[2] = "fit"
    assert run(*argv, cwd=tmp_path).stdout == "6 fit\n"
