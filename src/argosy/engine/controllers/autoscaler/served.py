"""Metrics that are not of the pods' resources: where the API serves them, and what is in its answers. Pure.

`custom.metrics.k8s.io` has values of pods and of other objects, `external.metrics.k8s.io` those of the world outside; an
adapter serves them. `probe` fetches, `metrics` computes.
"""

from __future__ import annotations

from urllib.parse import quote

from argosy.engine.controllers.autoscaler.behavior import amount
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import namespace_of
from argosy.meta.selectors import from_object

_CUSTOM = ("/apis/custom.metrics.k8s.io/v1beta2", "/apis/custom.metrics.k8s.io/v1beta1")
_EXTERNAL = ("/apis/external.metrics.k8s.io/v1beta1",)


def identity(metric: Obj, source: str) -> Obj:
    """`metric` of a source: its name and selector."""
    found: Obj = dig(metric, source, "metric", default={})
    return found


def object_of(metric: Obj) -> tuple[str, str] | None:
    """(apiVersion, kind) of the object that a metric is about; None for another sort of metric."""
    described = dig(metric, "object", "describedObject")
    return (str(described.get("apiVersion") or "v1"), str(described["kind"])) if described else None


def paths(autoscaler: Obj, metric: Obj, pods: str, kind: Kind | None) -> tuple[str, ...]:
    """Where a metric may be served, the newest version first; none for a metric of resources.

    `pods` is the selector of the target's pods, `kind` that of the described object.
    """
    namespace = namespace_of(autoscaler)
    if metric.get("type") == "External":
        wanted = identity(metric, "external")
        query = _query(labelSelector=_selector(wanted))
        return tuple(f"{base}/namespaces/{namespace}/{quote(str(wanted['name']))}{query}" for base in _EXTERNAL)
    if metric.get("type") == "Pods":
        wanted = identity(metric, "pods")
        query = _query(labelSelector=pods, metricLabelSelector=_selector(wanted))
        return tuple(f"{base}/namespaces/{namespace}/pods/*/{quote(str(wanted['name']))}{query}" for base in _CUSTOM)
    if metric.get("type") == "Object" and kind is not None:
        wanted = identity(metric, "object")
        name = quote(str(metric["object"]["describedObject"]["name"]))
        plural = f"{kind.plural}.{kind.group}" if kind.group else kind.plural
        about = f"{plural}/{name}/{quote(str(wanted['name']))}{_query(metricLabelSelector=_selector(wanted))}"
        place = f"/namespaces/{namespace}" if kind.namespaced else ""
        return tuple(f"{base}{place}/{about}" for base in _CUSTOM)
    return ()


def values(answer: Obj) -> dict[str, float]:
    """The values in an answer by the name of the object they are about; of the world outside by their place."""
    found: dict[str, float] = {}
    for number, item in enumerate(answer.get("items") or ()):
        name = dig(item, "describedObject", "name") or str(number)
        found[str(name)] = amount(item.get("value") or "0")
    return found


def _selector(metric: Obj) -> str:
    return str(from_object(metric["selector"])) if metric.get("selector") else ""


def _query(**parameters: str) -> str:
    given = [f"{name}={quote(value)}" for name, value in parameters.items() if value]
    return f"?{'&'.join(given)}" if given else ""
