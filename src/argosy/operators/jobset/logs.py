"""What is kept of the logs of a JobSet's pods when their Jobs go: at a restart, and when a set that has ended is cleaned up.

Called by `plan` before it deletes Jobs; how it is kept stands in `watching.keeping`.
"""

from __future__ import annotations

from collections.abc import Sequence

from argosy import kinds
from argosy.intent import Create, Delete
from argosy.meta.json import Obj
from argosy.meta.objects import Key, is_deleting, labels_of, name_of, namespace_of, uid_of
from argosy.operators.jobset import pods, schema
from argosy.operators.jobset.draft import Draft
from argosy.operators.watching import keeping


def delete(draft: Draft, jobs: Sequence[Obj]) -> None:
    """Delete Jobs with their pods, once the ends of their logs have been read."""
    doomed = [job for job in jobs if not is_deleting(job)]
    uids = {uid_of(job) for job in doomed}
    going = [
        pod for pod in pods.of(draft.seen) if uids & {o["uid"] for o in pod["metadata"].get("ownerReferences") or ()}
    ]
    subject = draft.seen.subject
    asked = keeping.paths(going, "") if keeping.wanted(subject) else {}
    draft.asks += tuple(asked.values())
    if not draft.seen.answers.keys() >= set(asked.values()):
        return
    draft.delete_jobs(doomed)
    attempt = max((int(labels_of(pod).get(schema.RESTART_ATTEMPT) or 0) for pod in going), default=0)
    texts = {name: draft.seen.answers[path] for name, path in asked.items()}
    made = keeping.record(schema.JOB_SET, subject, (attempt, attempt), going, texts)
    if made is not None:
        if attempt >= keeping.GANGS_MAX:
            draft.actions.append(Delete(kinds.CONFIG_MAP, Key(namespace_of(subject), name_of(made))))
        draft.actions.append(Create(kinds.CONFIG_MAP, made))
