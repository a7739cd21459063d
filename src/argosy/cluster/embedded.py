"""The embedded engine, as one readable list of services.

`Engine.services` is the whole start-up: each line may rely on those above it. `argosy.cluster.main` runs it in a process
of its own. Everything above the store reaches the cluster through a client, as it would anywhere else.

Whoever starts an engine waits for the API server and the pods' runtime. The parts that catch up by themselves
(controllers, scheduler, node, network, operators) are imported after that, one after the other in a thread.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import socket
from functools import cached_property, partial
from typing import TYPE_CHECKING

from argosy import __version__
from argosy.client.client import Client
from argosy.client.inprocess import InProcessTransport
from argosy.client.requests import User
from argosy.clock import Clock, SystemClock, rfc3339
from argosy.cluster import bootstrap, credentials
from argosy.cluster.ground import Ground
from argosy.cluster.process import EngineState
from argosy.cluster.services import Ready, Service
from argosy.cluster.settings import CLUSTER_DOMAIN, Layout, Settings, addresses, allowed_demands
from argosy.control.pool import Informers
from argosy.engine.apiserver.app import App
from argosy.engine.apiserver.authn import Authenticator
from argosy.engine.apiserver.extensions.forward import FRONT_PROXY
from argosy.engine.apiserver.http import serve
from argosy.engine.apiserver.pki import Authority, signing_key
from argosy.engine.apiserver.settings import ApiSettings
from argosy.engine.node.records import remove_memory
from argosy.engine.node.runtime.holder.processes import start_time
from argosy.engine.node.runtime.spec import Level
from argosy.engine.store import Store

if TYPE_CHECKING:
    from argosy.engine.network import PodGate

log = logging.getLogger("argosy")

_GARBAGE_LOOKED_FOR_EVERY = 20_000
"""Allocations. Objects of the API are trees and go by themselves; looking through them for cycles every 700 is waste."""
_ENGINE = User("system:argosy-engine", frozenset({"system:masters", "system:authenticated"}))


class Engine:
    """One engine's parts, put together. `open` makes what the services share; `close` lets go of it."""

    def __init__(self, settings: Settings, layout: Layout, ground: Ground, clock: Clock | None = None) -> None:
        self._settings = settings
        self._layout = layout
        self._ground = ground
        self._runtime = ground.runtime
        self._clock = clock or SystemClock()
        self._importing = asyncio.Lock()

    async def open(self) -> None:
        """Make everything that does not run by itself. Raises UserError for what a person can mend."""
        settings, layout, now = self._settings, self._layout, self._clock.now()
        self._allowed = allowed_demands()
        self._addresses = addresses(self._runtime.level, layout.home)
        self._authority = Authority(layout.pki, now)
        self._store = await Store.open(layout.store)
        if self._store.recovered:
            log.info("%s", self._store.recovered)
        port = self._ground.api_port
        api_settings = ApiSettings(
            service_cidr=self._addresses.service_cidr,
            ca_pem=self._authority.pem,
            front_proxy=partial(self._authority.client_files, FRONT_PROXY),
            signing_key_pem=signing_key(layout.pki),
            server_address=f"127.0.0.1:{port}",
            api_port=port,
            # On one machine a pod can move only where there are other nodes, and then it need not wait.
            toleration_seconds=300 if settings.nodes == 1 else 0,
            clock=self._clock,
        )
        self._app = App(self._store, api_settings)
        self._app.expect_nodes()
        tokens = credentials.static_tokens(layout, settings.token_auth_file)
        self._authenticator = Authenticator(self._app.api.tokens, tokens, self._clock)
        names = ["127.0.0.1", "localhost", self._addresses.api_service, "kubernetes", "kubernetes.default",
                 "kubernetes.default.svc", f"kubernetes.default.svc.{CLUSTER_DOMAIN}"]  # fmt: skip
        self._tls = self._authority.server(names)
        self._server = f"https://127.0.0.1:{port}"
        credentials.write_kubeconfig(layout, self._server, self._authority)
        self._client = Client(InProcessTransport(self._app.handle, _ENGINE), field_manager="argosy-engine")
        self._informers = Informers(self._client)

    def services(self) -> tuple[Service, ...]:
        """What the engine runs, in the order in which it starts."""
        return (
            Service("API server", self._serve_api, restart=False),
            Service("kinds of the operators", self._install_kinds),
            Service("API server inside the cluster", self._serve_inside),
            Service("controllers", self._run_controllers),
            Service("scheduler", self._run_scheduler),
            Service("node", self._run_node),
            Service("network", self._run_network),
            Service("operators", self._run_operators),
            Service("memory", self._tidy_memory),
        )

    def state(self) -> EngineState:
        """What `argosy status` reads."""
        return EngineState(
            pid=os.getpid(),
            start_time=start_time(os.getpid()),
            server=self._server,
            ingress=f"http://127.0.0.1:{self._ground.ingress_port}",
            kubeconfig=str(self._layout.kubeconfig),
            isolation=self._runtime.level,
            version=__version__,
            started_at=rfc3339(self._clock.now()),
            nodes=self._settings.nodes,
            notes=(self._store.recovered,) if self._store.recovered else (),
        )

    async def close(self, *, kill: bool) -> None:
        """Let go of everything; with `kill` end the pods as well."""
        await self._runtime.close(kill=kill)
        if kill:
            remove_memory(self._layout.home)
        await self._informers.close()
        await self._app.close()
        await self._store.close()

    async def _serve_api(self, ready: Ready) -> None:
        await self._app.start()
        async with serve(self._app, self._ground.api_socket, self._tls, self._authenticator):
            ready()
            await asyncio.Event().wait()

    async def _install_kinds(self, ready: Ready) -> None:
        await bootstrap.install(self._client)
        ready()
        await asyncio.Event().wait()

    async def _serve_inside(self, ready: Ready) -> None:
        """The API server at its Service's address, where pods have a network of their own; elsewhere they use the
        host's port.
        """
        if self._runtime.level is not Level.L2:
            ready()
            await asyncio.Event().wait()
        inside = self._runtime.network
        inside.add_local_address(self._addresses.api_service)
        listener = inside.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self._addresses.api_service, 443))
        listener.listen(512)
        async with serve(self._app, listener, self._tls, self._authenticator):
            ready()
            await asyncio.Event().wait()

    async def _run_controllers(self, ready: Ready) -> None:
        ready()
        await self._load("argosy.engine.controllers")
        from argosy.engine import controllers  # noqa: PLC0415

        settings = controllers.ControllerSettings(volumes_dir=self._layout.volumes, ca_pem=self._authority.pem)
        await controllers.run(self._client, settings, self._clock, informers=self._informers)

    async def _run_scheduler(self, ready: Ready) -> None:
        ready()
        await self._load("argosy.engine.scheduler.loop")
        from argosy.engine.scheduler import loop as scheduler  # noqa: PLC0415

        await scheduler.run(self._client, self._clock, informers=self._informers)

    async def _run_node(self, ready: Ready) -> None:
        ready()
        await self._load("argosy.engine.node.agent")
        from argosy.engine.node.agent import NodeAgent  # noqa: PLC0415
        from argosy.engine.node.images.builder import Images  # noqa: PLC0415
        from argosy.engine.node.settings import NodeSettings  # noqa: PLC0415

        inside = self._runtime.level is Level.L2
        settings = NodeSettings(
            home=self._layout.home,
            nodes=self._settings.nodes,
            pod_cidr=self._addresses.pod_cidr,
            inner_address=self._addresses.first_node,
            dns_address=self._addresses.dns,
            cluster_domain=CLUSTER_DOMAIN,
            api_host=self._addresses.api_service if inside else "127.0.0.1",
            api_port=443 if inside else self._ground.api_port,
            allowed=self._allowed,
            asks_registries=True,
        )
        agent = NodeAgent(self._client, self._runtime, Images(self._layout.home), settings, self._clock)

        def serves() -> None:
            self._app.nodes = agent

        await agent.run(informers=self._informers, ready=serves, admit=self._gate.admit)

    @cached_property
    def _gate(self) -> PodGate:
        """Where the node's new pods wait for the network; made by whichever of the two comes first."""
        from argosy.engine.network import PodGate  # noqa: PLC0415

        return PodGate(self._informers)

    async def _run_network(self, ready: Ready) -> None:
        ready()
        await self._load("argosy.engine.network")
        from argosy.engine import network  # noqa: PLC0415

        settings = network.NetworkSettings(
            level=self._runtime.level,
            pod_cidr=self._addresses.pod_cidr,
            service_cidr=self._addresses.service_cidr,
            node_cidr=self._addresses.node_cidr,
            dns_address=self._addresses.dns,
            cluster_domain=CLUSTER_DOMAIN,
            ingress_socket=self._ground.ingress_socket.dup(),
        )
        await network.run(
            self._client, self._runtime.network, settings, self._clock, informers=self._informers, gate=self._gate
        )

    async def _run_operators(self, ready: Ready) -> None:
        ready()
        await self._load("argosy.control.runner")
        await self._load("argosy.operators.settings")
        from argosy.control.runner import run_operators  # noqa: PLC0415
        from argosy.operators import build  # noqa: PLC0415
        from argosy.operators.settings import OperatorSettings  # noqa: PLC0415
        from argosy.programs.initializer.bundle import archive  # noqa: PLC0415

        operators = build(OperatorSettings(data_loader=archive()), self._clock)
        await run_operators(self._client, operators, clock=self._clock, informers=self._informers)

    async def _tidy_memory(self, ready: Ready) -> None:
        """Nothing of the program itself will ever be garbage: the collector, off since the start, need not look at it."""
        ready()
        async with self._importing:  # after all the others: they ask in turn
            gc.collect()
            gc.freeze()
            gc.set_threshold(_GARBAGE_LOOKED_FOR_EVERY)
            gc.enable()
        await asyncio.Event().wait()

    async def _load(self, module: str) -> None:
        """Import a part while the API server goes on answering."""
        async with self._importing:
            await asyncio.to_thread(importlib.import_module, module)
