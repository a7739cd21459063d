"""Everything a pod needs before its containers start: volumes, tokens, the files in /etc, the sandbox.

One `Preparation` per pod, owned by its `worker`. What is missing is told as an event and waited for through a watch; what
was mounted is kept up to date while the pod runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from argosy import kinds
from argosy.clock import parse_time
from argosy.engine.node import launch, volumes
from argosy.engine.node.environment import Sources
from argosy.engine.node.etc_files import hosts, kubeconfig, resolv_conf
from argosy.engine.node.host_ports import HostPorts
from argosy.engine.node.images.resolve import ImageError
from argosy.engine.node.projection import TokenWanted, references_of, token_volume, told_of
from argosy.engine.node.records import PodRecord, put
from argosy.engine.node.runtime.spec import Level, PodSpec
from argosy.engine.node.shared import Shared
from argosy.engine.node.sources import ClusterFacts, Missing, PodFacts, Reference
from argosy.errors import ArgosyError
from argosy.intent import Reason
from argosy.meta.json import Obj, encode
from argosy.meta.objects import Key, name_of, namespace_of, uid_of
from argosy.meta.quantity import parse

RETRY_FIRST_SECONDS, RETRY_LAST_SECONDS = 0.5, 120.0
_RENEW_MIN_SECONDS = 10.0

T = TypeVar("T")


class Preparation:
    """What one pod stands on. `follow` tells it that the API object has changed."""

    def __init__(self, shared: Shared, pod: Obj, address: str = "") -> None:
        self.pod = pod
        self.address = address
        self.directory = shared.records.place(uid_of(pod))
        self.memory = shared.records.memory(uid_of(pod))
        self.mounted: volumes.Volumes | None = None
        self.kubeconfig: Path | None = None
        """At L0, where the service account's volume is not at its usual place."""
        self._shared = shared
        self._devices: dict[str, Sequence[str]] = {}
        self._ports = HostPorts()
        self._stops: list[Callable[[], None]] = []
        self._renewing: asyncio.Task[None] | None = None

    def follow(self, pod: Obj) -> None:
        """The API object has changed; files that tell of its labels and annotations follow."""
        before, self.pod = self.pod, pod
        if self.mounted is not None and told_of(pod) != told_of(before):
            self._renew_soon()

    async def prepare(self) -> str:
        """Make it all, waiting for what is missing; returns the pod's address."""
        shared, pod = self._shared, self.pod
        settings = shared.settings
        host_network = bool(pod["spec"].get("hostNetwork"))
        self.address = settings.host_address if host_network else shared.addresses.give(uid_of(pod))
        if shared.names is not None:
            shared.names.touch()
        self._record()
        self.write_hosts()
        text = resolv_conf(pod, settings.dns_address, settings.cluster_domain)
        put(self.memory / "resolv.conf", (text or _host_resolv_conf()).encode())
        self.mounted = await self._insist(self._set_up, "FailedMount")
        if shared.runtime.level is Level.L0:
            self._write_kubeconfig(self.mounted)
        await self._insist(self._make_sandbox, "FailedCreatePodSandBox")
        if not host_network:
            await shared.admit(pod, self.address)
        self._keep_fresh()
        place = settings.place_of(str(pod["spec"].get("nodeName")))
        for problem in await self._ports.open(pod, self.address, shared.runtime.network, place):
            self.say(Reason("HostPortNotServed", problem, warning=True))
        return self.address

    def remember_devices(self, container: str, ids: Sequence[str]) -> None:
        """Write down which accelerators a container has, for the engine after this one."""
        self._devices[container] = ids
        self._record()

    def _record(self) -> None:
        pod = self.pod
        self._shared.records.write(
            PodRecord(uid_of(pod), namespace_of(pod), name_of(pod), self.address, dict(self._devices))
        )

    def write_hosts(self) -> None:
        """Write the pod's /etc/hosts, in place: it is bound into containers that run."""
        shared = self._shared
        table = shared.names.table(namespace_of(self.pod)) if shared.names is not None else {}
        text = hosts(self.pod, self.address, shared.settings.cluster_domain, table)
        put(self.memory / "etc-hosts", text.encode())

    def _write_kubeconfig(self, mounted: volumes.Volumes) -> None:
        name = token_volume(self.pod)
        if name:
            settings = self._shared.settings
            server = f"https://{settings.api_host}:{settings.api_port}"
            content = kubeconfig(server, str(mounted.paths[name]), namespace_of(self.pod))
            self.kubeconfig = self.memory / "kubeconfig"
            put(self.kubeconfig, encode(content))

    def sandbox(self) -> PodSpec:
        """The pod as the runtime knows it."""
        amounts = self._shared.allocatable(str(self.pod["spec"].get("nodeName")))
        node_memory = parse(amounts.get("memory", "0")).value
        return launch.pod_spec(self.pod, self.address, self.directory, self.memory, node_memory)

    def sources(self) -> Sources:
        """What environments and projected files are made from."""
        shared, settings = self._shared, self._shared.settings
        node = str(self.pod["spec"].get("nodeName"))
        facts = PodFacts(self.address, settings.place_of(node).internal, node, shared.allocatable(node))
        services = shared.references.services(namespace_of(self.pod))
        cluster = ClusterFacts(settings.api_host, settings.api_port, settings.cluster_domain, services)
        return Sources(shared.references.lookup, facts, cluster)

    def close(self) -> None:
        """Keep nothing fresh any more."""
        for stop in self._stops:
            stop()
        self._stops.clear()
        self._ports.close()
        if self._renewing is not None:
            self._renewing.cancel()

    async def _make_sandbox(self) -> None:
        async with self._shared.turns:
            await self._shared.runtime.create_pod(self.sandbox())

    async def _set_up(self) -> volumes.Volumes:
        made = await volumes.set_up(self.pod, self.directory, self.memory, self.sources(), self._token)
        images = [volume for volume in self.pod["spec"].get("volumes") or () if volume.get("image") is not None]
        return (
            volumes.with_images(made, {str(v["name"]): await self._image_volume(v) for v in images}) if images else made
        )

    async def _image_volume(self, volume: Obj) -> Path:
        """The files of an image, the same as long as the pod is there: a link says which, to whoever removes images too."""
        name = str(volume["name"])
        link = self.directory / "volumes" / name
        if not link.is_dir():
            try:
                root = await self._shared.puller.volume(self.pod, volume["image"], self.say)
            except ImageError as error:
                message = f'failed to pull image "{volume["image"].get("reference")}": {error.message}'
                raise volumes.MountFailed(name, message) from None
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(root)
        return link.resolve()

    async def _insist(self, what: Callable[[], Coroutine[Any, Any, T]], code: str) -> T:
        """Try until it works; say why it does not; try again when what was missing appears."""
        pause = RETRY_FIRST_SECONDS
        asked: set[Reference] = set()
        while True:
            reference: Reference | None = None
            try:
                return await what()
            except Missing as missing:
                reference = missing.reference
                message = str(missing)
            except (ArgosyError, OSError) as error:
                message = str(error)
            if reference is not None and reference not in asked:
                asked.add(reference)
                if self._shared.references.lookup(reference) is None and await self._shared.references.ask(reference):
                    continue
            self.say(Reason(code, message, warning=True))
            await self._shared.references.change(reference, pause if reference is None else RETRY_LAST_SECONDS)
            pause = min(pause * 2, RETRY_LAST_SECONDS)

    def say(self, reason: Reason) -> None:
        """Tell why, as an event about the pod."""
        self._shared.events.emit(kinds.POD, self.pod, reason)

    async def _token(self, pod: Obj, wanted: TokenWanted) -> tuple[str, float]:
        bound = {"apiVersion": "v1", "kind": "Pod", "name": name_of(pod), "uid": uid_of(pod)}
        spec: Obj = {"expirationSeconds": wanted.expiration_seconds, "boundObjectRef": bound}
        if wanted.audience:
            spec["audiences"] = [wanted.audience]
        request: Obj = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": spec}
        account = Key(namespace_of(pod), str(pod["spec"].get("serviceAccountName") or "default"))
        answer = await self._shared.client.create_subresource(kinds.SERVICE_ACCOUNT, account, "token", request)
        return str(answer["status"]["token"]), parse_time(answer["status"]["expirationTimestamp"]).timestamp()

    def _keep_fresh(self) -> None:
        """Follow the ConfigMaps and Secrets in volumes, and renew tokens in time."""
        for reference in references_of(self.pod):
            self._stops.append(self._shared.references.watch(reference, lambda _: self._renew_soon()))
        self._renew_later()

    def _renew_later(self) -> None:
        if self.mounted is not None and self.mounted.renew_at is not None:
            delay = max(_RENEW_MIN_SECONDS, self.mounted.renew_at - self._shared.clock.now().timestamp())
            self._stops.append(asyncio.get_running_loop().call_later(delay, self._renew_soon).cancel)

    def _renew_soon(self) -> None:
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        await asyncio.sleep(0)  # several changes at once are one renewal
        try:
            self.mounted = await self._set_up()
        except (ArgosyError, OSError) as error:
            self.say(Reason("FailedMount", str(error), warning=True))
            self._stops.append(asyncio.get_running_loop().call_later(RETRY_LAST_SECONDS, self._renew_soon).cancel)
            return
        self._renew_later()


def _host_resolv_conf() -> str:
    try:
        return Path("/etc/resolv.conf").read_text()
    except OSError:
        return ""
