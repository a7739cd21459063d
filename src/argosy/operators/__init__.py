"""The ecosystem's kinds; they run on any cluster. One folder a kind, and one line in `ALL`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from argosy.clock import Clock
from argosy.intent import Asleep, Operator
from argosy.operators import (
    experiment,
    inferenceservice,
    jaxjob,
    jobset,
    leaderworkerset,
    mpijob,
    optimizationjob,
    paddlejob,
    pytorchjob,
    raycluster,
    rayjob,
    rayservice,
    tfjob,
    trainjob,
    xgboostjob,
)
from argosy.operators.offer import Offer
from argosy.operators.settings import OperatorSettings

ALL: tuple[Offer, ...] = (
    pytorchjob.OFFER,
    tfjob.OFFER,
    jaxjob.OFFER,
    xgboostjob.OFFER,
    paddlejob.OFFER,
    mpijob.OFFER,
    jobset.OFFER,
    trainjob.OFFER,
    leaderworkerset.OFFER,
    raycluster.OFFER,
    rayjob.OFFER,
    rayservice.OFFER,
    experiment.OFFER,
    optimizationjob.OFFER,
    inferenceservice.OFFER,
)
"""Every kind that Argosy brings."""


def build(settings: OperatorSettings, clock: Clock, offers: Sequence[Offer] = ALL) -> tuple[Asleep, ...]:
    """The operators of these offers under an administrator's settings, each to be woken by the first object of its kind."""
    return tuple(Asleep(offer.versions, partial(_woken, offer, settings, clock)) for offer in offers)


def _woken(offer: Offer, settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    own = offer.operators(settings, clock)
    if not offer.trains:
        return own
    from argosy.operators.tracking.operator import operators  # noqa: PLC0415 - see `Offer`

    return (*own, *operators(offer.versions, clock))
