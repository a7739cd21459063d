"""The kind `ray.io/v1 RayCluster`; RayJob and RayService make and read it too."""

from __future__ import annotations

from argosy.meta.kind import Column, Kind
from argosy.operators.ray.names import GROUP, VERSION
from argosy.operators.ray.schema import CLUSTER_SPEC, CLUSTER_STATUS, kind_schema

RAY_CLUSTER = Kind(
    group=GROUP,
    version=VERSION,
    kind="RayCluster",
    plural="rayclusters",
    categories=("all",),
    subresources=frozenset({"status"}),
    columns=(
        Column("desired workers", path=".status.desiredWorkerReplicas", type="integer"),
        Column("available workers", path=".status.availableWorkerReplicas", type="integer"),
        Column("cpus", path=".status.desiredCPU"),
        Column("memory", path=".status.desiredMemory"),
        Column("gpus", path=".status.desiredGPU"),
        Column("tpus", path=".status.desiredTPU", priority=1),
        Column("status", path=".status.state"),
        Column("age", path=".metadata.creationTimestamp", type="date"),
        Column("head pod IP", path=".status.head.podIP", priority=1),
        Column("head service IP", path=".status.head.serviceIP", priority=1),
    ),
    schema=kind_schema(CLUSTER_SPEC, CLUSTER_STATUS),
)
