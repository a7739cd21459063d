"""The parts of the server that its verbs share, put together once by `app`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from argosy.engine.apiserver.addresses import ServiceAddresses
from argosy.engine.apiserver.authz import Authorizer
from argosy.engine.apiserver.backends import NodeAccess
from argosy.engine.apiserver.background import Background
from argosy.engine.apiserver.quotas import Recount
from argosy.engine.apiserver.schemas import Schemas
from argosy.engine.apiserver.served import Registry
from argosy.engine.apiserver.settings import ApiSettings
from argosy.engine.apiserver.tokens import Tokens
from argosy.engine.store import Store
from argosy.errors import ServiceUnavailable
from argosy.meta.kind import Kind

_NODES_ARRIVE_WITHIN_SECONDS = 10.0


@dataclass(slots=True)
class Api:
    """What every verb may use."""

    store: Store
    settings: ApiSettings
    registry: Registry
    schemas: Schemas
    authorizer: Authorizer
    addresses: ServiceAddresses
    tokens: Tokens
    nodes: NodeAccess | None
    reaper: Background
    """Removes the objects of CustomResourceDefinitions that are being deleted."""
    aggregator: Background
    """Keeps aggregated cluster roles up to date."""
    recount: Recount
    """Which namespaces' quotas have to be counted anew."""
    counter: Background
    """Counts them."""
    noticed: Callable[[Kind], None] = lambda kind: None
    """Told of the kind of every durable write."""
    nodes_arrived: asyncio.Event | None = field(default=None)
    """Set once the node agent that is about to start serves; None where none is to come."""

    async def reach_nodes(self, otherwise: str) -> NodeAccess:
        """The way to running pods; while the agent is starting, a request waits for it rather than fail.

        Raises ServiceUnavailable with `otherwise` where no node runs pods.
        """
        if self.nodes is None and self.nodes_arrived is not None:
            try:
                async with asyncio.timeout(_NODES_ARRIVE_WITHIN_SECONDS):
                    await self.nodes_arrived.wait()
            except TimeoutError:
                pass
        if self.nodes is None:
            raise ServiceUnavailable(otherwise)
        return self.nodes
