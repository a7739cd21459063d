"""What all pod workers of an engine share: one value, made by the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from argosy.client.client import Client
from argosy.clock import Clock
from argosy.control.events import EventRecorder
from argosy.engine.node.accelerators import Accelerators
from argosy.engine.node.addresses import Addresses
from argosy.engine.node.demands import Abilities
from argosy.engine.node.names import HostNames
from argosy.engine.node.pulling import ImagePuller
from argosy.engine.node.records import Records
from argosy.engine.node.references import References
from argosy.engine.node.runtime.spec import Level, Runtime
from argosy.engine.node.settings import NodeSettings
from argosy.engine.node.statuses import Statuses
from argosy.meta.json import Obj


def turns(level: Level) -> asyncio.Semaphore:
    """How many sandboxes and containers are made at once: at L0 one, since links on the host may clash."""
    return asyncio.Semaphore(1 if level is Level.L0 else 8)


@dataclass(slots=True)
class Shared:
    """The agent's own parts, as its workers use them."""

    client: Client
    runtime: Runtime
    puller: ImagePuller
    settings: NodeSettings
    clock: Clock
    references: References
    addresses: Addresses
    records: Records
    statuses: Statuses
    events: EventRecorder
    abilities: Abilities
    allocatable: Callable[[str], Mapping[str, str]]
    """What a node (its name) can give."""
    accelerators: Accelerators
    names: HostNames | None
    """The cluster's host names, for levels without DNS."""
    admit: Callable[[Obj, str], Awaitable[None]]
    """(pod, its address) -> done when the network is ready for the pod."""
    gone: Callable[[str], None]
    """Told when nothing of a pod (its uid) is left."""
    turns: asyncio.Semaphore
    """A flood of pods starts one after the other rather than all slowly at once."""
