"""What a run was made from: git's state without credentials, and MLflow where the cluster runs it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from argosy import kinds
from argosy.meta.json import Obj, decode
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.sdk import lineage
from argosy.testing.cluster import cluster

JOB: Obj = {"metadata": {"name": "j", "namespace": "team"}}


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_s_state(tmp_path: Path) -> None:
    assert lineage.of_git(tmp_path) == {}

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True, timeout=20)

    git("init", "-q", "-b", "trunk")
    (tmp_path / "a.py").write_text("1")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    git("remote", "add", "origin", "https://user:secret@example.com/team/code.git")
    found = lineage.of_git(tmp_path)
    assert len(found["git-commit"]) == 40
    assert found["git-branch"] == "trunk"
    assert found["git-remote"] == "https://example.com/team/code.git"
    assert found["git-dirty"] == "false"
    (tmp_path / "b.py").write_text("2")
    assert lineage.of_git(tmp_path)["git-dirty"] == "true"


def test_the_environment_is_told_by_one_value() -> None:
    one = lineage.recorded({}, ("python", "a b.py"), "i", "numpy\n", "d")
    assert one["argosy.dev/command"] == "python 'a b.py'"
    assert one == lineage.recorded({}, ("python", "a b.py"), "i", "numpy\n", "d")
    other = lineage.recorded({}, ("python", "a b.py"), "i", "torch\n", "d")
    assert one["argosy.dev/environment"] != other["argosy.dev/environment"]


def service(name: str, namespace: str, **labels: str) -> Obj:
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"metadata": metadata, "spec": {"clusterIP": "None", "ports": [{"port": 8080}]}}


def test_mlflow_is_found_where_it_is() -> None:
    async def go() -> list[str]:
        async with cluster() as world:
            client, found = world.client, []
            await client.create(kinds.NAMESPACE, {"metadata": {"name": "tracking"}})
            found.append(await lineage.tracking(client, "default"))
            await client.create(kinds.SERVICE, service("web", "tracking", **{"app.kubernetes.io/name": "mlflow"}))
            found.append(await lineage.tracking(client, "default"))
            await client.create(kinds.SERVICE, service("mlflow", "default"))
            found.append(await lineage.tracking(client, "default"))
            return found

    assert asyncio.run(go()) == ["", "http://web.tracking.svc:8080", "http://mlflow.default.svc:8080"]


def test_runs_are_tagged_with_where_they_come_from() -> None:
    assert lineage.tracking_environment("", "e", JOB, PYTORCH_JOB, {}) == {}
    made = lineage.tracking_environment("http://m", "e", JOB, PYTORCH_JOB, {"argosy.dev/git-commit": "abc"})
    assert (made["MLFLOW_TRACKING_URI"], made["MLFLOW_EXPERIMENT_NAME"]) == ("http://m", "e")
    assert decode(made["MLFLOW_RUN_CONTEXT"]) == {
        "job": "j", "namespace": "team", "job-path": "/apis/kubeflow.org/v1/namespaces/team/pytorchjobs/j",
        "git-commit": "abc", "mlflow.source.git.commit": "abc",
    }  # fmt: skip
