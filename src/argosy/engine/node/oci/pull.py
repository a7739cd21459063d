"""One pull from beginning to end: documents, layers three at a time, one root file system, one record. Blocking.

Whatever is there already is not fetched, whichever image brought it. Killed at any moment it leaves drafts and partial
downloads, of which the next pull uses what it can. Called by `images` in a thread.
"""

from __future__ import annotations

import errno
import os
import platform
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from argosy.engine.node.images.resolve import ImageError
from argosy.engine.node.oci import layer, manifest, merge, stream
from argosy.engine.node.oci.manifest import Config, Descriptor, Manifest
from argosy.engine.node.oci.reference import Target
from argosy.engine.node.oci.source import FREE_SOME, Source, Telling
from argosy.engine.node.oci.store import Record, Store, chain_id, hexadecimal
from argosy.engine.node.runtime.cleaning import remove_tree

LAYERS_AT_ONCE = 3
_WRITTEN = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is pulled: the pod's reference, and where that leads."""

    reference: str
    target: Target


def pull(wanted: Wanted, source: Source, store: Store, told: Telling) -> Record:
    """Have an image here, whole. Raises ImageError with the reason."""
    try:
        store.make()
        with store.lock("store", shared=True):
            return _pull(wanted, source, store, told)
    except OSError as error:
        if error.errno in _WRITTEN:
            _discard(store)
            raise ImageError(f"no space left for it on the disk of {store.place}; {FREE_SOME}") from None
        where = f"{error.filename}: " if error.filename else ""
        raise ImageError(f"it could not be unpacked: {where}{error.strerror or error}") from None


def _pull(wanted: Wanted, source: Source, store: Store, told: Telling) -> Record:
    top = source.manifest()
    image, content = _documents(top.content, top.media_type, source)
    config = manifest.read_config(manifest.document(content, "image's configuration"))
    _check(image, config)
    names = tuple(hexadecimal(diff_id) for diff_id in config.diff_ids)
    record = Record(
        reference=wanted.reference,
        target=str(wanted.target),
        digest=top.digest,
        root=chain_id(config.diff_ids),
        layers=names,
        config=content,
        size=image.config.size + sum(each.size for each in image.layers),
    )
    if not (store.roots / record.root).is_dir():
        told.progress.enter("downloading")
        _get_layers(list(zip(image.layers, config.diff_ids, strict=True)), source, store, told)
        told.progress.enter("unpacking")
        with store.lock(record.root):
            if not (store.roots / record.root).is_dir():
                with store.draft(store.roots / record.root) as draft:
                    merge.merge([store.layers / name for name in names], draft, owners=many_users())
    store.write(record)
    return record


def many_users() -> bool:
    """Whether files may belong to others than whoever runs this."""
    if os.geteuid() != 0:
        return False
    text = Path("/proc/self/uid_map").read_text()
    return any(int(line.split()[2]) > 1 for line in text.splitlines())


def _documents(content: bytes, media_type: str, source: Source) -> tuple[Manifest, bytes]:
    """The image for this machine out of what may be an index, and its configuration."""
    machine = manifest.architecture(platform.machine())
    raw = manifest.document(content, "manifest")
    for _ in range(3):
        if not manifest.is_index(raw, media_type):
            image = manifest.read_manifest(raw)
            return image, source.small(image.config)
        chosen = manifest.choose(manifest.descriptors(raw), machine)
        found = source.manifest(chosen.digest)
        raw, media_type = manifest.document(found.content, "manifest"), found.media_type or chosen.media_type
    raise ImageError("the image is an index of indexes of indexes, which no machine needs")


def _check(image: Manifest, config: Config) -> None:
    here = manifest.architecture(platform.machine())
    system, machine = config.platform
    if (system and system != "linux") or (machine and machine != here):
        raise ImageError(f"the image is for {system or 'linux'}/{machine}, and this machine is linux/{here}")
    if len(image.layers) != len(config.diff_ids):
        raise ImageError(
            f"the image's manifest has {len(image.layers)} layers and its configuration {len(config.diff_ids)}: it is damaged"
        )
    if any(manifest.is_zstd(each) for each in image.layers) and not stream.can_read_zstd():
        raise ImageError(
            "its layers are compressed with zstd; install the program zstd on this machine, or build it with gzip"
        )


def _get_layers(layers: Iterable[tuple[Descriptor, str]], source: Source, store: Store, told: Telling) -> None:
    """Have every layer unpacked. The threads do not hold up an engine that ends. Raises the first failure."""
    waiting, failed = deque(layers), list[Exception]()

    def work() -> None:
        try:
            while not failed and (one := _next(waiting)) is not None:
                _get_layer(*one, source, (store, told))
        except Exception as error:
            failed.append(error)

    threads = [Thread(target=work, name="layer", daemon=True) for _ in range(min(LAYERS_AT_ONCE, len(waiting)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def _next(waiting: deque[tuple[Descriptor, str]]) -> tuple[Descriptor, str] | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _get_layer(blob: Descriptor, diff_id: str, source: Source, to: tuple[Store, Telling]) -> None:
    store, told = to
    name = hexadecimal(diff_id)
    final, place = store.layers / name, store.blobs / f"{hexadecimal(blob.digest)}.partial"
    with store.lock(name):
        if not final.is_dir():
            with store.lock(place.name):
                path = source.fetch(blob, place, told)
                with store.draft(final) as draft:
                    _unpack(path, diff_id, draft, told)
                place.unlink(missing_ok=True)


def _unpack(path: Path, diff_id: str, draft: Path, told: Telling) -> None:
    tree = draft / merge.TREE
    tree.mkdir(mode=0o700)
    with stream.opened(path) as opened:
        content = stream.Digested(opened, diff_id.partition(":")[0], told.room(draft))
        rest = layer.unpack(content, tree, owners=many_users())  # type: ignore[arg-type]
        content.drain()
    if content.digest != diff_id:
        raise ImageError(f"a layer is not what the image's configuration says: {content.digest} instead of {diff_id}")
    rest.write(draft / merge.REST)


def _discard(store: Store) -> None:
    """A disk that is full is not left full by what could not be finished."""
    for directory in (store.blobs, store.layers, store.roots):
        for path in directory.glob("*.partial" if directory == store.blobs else "*.draft"):
            with suppress(OSError):
                path.unlink() if path.is_file() else remove_tree(path)
