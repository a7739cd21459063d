"""The documents of an OCI image as values: index, manifest, configuration, and their Docker twins. Pure.

Everything here comes from strangers: what is not as the specification says is an ImageError that says what it is instead.
"""

from __future__ import annotations

import hashlib
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from argosy.engine.node.images.resolve import ImageError
from argosy.meta.json import Obj, decode

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_CONFIGS = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json", "application/octet-stream"}
)  # fmt: skip
_LAYER = re.compile(
    r"application/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar)"
    r"(?:[.+](gzip|zstd))?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
DOCUMENT_BYTES_MAX = 4 << 20
LAYERS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What points at a blob."""

    media_type: str
    digest: str
    size: int
    platform: tuple[str, str, str] = ("", "", "")
    """Operating system, architecture, variant."""
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One platform's image."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """How an image wants to be run."""

    diff_ids: tuple[str, ...]
    """Digests of the layers, unpacked."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = "/"
    user: str = ""
    stop_signal: int | None = None
    platform: tuple[str, str] = ("", "")
    """Operating system and architecture that it says it is for."""


def architecture(machine: str) -> str:
    """OCI's name for what `uname -m` says."""
    return _MACHINES.get(machine, machine)


def verified(content: bytes, digest: str, what: str) -> bytes:
    """The content, if it is what the digest says. Raises ImageError."""
    algorithm = digest.partition(":")[0]
    if not _DIGEST.fullmatch(digest) or f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}" != digest:
        raise ImageError(f"the {what} is not what its digest {digest} says: it was damaged or tampered with on its way")
    return content


def document(content: bytes, what: str) -> Obj:
    """A JSON object. Raises ImageError."""
    if len(content) > DOCUMENT_BYTES_MAX:
        raise ImageError(f"the {what} is larger than {DOCUMENT_BYTES_MAX >> 20} MiB, which no image needs")
    try:
        read = decode(content)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise ImageError(f"the {what} is no JSON object")
    return read


def is_index(raw: Obj, media_type: str) -> bool:
    """Whether a document lists images for several platforms. Raises ImageError for one that is neither that nor an image."""
    said = str(raw.get("mediaType") or media_type).partition(";")[0]
    if raw.get("schemaVersion") == 1 and "fsLayers" in raw:
        raise ImageError(
            "the image is of Docker's old format (schema 1), which is not read; push it again with a newer tool"
        )
    if said in INDEXES or (said not in MANIFESTS and "manifests" in raw):
        return True
    if "config" not in raw or "layers" not in raw:
        raise ImageError(f"the manifest is of type {said or 'unknown'}, not an image")
    return False


def descriptors(raw: Obj) -> tuple[Descriptor, ...]:
    """What an index lists. Raises ImageError."""
    return tuple(_descriptor(entry, "index") for entry in _list(raw, "manifests"))


def choose(listed: tuple[Descriptor, ...], machine: str) -> Descriptor:
    """The image of an index for this machine. Raises ImageError with the platforms that there are."""
    wanted = ("linux", machine)
    fitting = [d for d in listed if d.platform[:2] == wanted]
    if machine == "arm":
        fitting.sort(key=lambda d: d.platform[2], reverse=True)
    if fitting:
        return fitting[0]
    if len(listed) == 1 and listed[0].platform == ("", "", ""):
        return listed[0]
    there = sorted({"/".join(filter(None, d.platform)) for d in listed if d.platform[0] not in {"", "unknown"}})
    raise ImageError(f"no image for linux/{machine}: there is {', '.join(there) or 'none for any platform'}")


def read_manifest(raw: Obj) -> Manifest:
    """An image's manifest. Raises ImageError."""
    config = _descriptor(raw.get("config"), "manifest")
    if config.media_type not in _CONFIGS or raw.get("artifactType"):
        raise ImageError(f"this is not a container image, but {raw.get('artifactType') or config.media_type}")
    layers = tuple(_descriptor(entry, "manifest") for entry in _list(raw, "layers"))
    if len(layers) > LAYERS_MAX:
        raise ImageError(f"the image has {len(layers)} layers; at most {LAYERS_MAX} are taken")
    for layer in layers:
        if not _LAYER.fullmatch(layer.media_type):
            raise ImageError(
                f"a layer is of type {layer.media_type}, which is not read; build the image with gzip layers"
            )
    return Manifest(config, layers)


def is_zstd(layer: Descriptor) -> bool:
    """Whether a layer says that it is compressed with zstd."""
    return layer.media_type.endswith("zstd")


def read_config(raw: Obj) -> Config:
    """An image's configuration. Raises ImageError."""
    rootfs, own = raw.get("rootfs"), _mapping(raw, "config")
    if not isinstance(rootfs, dict):
        raise ImageError("the image's configuration has no rootfs")
    diff_ids = tuple(str(each) for each in _list(rootfs, "diff_ids"))
    if not all(_DIGEST.fullmatch(each) for each in diff_ids):
        raise ImageError("the image's configuration names a layer by something that is no digest")
    pairs = (str(entry).partition("=") for entry in _list(own, "Env"))
    return Config(
        diff_ids=diff_ids,
        entrypoint=_words(own.get("Entrypoint")),
        command=_words(own.get("Cmd")),
        env={name: value for name, _, value in pairs if name},
        working_dir=str(own.get("WorkingDir") or "/"),
        user=str(own.get("User") or ""),
        stop_signal=stop_signal(str(own.get("StopSignal") or "")),
        platform=(str(raw.get("os") or ""), str(raw.get("architecture") or "")),
    )


def stop_signal(text: str) -> int | None:
    """`SIGTERM`, `TERM`, `15` or `SIGRTMIN+3` as a number; None for nothing and for what is none."""
    name = text.strip().upper().removeprefix("SIG")
    if name.isdecimal():
        return int(name) if 0 < int(name) <= signal.SIGRTMAX else None
    base, sign, offset = name.replace("-", "+-").partition("+")
    try:
        number = int(signal.Signals[f"SIG{base}"])
        number += int(offset) if sign else 0
    except (KeyError, ValueError):
        return None
    return number if 0 < number <= signal.SIGRTMAX else None


def _descriptor(raw: Any, where: str) -> Descriptor:
    if not isinstance(raw, dict):
        raise ImageError(f"the {where} names no blob where one belongs")
    digest, size = str(raw.get("digest")), raw.get("size")
    if not _DIGEST.fullmatch(digest) or not isinstance(size, int) or size < 0:
        raise ImageError(f"the {where} names a blob by digest {digest[:80]!r} and size {size!r}, which cannot be")
    platform, notes = _mapping(raw, "platform"), _mapping(raw, "annotations")
    return Descriptor(
        media_type=str(raw.get("mediaType") or ""),
        digest=digest,
        size=size,
        platform=tuple(str(platform.get(key) or "") for key in ("os", "architecture", "variant")),  # type: ignore[arg-type]
        annotations={str(k): str(v) for k, v in notes.items()},
    )


def _mapping(raw: Obj, key: str) -> Obj:
    found = raw.get(key) or {}
    return found if isinstance(found, dict) else {}


def _list(raw: Obj, key: str) -> list[Any]:
    found = raw.get(key) or []
    if not isinstance(found, list):
        raise ImageError(f"the image's {key} are no list")
    return found


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(word) for word in value) if isinstance(value, list) else ()
