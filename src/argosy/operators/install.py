"""Which kinds to install on a cluster, and which operators to run there: decided from what the cluster has already.

A cluster may run the official operator of a kind. Two operators on one kind would undo each other's work, so that kind is
left alone, and the person is told. Pure: whoever calls it (`argosy up`, `argosy operators`) lists and creates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from argosy.intent import Operator
from argosy.meta.crd import crd_for
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of, namespace_of
from argosy.operators import ALL
from argosy.operators.inferenceservice.schema import INFERENCE_SERVICE
from argosy.operators.pytorchjob.schema import PYTORCH_JOB

_OFFICIAL = {
    "training-operator": (PYTORCH_JOB,),
    "kserve-controller-manager": (INFERENCE_SERVICE,),
}
"""The Deployments of the official operators, by name, and the kinds that they reconcile."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What to run, and a sentence for each kind that is left to somebody else."""

    operators: tuple[Operator, ...]
    left_alone: tuple[str, ...] = ()


def manifests(operators: Sequence[Operator] = ALL) -> list[Obj]:
    """The CustomResourceDefinitions of the operators' kinds."""
    return [crd_for(operator.kind) for operator in operators]


def missing(present: Collection[str], operators: Sequence[Operator] = ALL) -> list[Obj]:
    """The CustomResourceDefinitions to create where these (by name, `pytorchjobs.kubeflow.org`) are there already. One
    that is there is somebody's, and stays as it is.
    """
    return [crd for crd in manifests(operators) if name_of(crd) not in present]


def choose(operators: Sequence[Operator], deployments: Iterable[Obj]) -> Choice:
    """The operators to run on a cluster that has these Deployments."""
    official = {name_of(d): d for d in deployments if name_of(d) in _OFFICIAL and dig(d, "spec", "replicas") != 0}
    taken = {kind: deployment for name, deployment in official.items() for kind in _OFFICIAL[name]}
    left = tuple(
        f"{operator.kind.kind} is left to {namespace_of(taken[operator.kind])}/{name_of(taken[operator.kind])}, which "
        f"runs here; scale that Deployment to 0 to have Argosy take over"
        for operator in operators
        if operator.kind in taken
    )
    return Choice(tuple(operator for operator in operators if operator.kind not in taken), left)
