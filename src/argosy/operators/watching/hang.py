"""A hang as a value: which rank stands apart, in which words, and the record of where every rank stood.

Pure; `watch` found it, and the plan of each kind that trains asks for it and says what follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from argosy import kinds
from argosy.intent import Action, Create, Delete, Reason
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import is_deleting, key_of, name_of, namespace_of, owner_reference, uid_of
from argosy.operators.watching import stacks

_CONFIG_MAP_BYTES_MAX = 900_000
_ENDED = ("Succeeded", "Failed")
_HUNG_GANG_GRACE_SECONDS = 1
"""A stopped process does not hear SIGTERM, and its peers are in a collective that does not end."""


@dataclass(frozen=True, slots=True)
class Hang:
    """A gang that no longer gets on."""

    pods: Mapping[str, str]
    """Everybody's uid and name."""
    dumps: Mapping[str, str]
    """What the processes of each pod were found at, by its name."""
    name: str
    """The pod that holds the others up, or the first of them where none stands apart."""
    what: str
    """Completes the sentence `pod NAME …`."""

    def __str__(self) -> str:
        return f"pod {self.name} {self.what}"


def found(probed: Obj | None, pods: Iterable[Obj]) -> Hang | None:
    """The hang that the probe found, if it is of the pods that are there now."""
    stall: Obj = dig(probed or {}, "stall", default={})
    at_work = (pod for pod in pods if dig(pod, "status", "phase") not in _ENDED and not is_deleting(pod))
    if not stall or stall["pods"] != {uid_of(pod): name_of(pod) for pod in at_work}:
        return None
    standings = {name: stacks.read(dump) for name, dump in stall["stacks"].items()}
    odd = stacks.odd(standings, stall["steps"])
    what = f"hung: no progress for {stall['seconds']:.0f} s"
    if stall["usual"] is not None:
        what += f", where {stall['usual']:.2g} s are usual"
    step = stall["steps"].get(odd) or max(stall["steps"].values(), default="")
    what += f"; the last step was {step}" if step else ""
    what += f", and {standings[odd]}" if odd else "; no rank stands apart"
    return Hang(stall["pods"], stall["stacks"], odd or min(standings), what)


def record(hang: Hang, attempt: str, kind: Kind, subject: Obj) -> tuple[Obj, str]:
    """The ConfigMap that keeps the stacks of one attempt of a job, and a sentence that says where they are."""
    name = f"{name_of(subject)}-stacks-{attempt}"
    share = _CONFIG_MAP_BYTES_MAX // max(len(hang.dumps), 1)
    kept: Obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace_of(subject),
            "ownerReferences": [owner_reference(subject, kind)],
        },
        "data": {pod: dump.encode()[:share].decode(errors="ignore") for pod, dump in hang.dumps.items()},
    }
    return kept, f"The stacks of {len(hang.dumps)} ranks are in ConfigMap {name}."


def answer(
    hang: Hang, attempt: str, kind: Kind, subject: Obj, pods: Sequence[Obj]
) -> tuple[list[Action], list[Reason]]:
    """What follows for a kind whose pods belong to Jobs: the stacks are kept, the rank is named, all its pods go. That fails
    the Jobs or has them made again, whoever reconciles them.
    """
    kept, where = record(hang, attempt, kind, subject)
    said = f"{kind.kind} {name_of(subject)} begins anew because {hang}."
    doomed = [pod for pod in pods if uid_of(pod) in hang.pods and not is_deleting(pod)]
    gone: list[Action] = [Delete(kinds.POD, key_of(pod), uid_of(pod), _HUNG_GANG_GRACE_SECONDS) for pod in doomed]
    reasons = [Reason(f"{kind.kind}Hung", said, warning=True), Reason(f"{kind.kind}Stacks", where, warning=True)]
    return [Create(kinds.CONFIG_MAP, kept), *gone], reasons
