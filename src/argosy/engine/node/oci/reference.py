"""Where an OCI image is to be had: a repository of a registry, or a layout on disk. Pure.

`images.yaml` may name the place (`docker://…`, `oci:/…`); without a word there it is the registry that the reference names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from argosy.engine.node.images.resolve import ImageError, split

DOCKER_HUB = "docker.io"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_TAG = re.compile(r"\w[-\w.]{0,127}")
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?")


@dataclass(frozen=True, slots=True)
class Remote:
    """An image in a registry."""

    registry: str
    """`host` or `host:port`, as it stands in the reference."""
    repository: str
    tag: str
    digest: str = ""
    """If given, it is what counts."""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.registry}/{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def version(self) -> str:
        """What to ask the registry for."""
        return self.digest or self.tag


@dataclass(frozen=True, slots=True)
class OnDisk:
    """An image in an OCI layout."""

    path: Path
    tag: str
    """Empty: the only one that there is."""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"oci:{self.path}{tag}" + (f"@{self.digest}" if self.digest else "")


Target = Remote | OnDisk


def parse(reference: str) -> Remote:
    """The image that a reference names, with Docker's defaults filled in. Raises ImageError for what is no reference."""
    split(reference)
    name, _, digest = reference.partition("@")
    if digest and not _DIGEST.fullmatch(digest):
        raise ImageError(f"the digest of {reference} is neither sha256 nor sha512", "InvalidImageName")
    head, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        name = head
    else:
        tag = "" if digest else "latest"
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        registry, repository = first, rest
    else:
        registry, repository = DOCKER_HUB, name
    if registry in {"index.docker.io", "registry-1.docker.io"}:
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    return Remote(registry, repository, tag, digest)


def target_of(rule: str, reference: str) -> Target:
    """Where a reference's image is by the rule of `images.yaml`, if there is one. Raises ImageError.

    `docker://host/name[:tag]` is that image, `docker://host/` the same repository in another registry; `oci:/path[:tag]` an
    image of the layout at that path. A tag or digest that the rule leaves out is the reference's.
    """
    named = parse(reference)
    if not rule:
        return named
    kind, _, place = rule.partition(":")
    if kind == "docker" and place.startswith("//"):
        place = place.removeprefix("//")
        if place.endswith("/"):
            place += named.repository
        found = parse(place)
        pinned = ":" in place.rpartition("/")[2]
        return found if pinned else replace(found, tag=named.tag, digest=named.digest)
    if kind == "oci" and place.startswith("/"):
        head, colon, tag = place.rpartition(":")
        if colon and _TAG.fullmatch(tag):
            return OnDisk(Path(head), tag, named.digest)
        wrote_tag = ":" in reference.partition("@")[0].rpartition("/")[2]
        return OnDisk(Path(place), named.tag if wrote_tag else "", named.digest)
    raise ImageError(f"images.yaml maps {reference} to {rule!r}; write docker://HOST/NAME[:TAG] or oci:/PATH[:TAG]")


def is_loopback(registry: str) -> bool:
    """Whether a registry is this machine itself, where plain HTTP harms nobody."""
    return bool(_LOOPBACK.fullmatch(registry))
