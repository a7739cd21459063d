"""The operator of OptimizationJobs: what it owns, what it reads, and how it hears what a trial achieved."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from argosy import kinds
from argosy.intent import Fetch, Operator, Related
from argosy.meta.json import Obj
from argosy.meta.objects import namespace_of
from argosy.operators.optimizationjob import trials
from argosy.operators.optimizationjob.plan import Ended, plan, source
from argosy.operators.optimizationjob.schema import OPTIMIZATION_JOB
from argosy.operators.search import reading
from argosy.operators.trainjob.schema import TRAIN_JOB


def operator() -> Operator:
    """The operator."""
    return Operator(
        kind=OPTIMIZATION_JOB,
        plan=plan,
        owns=(TRAIN_JOB,),
        related=(Related(kinds.POD, trials.prints, _prefix_of_job, _prefix_of_pod),),
        follow=_follow,
        source=source,
    )


async def _follow(fetch: Fetch, ended: Ended) -> AsyncGenerator[Obj, None]:
    async with aclosing(reading.follow(fetch, ended.log)) as news:
        async for found in news:
            yield {"of": ended.uid, **found}


def _prefix_of_job(job: Obj) -> Iterable[str]:
    return (f"{namespace_of(job)}/{trials.prefix_of(job)}",)


def _prefix_of_pod(pod: Obj) -> Iterable[str]:
    prefix, number = trials.prefix_and_number(trials.jobset_of(pod))
    return (f"{namespace_of(pod)}/{prefix}",) if number >= 0 else ()
