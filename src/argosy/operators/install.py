"""Which kinds to install on a cluster, and which operators to run there: decided from what the cluster has already.

A cluster may run the official operator of a kind. Two operators on one kind would undo each other's work, so that kind is
left alone, and the person is told. Pure: whoever calls it (`argosy up`, `argosy operators`) lists and creates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from argosy import kinds
from argosy.intent import Capabilities
from argosy.meta.crd import crd_for
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import name_of, namespace_of
from argosy.operators import ALL
from argosy.operators.offer import Offer


@dataclass(frozen=True, slots=True)
class Choice:
    """What to run, and a sentence for each kind that is left to somebody else."""

    offers: tuple[Offer, ...]
    left_alone: tuple[str, ...] = ()


def definitions(offers: Sequence[Offer] = ALL) -> dict[str, tuple[Kind, ...]]:
    """The versions of each kind, by the name of their CustomResourceDefinition."""
    versions: dict[str, tuple[Kind, ...]] = {}
    for offer in offers:
        for kind in offer.kinds:
            versions[kind.resource] = (*versions.get(kind.resource, ()), kind)
    return versions


def manifests(offers: Sequence[Offer] = ALL) -> list[Obj]:
    """The CustomResourceDefinitions of the offers' kinds."""
    return [crd_for(*versions) for versions in definitions(offers).values()]


def objects(offers: Sequence[Offer] = ALL) -> list[tuple[Kind, Obj]]:
    """What comes along with the kinds, each with its kind."""
    return [(_kind_of(obj, offer), obj) for offer in offers for obj in offer.objects()]


def _kind_of(obj: Obj, offer: Offer) -> Kind:
    """One of the offer's own, or a built-in one."""
    wanted = (obj["apiVersion"], obj["kind"])
    return next(kind for kind in (*offer.kinds, *kinds.ALL) if (kind.api_version, kind.kind) == wanted)


def missing(present: Collection[str], offers: Sequence[Offer] = ALL) -> list[Obj]:
    """The CustomResourceDefinitions to create where these (by name, `pytorchjobs.kubeflow.org`) are there already. One
    that is there is somebody's, and stays as it is.
    """
    return [crd_for(*versions) for name, versions in definitions(offers).items() if name not in present]


def unserved(present: Collection[str], capabilities: Capabilities, offers: Sequence[Offer] = ALL) -> list[str]:
    """A sentence for each version of a kind that definitions which were there already leave out."""
    return [
        f"the cluster's own definition of {kind.resource} has no version {kind.version}: {kind.kind}s of {kind.api_version} "
        f"are refused here; add the version there to have Argosy run them"
        for offer in offers
        for kind in offer.kinds
        if kind.resource in present and not capabilities.serves(kind)
    ]


def choose(offers: Sequence[Offer], deployments: Iterable[Obj]) -> Choice:
    """What to run on a cluster that has these Deployments."""
    running = {name_of(d): d for d in deployments if dig(d, "spec", "replicas") != 0}
    chosen, left = [], []
    for offer in offers:
        taken = next((running[name] for name in offer.official if name in running), None)
        if taken is None:
            chosen.append(offer)
            continue
        left += [
            f"{name} is left to {namespace_of(taken)}/{name_of(taken)}, which runs here; scale that Deployment to 0 "
            f"and start the operators again to have Argosy take over"
            for name in dict.fromkeys(kind.kind for kind in offer.kinds)
        ]
    return Choice(tuple(chosen), tuple(left))
