"""What a cluster's administrator may choose about the operators: images, where the gateway is, and a few times.

The composition root (`argosy up`, `argosy operators`) makes one and hands it to `build`; everything has a default that
suits a cluster where the project's own images are at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "argosy.dev/"
"""Every annotation and label that is ours and not the ecosystem's starts with this."""


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Choices that hold for the whole cluster; annotations on a single object go before them."""

    init_image: str = "alpine:3.10"
    """Waits, as a worker's init container, until the master's name resolves. Needs `sh`, and `getent` or `nslookup`."""
    model_server_image: str = "argosy/torch:latest"
    """Serves InferenceServices of the format `huggingface` that name no image of their own."""
    data_loader: bytes = b""
    """The program that fetches data sets, an archive that Python runs: it travels in a ConfigMap of the job."""
    cordon: bool = True
    """Whether a node whose machine keeps ending a job's pods is cordoned."""
    cluster_domain: str = "cluster.local"
    gateway_namespace: str = "argosy-system"
    gateway_service: str = "gateway"
    gateway_port: int = 8000
    """Where the gateway's metrics are read, through the API server's Service proxy."""
    scale_target: int = 4
    """Requests in flight per replica, where an InferenceService gives no `scaleTarget`."""
    scale_down_seconds: float = 60.0
    """How long demand must stay low before replicas are taken away."""
