"""The kind `kubeflow.org/v1 TFJob`: its schema and the names that its pods carry."""

from __future__ import annotations

from argosy.operators.gang.schema import BOOLEAN, STRING, kind

CHIEF, MASTER, WORKER, PS, EVALUATOR = "Chief", "Master", "Worker", "PS", "Evaluator"
CONTAINER = "tensorflow"
PORT_NAME, PORT = "tfjob-port", 2222
ALL_WORKERS = "AllWorkers"

TF_JOB = kind("TFJob", "tfReplicaSpecs", scales=False, successPolicy=STRING, enableDynamicWorker=BOOLEAN)
