"""What is kept of a gang's logs when its pods go: on a restart, and when a job that has ended is cleaned up.

Called by `failing` and `ending` before they delete pods; how it is kept stands in `watching.keeping`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from argosy import kinds
from argosy.intent import Create, Delete
from argosy.meta.json import Obj
from argosy.meta.objects import Key, labels_of
from argosy.operators.gang.draft import Draft
from argosy.operators.gang.labels import LABEL_INDEX, LABEL_TYPE
from argosy.operators.watching import keeping


def heard(draft: Draft, doomed: Sequence[Obj]) -> bool:
    """Ask for the ends of these pods' logs; whether all have been answered, by words or by silence."""
    return draft.answered(_paths(draft, doomed).values())


def keep(draft: Draft, doomed: Sequence[Obj], epoch: int) -> None:
    """Write down what was heard. It comes after the deletions: a cluster that takes no ConfigMap does not hold them up."""
    asked = _paths(draft, doomed)
    texts = {name: draft.seen.answers.get(path, "") for name, path in asked.items()}
    number, subject, kind = draft.memory.kept, draft.seen.subject, draft.job.framework.kind
    made = keeping.record(kind, subject, (number, epoch), _ordered(draft, doomed), texts)
    if made is None:
        return
    draft.remember(replace(draft.memory, kept=number + 1))
    if number >= keeping.GANGS_MAX:
        draft.actions.append(Delete(kinds.CONFIG_MAP, Key(draft.job.namespace, made["metadata"]["name"])))
    draft.actions.append(Create(kinds.CONFIG_MAP, made))


def _paths(draft: Draft, doomed: Sequence[Obj]) -> dict[str, str]:
    if not keeping.wanted(draft.seen.subject):
        return {}
    return keeping.paths(_ordered(draft, doomed), draft.job.framework.container)


def _ordered(draft: Draft, pods: Sequence[Obj]) -> list[Obj]:
    """Who ended badly first, then by type and index: where there are too many, those that tell most are kept."""
    order = {type.lower(): number for number, type in enumerate(draft.job.framework.types)}

    def place(pod: Obj) -> tuple[bool, int, int]:
        labels = labels_of(pod)
        index = labels.get(LABEL_INDEX, "")
        failed = (pod.get("status") or {}).get("phase") == "Failed"
        return not failed, order.get(labels.get(LABEL_TYPE, ""), len(order)), int(index) if index.isdigit() else 0

    return sorted(pods, key=place)
