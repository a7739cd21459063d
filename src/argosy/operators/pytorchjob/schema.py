"""The kind `kubeflow.org/v1 PyTorchJob`: its schema and the names that its pods carry."""

from __future__ import annotations

from argosy.operators.gang.schema import BOOLEAN, INT32, METRICS, STRING, array_of, kind, object_of

MASTER, WORKER = "Master", "Worker"
CONTAINER = "pytorch"
PORT_NAME, PORT = "pytorchjob-port", 23456

_ELASTIC = object_of(
    minReplicas=INT32,
    maxReplicas=INT32,
    rdzvBackend=STRING,
    rdzvPort=INT32,
    rdzvHost=STRING,
    rdzvId=STRING,
    rdzvConf=array_of(object_of(key=STRING, value=STRING)),
    standalone=BOOLEAN,
    nProcPerNode=INT32,
    maxRestarts=INT32,
    metrics=METRICS,
)

PYTORCH_JOB = kind("PyTorchJob", "pytorchReplicaSpecs", nprocPerNode=STRING, elasticPolicy=_ELASTIC)
