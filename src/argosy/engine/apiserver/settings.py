"""What the API server is told when it starts; the composition root makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from argosy.clock import Clock, SystemClock

SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc.cluster.local"
AUDIENCE = "https://kubernetes.default.svc"


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of one API server."""

    service_cidr: str = "10.96.0.0/16"
    """ClusterIPs are taken from here; the first address is the API's own, the tenth the DNS server's."""
    node_ports: tuple[int, int] = (30000, 32767)
    """First and last port that NodePort Services may take."""
    ca_pem: str = ""
    """The certificate authority that clients verify the server by; goes into every namespace's `kube-root-ca.crt`."""
    token_volume_config_maps: tuple[tuple[str, str], ...] = (
        ("kube-root-ca.crt", "ca.crt"),
        ("openshift-service-ca.crt", "service-ca.crt"),
    )
    """Config maps, with the key, that every pod's token volume shows beside the token; the first is the authority's.
    The second is what builds of Kubernetes that vouch for Services add (docs/differences.md tells why it is here)."""
    front_proxy: Callable[[], tuple[Path, Path]] | None = None
    """Makes, or finds, the certificate and key by which extension API servers know this one; None: it has none."""
    signing_key_pem: bytes = b""
    """EC P-256 private key for service-account tokens; without it tokens are refused."""
    server_address: str = ""
    """`host:port`, as /api reports it."""
    api_port: int = 6443
    """The port on which the server listens: the target of the Service `kubernetes`."""
    toleration_seconds: int = 300
    """How long pods stay on a node that is not ready or cannot be reached, unless they say it themselves."""
    platform: str = "linux/amd64"
    untracked: frozenset[str] = frozenset({"system:argosy-engine"})
    """Users whose creates leave no record of who owns which field: the engine's own components, whose objects nobody
    applies. What somebody else made stays tracked, whoever writes to it."""
    clock: Clock = field(default_factory=SystemClock)
    bookmark_seconds: float = 60.0
    """How often an idle watch that asked for bookmarks gets one."""
