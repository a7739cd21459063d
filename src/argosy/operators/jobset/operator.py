"""The operator of JobSets: what it owns and what it reads."""

from __future__ import annotations

from collections.abc import Iterable

from argosy.clock import Clock, SystemClock
from argosy.intent import Operator, Related
from argosy.kinds import JOB, PERSISTENT_VOLUME_CLAIM, SERVICE
from argosy.meta.json import Obj
from argosy.meta.objects import key_of, name_of, namespace_of
from argosy.operators.jobset import jobs
from argosy.operators.jobset.plan import plan
from argosy.operators.jobset.pods import PODS
from argosy.operators.jobset.schema import JOB_SET, NAME
from argosy.operators.jobset.spec import read
from argosy.operators.watching.watch import EVERY_SECONDS, Watch, asked_for


def operator(clock: Clock | None = None) -> Operator:
    """The operator; `clock` dates what its watch over hung sets sees."""
    return Operator(
        kind=JOB_SET,
        plan=plan,
        owns=(JOB, SERVICE, PERSISTENT_VOLUME_CLAIM),
        related=(
            Related(PERSISTENT_VOLUME_CLAIM, _mounts, subject_keys=_claims_of, object_keys=_name_of),
            Related(SERVICE, _is_under, subject_keys=_subdomain_of, object_keys=_name_of),
            PODS,
        ),
        probe=Watch("", clock or SystemClock(), NAME),
        probe_every_seconds=EVERY_SECONDS,
        probed=asked_for,
        name="jobset-controller",
    )


def _claims_of(job_set: Obj) -> Iterable[str]:
    asked = read(job_set)
    return [f"{asked.namespace}/{jobs.claim_name(asked, template)}" for template, _ in asked.claims]


def _subdomain_of(job_set: Obj) -> Iterable[str]:
    asked = read(job_set)
    return (f"{asked.namespace}/{asked.subdomain}",) if asked.subdomain else ()


def _name_of(claim: Obj) -> Iterable[str]:
    return (f"{namespace_of(claim)}/{name_of(claim)}",)


def _mounts(job_set: Obj, claim: Obj) -> bool:
    return str(key_of(claim)) in _claims_of(job_set)


def _is_under(job_set: Obj, service: Obj) -> bool:
    """Whether it is the Service of the JobSet's subdomain: several may share one that somebody made for them."""
    return str(key_of(service)) in _subdomain_of(job_set)
