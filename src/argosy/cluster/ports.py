"""Which host ports an engine listens on: the same as last time where they are free, so that kubeconfigs, bookmarks and
scripts keep working.
"""

from __future__ import annotations

import errno
import socket

from argosy.errors import UserError


def listen(wanted: int, remembered: int, usual: int, *, what: str, host: str = "127.0.0.1") -> socket.socket:
    """A listening socket on `host`. A port that was asked for by name must be free; otherwise the remembered one, then
    the usual one, then any. Raises UserError.
    """
    if wanted:
        try:
            return _bound(host, wanted)
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise UserError(f"port {wanted} for {what} {why}", "free it, or choose another port") from None
    for port in (*filter(None, (remembered, usual)), 0):
        try:
            return _bound(host, port)
        except OSError:
            continue
    raise UserError(f"no port is free for {what}", "close some program that listens")


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(1024)
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound
