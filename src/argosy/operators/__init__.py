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
    once = [True]
    return tuple(Asleep(offer.versions, partial(_woken, offer, settings, clock, once)) for offer in offers)


def _woken(offer: Offer, settings: OperatorSettings, clock: Clock, once: list[bool]) -> tuple[Operator, ...]:
    """An offer's operators; with those of kinds that train come the ones that report to MLflow, `once` what all share."""
    own = offer.operators(settings, clock)
    if not offer.trains:
        return own
    from argosy.operators.tracking import operator as tracking  # noqa: PLC0415 - see `Offer`

    shared = tracking.shared(clock) if once and once.pop() else ()
    return (*own, *tracking.operators(offer.versions, clock), *shared)
