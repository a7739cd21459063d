"""HTTPS for Ingress: which certificate a host name gets, and how TLS is told from plain HTTP on one port.

`IngressProxy` serves both on its port: a TLS client's first byte is none that begins an HTTP request. Certificates come from
the Secrets that `spec.tls` names, chosen by the name that the client asks for (SNI); a Secret that changes counts from the
next connection on.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import socket
import ssl
from collections.abc import Callable
from typing import NoReturn

from argosy.control.informer import Informer
from argosy.control.pool import Informers
from argosy.engine.network.ingress import tls_secrets
from argosy.kinds import SECRET
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, version_of

_HANDSHAKE = b"\x16"
_FIRST_BYTE_SECONDS = 75.0
_HANDSHAKE_SECONDS = 10.0


class Certificates:
    """The certificates of all Ingresses of ours."""

    def __init__(self, informers: Informers, ingresses: Informer, classes: Callable[[], frozenset[str]]) -> None:
        self._informers, self._ingresses, self._classes = informers, ingresses, classes
        self._secrets: Informer | None = None
        self._hosts: dict[str, Key] | None = None
        self._contexts: dict[Key, tuple[str, ssl.SSLContext]] = {}
        self._front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._front.sni_callback = self._choose

    @property
    def front(self) -> ssl.SSLContext:
        """What a connection begins with, before the client has said which host it wants."""
        return self._front

    def changed(self) -> None:
        """Ingresses have changed."""
        self._hosts = None

    async def trouble(self, ingress: Obj) -> str:
        """What is wrong with an Ingress's certificates, as a sentence with the next step; empty when nothing is."""
        for host, key in tls_secrets([ingress], self._classes()).items():
            await self._followed().synced()
            try:
                self._context(key)
            except (LookupError, ValueError) as error:
                return f"{host or 'every host'} is not served by HTTPS: {error}"
        return ""

    def _followed(self) -> Informer:
        """The Secrets, followed from the first Ingress with TLS on."""
        if self._secrets is None:
            self._secrets = self._informers.of(SECRET, fields="type=kubernetes.io/tls")
        return self._secrets

    def _choose(self, line: ssl.SSLSocket | ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> int | None:
        if self._hosts is None:
            self._hosts = tls_secrets(self._ingresses.items(), self._classes())
        name = (host or "").lower()
        key = self._hosts.get(name) or self._hosts.get("*." + name.partition(".")[2]) or self._hosts.get("")
        try:
            if key is None:
                return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
            line.context = self._context(key)
        except (LookupError, ValueError):
            return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
        return None

    def _context(self, key: Key) -> ssl.SSLContext:
        """Raises LookupError, ValueError with a sentence."""
        secret = self._followed().get(key)
        if secret is None:
            raise LookupError(
                f"there is no Secret {key} of type kubernetes.io/tls; create it: kubectl create secret tls"
            )
        known = self._contexts.get(key)
        if known is not None and known[0] == version_of(secret):
            return known[1]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        _load(context, secret, key)
        self._contexts[key] = (version_of(secret), context)
        return context


def _load(context: ssl.SSLContext, secret: Obj, key: Key) -> None:
    """OpenSSL reads certificates from files; this one is nowhere but in memory."""
    fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        for name in ("tls.key", "tls.crt"):
            os.write(fd, base64.b64decode(dig(secret, "data", name, default="")) + b"\n")
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    except (ssl.SSLError, binascii.Error) as error:
        raise ValueError(
            f"Secret {key} holds no certificate with its key ({error}); mend tls.crt and tls.key"
        ) from None
    finally:
        os.close(fd)


async def accept(
    listener: socket.socket, serve: Callable[[], asyncio.Protocol], certificates: Certificates
) -> NoReturn:
    """Take connections, plain and TLS, until cancelled."""
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    async with asyncio.TaskGroup() as group:
        while True:
            try:
                line, _ = await loop.sock_accept(listener)
            except OSError:
                await asyncio.sleep(0.1)  # out of descriptors, say
                continue
            group.create_task(_begin(line, serve, certificates))


async def _begin(line: socket.socket, serve: Callable[[], asyncio.Protocol], certificates: Certificates) -> None:
    loop = asyncio.get_running_loop()
    line.setblocking(False)
    try:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(_FIRST_BYTE_SECONDS):
            first = await _first_byte(line)
        context = certificates.front if first == _HANDSHAKE else None
        patience = _HANDSHAKE_SECONDS if context is not None else None
        await loop.connect_accepted_socket(serve, line, ssl=context, ssl_handshake_timeout=patience)
    except (OSError, TimeoutError):
        line.close()
    except BaseException:
        line.close()
        raise


async def _first_byte(line: socket.socket) -> bytes:
    """The first byte that the client sends, left where it is."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def arrived() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(line.fileno(), arrived)
    try:
        await ready
    finally:
        loop.remove_reader(line.fileno())
    return line.recv(1, socket.MSG_PEEK)
