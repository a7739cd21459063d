"""Joining the process group that a training operator has described in the environment.

Reads `RANK`, `WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT` as torchrun and every operator set them; without them, or
alone, there is no process group. The rendezvous listens on the pod's own address, so several jobs may use the same port
where pods share the host's. Used by `pretrain`; any script may do the same, none has to.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

LOST_PEER = 138
"""Exit code of a rank whose peer is gone: retryable by Kubeflow's rule for `restartPolicy: ExitCode` (128 and above)."""
_JOIN_SECONDS = 300
_SIOCGIFADDR = 0x8915


@dataclass(frozen=True, slots=True)
class Gang:
    """A process's place among its peers."""

    rank: int = 0
    size: int = 1
    address: str = ""
    port: int = 0

    @property
    def leads(self) -> bool:
        """Whether this is the rank that logs and saves."""
        return self.rank == 0


def from_environ(environ: Mapping[str, str]) -> Gang:
    """Read the environment. Raises ValueError that names the variable at fault."""
    size = _number(environ, "WORLD_SIZE", 1)
    if size == 1:
        return Gang()
    rank, port = _number(environ, "RANK", 0), _number(environ, "MASTER_PORT", 29500)
    if not 0 <= rank < size:
        raise ValueError(f"RANK={rank} is not between 0 and WORLD_SIZE={size}")
    address = environ.get("MASTER_ADDR", "")
    if not address:
        raise ValueError(f"WORLD_SIZE={size} needs MASTER_ADDR, the name of rank 0")
    return Gang(rank, size, address, port)


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdigit():
        raise ValueError(f"{name}={text} is not a whole number")
    return int(text)


def join(gang: Gang, pod_ip: str) -> None:
    """Form the gloo process group, waiting up to five minutes for the peers. Nothing to do alone.

    `pod_ip` is the address to listen on; empty for all of them. Raises OSError when the port is taken.
    """
    if gang.size == 1:
        return
    import torch.distributed as dist  # noqa: PLC0415  (takes seconds; the pure parts above are wanted without)

    interface = interface_of(pod_ip)
    if interface:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
    patience = timedelta(seconds=_JOIN_SECONDS)
    options: dict[str, object] = {"timeout": patience, "wait_for_workers": False}
    if gang.leads:
        listener = socket.create_server((pod_ip, gang.port), backlog=128)
        options["master_listen_fd"] = listener.detach()
        host = pod_ip or "127.0.0.1"
    else:
        host = _resolve(gang.address, gang.port, _JOIN_SECONDS)
    store: Any = dist.TCPStore(host, gang.port, gang.size, gang.leads, **options)
    dist.init_process_group("gloo", store=store, rank=gang.rank, world_size=gang.size, timeout=patience)


def leave(gang: Gang) -> None:
    """Take leave of the peers; the last collective has been done."""
    if gang.size > 1:
        import torch.distributed as dist  # noqa: PLC0415

        dist.barrier()
        dist.destroy_process_group()


def _resolve(host: str, port: int, seconds: float) -> str:
    """The master's address; a name appears a moment after its pod does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return str(socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
        except socket.gaierror as error:
            if time.monotonic() > deadline:
                raise ConnectionError(
                    f"{host} does not resolve: {error.strerror}; is the master pod running?"
                ) from None
            time.sleep(0.2)


def interface_of(address: str) -> str:
    """The network interface that gloo must use for this address; empty to leave it to gloo."""
    if not address:
        return ""
    if address.startswith("127."):
        return "lo"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return ""
