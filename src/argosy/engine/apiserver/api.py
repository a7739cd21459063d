"""The parts of the server that its verbs share, put together once by `app`."""

from __future__ import annotations

from dataclasses import dataclass

from argosy.engine.apiserver.addresses import ServiceAddresses
from argosy.engine.apiserver.authz import Authorizer
from argosy.engine.apiserver.backends import NodeAccess
from argosy.engine.apiserver.background import Background
from argosy.engine.apiserver.schemas import Schemas
from argosy.engine.apiserver.served import Registry
from argosy.engine.apiserver.settings import ApiSettings
from argosy.engine.apiserver.tokens import Tokens
from argosy.engine.store import Store


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
