"""Pods say why they are sent away: the condition `DisruptionTarget`, written before the pod is deleted.

Whoever deletes a running pod for the cluster's sake calls it: the scheduler that preempts, the controller that clears tainted
and lost nodes. A Job's podFailurePolicy and the training kinds' operators tell by it that the program was not to blame.
"""

from __future__ import annotations

from datetime import datetime

from argosy import kinds
from argosy.client.client import Client
from argosy.client.requests import STRATEGIC_PATCH
from argosy.clock import rfc3339
from argosy.meta.objects import Key

DISRUPTION_TARGET = "DisruptionTarget"


async def mark_disrupted(client: Client, pod: Key, uid: str, why: tuple[str, str], now: datetime) -> None:
    """Set the condition; `why` is its reason and message. Raises NotFound or Conflict for a pod that is another by now."""
    reason, message = why
    condition = {
        "type": DISRUPTION_TARGET, "status": "True", "reason": reason, "message": message,
        "lastTransitionTime": rfc3339(now),
    }  # fmt: skip
    patch = {"metadata": {"uid": uid}, "status": {"conditions": [condition]}}
    await client.patch(kinds.POD, pod, patch, subresource="status", content_type=STRATEGIC_PATCH)
