"""How far a job that has succeeded got, from the last words of its first rank: a part of its model's lineage."""

from __future__ import annotations

from urllib.parse import quote

from argosy import kinds
from argosy.clock import parse_time
from argosy.errors import ApiError
from argosy.intent import Fetch
from argosy.meta.json import Obj, decode, dig
from argosy.meta.objects import annotations_of, created_of, labels_of, name_of, namespace_of
from argosy.operators.gang.labels import LABEL_INDEX, LABEL_JOB, LABEL_ROLE
from argosy.operators.jobset.schema import JOB_INDEX
from argosy.operators.jobset.schema import NAME as LABEL_JOBSET
from argosy.operators.watching import goodput, progress

_INDEXES = (LABEL_INDEX, JOB_INDEX, "batch.kubernetes.io/job-completion-index")


async def reached(fetch: Fetch, job: Obj) -> dict[str, str]:
    """`{last-step, tokens-per-second}` as far as they are told; empty where pods or logs are gone."""
    try:
        for label in (LABEL_JOB, LABEL_JOBSET):
            path = f"{kinds.POD.path(namespace_of(job))}?labelSelector={quote(f'{label}={name_of(job)}')}"
            first = first_rank(decode(await fetch(path)).get("items") or ())
            if first is not None:
                container = str(dig(first, "spec", "containers", 0, "name", default=""))
                log = kinds.POD.path(namespace_of(first), name_of(first), "log")
                said = await fetch(f"{log}?container={quote(container)}&timestamps=true&{goodput.TAIL}")
                return told(said.decode(errors="replace"), first, annotations_of(job))
    except (ApiError, ConnectionError, TimeoutError, ValueError):
        pass
    return {}


def first_rank(pods: list[Obj] | tuple[Obj, ...]) -> Obj | None:
    """The pod that speaks for the others: of those that ended well the leading one, else the first by its numbers."""
    ended = [pod for pod in pods if dig(pod, "status", "phase") == "Succeeded"]
    return min(ended, key=_place, default=None)


def told(log: str, pod: Obj, annotations: dict[str, str]) -> dict[str, str]:
    """What the end of a log with timestamps says."""
    began = parse_time(created_of(pod))
    step = progress.pace(log.splitlines(), began, goodput.pattern_of(annotations)).step
    tokens = goodput.tokens_per_second(log)
    found = {"last-step": str(step) if step else "", "tokens-per-second": f"{tokens:g}" if tokens is not None else ""}
    return {name: value for name, value in found.items() if value}


def _place(pod: Obj) -> tuple[bool, list[int], str]:
    labels = labels_of(pod)
    numbers = [int(labels[label]) for label in _INDEXES if labels.get(label, "").isdigit()]
    return labels.get(LABEL_ROLE) != "master", numbers, name_of(pod)
