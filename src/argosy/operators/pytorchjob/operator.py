"""PyTorchJob as a framework of gangs, and its operator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from argosy import kinds
from argosy.intent import Operator
from argosy.meta.json import Obj
from argosy.operators.gang import operator as gang
from argosy.operators.gang.framework import Framework
from argosy.operators.gang.job import Job, Replica
from argosy.operators.pytorchjob import elastic
from argosy.operators.pytorchjob.rendezvous import environment
from argosy.operators.pytorchjob.schema import CONTAINER, MASTER, PORT, PORT_NAME, PYTORCH_JOB, WORKER
from argosy.operators.settings import OperatorSettings

_PER_NODE = ("auto", "cpu", "gpu")
_WAIT_FOR_MASTER = """\
case "$MASTER_ADDR" in *[!0-9.]*) ;; *) exit 0 ;; esac
tries=0
until getent hosts "$MASTER_ADDR" >/dev/null 2>&1 || nslookup "$MASTER_ADDR" >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ $tries -ge 120 ]; then echo "$MASTER_ADDR did not resolve: is the master pod running?" >&2; exit 1; fi
  if [ $tries -le 20 ]; then sleep 0.2; else echo "waiting for $MASTER_ADDR"; sleep 2; fi
done"""
"""An address in place of a name needs no waiting: some clusters put it there where names do not resolve."""


def _init_containers(job: Job, replica: Replica, image: str) -> Sequence[Obj]:
    """Workers wait until the master's name resolves."""
    if replica.type != WORKER or not job.has_master:
        return ()
    container: Obj = {
        "name": "init-pytorch",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _WAIT_FOR_MASTER],
        "env": [{"name": "MASTER_ADDR", "value": job.pod_name(MASTER, 0)}],
        "resources": {
            "limits": {"cpu": "100m", "memory": "20Mi"},
            "requests": {"cpu": "50m", "memory": "10Mi"},
        },
    }
    return (container,)


def _problems(job: Job) -> Iterable[str]:
    per_node = str(job.spec.get("nprocPerNode") or "auto")
    if per_node not in _PER_NODE and not (per_node.isdigit() and int(per_node)):
        yield f"spec.nprocPerNode {per_node!r} is neither a number above 0 nor one of {', '.join(_PER_NODE)}"
    yield from elastic.problems(job)


PYTORCH = Framework(
    kind=PYTORCH_JOB,
    specs="pytorchReplicaSpecs",
    types=(MASTER, WORKER),
    masters=(MASTER,),
    single=(MASTER,),
    container=CONTAINER,
    port_name=PORT_NAME,
    port=PORT,
    restart_policy="OnFailure",
    environment=environment,
    workers_done=elastic.workers_done,
    least=elastic.least,
    problems=_problems,
    extras=elastic.autoscaler,
    owns=(kinds.HORIZONTAL_POD_AUTOSCALER,),
    init_containers=_init_containers,
    resizes=elastic.is_elastic,
)


def operator(settings: OperatorSettings) -> Operator:
    """The operator under these settings."""
    return gang.operator(PYTORCH, settings)
