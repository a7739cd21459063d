"""The operators against any cluster, from outside it: what `argosy operators` runs.

Nothing else of Argosy is needed there: a client, the kinds' CRDs, a lease so that one instance leads, and the operators.
A kind whose official operator already runs in the cluster is left to it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence

from argosy import kinds
from argosy.client.client import Client
from argosy.client.http import HttpTransport
from argosy.client.kubeconfig import Access
from argosy.client.metadata import MetadataOnly
from argosy.clock import SystemClock
from argosy.control.capabilities import capabilities_of
from argosy.control.lease import Candidacy, lead
from argosy.control.runner import run_operators
from argosy.errors import AlreadyExists, NotFound
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import name_of
from argosy.operators import ALL, build
from argosy.operators.install import choose, missing, objects, unserved
from argosy.operators.offer import Offer
from argosy.operators.settings import OperatorSettings

LEASE_NAMESPACE, LEASE_NAME = "kube-system", "argosy-operators"
_UNTIL_SERVED_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
"""How long to wait between tries for a kind that was defined a moment ago."""


async def operate(access: Access, settings: OperatorSettings, tell: Callable[[str], None]) -> None:
    """Install the kinds that are missing and run the operators until cancelled. `tell` hears what a person should know.

    Raises ApiError or ConnectionError when the cluster cannot be prepared.
    """
    clock = SystemClock()
    client = Client(HttpTransport(access), field_manager="argosy-operators")
    try:
        deployments = await client.list(kinds.DEPLOYMENT)
        choice = choose(ALL, deployments.items)
        operators = build(settings, clock, choice.offers)
        for sentence in choice.left_alone:
            tell(sentence)
        await _install(client, choice.offers, tell)
        identity = f"{socket.gethostname()}_{os.getpid()}"

        async def body() -> None:
            tell(f"{identity} leads; reconciling {', '.join(o.kinds[0].resource for o in operators)}")
            await run_operators(client, operators, clock=clock)

        tell(f"waiting for the lease {LEASE_NAMESPACE}/{LEASE_NAME}")
        await lead(client, Candidacy(identity, LEASE_NAMESPACE, LEASE_NAME), body, clock=clock)
    finally:
        await client.close()


async def _install(client: Client, offers: Sequence[Offer], tell: Callable[[str], None]) -> None:
    """The CRDs of all kinds, for tools that list them; what comes along only with the kinds that are ours here."""
    definitions = await client.through(MetadataOnly).list(kinds.CUSTOM_RESOURCE_DEFINITION)
    present = {name_of(crd) for crd in definitions.items}
    for sentence in unserved(present, await capabilities_of(client), offers):
        tell(sentence)
    for crd in missing(present):
        try:
            await client.create(kinds.CUSTOM_RESOURCE_DEFINITION, crd)
            tell(f"installed {name_of(crd)}")
        except AlreadyExists:
            continue  # another instance was quicker
    for kind, obj in objects(offers):
        await _make(client, kind, obj)


async def _make(client: Client, kind: Kind, obj: Obj) -> None:
    """Create an object, unless it is there. A server takes a moment to serve a kind that has just been defined."""
    tries = iter(_UNTIL_SERVED_SECONDS)
    while True:
        try:
            await client.create(kind, obj)
        except AlreadyExists:
            return
        except NotFound:
            wait_seconds = next(tries, None)
            if wait_seconds is None:
                raise
            await asyncio.sleep(wait_seconds)
        else:
            return
