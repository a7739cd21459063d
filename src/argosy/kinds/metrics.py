"""What `kubectl top` reads: the use of nodes and pods, measured when asked, never stored."""

from __future__ import annotations

from argosy.kinds.cells import AGE, column
from argosy.meta.kind import Kind

_READ_ONLY = ("get", "list")

NODE_METRICS = Kind(
    "metrics.k8s.io", "v1beta1", "NodeMetrics", "nodes", namespaced=False, verbs=_READ_ONLY,
    columns=(column("CPU", "usage", "cpu"), column("Memory", "usage", "memory"), column("Window", "window"), AGE),
)  # fmt: skip
POD_METRICS = Kind(
    "metrics.k8s.io", "v1beta1", "PodMetrics", "pods", verbs=_READ_ONLY,
    columns=(column("Window", "window"), AGE),
)  # fmt: skip

ALL = (NODE_METRICS, POD_METRICS)
