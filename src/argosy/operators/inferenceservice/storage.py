"""Where a model lies: storage URIs become volumes and read-only mounts, or a sentence that says what to do instead.

`pvc://CLAIM/PATH` is mounted in place, nothing is copied. The schemes that need a download are named as not served yet
rather than left to fail in a container.
"""

from __future__ import annotations

from dataclasses import dataclass

from argosy.meta.json import Obj
from argosy.operators.inferenceservice.schema import MODEL_DIR

ADAPTER_DIR = "/mnt/adapters"
_PVC = "pvc://"
_LORA = "--lora-modules"


class StorageError(ValueError):
    """A storage URI that cannot be served; the message is for the user and ends in the next step."""


@dataclass(frozen=True, slots=True)
class Storage:
    """What a pod mounts, and the arguments of its server with storage URIs replaced by paths."""

    volumes: tuple[Obj, ...]
    mounts: tuple[Obj, ...]
    args: tuple[str, ...]
    has_model: bool


def resolve(model: Obj, extra: list[Obj], args: list[str]) -> Storage:
    """Read `storageUri`, `storageUris` and adapters given as URIs. Raises StorageError."""
    wanted: list[tuple[str, str]] = []
    if model.get("storageUri"):
        wanted.append((str(model["storageUri"]), MODEL_DIR))
    wanted += [(str(entry.get("uri")), str(entry.get("mountPath") or MODEL_DIR)) for entry in extra]
    rewritten, adapters = _adapters(args)
    volumes: dict[str, Obj] = {}
    mounts: list[Obj] = []
    for uri, path in wanted + adapters:
        claim, folder = _pvc(uri)
        volume = f"kserve-pvc-source-{claim}" if volumes and claim not in volumes else "kserve-pvc-source"
        if claim not in volumes:
            volumes[claim] = {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
        mount: Obj = {"name": volumes[claim]["name"], "mountPath": path, "readOnly": True}
        if folder:
            mount["subPath"] = folder
        mounts.append(mount)
    return Storage(tuple(volumes.values()), tuple(mounts), tuple(rewritten), bool(wanted))


def _pvc(uri: str) -> tuple[str, str]:
    """(claim, path below it)."""
    if not uri.startswith(_PVC):
        scheme = uri.partition("://")[0] if "://" in uri else uri
        raise StorageError(
            f"storageUri {uri!r}: {scheme} is not downloaded yet; copy the model into a PersistentVolumeClaim and "
            f"write pvc://CLAIM/PATH, or give --model_id in args to let the server fetch it."
        )
    claim, _, folder = uri.removeprefix(_PVC).partition("/")
    folder = folder.strip("/")
    if not claim or ".." in folder.split("/"):
        raise StorageError(f"storageUri {uri!r} names no place; write pvc://CLAIM/PATH.")
    return claim, folder


def _adapters(args: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Adapters given as `NAME=pvc://…` after `--lora-modules` are mounted below /mnt/adapters."""
    rewritten: list[str] = []
    mounts: list[tuple[str, str]] = []
    inside = False
    for arg in args:
        if arg.startswith("--"):
            inside = arg.split("=", 1)[0] == _LORA
            prefix, value = (f"{_LORA}=", arg.removeprefix(f"{_LORA}=")) if arg.startswith(f"{_LORA}=") else ("", "")
        else:
            prefix, value = "", arg
        name, equals, uri = value.partition("=")
        if inside and equals and "://" in uri:
            path = f"{ADAPTER_DIR}/{name}"
            mounts.append((uri, path))
            rewritten.append(f"{prefix}{name}={path}")
        else:
            rewritten.append(arg)
    return rewritten, mounts
