"""The cluster's network, put together: what the composition root starts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NoReturn

from argosy.client.client import Client
from argosy.clock import Clock
from argosy.control.events import EventRecorder
from argosy.control.pool import Informers
from argosy.engine.network.dns import DnsServer
from argosy.engine.network.dns_forward import Forwarder
from argosy.engine.network.egress import Egress
from argosy.engine.network.egress_proxy import EgressProxy
from argosy.engine.network.egress_rules import TABLE as EGRESS
from argosy.engine.network.egress_rules import egress_rules, inside
from argosy.engine.network.egress_udp import UdpEgress
from argosy.engine.network.enforcement import Enforcement, PodGate, everybody, label_nodes, say_not_enforced
from argosy.engine.network.ingress_classes import ensure_classes
from argosy.engine.network.ingress_proxy import IngressProxy
from argosy.engine.network.kernel import Kernel
from argosy.engine.network.names import Names
from argosy.engine.network.service_proxies import BY_SERVICE, ServiceProxies, index_slices
from argosy.engine.network.settings import NetworkSettings
from argosy.engine.network.trial import trial
from argosy.engine.node.runtime.spec import Level, Network
from argosy.kinds import ENDPOINT_SLICE, NETWORK_POLICY, NODE, POD, SERVICE

_log = logging.getLogger(__name__)

_COMPONENT = "argosy-network"
_AGAIN_SECONDS = 5.0


async def run(
    client: Client,
    network: Network,
    settings: NetworkSettings,
    clock: Clock,
    *,
    informers: Informers | None = None,
    gate: PodGate | None = None,
) -> NoReturn:
    """Serve the cluster's Services, names, Ingresses and policies until cancelled; `gate` is where new pods wait."""
    if informers is None:
        async with Informers(client) as own:
            await run(client, network, settings, clock, informers=own, gate=gate)
    client = client.named(_COMPONENT)
    recorder = EventRecorder(client, _COMPONENT, clock)
    services, slices = informers.of(SERVICE), informers.of(ENDPOINT_SLICE)
    index_slices(slices)
    gate = gate or PodGate(informers)
    kernel = Kernel(network)
    ranges = inside(settings.pod_cidr, settings.service_cidr, settings.node_cidr)
    refusal = await kernel.open(trial(settings.pod_cidr, ranges))
    if refusal and settings.level is Level.L2:
        _log.info("Services go through a proxy, and NetworkPolicies are not enforced: %s", refusal)
    ruling = None if refusal else kernel
    proxies = ServiceProxies(
        network,
        services,
        slices,
        informers.of(NODE),
        informers.of(POD),
        client=client,
        recorder=recorder,
        settings=settings,
        kernel=ruling,
    )
    try:
        async with asyncio.TaskGroup() as group:
            if refusal:
                gate.lead_to(everybody)
                telling = say_not_enforced(informers.of(NETWORK_POLICY), recorder, refusal)
                group.create_task(telling, name="NetworkPolicies without effect")
            else:
                await kernel.put(EGRESS, egress_rules(settings.pod_cidr, ranges))
                group.create_task(_insist(Egress(network).run, "the way out of the cluster"), name="way out")
                datagrams = _insist(UdpEgress(network).run, "the way out for datagrams")
                group.create_task(datagrams, name="way out for datagrams")
                proxy = EgressProxy(network, client, informers, recorder, ranges)
                enforcement = Enforcement(kernel, informers, recorder, settings.dns_address, ranges, proxy.endpoints)
                proxying = _insist(partial(proxy.run, enforcement.look_again), "the egress proxy")
                group.create_task(proxying, name="egress proxy")
                group.create_task(enforcement.run(gate), name="NetworkPolicies")
            nodes = informers.of(NODE)
            group.create_task(label_nodes(client, nodes, enforced=not refusal), name="what the nodes enforce")
            group.create_task(proxies.run(), name="Service proxies")
            if settings.level is Level.L2 and settings.dns_address:
                names = Names(settings.cluster_domain, services.get, lambda key: slices.indexed(BY_SERVICE, str(key)))
                server = DnsServer(names, Forwarder(settings.resolv_conf))
                serving = _insist(partial(server.run, network, settings.dns_address), "the cluster's DNS")
                group.create_task(serving, name="DNS")
            if settings.ingress_socket is not None:
                ingress = IngressProxy(network, informers, client=client, recorder=recorder, settings=settings)
                group.create_task(ingress.run(settings.ingress_socket), name="Ingress")
                group.create_task(ensure_classes(client, settings.ingress_classes), name="Ingress classes")
    finally:
        await recorder.close(timeout=0.5)
    raise AssertionError("the network ends only when cancelled")


async def _insist(serve: Callable[[], Awaitable[None]], what: str) -> NoReturn:
    """Serve; what cannot listen now tries again."""
    complaint = ""
    while True:
        try:
            await serve()
        except OSError as error:
            if str(error) != complaint:
                complaint = str(error)
                _log.warning("%s cannot listen, trying again: %s", what, error)
            await asyncio.sleep(_AGAIN_SECONDS)
