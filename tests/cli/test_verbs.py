"""Every verb: help with an example, `-o json`, one sentence on stderr and exit code 1 when it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from argosy import __version__
from argosy.cli.main import VERBS


def argosy(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "ARGOSY_HOME": str(home), "COLUMNS": "200", "KUBECONFIG": ""}
    environ.pop("KUBERNETES_SERVICE_HOST", None)
    return subprocess.run(
        [sys.executable, "-m", "argosy", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example_and_json(verb: str, tmp_path: Path) -> None:
    done = argosy(verb, "--help", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Example:" in done.stdout
    assert "--output" in done.stdout


def test_the_verbs_are_listed(tmp_path: Path) -> None:
    done = argosy("--help", home=tmp_path)
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in VERBS)


def test_the_version_needs_no_verb(tmp_path: Path) -> None:
    done = argosy("--version", home=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"argosy {__version__}\n")


@pytest.mark.parametrize("command", [["ps"], ["logs", "x"], ["why", "x"], ["kubeconfig"], ["chat", "hi"]])
def test_without_an_engine_the_next_step_is_said(command: list[str], tmp_path: Path) -> None:
    done = argosy(*command, home=tmp_path / "none")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("argosy: no engine has run in ")
    assert "argosy up" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", ["down", "status"])
def test_a_reader_that_has_seen_enough_is_no_failure_to_tell_of(verb: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "argosy", verb], env={**os.environ, "ARGOSY_HOME": str(tmp_path / "none")},
            stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode != 0


def test_status_and_down_without_an_engine(tmp_path: Path) -> None:
    status = argosy("status", "-o", "json", home=tmp_path)
    assert (status.returncode, '"running":false' in status.stdout) == (1, True)
    down = argosy("down", home=tmp_path / "none")
    assert (down.returncode, down.stdout) == (0, "nothing was running\n")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["apply", "-f", "nowhere.yaml"], "there is no file nowhere.yaml"),
        (["train", "nowhere.py"], "there is no script nowhere.py"),
        (["up", "--token-auth-file", "nowhere"], "there is no token file nowhere"),
        (["demo", "--data", "nowhere.txt"], "there is no text nowhere.txt"),
        (["operators", "--gateway", "here:80"], "'here:80' is no gateway; give --gateway NAMESPACE/SERVICE"),
        (["operators", "--gateway", "a/b:http"], "'a/b:http' is no gateway; give --gateway NAMESPACE/SERVICE"),
        (["apply", "-f", os.devnull], "there is no object in /dev/null"),
        (["images", "--pull", "localhost:1/image:1"], "no environment is mapped to the image localhost:1/image:1"),
        (["serve", "pvc://m/b", "--name", "m", "--adapter", "poet"], "write for example: --adapter poet=adapters/poet"),
    ],
)
def test_bad_input_is_one_sentence(command: list[str], says: str, tmp_path: Path) -> None:
    done = argosy(*command, home=tmp_path)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
