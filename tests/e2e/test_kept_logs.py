"""Logs that outlive pods: a gang that restarted and was cleaned up is still told by `argosy logs`."""

from __future__ import annotations

import subprocess

import pytest
from engine_home import EngineHome

from argosy.meta.json import decode

JOB = """
apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata: {name: kept}
spec:
  runPolicy: {cleanPodPolicy: All, backoffLimit: 2}
  pytorchReplicaSpecs:
    Master:
      restartPolicy: OnFailure
      template:
        spec:
          containers:
          - name: pytorch
            image: python:3
            command: [python, -c]
            args:
            - |
              import os
              epoch = int(os.environ["ARGOSY_RESTART_EPOCH"])
              print("epoch", epoch, flush=True)
              if not epoch:
                  raise ValueError("shard 7 is cut")
"""


@pytest.mark.slow
def test_logs_of_what_is_gone(home: EngineHome) -> None:
    home.up()
    manifest = home.path / "job.yaml"
    manifest.write_text(JOB)
    home.argosy("apply", "-f", str(manifest))
    kubectl = ["kubectl", "--kubeconfig", str(home.path / "kubeconfig")]
    subprocess.run([*kubectl, "wait", "--for=condition=Succeeded", "pytorchjob/kept", "--timeout=60s"], check=True)
    subprocess.run([*kubectl, "wait", "--for=delete", "pod/kept-master-0", "--timeout=30s"], check=True)
    assert home.argosy("logs", "job/kept") == "epoch 1\n"
    assert home.argosy("logs", "job/kept", "--epoch", "0").startswith("epoch 0\nTraceback")
    first = decode(home.argosy("logs", "job/kept", "--epoch", "0", "--first-error", "-o", "json").encode())
    assert first["lines"][-1] == "ValueError: shard 7 is cut"
    home.argosy("down")
    assert home.leftovers() == []
