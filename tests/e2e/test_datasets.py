"""Data sets as a person meets them: `argosy train --data`, from a claim and from files, shared by jobs through a cache."""

from __future__ import annotations

import subprocess

import pytest
from engine_home import EngineHome

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: store}
spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}
"""
SEED = """
import pathlib
from argosy.programs import pod
corpus = pod.path("/data/corpus")
corpus.mkdir()
for number in range(5):
    (corpus / f"{number}.txt").write_text(str(number))
"""
READ = """
import os
from argosy.sdk import data
corpus = data.path("corpus")
files = sorted(path.name for path in corpus.glob("*.txt"))
print("rank", os.environ["RANK"], "reads", *data.shard(files), corpus.is_symlink(), data.versions()["corpus"][:8],
      len(list(data.path("raw").iterdir())), flush=True)
"""


@pytest.mark.slow
def test_data_sets_are_fetched_once_and_read_in_shards(home: EngineHome) -> None:
    home.up()
    code = home.path / "code"
    code.mkdir()
    (code / "claim.yaml").write_text(CLAIM)
    (code / "seed.py").write_text(SEED)
    (code / "read.py").write_text(READ)

    def argosy(*arguments: str, code_: int = 0) -> str:
        done = subprocess.run(
            home.command(*arguments), cwd=code, env=home.environ, capture_output=True, text=True, timeout=120,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == code_, done.stdout + done.stderr
        return done.stdout + done.stderr

    argosy("apply", "-f", "claim.yaml")
    argosy("train", "seed.py", "--image", "python:3", "--claim", "store")
    data = ("--data", "corpus=file:///data/corpus", "--data", "raw=pvc://store/corpus")
    argosy("train", "read.py", "--image", "python:3", "--claim", "store", "--cache", "store", "--nodes", "2", *data)
    kubectl = ["kubectl", "--kubeconfig", str(home.path / "kubeconfig")]
    ended = ["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/read-worker-0", "--timeout=60s"]
    subprocess.run([*kubectl, *ended], check=True)  # a job has succeeded when its master has
    said = argosy("logs", "job/read")
    assert "rank 0 reads 0.txt 2.txt 4.txt True listing: 5" in said
    assert "rank 1 reads 1.txt 3.txt True listing: 5" in said
    shown = subprocess.check_output([*kubectl, "get", "pytorchjob", "read", "-o", "yaml"], text=True)
    assert "argosy.dev/dataset-versions: corpus=listing:" in shown
    gone = ("--data", "corpus=file:///data/nowhere", "--claim", "store", "--restarts", "5")
    said = argosy("train", "read.py", "--image", "python:3", *gone, code_=1)
    assert "/nowhere does not exist in this container" in said, said
    assert "/nowhere does not exist in this container" in argosy("why", "pytorchjob/read-2")
    home.argosy("down")
    assert home.leftovers() == []
