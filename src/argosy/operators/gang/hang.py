"""What follows when a gang hangs: its stacks are kept, the rank that stands apart is named, the gang begins anew.

Called by `plan` with what `watch` found. A hang counts as a failure of that rank, so `backoffLimit` and the pauses between
restarts hold for it as well.
"""

from __future__ import annotations

from argosy import kinds
from argosy.clock import rfc3339
from argosy.intent import Create, Reason
from argosy.meta.json import Obj, dig
from argosy.meta.objects import labels_of, name_of, owner_reference, uid_of
from argosy.operators.gang import stacks
from argosy.operators.gang.draft import Draft
from argosy.operators.gang.failure import Failure
from argosy.operators.gang.labels import LABEL_JOB, LABEL_TYPE

_CONFIG_MAP_BYTES_MAX = 900_000


def found(draft: Draft) -> Failure | None:
    """The hang that was found, if it is of the pods that are there now."""
    stall: Obj = dig(draft.seen.probed or {}, "stall", default={})
    present = {uid_of(pod): name_of(pod) for pod in draft.census.pods.values()}
    if not stall or stall["pods"] != present:
        return None
    standings = {name: stacks.read(dump) for name, dump in stall["stacks"].items()}
    odd = stacks.odd(standings, stall["steps"])
    what = f"hung: no progress for {stall['seconds']:.0f} s"
    if stall["usual"] is not None:
        what += f", where {stall['usual']:.2g} s are usual"
    step = stall["steps"].get(odd) or max(stall["steps"].values(), default="")
    what += f"; the last step was {step}" if step else ""
    what += f", and {standings[odd]}" if odd else "; no rank stands apart"
    name = odd or min(standings)
    return Failure(name, _type(draft, name), what, at=rfc3339(draft.seen.now))


def keep(draft: Draft) -> None:
    """Write the stacks down in a ConfigMap of the job, and say where they are."""
    dumps: dict[str, str] = dig(draft.seen.probed or {}, "stall", "stacks", default={})
    name = f"{draft.job.name}-stacks-{draft.memory.epoch}"
    share = _CONFIG_MAP_BYTES_MAX // max(len(dumps), 1)
    kept: Obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": draft.job.namespace,
            "labels": {LABEL_JOB: draft.job.name},
            "ownerReferences": [owner_reference(draft.seen.subject, draft.job.framework.kind)],
        },
        "data": {pod: dump.encode()[:share].decode(errors="ignore") for pod, dump in dumps.items()},
    }
    draft.actions.append(Create(kinds.CONFIG_MAP, kept))
    message = f"The stacks of {len(dumps)} ranks are in ConfigMap {name}."
    draft.reasons.append(Reason(f"{draft.job.framework.kind.kind}Hung", message, warning=True))


def _type(draft: Draft, name: str) -> str:
    for slot, pod in draft.census.pods.items():
        if name_of(pod) == name and labels_of(pod).get(LABEL_TYPE):
            return slot[0]
    return draft.job.lead
