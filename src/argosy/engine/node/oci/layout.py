"""An OCI layout on disk as a source: `index.json` says what there is, `blobs/` holds it. Written by skopeo, buildah, docker.

Nothing is copied: layers are unpacked from where they lie, once their digest has been checked.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from argosy.engine.node.images.resolve import ImageError
from argosy.engine.node.oci import manifest
from argosy.engine.node.oci.manifest import Descriptor
from argosy.engine.node.oci.reference import OnDisk
from argosy.engine.node.oci.source import Document, Telling

_NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")


class LayoutSource:
    """One image of a layout."""

    def __init__(self, target: OnDisk) -> None:
        self._target = target

    def digest(self) -> str:
        """What `index.json` says now."""
        return self._found().digest

    def manifest(self, digest: str = "") -> Document:
        """The image's document. Raises ImageError."""
        found = self._found() if not digest else Descriptor("", digest, manifest.DOCUMENT_BYTES_MAX)
        return Document(self.small(found), found.media_type, found.digest)

    def small(self, blob: Descriptor) -> bytes:
        """A blob, read whole. Raises ImageError."""
        return manifest.verified(self._read(self._blob(blob.digest)), blob.digest, "layout's blob")

    def fetch(self, blob: Descriptor, place: Path, told: Telling) -> Path:
        """Where the blob lies, once its digest has been checked. Raises ImageError, OSError."""
        path = self._blob(blob.digest)
        algorithm = blob.digest.partition(":")[0]
        try:
            with path.open("rb") as file:
                found = f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
        except OSError as error:
            raise self._unreadable(path, error) from None
        if found != blob.digest:
            raise ImageError(f"{path} is not what its name says: the layout is damaged, or was tampered with")
        told.more(path.stat().st_size)
        return path

    def _found(self) -> Descriptor:
        path = self._target.path
        listed = manifest.descriptors(manifest.document(self._read(path / "index.json"), f"{path}/index.json"))
        wanted, tag = self._target.digest, self._target.tag
        if wanted:
            found = [d for d in listed if d.digest == wanted] or [Descriptor("", wanted, 0)]
        elif tag:
            found = [d for d in listed if any(_tag(d.annotations.get(name, "")) == tag for name in _NAMES)]
        else:
            found = list(listed)
        if not found:
            tags = sorted({_tag(d.annotations.get(name, "")) for d in listed for name in _NAMES} - {""})
            raise ImageError(
                f"the layout {path} has no image tagged {tag}; it has {', '.join(tags) or 'none with a tag'}"
            )
        if len({d.digest for d in found}) > 1 and not tag:
            raise ImageError(f"the layout {path} has several images; name one by its tag: oci:{path}:TAG")
        return found[0]

    def _blob(self, digest: str) -> Path:
        algorithm, _, value = digest.partition(":")
        return self._target.path / "blobs" / algorithm / value

    def _read(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                return file.read(manifest.DOCUMENT_BYTES_MAX + 1)
        except OSError as error:
            raise self._unreadable(path, error) from None

    def _unreadable(self, path: Path, error: OSError) -> ImageError:
        return ImageError(f"the OCI layout {self._target.path} is not whole: {path}: {error.strerror}")


def _tag(name: str) -> str:
    """`app:1`, `registry/app:1` and `1` are all tagged 1."""
    head, colon, tag = name.rpartition(":")
    return tag if colon and "/" not in tag and head else name
