"""The kind `kubeflow.org/v1 XGBoostJob`: its schema and the names that its pods carry."""

from __future__ import annotations

from argosy.operators.gang.schema import kind

MASTER, WORKER = "Master", "Worker"
CONTAINER = "xgboost"
PORT_NAME, PORT = "xgboostjob-port", 9999

XGBOOST_JOB = kind("XGBoostJob", "xgbReplicaSpecs", scales=False)
