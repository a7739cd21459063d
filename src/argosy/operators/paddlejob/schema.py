"""The kind `kubeflow.org/v1 PaddleJob`: its schema and the names that its pods carry."""

from __future__ import annotations

from argosy.operators.gang.schema import INT32, METRICS, kind, object_of

MASTER, WORKER = "Master", "Worker"
CONTAINER = "paddle"
PORT_NAME, PORT = "master", 36543

_ELASTIC = object_of(minReplicas=INT32, maxReplicas=INT32, maxRestarts=INT32, metrics=METRICS)

PADDLE_JOB = kind("PaddleJob", "paddleReplicaSpecs", elasticPolicy=_ELASTIC)
