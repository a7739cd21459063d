"""A real MLflow server is told how jobs end: a killed gang goes on with its run and its model is registered once, a program
that dies without a word has failed. Builds MLflow's environment, which takes a minute the first time.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from engine_home import EngineHome, until_said

pytestmark = pytest.mark.slow

SERVER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: mlflow}
spec:
  selector: {matchLabels: {app: mlflow}}
  template:
    metadata: {labels: {app: mlflow}}
    spec:
      containers:
      - name: mlflow
        image: argosy/mlflow
        ports: [{containerPort: 5000}]
        readinessProbe: {tcpSocket: {port: 5000}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: mlflow}
spec: {selector: {app: mlflow}, ports: [{port: 5000}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: models}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Mi}}}
"""
PROGRAM = """
import os, signal, sys, mlflow
epoch = int(os.environ["ARGOSY_RESTART_EPOCH"])
mlflow.start_run()
mlflow.log_param("lr", 1)
mlflow.log_metric("loss", 3.0 - epoch, step=epoch)
print("logged in epoch", epoch, flush=True)
print("step", 41 + epoch, flush=True)
if sys.argv[1] == "dies":
    os._exit(3)
if sys.argv[1] == "stays" or epoch == 0:
    signal.pause()
"""


def job(name: str, how: str, model: str) -> str:
    return json.dumps({
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {
            "name": name,
            "annotations": {
                "argosy.dev/register-model": model, "argosy.dev/checkpoint-dir": "/data/run", "argosy.dev/git-commit": "abc",
            },
        },
        "spec": {
            "runPolicy": {"backoffLimit": 0 if how == "dies" else 3},
            "pytorchReplicaSpecs": {"Master": {"restartPolicy": "OnFailure", "template": {"spec": {
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "models"}}],
                "containers": [{
                    "name": "pytorch",
                    "image": "argosy/mlflow",
                    "command": ["python", "-c", PROGRAM, how],
                    "env": [{"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow:5000"}],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }],
            }}}},
        },
    })  # fmt: skip


class Told:
    """What kubectl and MLflow say."""

    def __init__(self, home: EngineHome) -> None:
        self._kubectl = ["kubectl", "--kubeconfig", str(home.path / "kubeconfig")]

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [*self._kubectl, *arguments], input=stdin, capture_output=True, text=True, timeout=400, check=True
        )
        return done.stdout

    def mlflow(self, method: str) -> Any:
        return json.loads(
            self.kubectl(
                "get", "--raw", f"/api/v1/namespaces/default/services/mlflow:5000/proxy/api/2.0/mlflow/{method}"
            )
        )

    def until_run(self, run: str, status: str) -> None:
        """Ask MLflow until a run has a status; it tells nobody by itself."""
        deadline = time.monotonic() + 90
        while self.mlflow(f"runs/get?run_id={run}")["run"]["info"]["status"] != status:
            assert time.monotonic() < deadline, f"the run {run} is never {status}"

    def noted(self, name: str, annotation: str) -> str:
        place = "{.metadata.annotations.argosy\\.dev/" + annotation + "}"
        self.kubectl("wait", f"--for=jsonpath={place}", f"pytorchjob/{name}", "--timeout=60s")
        return self.kubectl("get", "pytorchjob", name, "-o", f"jsonpath={place}")


def test_jobs_and_their_runs_end_alike(home: EngineHome, tmp_path: Path) -> None:
    home.up()
    told = Told(home)
    told.kubectl("apply", "-f", "-", stdin=SERVER)
    told.kubectl("wait", "--for=condition=Available", "deployment/mlflow", "--timeout=400s")

    told.kubectl("apply", "-f", "-", stdin=job("lm", "ends", "lm"))
    run = told.noted("lm", "mlflow-run")
    told.kubectl("delete", "pod", "lm-master-0", "--force", "--grace-period=0")
    told.kubectl("wait", "--for=condition=Succeeded", "pytorchjob/lm", "--timeout=120s")
    assert told.noted("lm", "registered-model") == "lm/1"
    assert told.noted("lm", "mlflow-run") == run
    found = told.mlflow(f"runs/get?run_id={run}")["run"]
    assert found["info"]["status"] == "FINISHED"
    assert [(each["key"], each["step"]) for each in found["data"]["metrics"]] == [("loss", 1)]
    (version,) = told.mlflow("model-versions/search?filter=" + quote("name = 'lm'"))["model_versions"]
    assert (version["run_id"], version["source"]) == (run, "pvc://models/run")
    tags = {each["key"]: each["value"] for each in version["tags"]}
    assert (tags["job"], tags["git-commit"], tags["image"]) == ("lm", "abc", "argosy/mlflow")
    assert (tags["last-step"], tags["restarts"]) == ("42", "1")

    told.kubectl("apply", "-f", "-", stdin=job("dying", "dies", "never"))
    told.kubectl("wait", "--for=condition=Failed", "pytorchjob/dying", "--timeout=120s")
    assert told.noted("dying", "tracked") == "Failed"
    run = told.noted("dying", "mlflow-run")
    assert told.mlflow(f"runs/get?run_id={run}")["run"]["info"]["status"] == "FAILED"
    assert told.mlflow("registered-models/search?filter=" + quote("name = 'never'")) == {}

    told.kubectl("apply", "-f", "-", stdin=job("held", "stays", ""))
    until_said(home, "held-master-0", "logged in epoch 0")
    run = told.noted("held", "mlflow-run")
    told.kubectl("patch", "pytorchjob", "held", "--type=merge", "-p", '{"spec":{"runPolicy":{"suspend":true}}}')
    assert told.noted("held", "tracked") == "Suspended"
    assert told.mlflow(f"runs/get?run_id={run}")["run"]["info"]["status"] == "KILLED"
    told.kubectl("patch", "pytorchjob", "held", "--type=merge", "-p", '{"spec":{"runPolicy":{"suspend":false}}}')
    told.until_run(run, "RUNNING")
    told.kubectl("delete", "pytorchjob", "held")
    told.until_run(run, "KILLED")

    home.argosy("down")
    assert home.leftovers() == []
