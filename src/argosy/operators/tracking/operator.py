"""The operators: one for each kind that trains, beside the kind's own."""

from __future__ import annotations

from functools import partial

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.meta.kind import Kind
from argosy.operators.tracking import job as jobs
from argosy.operators.tracking import orphans
from argosy.operators.tracking.look import Look
from argosy.operators.tracking.plan import plan

EVERY_SECONDS = 2.0


def operators(versions: tuple[Kind, ...], clock: Clock) -> tuple[Operator, ...]:
    """For each version of a kind; a cluster that serves several shows a job in all of them, and the first counts."""
    return tuple(_operator(kind, versions[:number], clock) for number, kind in enumerate(versions))


def shared(clock: Clock) -> tuple[Operator, ...]:
    """What is there once for all kinds."""
    return (orphans.operator(clock),)


def _operator(kind: Kind, before: tuple[Kind, ...], clock: Clock) -> Operator:
    return Operator(
        kind=kind,
        plan=partial(plan, kind=kind, others=before),
        name=f"{kind.singular}-tracking",
        probe=Look(kind),
        probe_every_seconds=EVERY_SECONDS,
        probed=lambda job: jobs.is_due(job, clock.now().timestamp() * 1000),
    )
