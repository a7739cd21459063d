"""The kind `kubeflow.org/v1 JAXJob`: its schema and the names that its pods carry."""

from __future__ import annotations

from argosy.operators.gang.schema import kind

WORKER = "Worker"
CONTAINER = "jax"
PORT_NAME, PORT = "jaxjob-port", 6666

JAX_JOB = kind("JAXJob", "jaxReplicaSpecs")
