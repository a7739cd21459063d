"""The engine's settings: read from the command line and the environment here, and nowhere else.

`Settings` is what a person chose; `Layout` says where in the home directory each thing lies; `Addresses` are the ranges
that follow from the isolation level. `argosy up` makes them, the composition root hands each part what it needs.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from argosy.engine.node.demands import ALLOWABLE
from argosy.engine.node.runtime.spec import Level
from argosy.errors import UserError

CLUSTER_DOMAIN = "cluster.local"
SYSTEM_NAMESPACE = "argosy-system"


@dataclass(frozen=True, slots=True)
class Settings:
    """One engine's settings. Ports of 0 mean: the one used last time, else the usual one, else any free one."""

    home: Path
    isolation: Level | None = None
    """None: the best level that the machine allows."""
    nodes: int = 1
    token_auth_file: Path | None = None
    """kube-apiserver's format: `token,user,uid,"group1,group2"`."""
    api_port: int = 0
    ingress_port: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie under `$ARGOSY_HOME`."""

    home: Path

    @property
    def state(self) -> Path:
        """What a running engine says of itself (pid, server, …)."""
        return self.home / "engine.json"

    @property
    def lock(self) -> Path:
        """Held by the engine while it lives: one engine a home."""
        return self.home / "engine.lock"

    @property
    def log(self) -> Path:
        """The engine's own log."""
        return self.home / "engine.log"

    @property
    def store(self) -> Path:
        """The database of objects."""
        return self.home / "store.db"

    @property
    def pki(self) -> Path:
        """Keys and certificates, readable by the owner alone."""
        return self.home / "pki"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.home / "kubeconfig"

    @property
    def volumes(self) -> Path:
        """Where the local provisioner keeps the data of PersistentVolumes."""
        return self.home / "volumes"

    @property
    def pods(self) -> Path:
        """A directory a pod: logs, volumes, writable roots."""
        return self.home / "pods"

    @property
    def images(self) -> Path:
        """Built environments, content-addressed."""
        return self.home / "images"

    @property
    def oci(self) -> Path:
        """OCI images: layers and root file systems, content-addressed."""
        return self.home / "oci"

    @property
    def run(self) -> Path:
        """Sockets and pid files."""
        return self.home / "run"


@dataclass(frozen=True, slots=True)
class Addresses:
    """The address ranges of one engine."""

    pod_cidr: str
    service_cidr: str
    node_cidr: str = ""
    """Where pods meet the nodes; empty where that is this machine's own network."""

    @property
    def first_node(self) -> str:
        """The first node's address there, if there is such a range."""
        return str(ipaddress.ip_network(self.node_cidr)[1]) if self.node_cidr else ""

    @property
    def api_service(self) -> str:
        """The ClusterIP of the Service `kubernetes`: the first address of the range."""
        return str(ipaddress.ip_network(self.service_cidr)[1])

    @property
    def dns(self) -> str:
        """The cluster's DNS server: the tenth."""
        return str(ipaddress.ip_network(self.service_cidr)[10])


def addresses(level: Level, home: Path) -> Addresses:
    """L2 has a network of its own; below it every home takes another slice of 127.0.0.0/8, so that two engines on one
    machine do not meet.
    """
    if level is Level.L2:
        return Addresses("10.64.0.0/16", "10.96.0.0/16", "10.95.0.0/16")
    slice_ = 64 + hashlib.sha256(str(home).encode()).digest()[0] % 62
    return Addresses(f"127.{slice_}.0.0/17", f"127.{slice_}.128.0/17")


def home_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """`$ARGOSY_HOME`, or `~/.argosy`."""
    chosen = environ.get("ARGOSY_HOME")
    return Path(chosen).expanduser().absolute() if chosen else Path.home() / ".argosy"


def allowed_demands(environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """What pods may demand of this machine beyond the ordinary: `$ARGOSY_ALLOW`, `hostNetwork,privileged`. Raises
    UserError.
    """
    allowed = frozenset(filter(None, environ.get("ARGOSY_ALLOW", "").replace(" ", "").split(",")))
    unknown = sorted(allowed - ALLOWABLE)
    if unknown:
        raise UserError(
            f"ARGOSY_ALLOW names {', '.join(unknown)}, which nobody can allow",
            f"write some of {','.join(sorted(ALLOWABLE))}",
        )
    return allowed


def prepare(settings: Settings) -> Layout:
    """Make the home's directories. Raises UserError when that is impossible."""
    layout = Layout(settings.home)
    try:
        for directory in (layout.home, layout.pki, layout.volumes, layout.pods, layout.images, layout.run):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UserError(
            f"{settings.home} cannot be used as the home: {error.strerror}",
            "set ARGOSY_HOME to a directory that you may write to",
        ) from None
    if len(str(layout.run / "holder.sock")) > 100:
        raise UserError(f"the path {settings.home} is too long for Unix sockets", "choose a shorter ARGOSY_HOME")
    return layout
