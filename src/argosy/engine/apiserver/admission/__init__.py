"""What is done to a write between reading it and storing it, beyond its own schema.

`admit` runs the mutating steps, `review` the steps that only say yes or no; one file a concern, listed in order here.
"""

from __future__ import annotations

from argosy.engine.apiserver.admission import (
    escalation,
    jobs,
    lifecycle,
    limits,
    pods,
    podsecurity,
    policies,
    quotas,
    storage,
    warnings,
)
from argosy.engine.apiserver.calls import Call
from argosy.meta.json import Obj


def admit(call: Call, obj: Obj, old: Obj | None) -> None:
    """Change a write as the cluster's own rules want it, in place. `old` is None for a create. Raises Forbidden."""
    if old is None:
        lifecycle.check_namespace(call, obj)
        limits.admit(call, obj)
        pods.admit(call, obj)
        jobs.admit(call, obj)
        storage.admit(call, obj)


def review(call: Call, obj: Obj, old: Obj | None) -> None:
    """Say no to a write that is valid in itself. Raises ApiError."""
    escalation.review(call, obj, old)
    podsecurity.review(call, obj, old)
    limits.review(call, obj, old)
    policies.review(call, obj, old)
    storage.review(call, obj, old)
    quotas.review(call, obj, old)
    warnings.review(call, obj, old)
