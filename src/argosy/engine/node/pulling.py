"""Gets a container its image: an environment of this machine, or the image itself from a registry or a layout on disk.

Which of the two, in this order: what the user's `images.yaml` says; the image itself, where the pod, its namespace or the
node demands isolation L3; the catalogue's environment; the registry that the reference names. `worker` asks; the events
and refusals are the kubelet's.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from argosy.engine.node import demands
from argosy.engine.node.images.builder import REQUIREMENTS, Images
from argosy.engine.node.images.resolve import ImageError, is_mapped, rule_of
from argosy.engine.node.references import References
from argosy.engine.node.runtime.spec import Image, Level
from argosy.engine.node.sources import Reference, data_of
from argosy.intent import Reason
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, labels_of, namespace_of

if TYPE_CHECKING:  # a node that never pulls never loads what it takes
    from argosy.engine.node.oci.credentials import Credential
    from argosy.engine.node.oci.images import OciImages
    from argosy.engine.node.oci.pull import Wanted
    from argosy.engine.node.oci.registry import Hosts

Say = Callable[[Reason], None]
_NOTHING: Obj = {"metadata": {}}


@dataclass(frozen=True, slots=True)
class Asking:
    """What decides, besides `images.yaml`, whether an image is itself."""

    level: Level
    registries: bool
    """One that nothing maps is asked of the registry that it names."""
    itself: bool = False
    """The pod demands it."""


def wanted_of(images: Images, reference: str, how: Asking) -> Wanted | None:
    """Where the image is that is itself; None: an environment stands for it. Raises ImageError."""
    catalogue = images.catalogue()
    rule = rule_of(catalogue, reference, itself=how.itself)
    guessed = rule == "" and not how.itself and not is_mapped(catalogue, reference)
    if rule is None or (guessed and (how.level is Level.L0 or not how.registries)):
        return None
    if how.level is Level.L0:
        raise ImageError(
            f"the image {reference} is to run as itself, which takes mounts, and at isolation L0 there are none; run where "
            "L1 or L2 is possible, or map it to an environment in images.yaml"
        )
    from argosy.engine.node.oci.pull import Wanted  # noqa: PLC0415
    from argosy.engine.node.oci.reference import target_of  # noqa: PLC0415

    return Wanted(reference, target_of(rule, reference))


def how_to_map(images: Images, reference: str) -> str:
    """What else could be done about an image that nobody has said anything about."""
    return "" if is_mapped(images.catalogue(), reference) else f"; {images.unmapped(reference)}"


class ImagePuller:
    """All images of one node agent."""

    def __init__(
        self, home: Path, images: Images, level: Level, references: References, *, asks_registries: bool
    ) -> None:
        self.images = images
        self._home = home
        self._level = level
        self._references = references
        self._asks_registries = asks_registries

    @cached_property
    def oci(self) -> OciImages:
        """The images that are themselves."""
        from argosy.engine.node.oci.images import OciImages  # noqa: PLC0415

        return OciImages(self._home, self._hosts)

    async def image(self, pod: Obj, container: Obj, say: Say) -> Image:
        """The container's image, fetched or built if need be. Raises ImageError."""
        wanted = self._wanted(pod, container)
        if wanted is None:
            return await self._environment(pod, container, say)
        return await self._itself(pod, wanted, str(container.get("imagePullPolicy") or ""), say)

    async def volume(self, pod: Obj, source: Obj, say: Say) -> Path:
        """The root of an image that a volume shows, fetched if need be: always the image itself. Raises ImageError."""
        reference = str(source.get("reference") or "")
        wanted = wanted_of(self.images, reference, Asking(Level.L2, registries=True, itself=True))
        assert wanted is not None, "no environment stands for an image that has to be itself"
        image = await self._itself(pod, wanted, str(source.get("pullPolicy") or ""), say)
        assert image.own is not None
        return image.own.path

    async def _itself(self, pod: Obj, wanted: Wanted, policy: str, say: Say) -> Image:
        present = self.oci.present(wanted)
        on_disk = str(wanted.target).startswith("oci:")
        newest = policy == "Always" and not on_disk
        if present is not None and not newest:
            say(Reason("Pulled", f'Container image "{wanted.reference}" already present on machine'))
            return present
        if policy == "Never" and not on_disk:
            raise _never(wanted.reference, how_to_map(self.images, wanted.reference).replace("; ", ": ", 1))
        say(Reason("Pulling", f'Pulling image "{wanted.reference}"'))
        try:
            pulled = await self.oci.get(wanted, await self._credentials(pod, wanted, say), newest=newest)
        except ImageError as error:
            raise ImageError(f"{error.message}{how_to_map(self.images, wanted.reference)}", error.reason) from None
        say(_pulled(wanted.reference, pulled.seconds, pulled.bytes))
        return pulled.image

    def stop_signal(self, pod: Obj, container: Obj, number: int) -> int:
        """What to end a container with: the image's own signal, where the pod names none and it would be SIGTERM."""
        if number != signal.SIGTERM or dig(container, "lifecycle", "stopSignal"):
            return number
        try:
            wanted = self._wanted(pod, container)
            image = self.oci.present(wanted) if wanted is not None else None
        except ImageError:
            return number
        return image.own.stop_signal or number if image is not None and image.own is not None else number

    def advice(self, pod: Obj, container: Obj) -> str:
        """What to do when a program is not in the container's image."""
        reference = str(container.get("image"))
        try:
            return self.images.advice(reference) if self._wanted(pod, container) is None else ""
        except ImageError:
            return ""

    async def prune(self) -> None:
        """Remove the images that are themselves and that no container uses, to make room on the disk."""
        if (self._home / "images" / "oci").is_dir():
            with contextlib.suppress(BlockingIOError):  # one is being pulled: another time
                await asyncio.to_thread(self.oci.prune, everything=True)

    def close(self) -> None:
        """Stop pulling."""
        if "oci" in self.__dict__:
            self.oci.close()

    def _wanted(self, pod: Obj, container: Obj) -> Wanted | None:
        """Where the image is that is itself; None: an environment stands for it. Raises ImageError."""
        how = Asking(self._level, self._asks_registries, self._demands_itself(pod))
        return wanted_of(self.images, str(container.get("image") or ""), how)

    def _demands_itself(self, pod: Obj) -> bool:
        if annotations_of(pod).get(demands.ISOLATION):
            return demands.demands_image_itself(annotations_of(pod))
        namespace = self._references.lookup(Reference("namespaces", "", namespace_of(pod))) or _NOTHING
        node = self._references.lookup(Reference("nodes", "", str(pod["spec"].get("nodeName")))) or _NOTHING
        said = (labels_of(node), labels_of(namespace), annotations_of(namespace))
        return any(demands.demands_image_itself(each) for each in said)

    async def _environment(self, pod: Obj, container: Obj, say: Say) -> Image:
        reference = str(container.get("image") or "")
        requirements = annotations_of(pod).get(REQUIREMENTS, "")
        never = container.get("imagePullPolicy") == "Never"
        try:
            pulled = self.images.present(reference, requirements)
        except ImageError as error:
            if not never or error.reason != "ErrImagePull":
                raise
            raise _never(reference, f": {error.message}") from None
        if pulled is None:
            if never:
                raise _never(reference)
            say(Reason("Pulling", f'Pulling image "{reference}"'))
            pulled = await self.images.get(reference, requirements=requirements)
            say(_pulled(reference, pulled.seconds, pulled.bytes))
        if pulled.note:
            say(Reason("ImageStandIn", pulled.note))
        return pulled.image

    async def _credentials(self, pod: Obj, wanted: Wanted, say: Say) -> tuple[Credential, ...]:
        from argosy.engine.node.oci.credentials import fitting, read_secret  # noqa: PLC0415
        from argosy.engine.node.oci.reference import Remote  # noqa: PLC0415

        secrets = []
        for each in pod["spec"].get("imagePullSecrets") or ():
            reference = Reference("secrets", namespace_of(pod), str(each.get("name")))
            secret = self._references.lookup(reference)
            if secret is None and await self._references.ask(reference):
                secret = self._references.lookup(reference)
            try:
                if secret is None:
                    raise ValueError("there is none of that name")
                secrets.append(read_secret(data_of(secret)))
            except ValueError as error:
                message = (
                    f"Unable to retrieve the image pull secret ({reference.name}): {error}; attempting to pull the image "
                    "without it"
                )
                say(Reason("FailedToRetrieveImagePullSecret", message, warning=True))
        return fitting(wanted.target, secrets) if isinstance(wanted.target, Remote) else ()

    def _hosts(self) -> Hosts:
        return hosts_of(self.images)


def hosts_of(images: Images) -> Hosts:
    """What `images.yaml` says of registries. Raises ImageError."""
    from argosy.engine.node.oci.registry import Hosts  # noqa: PLC0415

    said = images.catalogue().registries
    plain = frozenset(host for host, registry in said.items() if registry.plain_http)
    tls = frozenset(host for host, registry in said.items() if registry.plain_http is False or registry.ca_file)
    return Hosts(plain, tls - plain, {host: registry.ca_file for host, registry in said.items() if registry.ca_file})


def _never(reference: str, why: str = "") -> ImageError:
    return ImageError(
        f'Container image "{reference}" is not present with pull policy of Never{why}', "ErrImageNeverPull"
    )


def _pulled(reference: str, seconds: float, bytes: int) -> Reason:
    return Reason(
        "Pulled",
        f'Successfully pulled image "{reference}" in {seconds:.3g}s ({seconds:.3g}s including waiting). '
        f"Image size: {bytes} bytes.",
    )
