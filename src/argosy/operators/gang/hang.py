"""What follows when a gang hangs: its stacks are kept, the rank that stands apart is named, the gang begins anew.

Called by `failing` with what the watch found. A hang counts as a failure of that rank, so `backoffLimit` and the pauses
between restarts hold for it as well.
"""

from __future__ import annotations

from argosy import kinds
from argosy.clock import rfc3339
from argosy.intent import Create, Reason
from argosy.meta.objects import labels_of, name_of
from argosy.operators.gang.draft import Draft
from argosy.operators.gang.failure import Failure
from argosy.operators.gang.labels import LABEL_JOB, LABEL_TYPE
from argosy.operators.watching import hang
from argosy.operators.watching.hang import Hang


def found(draft: Draft) -> Hang | None:
    """The hang that was found, if it is of the pods that are there now."""
    return hang.found(draft.seen.probed, draft.census.pods.values())


def keep(draft: Draft, what: Hang) -> Failure:
    """Write the stacks down in a ConfigMap of the job, say where they are, and call it a failure."""
    kind = draft.job.framework.kind
    kept, message = hang.record(what, str(draft.memory.epoch), kind, draft.seen.subject)
    kept["metadata"]["labels"] = {LABEL_JOB: draft.job.name}
    draft.actions.append(Create(kinds.CONFIG_MAP, kept))
    draft.reasons.append(Reason(f"{kind.kind}Hung", message, warning=True))
    return Failure(what.name, _type(draft, what.name), what.what, at=rfc3339(draft.seen.now))


def _type(draft: Draft, name: str) -> str:
    for slot, pod in draft.census.pods.items():
        if name_of(pod) == name and labels_of(pod).get(LABEL_TYPE):
            return slot[0]
    return draft.job.lead
