"""Data sets of a job: the annotation `argosy.dev/datasets`, and what it makes of a pod. Pure.

Each line (or word) is NAME=URI. `pvc://CLAIM/PATH` is mounted as it is; what lies elsewhere is fetched by an init container in
the job's own image (`programs/initializer`, which travels in a ConfigMap), into a cache that jobs share where the job names
a claim for it, else for each pod alone. In the pod a data set is at `/datasets/NAME`, read-only, and `DATASET_NAME` says so.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from argosy.meta import quantity
from argosy.meta.json import Obj, decode, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import annotations_of, name_of, namespace_of, owner_reference, uid_of
from argosy.operators.settings import PREFIX

DATASETS = f"{PREFIX}datasets"
SECRET = f"{PREFIX}datasets-secret"
CACHE = f"{PREFIX}datasets-cache"
CACHE_SIZE = f"{PREFIX}datasets-cache-size"
VERSIONS = f"{PREFIX}dataset-versions"
"""Written by the operator: what came, `NAME=VERSION` in words."""
PLACE = "/datasets"
CONTAINER, HOLDER = "datasets", "datasets-in-use"
_LOADER, _SHARED = "/argosy/datasets", "/argosy/datasets-cache"
_SCHEMES = ("pvc", "s3", "https", "http", "hf", "file")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_RUN = (
    "for python in python3 python; do "
    "$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && exec $python {loader}/datasets.pyz {what}; "
    'done; echo "the image {image} has no Python 3.11 or later, which fetches the data sets" >&2; exit 3'
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job asks for."""

    uris: Mapping[str, str]
    """By name."""
    secret: str = ""
    cache: str = ""
    cache_size: str = ""

    @property
    def fetched(self) -> dict[str, str]:
        """Those that have to be fetched."""
        return {name: uri for name, uri in self.uris.items() if not uri.startswith("pvc://")}


def read(subject: Obj) -> Wanted:
    """From the annotations; what cannot be read comes out of `problems`."""
    given = annotations_of(subject)
    pairs = (word.partition("=")[::2] for word in given.get(DATASETS, "").split())
    return Wanted(dict(pairs), given.get(SECRET, ""), given.get(CACHE, ""), given.get(CACHE_SIZE, ""))


def problems(subject: Obj, templates: Iterable[Obj]) -> Iterable[str]:
    """A sentence fragment each."""
    wanted = read(subject)
    for name, uri in wanted.uris.items():
        scheme = urlsplit(uri).scheme
        if not _NAME.fullmatch(name):
            yield f"{DATASETS}: {name!r} is no name for a data set; use lower-case letters, digits and dashes (NAME=URI)"
        elif scheme not in _SCHEMES or not uri.partition("://")[2]:
            known = ", ".join(f"{each}://" for each in _SCHEMES)
            yield f"{DATASETS}: {name}={uri} is none of {known}"
    if wanted.cache_size and _bytes(wanted.cache_size) <= 0:
        yield f"{CACHE_SIZE} {wanted.cache_size!r} is no quantity, such as 50Gi"
    if not wanted.uris:
        return
    for template in templates:
        mounts = (
            mount for one in dig(template, "spec", "containers", default=()) for mount in one.get("volumeMounts") or ()
        )
        if any(mount.get("mountPath") == PLACE for mount in mounts):
            yield f"{DATASETS}: the template mounts something at {PLACE} already; mount that elsewhere"
            return


def loader(wanted: Wanted, archive: bytes, kind: Kind, owner: Obj) -> Obj | None:
    """The ConfigMap with the program that fetches; None where nothing is fetched."""
    if not wanted.fetched:
        return None
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": _loader_name(owner),
            "namespace": namespace_of(owner),
            "ownerReferences": [owner_reference(owner, kind)],
        },
        "binaryData": {"datasets.pyz": base64.b64encode(archive).decode()},
    }


def equip(spec: Obj, wanted: Wanted, owner: Obj, trains: str) -> None:
    """Give a pod its data sets. Changes the thawed spec; `trains` names the container whose image fetches."""
    containers: Sequence[Obj] = spec.get("containers") or ()
    if not wanted.uris or not containers:
        return
    volumes = [*(spec.get("volumes") or ())]
    mounts: list[Obj] = []
    fetched = wanted.fetched
    if fetched:
        volumes += [
            {"name": "datasets", "emptyDir": {}},
            {"name": "datasets-loader", "configMap": {"name": _loader_name(owner)}},
        ]
        mounts.append({"name": "datasets", "mountPath": PLACE})
        if wanted.cache:
            volumes.append({"name": "datasets-cache", "persistentVolumeClaim": {"claimName": wanted.cache}})
            mounts.append({"name": "datasets-cache", "mountPath": _SHARED})
        lead = next((one for one in containers if one.get("name") == trains), containers[0])
        spec["initContainers"] = [*_fetching(wanted, lead, mounts), *(spec.get("initContainers") or ())]
    for name, uri in wanted.uris.items():
        if name not in fetched:
            parts = urlsplit(uri)
            claim = {"claimName": parts.netloc, "readOnly": True}
            volumes.append({"name": f"dataset-{name}", "persistentVolumeClaim": claim})
            below = {"subPath": parts.path.strip("/")} if parts.path.strip("/") else {}
            mounts.append({"name": f"dataset-{name}", "mountPath": f"{PLACE}/{name}", **below})
    env = [{"name": variable(name), "value": f"{PLACE}/{name}"} for name in wanted.uris]
    for container in containers:
        taken = {entry.get("name") for entry in container.get("env") or ()}
        container["env"] = [*(container.get("env") or ()), *(one for one in env if one["name"] not in taken)]
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), *(m | {"readOnly": True} for m in mounts)]
    spec["volumes"] = volumes


def variable(name: str) -> str:
    """`DATASET_` and the name as variables are written."""
    return f"DATASET_{name.upper().replace('-', '_')}"


def came(pods: Iterable[Obj]) -> str:
    """What the init containers say that they have brought, for `VERSIONS`; empty before."""
    for pod in pods:
        for status in dig(pod, "status", "initContainerStatuses", default=()):
            ended = dig(status, "state", "terminated", default={})
            if status.get("name") == CONTAINER and ended.get("exitCode") == 0:
                try:
                    found = decode(str(ended.get("message") or "").encode())["datasets"]
                    return " ".join(f"{name}={version}" for name, version in sorted(found.items()))
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue
    return ""


def _fetching(wanted: Wanted, lead: Obj, mounts: Sequence[Obj]) -> list[Obj]:
    image = str(lead.get("image") or "")
    variables = {
        "DATASETS": "\n".join(f"{name}={uri}" for name, uri in wanted.fetched.items()),
        "DATASETS_PLACE": PLACE,
    }
    mounted = [name for name in wanted.uris if name not in wanted.fetched]
    if mounted:
        variables["DATASETS_MOUNTED"] = " ".join(mounted)
    if wanted.cache:
        variables["DATASETS_CACHE"] = _SHARED
    if wanted.cache_size:
        variables["DATASETS_CACHE_BYTES"] = str(_bytes(wanted.cache_size))
    theirs = [mount | {"readOnly": True} for mount in lead.get("volumeMounts") or ()]
    program = {"name": "datasets-loader", "mountPath": _LOADER, "readOnly": True}
    resources = {"resources": lead["resources"]} if lead.get("resources") else {}
    user = {"securityContext": lead["securityContext"]} if lead.get("securityContext") else {}
    common: Obj = {
        "image": image,
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "volumeMounts": [*theirs, *mounts, program],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **user,
    }
    fetch: Obj = {"name": CONTAINER, "command": _command(image, ""), **common, **resources}
    if wanted.secret:
        fetch["envFrom"] = [{"secretRef": {"name": wanted.secret}}]
    if not wanted.cache:
        return [fetch]
    return [fetch, {"name": HOLDER, "restartPolicy": "Always", "command": _command(image, "hold"), **common}]


def _command(image: str, what: str) -> list[str]:
    return ["sh", "-c", _RUN.format(loader=_LOADER, what=what, image=image)]


def _loader_name(owner: Obj) -> str:
    return f"{name_of(owner)}-datasets-{uid_of(owner)[:8]}"


def _bytes(text: str) -> int:
    try:
        return int(quantity.parse(text).value)
    except ValueError:
        return 0
