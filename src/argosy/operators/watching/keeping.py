"""The last words of pods that are about to go, kept in a ConfigMap of their job, and read from there again. Pure.

Logs go with their pods, on every cluster. So an operator that is about to delete pods reads the ends of their logs through
the API and writes them, compressed, where `argosy logs` finds them. The bounds: `PODS_MAX` pods a gang, `TAIL_LINES` lines of
each, together `_BYTES_MAX` compressed, and the last `GANGS_MAX` gangs of a job.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from argosy import kinds
from argosy.meta.json import Obj, decode, dig, encode
from argosy.meta.kind import Kind
from argosy.meta.objects import annotations_of, labels_of, name_of, namespace_of, owner_reference, uid_of
from argosy.operators.settings import PREFIX

LABEL_LOGS = f"{PREFIX}logs-of"
"""On a ConfigMap with kept logs: the name of their job."""
KEEP = f"{PREFIX}keep-logs"
"""On a job: `none` keeps nothing."""
EPOCH = f"{PREFIX}restart-epoch"
PODS_MAX, TAIL_LINES, GANGS_MAX = 64, 2000, 8
_BYTES_MAX = 700_000
_INDEX, _SUFFIX = "pods.json", ".gz"
_SPOKEN = ("Running", "Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept of one gang."""

    number: int
    epoch: int
    pods: tuple[Obj, ...]
    """As much of each pod as tells its rank and its end: names, labels, variables, what its containers ended with."""
    texts: Mapping[str, bytes]
    """The log of each by its name, with timestamps."""


def path(namespace: str, pod: str, container: str) -> str:
    """The API path of the end of a container's log, its lines with their times."""
    log = kinds.POD.path(namespace, pod, "log")
    return f"{log}?container={container}&tailLines={TAIL_LINES}&timestamps=true"


def wanted(subject: Obj) -> bool:
    """Whether logs of this job are kept at all."""
    return annotations_of(subject).get(KEEP) != "none"


def paths(pods: Sequence[Obj], container: str) -> dict[str, str]:
    """What to ask for, by pod: of those that ran, the first `PODS_MAX`; `container` is empty for each pod's first."""
    spoken = [pod for pod in pods if dig(pod, "status", "phase") in _SPOKEN]
    return {name_of(pod): path(namespace_of(pod), name_of(pod), container or _first(pod)) for pod in spoken[:PODS_MAX]}


def name(subject: Obj, number: int) -> str:
    """Of the ConfigMap; a job that is made anew under the same name has others."""
    return f"{name_of(subject)}-logs-{uid_of(subject)[:8]}-{number % GANGS_MAX}"


def record(
    kind: Kind, subject: Obj, which: tuple[int, int], pods: Sequence[Obj], texts: Mapping[str, str]
) -> Obj | None:
    """The ConfigMap for (number, epoch); None where nobody said anything."""
    number, epoch = which
    said = [pod for pod in pods if texts.get(name_of(pod))]
    if not said:
        return None
    share = _BYTES_MAX // len(said)
    data = {f"{name_of(pod)}{_SUFFIX}": _packed(texts[name_of(pod)].encode(), share) for pod in said}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name(subject, number),
            "namespace": namespace_of(subject),
            "labels": {LABEL_LOGS: name_of(subject)},
            "annotations": {EPOCH: str(epoch), f"{PREFIX}number": str(number)},
            "ownerReferences": [owner_reference(subject, kind)],
        },
        "data": {_INDEX: encode([_stub(pod) for pod in said]).decode()},
        "binaryData": data,
    }


def read(config_maps: Iterable[Obj], owners: Collection[str]) -> list[Kept]:
    """What is kept of the job with this uid (and of what it owns), the oldest first; what cannot be read is left out."""
    found = []
    for obj in config_maps:
        if any(owner.get("uid") in owners for owner in obj["metadata"].get("ownerReferences") or ()):
            try:
                found.append(_read(obj))
            except (KeyError, ValueError, OSError, EOFError, zlib.error):
                continue
    return sorted(found, key=lambda kept: kept.number)


def _read(obj: Obj) -> Kept:
    annotations = annotations_of(obj)
    texts = {
        key.removesuffix(_SUFFIX): gzip.decompress(base64.b64decode(value))
        for key, value in (obj.get("binaryData") or {}).items()
    }
    pods: list[Obj] = list(decode(obj["data"][_INDEX].encode()))
    return Kept(int(annotations[f"{PREFIX}number"]), int(annotations[EPOCH]), tuple(pods), texts)


def _packed(text: bytes, share: int) -> str:
    """Compressed into at most `share` bytes: of a longer text its end, from the beginning of a line."""
    packed = gzip.compress(text, mtime=0)
    while len(packed) > share and len(text) > 1:
        text = text[-max(int(len(text) * min(share / len(packed), 0.9)), 1) :]
        text = text.partition(b"\n")[2] or text
        packed = gzip.compress(text, mtime=0)
    return base64.b64encode(packed).decode()


def _stub(pod: Obj) -> Obj:
    env = [
        {"name": entry["name"], "value": entry["value"]}
        for entry in dig(pod, "spec", "containers", 0, "env", default=())
        if str(entry.get("value") or "").isdigit()
    ]
    statuses = [
        {"name": status.get("name"), "state": {"terminated": ended}}
        for status in dig(pod, "status", "containerStatuses", default=())
        if (ended := dig(status, "state", "terminated"))
    ]
    return {
        "metadata": {"name": name_of(pod), "uid": uid_of(pod), "labels": labels_of(pod)},
        "spec": {"containers": [{"name": _first(pod), "env": env}]},
        "status": {"phase": dig(pod, "status", "phase"), "containerStatuses": statuses},
    }


def _first(pod: Obj) -> str:
    return str(dig(pod, "spec", "containers", 0, "name", default=""))
