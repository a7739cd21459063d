"""What is done to a write between reading it and storing it, beyond its own schema.

`admit` runs the mutating steps, `review` the steps that only say yes or no; one file a concern, listed in order here. Both
wait for webhooks where the cluster has some, and do not give up the turn of the event loop where it has none.
"""

from __future__ import annotations

from argosy.engine.apiserver.admission import (
    certificates,
    devices,
    escalation,
    ingresses,
    jobs,
    lifecycle,
    limits,
    pods,
    podsecurity,
    policies,
    quotas,
    storage,
    warnings,
    webhooks,
)
from argosy.engine.apiserver.calls import Call
from argosy.meta.json import Obj


async def admit(call: Call, obj: Obj, old: Obj | None) -> None:
    """Change a write as the cluster's rules and its webhooks want it, in place. `old` is None for a create.

    Raises ApiError.
    """

    def complete() -> None:
        if old is None:
            lifecycle.check_namespace(call, obj)
            limits.admit(call, obj)
            pods.admit(call, obj)
            jobs.admit(call, obj)
            storage.admit(call, obj)
        else:
            pods.admit_update(call, obj, old)
        certificates.admit(call, obj, old)
        devices.admit(call, obj)
        ingresses.admit(call, obj)

    complete()
    await webhooks.mutate(call, obj, old, complete)


async def review(call: Call, obj: Obj, old: Obj | None) -> None:
    """Say no to a write that is valid in itself. Raises ApiError."""
    await webhooks.validate(call, obj, old)
    escalation.review(call, obj, old)
    certificates.review(call, obj, old)
    podsecurity.review(call, obj, old)
    limits.review(call, obj, old)
    policies.review(call, obj, old)
    storage.review(call, obj, old)
    quotas.review(call, obj, old)
    warnings.review(call, obj, old)


async def review_delete(call: Call, old: Obj, *, dry_run: bool) -> None:
    """Say no to a delete. Raises ApiError."""
    await webhooks.validate_delete(call, old, dry_run=dry_run)
    policies.review_delete(call, old)
