"""OCI images as the node agent has them: `present` at once, `get` after pulling what is missing.

One pull an image however many pods wait for it, in a thread that goes on when the pod that asked is deleted and does not
hold up an engine that ends. A failure is remembered for nobody: the next try (the kubelet's back-off) pulls again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from argosy.engine.node.accounts import Accounts
from argosy.engine.node.images.environments import Progress
from argosy.engine.node.images.resolve import ImageError
from argosy.engine.node.oci import manifest, merge
from argosy.engine.node.oci.credentials import Credential
from argosy.engine.node.oci.layout import LayoutSource
from argosy.engine.node.oci.pull import Wanted, pull
from argosy.engine.node.oci.reference import OnDisk, Remote, Target
from argosy.engine.node.oci.registry import Hosts, RegistrySource
from argosy.engine.node.oci.source import Source, Telling
from argosy.engine.node.oci.store import Record, Store
from argosy.engine.node.runtime.runs import images_in_use
from argosy.engine.node.runtime.spec import Image, OwnRoot

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PulledImage:
    """An image, and what it cost to get it."""

    image: Image
    seconds: float
    bytes: int
    """What it takes in a registry, compressed."""


class OciImages:
    """The images of one engine, under `<home>/oci`. `hosts` tells what is known of registries now."""

    def __init__(self, home: Path, hosts: Callable[[], Hosts] = Hosts) -> None:
        self.store = Store(home)
        self._home = home
        self._hosts = hosts
        self._known: dict[str, tuple[Record, Image]] = {}
        self._pulls: dict[tuple[str, tuple[Credential, ...], bool], asyncio.Task[Record]] = {}
        self._stop = threading.Event()

    def present(self, wanted: Wanted) -> Image | None:
        """The image if it is here; of a layout on disk, the one that the layout has now. Raises ImageError."""
        record = self.store.read(str(wanted.target))
        if record is None:
            return None
        if isinstance(wanted.target, OnDisk):
            try:
                if LayoutSource(wanted.target).digest() != record.digest:
                    return None
            except ImageError:
                pass  # the layout has gone: what was taken from it has not
        return self._use(record, wanted)

    async def get(self, wanted: Wanted, credentials: Sequence[Credential] = (), *, newest: bool = False) -> PulledImage:
        """The image, pulled if need be; with `newest` the registry is asked whether it has another by now.

        Raises ImageError.
        """
        began = time.monotonic()
        key = (str(wanted.target), tuple(credentials), newest)
        task = self._pulls.get(key)
        if task is None or task.done():
            task = self._pulls[key] = asyncio.create_task(self._run(wanted, key[1], newest=newest))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may be that nobody waits
        record = await asyncio.shield(task)
        return PulledImage(self._use(record, wanted), time.monotonic() - began, record.size)

    def prune(self, *, everything: bool) -> list[Record]:
        """Remove images that no container uses; without `everything` only while the disk is too full. Blocking.

        Raises BlockingIOError while one is being pulled.
        """
        return self.store.collect(images_in_use(self._home), everything=everything)

    def close(self) -> None:
        """Stop pulling; what has come so far is kept for the next time."""
        self._stop.set()

    def _use(self, record: Record, wanted: Wanted) -> Image:
        self.store.touch(record.target)
        known = self._known.get(record.target)
        if known is None or known[0] != record or known[1].reference != wanted.reference:
            known = self._known[record.target] = (record, image_of(record, wanted, self.store.roots / record.root))
        return known[1]

    async def _run(self, wanted: Wanted, credentials: tuple[Credential, ...], *, newest: bool) -> Record:
        hosts = self._hosts()
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Record] = loop.create_future()

        def tell(set_result: Callable[[], None]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(lambda: None if result.done() else set_result())

        def work() -> None:
            try:
                record = self._pull(wanted, credentials, hosts, newest=newest)
            except Exception as error:
                failure = _told(error)
                tell(lambda: result.set_exception(failure))
            else:
                tell(lambda: result.set_result(record))

        threading.Thread(target=work, name=f"pull {wanted.reference}", daemon=True).start()
        return await result

    def _pull(self, wanted: Wanted, credentials: tuple[Credential, ...], hosts: Hosts, *, newest: bool) -> Record:
        source = source_of(wanted.target, credentials, hosts)
        if newest:
            record = self.store.read(str(wanted.target))
            if record is not None and record.digest == source.digest():
                return record
        progress = Progress(wanted.reference, hashlib.sha256(str(wanted.target).encode()).hexdigest(), time.time())
        progress.shown = self._home / "images" / f"{progress.digest}.progress"  # among the builds, for who looks on
        progress.shown.parent.mkdir(parents=True, exist_ok=True)
        try:
            record = pull(wanted, source, self.store, Telling(progress, self._stop))
        finally:
            progress.shown.unlink(missing_ok=True)
        with suppress(OSError):  # other images are being pulled: the last of them will see to it
            self.prune(everything=False)
        return record


def _told(error: Exception) -> ImageError:
    """Whatever an image does to us, its pod hears of it."""
    if isinstance(error, ImageError):
        return error
    _log.error("a pull failed", exc_info=error)
    return ImageError(f"it could not be read: {type(error).__name__}: {error}")


def source_of(target: Target, credentials: Sequence[Credential], hosts: Hosts) -> Source:
    """What fetches an image. Raises ImageError."""
    if isinstance(target, Remote):
        return RegistrySource(target, credentials, hosts)
    return LayoutSource(target)


def image_of(record: Record, wanted: Wanted, root: Path) -> Image:
    """The image as the launcher takes it. Raises ImageError."""
    config = manifest.read_config(manifest.document(record.config, "image's configuration"))
    target = wanted.target
    name = f"{target.registry}/{target.repository}@" if isinstance(target, Remote) else ""
    accounts = Accounts(merge.read_text(root, "etc/passwd"), merge.read_text(root, "etc/group"))
    return Image(
        reference=wanted.reference,
        digest=f"{name}{record.digest}",
        env=config.env,
        entrypoint=config.entrypoint,
        command=config.command,
        working_dir=config.working_dir,
        own=OwnRoot(root, accounts, config.user, config.stop_signal),
    )
