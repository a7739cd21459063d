"""What the files of configMap, secret, downwardAPI and projected volumes contain. Pure; `volumes` writes them.

A service account's token is the one thing that has to be asked for: `tokens_of` says which are needed, the caller gets
them and hands them to `files_of`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.engine.node.environment import Sources
from argosy.engine.node.sources import Missing, Reference, data_of, field_of, resource_of
from argosy.meta.json import Obj
from argosy.meta.objects import namespace_of

DEFAULT_MODE = 0o644


@dataclass(frozen=True, slots=True)
class File:
    """One projected file."""

    content: bytes
    mode: int = DEFAULT_MODE


@dataclass(frozen=True, slots=True)
class TokenWanted:
    """A token that a projected volume needs."""

    audience: str
    expiration_seconds: int


PROJECTED = ("configMap", "secret", "downwardAPI", "projected")
"""The volume sources whose files are made here."""


def tokens_of(volume: Obj) -> list[TokenWanted]:
    """The tokens that a volume's files need."""
    return [
        _token_wanted(source["serviceAccountToken"])
        for source in (volume.get("projected") or {}).get("sources") or ()
        if source.get("serviceAccountToken")
    ]


def token_volume(pod: Obj) -> str:
    """The volume with the pod's service account, empty when it has none."""
    for volume in pod["spec"].get("volumes") or ():
        if tokens_of(volume):
            return str(volume["name"])
    return ""


def references_of(pod: Obj) -> set[Reference]:
    """The ConfigMaps and Secrets whose changes must reach the pod's volumes."""
    namespace = namespace_of(pod)
    found: set[Reference] = set()
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            if source.get("configMap"):
                found.add(Reference("configmaps", namespace, str(source["configMap"].get("name"))))
            if source.get("secret"):
                name = source["secret"].get("secretName") or source["secret"].get("name")
                found.add(Reference("secrets", namespace, str(name)))
    return found


def told_of(pod: Obj) -> Obj:
    """What the downward API puts into the pod's files and may change while it runs; empty when nothing does."""
    kinds_of = {
        str((item.get("fieldRef") or {}).get("fieldPath")).partition("[")[0].removeprefix("metadata.")
        for volume in pod["spec"].get("volumes") or ()
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ()))
        for item in (source.get("downwardAPI") or {}).get("items") or ()
    }
    return {kind: pod["metadata"].get(kind) or {} for kind in ("labels", "annotations") if kind in kinds_of}


def files_of(pod: Obj, volume: Obj, sources: Sources, tokens: Mapping[TokenWanted, str]) -> dict[str, File]:
    """Relative path to file. Raises Missing."""
    if volume.get("projected") is not None:
        projected = volume["projected"]
        mode = int(projected.get("defaultMode") or DEFAULT_MODE)
        files: dict[str, File] = {}
        for source in projected.get("sources") or ():
            files |= _files_of_source(pod, source, sources, tokens, mode)
        return files
    modes = [volume[kind].get("defaultMode") for kind in PROJECTED if volume.get(kind) is not None]
    return _files_of_source(pod, volume, sources, tokens, int(modes[0] or DEFAULT_MODE))


def _files_of_source(
    pod: Obj, source: Obj, sources: Sources, tokens: Mapping[TokenWanted, str], mode: int
) -> dict[str, File]:
    namespace = namespace_of(pod)
    if source.get("configMap") is not None:
        wanted = source["configMap"]
        return _data(Reference("configmaps", namespace, str(wanted.get("name"))), wanted, sources, mode)
    if source.get("secret") is not None:
        wanted = source["secret"]
        name = str(wanted.get("secretName") or wanted.get("name"))
        return _data(Reference("secrets", namespace, name), wanted, sources, mode)
    if source.get("downwardAPI") is not None:
        return _downward(pod, source["downwardAPI"].get("items") or (), sources, mode)
    if source.get("serviceAccountToken") is not None:
        wanted = source["serviceAccountToken"]
        return {_safe(str(wanted.get("path"))): File(tokens[_token_wanted(wanted)].encode(), mode)}
    return {}


def _token_wanted(source: Obj) -> TokenWanted:
    return TokenWanted(str(source.get("audience") or ""), int(source.get("expirationSeconds") or 3600))


def _data(reference: Reference, wanted: Obj, sources: Sources, mode: int) -> dict[str, File]:
    obj = sources.lookup(reference)
    if obj is None:
        if wanted.get("optional"):
            return {}
        raise Missing(f'{reference.resource[:-1]} "{reference.name}" not found', reference)
    data = data_of(obj)
    items = wanted.get("items")
    if not items:
        return {key: File(content, mode) for key, content in data.items()}
    files = {}
    for item in items:
        key = str(item.get("key"))
        if key in data:
            files[_safe(str(item.get("path") or key))] = File(data[key], int(item.get("mode") or mode))
        elif not wanted.get("optional"):
            raise Missing(f"references non-existent {reference.resource[:-1]} key: {key}", reference)
    return files


def _downward(pod: Obj, items: Sequence[Obj], sources: Sources, mode: int) -> dict[str, File]:
    files = {}
    for item in items:
        if item.get("fieldRef"):
            text = field_of(pod, sources.pod, str(item["fieldRef"].get("fieldPath")))
        else:
            text = resource_of(pod, {}, sources.pod, item.get("resourceFieldRef") or {})
        files[_safe(str(item.get("path")))] = File(text.encode(), int(item.get("mode") or mode))
    return files


def _safe(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise Missing(f"the path {path!r} leads out of the volume; use a relative path without ..")
    return path
