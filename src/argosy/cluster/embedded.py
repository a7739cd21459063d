"""The embedded engine, as one readable list of services.

`Engine.services` is the whole start-up: each line may rely on those above it. `argosy.cluster.main` runs it in a process
of its own. Everything above the store reaches the cluster through a client, as it would anywhere else.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable

from argosy import __version__
from argosy.client.client import Client
from argosy.client.inprocess import InProcessTransport
from argosy.client.requests import User
from argosy.clock import Clock, SystemClock, rfc3339
from argosy.cluster import bootstrap, credentials, ports
from argosy.cluster.process import EngineState, last_state, start_time
from argosy.cluster.services import Ready, Service
from argosy.cluster.settings import CLUSTER_DOMAIN, Layout, Settings, addresses
from argosy.control.pool import Informers
from argosy.control.runner import run_operators
from argosy.engine import network
from argosy.engine.apiserver.app import App
from argosy.engine.apiserver.authn import Authenticator
from argosy.engine.apiserver.http import serve
from argosy.engine.apiserver.pki import Authority, signing_key
from argosy.engine.apiserver.settings import ApiSettings
from argosy.engine.controllers import service as controllers
from argosy.engine.controllers.settings import ControllerSettings
from argosy.engine.network.settings import NetworkSettings
from argosy.engine.node.agent import NodeAgent
from argosy.engine.node.images.builder import Images
from argosy.engine.node.records import remove_memory
from argosy.engine.node.runtime.probe import open_runtime
from argosy.engine.node.runtime.spec import Level
from argosy.engine.node.settings import NodeSettings
from argosy.engine.scheduler import loop as scheduler
from argosy.engine.store import Store
from argosy.operators import build
from argosy.operators.settings import OperatorSettings

_API_PORT, _INGRESS_PORT = 6443, 8080
_ENGINE = User("system:argosy-engine", frozenset({"system:masters", "system:authenticated"}))
_SETTLE_SECONDS = 10.0


class Engine:
    """One engine's parts, put together. `open` makes what the services share; `close` lets go of it."""

    def __init__(self, settings: Settings, layout: Layout, clock: Clock | None = None) -> None:
        self._settings = settings
        self._layout = layout
        self._clock = clock or SystemClock()
        self._remembered = last_state(layout)

    async def open(self) -> None:
        """Make everything that does not run by itself. Raises UserError for what a person can mend."""
        settings, layout, now = self._settings, self._layout, self._clock.now()
        self._api_socket = ports.listen(settings.api_port, self._old_port("server"), _API_PORT, what="the API server")
        self._ingress_socket = ports.listen(
            settings.ingress_port, self._old_port("ingress"), _INGRESS_PORT, what="Ingress"
        )
        self._runtime = open_runtime(layout.home, settings.isolation)
        self._addresses = addresses(self._runtime.level, layout.home)
        self._authority = Authority(layout.pki, now)
        self._store = await Store.open(layout.store)
        port = self._api_socket.getsockname()[1]
        api_settings = ApiSettings(
            service_cidr=self._addresses.service_cidr,
            ca_pem=self._authority.pem,
            signing_key_pem=signing_key(layout.pki),
            server_address=f"127.0.0.1:{port}",
            api_port=port,
            clock=self._clock,
        )
        self._app = App(self._store, api_settings)
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
            Service("runtime", self._run_runtime, restart=False),
            Service("API server inside the cluster", self._serve_inside),
            Service("controllers", self._run_controllers),
            Service("scheduler", self._run_scheduler),
            Service("node", self._run_node),
            Service("network", self._run_network),
            Service("operators", self._run_operators),
        )

    def state(self) -> EngineState:
        """What `argosy status` reads."""
        return EngineState(
            pid=os.getpid(),
            start_time=start_time(os.getpid()),
            server=self._server,
            ingress=f"http://127.0.0.1:{self._ingress_socket.getsockname()[1]}",
            kubeconfig=str(self._layout.kubeconfig),
            isolation=self._runtime.level,
            version=__version__,
            started_at=rfc3339(self._clock.now()),
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
        async with serve(self._app, self._api_socket, self._tls, self._authenticator):
            ready()
            await asyncio.Event().wait()

    async def _install_kinds(self, ready: Ready) -> None:
        await bootstrap.install(self._client)
        ready()
        await asyncio.Event().wait()

    async def _run_runtime(self, ready: Ready) -> None:
        await self._runtime.start()
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
        settings = ControllerSettings(volumes_dir=self._layout.volumes, ca_pem=self._authority.pem)
        await _while_ready(ready, controllers.run(self._client, settings, self._clock, informers=self._informers))

    async def _run_scheduler(self, ready: Ready) -> None:
        await _while_ready(ready, scheduler.run(self._client, self._clock, informers=self._informers))

    async def _run_node(self, ready: Ready) -> None:
        port = self._api_socket.getsockname()[1]
        inside = self._runtime.level is Level.L2
        settings = NodeSettings(
            home=self._layout.home,
            nodes=self._settings.nodes,
            pod_cidr=self._addresses.pod_cidr,
            dns_address=self._addresses.dns,
            cluster_domain=CLUSTER_DOMAIN,
            api_host=self._addresses.api_service if inside else "127.0.0.1",
            api_port=443 if inside else port,
        )
        agent = NodeAgent(
            self._client,
            self._runtime,
            Images(self._layout.home),
            settings,
            self._clock,
        )
        self._app.nodes = agent
        await _while_ready(ready, agent.run())

    async def _run_network(self, ready: Ready) -> None:
        settings = NetworkSettings(
            level=self._runtime.level,
            dns_address=self._addresses.dns,
            cluster_domain=CLUSTER_DOMAIN,
            ingress_socket=self._ingress_socket.dup(),
        )
        await _while_ready(
            ready,
            network.run(self._client, self._runtime.network, settings, self._clock, informers=self._informers),
        )

    async def _run_operators(self, ready: Ready) -> None:
        operators = build(OperatorSettings(), self._clock)
        await _while_ready(ready, run_operators(self._client, operators, clock=self._clock, informers=self._informers))

    def _old_port(self, field: str) -> int:
        url = getattr(self._remembered, field, "") or ""
        port = url.rpartition(":")[2]
        return int(port) if port.isdigit() else 0


async def _while_ready(ready: Ready, body: Awaitable[object]) -> None:
    """For parts that catch up by themselves and hold nobody up: ready at once."""
    ready()
    await body
