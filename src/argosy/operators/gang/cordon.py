"""A node whose machine ends a job's pods again and again takes no more of them: it is cordoned, and the events say how to
undo that.

Only where another node takes pods, the operator may change nodes, and neither the administrator nor the job's annotation
`argosy.dev/cordon: never` forbids it. Pure; called by `plan`.
"""

from __future__ import annotations

from dataclasses import replace

from argosy import kinds
from argosy.intent import Patch, Reason
from argosy.meta.json import Obj, decode, dig
from argosy.meta.objects import Key, name_of, uid_of
from argosy.operators.gang.draft import Draft
from argosy.operators.settings import PREFIX

_STRIKES_MAX = 3
_BECAUSE = f"{PREFIX}cordoned-because"
_TAKES_PODS = f"{kinds.NODE.path()}?fieldSelector=spec.unschedulable%3Dfalse&limit=2"


def consider(draft: Draft) -> None:
    """Cordon the node that has struck too often, once its state is known."""
    node = next((node for node, count in draft.memory.strikes if count >= _STRIKES_MAX), "")
    if not node or not draft.job.may_cordon:
        return
    own = kinds.NODE.path("", node)
    if not draft.answered((own, _TAKES_PODS)):
        return
    answers = draft.seen.answers
    draft.remember(replace(draft.memory, strikes=tuple(one for one in draft.memory.strikes if one[0] != node)))
    ended = f"node {node} ended pods of {draft.title} {_STRIKES_MAX} times"
    found: Obj = decode(answers[own].encode()) if answers[own] else {}
    listed: Obj = decode(answers[_TAKES_PODS].encode()) if answers[_TAKES_PODS] else {}
    others = [each for each in listed.get("items") or () if name_of(each) != node]
    if not found:
        message = f"{ended}; it could not be looked at from here: kubectl cordon {node}, should it still be there"
        draft.reasons.append(Reason("NodeNotCordoned", message, warning=True))
    elif not others:
        message = f"{ended}, and stays in use, since no other node takes pods: look after its machine"
        draft.reasons.append(Reason("NodeNotCordoned", message, warning=True))
    elif not dig(found, "spec", "unschedulable", default=False):
        last = f"at last {draft.memory.because}" if draft.memory.because else "see its events"
        message = f"{ended} ({last}) and takes no more; to undo that: kubectl uncordon {node}"
        change: Obj = {"spec": {"unschedulable": True}, "metadata": {"annotations": {_BECAUSE: message}}}
        draft.actions.append(Patch(kinds.NODE, Key("", node), change, uid=uid_of(found), optional=True))
        draft.reasons.append(Reason("NodeCordoned", message, warning=True))
        draft.reasons.append(Reason("NodeCordoned", message, warning=True, about=(kinds.NODE, found)))
