"""NetworkPolicies in force: follows policies, pods and namespaces, and keeps the kernel's table true to them.

A pod passes here before its containers start (`PodGate`), so that its first packet meets the policies that select it. Where
the network takes no rules every policy gets an Event that says so, and the nodes say it in a label, for pods that will not
run without.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from argosy.client.client import Client
from argosy.control.cache import Change
from argosy.control.events import EventRecorder
from argosy.control.informer import Informer
from argosy.control.pool import Informers
from argosy.engine.network.kernel import Kernel
from argosy.engine.network.policies import Endpoint, endpoint_of, resolve
from argosy.engine.network.policy_rules import TABLE, policy_rules
from argosy.engine.node.node_objects import MANAGED
from argosy.errors import ArgosyError
from argosy.intent import Reason
from argosy.kinds import NAMESPACE, NETWORK_POLICY, NODE, POD
from argosy.meta.json import Obj, dig
from argosy.meta.objects import key_of, labels_of, uid_of

_log = logging.getLogger(__name__)

ENFORCED = "argosy.dev/network-policy"
"""The label of a Node: `enforced` or `ignored`."""

_DNS_PORTS = (("dns", "UDP", 53), ("dns-tcp", "TCP", 53))

Admit = Callable[[Obj, str], Awaitable[None]]
"""(pod, its address) -> done when the pod may start."""


class PodGate:
    """Where pods wait for the network before they start; the node agent asks, the network answers once it is there.

    While there is no policy at all nobody waits, not even for the network to come up.
    """

    def __init__(self, informers: Informers) -> None:
        self._policies = informers.of(NETWORK_POLICY)
        self._admit: Admit | None = None
        self._open = asyncio.Event()

    def lead_to(self, admit: Admit) -> None:
        """From now on this decides."""
        self._admit = admit
        self._open.set()

    async def admit(self, pod: Obj, address: str) -> None:
        """Return when a pod that will have this address may start."""
        await self._policies.synced()
        if not self._policies.items():
            return
        await self._open.wait()
        assert self._admit is not None, "set with the event"
        await self._admit(pod, address)


class Enforcement:
    """The table of policies, kept true."""

    def __init__(
        self,
        kernel: Kernel,
        informers: Informers,
        recorder: EventRecorder,
        dns_address: str,
        inside: Sequence[str],
        programs: Callable[[], Sequence[Endpoint]] = tuple,
    ) -> None:
        """`inside` are the ranges of addresses that are not outside the cluster; `programs` those of the engine's own
        that policies treat as pods.
        """
        self._programs = programs
        self._kernel = kernel
        self._recorder = recorder
        self._inside = inside
        self._policies = informers.of(NETWORK_POLICY)
        self._namespaces = informers.of(NAMESPACE)
        self._pods = informers.of(POD)
        self._coming: dict[str, tuple[Obj, str]] = {}
        """Pods that have an address which their status does not tell yet."""
        self._changed = asyncio.Event()
        # Rules about the cluster's DNS are written for its pods.
        self._dns = Endpoint("kube-system", {"k8s-app": "kube-dns"}, dns_address, _DNS_PORTS)

    async def run(self, gate: PodGate) -> NoReturn:
        """Follow what policies depend on, until cancelled."""
        followed: tuple[Informer, ...] = (self._policies, self._namespaces, self._pods)
        for informer in followed:
            await informer.synced()
        stops = [self._policies.listen(self._note), self._namespaces.listen(self._note), self._pods.listen(self._pod)]
        gate.lead_to(self.admit)
        try:
            self._changed.set()
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._put()
        finally:
            for stop in stops:
                stop()

    async def admit(self, pod: Obj, address: str) -> None:
        """Return when the policies that a pod falls under are in force for its address."""
        self._coming[uid_of(pod)] = (pod, address)
        await self._put()

    async def _put(self) -> None:
        try:
            resolved = resolve(self._policies.items(), self._namespaces.items(), self._endpoints())
            await self._kernel.put(TABLE, policy_rules(resolved, self._inside))
        except ArgosyError as error:
            _log.exception("NetworkPolicies are not in force as they stand")
            for policy in self._policies.items():
                self._recorder.emit(NETWORK_POLICY, policy, _not_enforced(str(error)))

    def _endpoints(self) -> Sequence[Endpoint]:
        found = [self._dns, *self._programs()]
        waiting = dict(self._coming)
        for pod in self._pods.items():
            _, address = waiting.pop(uid_of(pod), (pod, ""))
            endpoint = endpoint_of(pod, address)
            if endpoint is not None:
                found.append(endpoint)
        found += [endpoint for each in waiting.values() if (endpoint := endpoint_of(*each)) is not None]
        return found

    def look_again(self) -> None:
        """The engine's own programs have moved."""
        self._changed.set()

    def _note(self, changes: Sequence[Change]) -> None:
        if changes:
            self._changed.set()

    def _pod(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.type == "DELETED" or dig(change.obj, "status", "podIP"):
                self._coming.pop(uid_of(change.obj), None)
        if self._policies.items() and any(_matters(change) for change in changes):
            self._changed.set()


async def say_not_enforced(policies: Informer, recorder: EventRecorder, reason: str) -> NoReturn:
    """Tell about every policy, once, that it is without effect."""
    told: set[str] = set()
    async for policy in _seen(policies):
        if uid_of(policy) not in told:
            told.add(uid_of(policy))
            recorder.emit(NETWORK_POLICY, policy, _not_enforced(reason))
    raise AssertionError("informers never end")


def _not_enforced(why: str) -> Reason:
    return Reason("PolicyNotEnforced", f"pods are not held to this policy: {why}", warning=True)


async def label_nodes(client: Client, nodes: Informer, *, enforced: bool) -> NoReturn:
    """Keep the label `ENFORCED` on the nodes of this machine."""
    wanted = "enforced" if enforced else "ignored"
    async for node in _seen(nodes):
        if MANAGED in labels_of(node) and labels_of(node).get(ENFORCED) != wanted:
            with suppress(ArgosyError, ConnectionError):
                await client.patch(NODE, key_of(node), {"metadata": {"labels": {ENFORCED: wanted}}})
    raise AssertionError("informers never end")


async def _seen(informer: Informer) -> AsyncIterator[Obj]:
    """Every object that there is, then each that is new or changed."""
    subscription = informer.subscribe()
    for obj in list(informer.items()):
        yield obj
    async for changes in subscription:
        for change in changes:
            if change.type != "DELETED":
                yield change.obj


async def everybody(pod: Obj, address: str) -> None:
    """The gate where no policies are enforced."""


def _matters(change: Change) -> bool:
    """Whether who may talk to whom can depend on a pod's change."""
    if change.type != "MODIFIED" or change.old is None:
        return True
    return endpoint_of(change.old) != endpoint_of(change.obj)
