"""Which program answers for a Service's port: what proxies, extension API servers and webhooks connect to."""

from __future__ import annotations

import base64
import ssl
from functools import lru_cache
from ipaddress import ip_address

from argosy import kinds
from argosy.engine.apiserver.api import Api
from argosy.engine.apiserver.exchange import Peer
from argosy.engine.store import Store
from argosy.errors import BadRequest, ServiceUnavailable
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key


def endpoint(store: Store, namespace: str, name: str, port: Obj) -> tuple[str, int] | None:
    """Address and port of one that is ready behind the Service `name`; `port` is an entry of its `spec.ports`."""
    for record in store.list(kinds.ENDPOINT_SLICE.resource, namespace):
        slice_ = record.obj
        if (slice_["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != name:
            continue
        numbers = [p["port"] for p in slice_.get("ports") or () if (p.get("name") or "") == (port.get("name") or "")]
        for each in slice_.get("endpoints") or ():
            if numbers and dig(each, "conditions", "ready", default=True) and each.get("addresses"):
                return str(each["addresses"][0]), int(numbers[0])
    return None


def refuse_strangers(store: Store, host: str) -> None:
    """Who may write endpoints must not reach what listens on this machine alone. Raises BadRequest."""
    try:
        address = ip_address(host)
    except ValueError:
        raise BadRequest("address not allowed") from None
    if address.is_loopback:  # below L2 pods have addresses there
        allowed = any(dig(pod.obj, "status", "podIP") == host for pod in store.list(kinds.POD.resource))
    else:
        allowed = not (address.is_link_local or address.is_multicast or address.is_unspecified)
    if not allowed:
        raise BadRequest("address not allowed")


def port_of(service: Obj, number: int) -> Obj | None:
    """The entry of `spec.ports` with that number."""
    ports: list[Obj] = dig(service, "spec", "ports", default=[])
    return next((port for port in ports if port.get("port") == number), None)


async def service_peer(api: Api, namespace: str, name: str, number: int, tls: ssl.SSLContext) -> Peer:
    """Who answers for a port of a Service that the server itself asks; its certificate must name `NAME.NAMESPACE.svc`.

    Raises ServiceUnavailable with what is missing, BadRequest for an address that no pod has.
    """
    record = api.store.newest(kinds.SERVICE.resource, Key(namespace, name))
    if record is None:
        raise ServiceUnavailable(f'service "{name}" not found')
    port = port_of(record.obj, number)
    if port is None:
        raise ServiceUnavailable(f'no service port {number} found for service "{name}"')
    found = endpoint(api.store, namespace, name, port)
    if found is None:
        raise ServiceUnavailable(f'no endpoints available for service "{name}"')
    refuse_strangers(api.store, found[0])
    nodes = await api.reach_nodes("no node runs pods here, so there is nothing to connect to")
    return Peer(*found, nodes.socket, tls, f"{name}.{namespace}.svc")


def trust(bundle: str) -> ssl.SSLContext:
    """A new context that trusts the authorities in a `caBundle` (base64 of PEM), or this machine's where it is empty.

    Raises ValueError for a bundle that is none.
    """
    try:
        pem = base64.b64decode(bundle).decode("ascii")
        return ssl.create_default_context(cadata=pem or None)
    except (ValueError, ssl.SSLError) as error:
        raise ValueError(f"unable to load root certificates: {error}") from None


trusting = lru_cache(maxsize=64)(trust)
"""The same, one context a bundle: making one takes longer than using it."""
