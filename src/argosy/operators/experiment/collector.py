"""Where a trial's metrics are read: Katib's `metricsCollectorSpec`, and what a file needs to be read from outside. Pure.

A file is gone with its container, so a pod that writes one gets a sidecar that prints it: the file as it grows and, when the
pod ends, once more as a whole. Everything else needs nothing in the pod.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from argosy.meta.json import Obj, dig, thaw
from argosy.operators.search import metrics
from argosy.operators.search.metrics import Wanted
from argosy.operators.search.reading import AGAIN

STDOUT, FILE, PROMETHEUS = "StdOut", "File", "PrometheusMetric"
KINDS = (STDOUT, FILE, PROMETHEUS)
SIDECAR = "metrics-collector"
_VOLUME = "metrics-volume"
_FILE, _PAGE, _PORT = "/var/log/katib/metrics.log", "/metrics", 8080
_ELSEWHERE = {
    "Push": "Katib's report_metrics() speaks gRPC with its database, which is not run here",
    "None": "nothing would tell the metrics",
    "Custom": "a custom collector reports to Katib's database, which is not run here",
    "TensorFlowEvent": "event files are not read here",
}
_SCRIPT = r"""
trap 'kill $tail; printf "AGAIN\n"; cat "$METRICS_FILE"; exit 0' TERM INT
mkdir -p "$(dirname "$METRICS_FILE")"; touch "$METRICS_FILE"
tail -n +1 -f "$METRICS_FILE" & tail=$!
while :; do wait $tail; sleep 1; done
""".replace("AGAIN", AGAIN.replace("\x1e", r"\036"))


@dataclass(frozen=True, slots=True)
class Collector:
    """A `metricsCollectorSpec` with Katib's defaults in their places."""

    kind: str
    path: str
    """The file's, or the page's."""
    port: int
    as_json: bool
    formats: tuple[str, ...]

    def wanted(self, names: tuple[str, ...], marks: tuple[int, ...]) -> Wanted:
        """What to look for in what is read."""
        return Wanted(names, self.formats, self.as_json, marks)

    @property
    def page(self) -> str:
        """Port and path of the page to scrape; empty where there is none."""
        return f"{self.port}{self.path}" if self.kind == PROMETHEUS else ""


def spec_of(given: Obj | None) -> Obj:
    """The spec as a Trial shows it: with Katib's defaults."""
    spec: Obj = thaw(given) or {}
    spec["collector"] = {"kind": STDOUT, **(spec.get("collector") or {})}
    kind = spec["collector"]["kind"]
    if kind == FILE:
        place = dig(spec, "source", "fileSystemPath", default={}) or {}
        filled = {"kind": "File", "path": _FILE, "format": "TEXT", **place}
        spec["source"] = {**(spec.get("source") or {}), "fileSystemPath": filled}
    if kind == PROMETHEUS:
        page = dig(spec, "source", "httpGet", default={}) or {}
        spec["source"] = {**(spec.get("source") or {}), "httpGet": {"path": _PAGE, "port": _PORT, **page}}
    return spec


def read(given: Obj | None) -> Collector:
    """The collector of a spec that has no problems."""
    spec = spec_of(given)
    place = dig(spec, "source", "fileSystemPath", default={}) or {}
    page = dig(spec, "source", "httpGet", default={}) or {}
    port = str(page.get("port", _PORT))
    return Collector(
        kind=str(spec["collector"]["kind"]),
        path=str(page.get("path") or _PAGE) if spec["collector"]["kind"] == PROMETHEUS else str(place.get("path")),
        port=int(port) if port.isdecimal() else 0,
        as_json=place.get("format") == "JSON",
        formats=tuple(str(text) for text in dig(spec, "source", "filter", "metricsFormat", default=()) or ()),
    )


def problems(given: Obj | None) -> list[str]:
    """What is wrong with a `metricsCollectorSpec`."""
    spec = spec_of(given)
    kind = spec["collector"]["kind"]
    where = "spec.metricsCollectorSpec"
    if kind not in KINDS:
        why = _ELSEWHERE.get(str(kind), "there is no such kind")
        return [
            f"{where}.collector.kind {kind!r} is none of {', '.join(KINDS)}: {why}; print name=value lines and leave it out"
        ]
    collector, found = read(given), []
    if kind == FILE:
        place = spec["source"]["fileSystemPath"]
        path = PurePosixPath(collector.path)
        if place["kind"] != "File" or not path.is_absolute() or len(path.parts) < 3:
            found.append(f"{where}.source.fileSystemPath needs kind File and the whole path of a file in a directory")
        if place["format"] not in ("TEXT", "JSON"):
            found.append(f"{where}.source.fileSystemPath.format {place['format']!r} is neither TEXT nor JSON")
        if collector.as_json and dig(spec, "source", "filter"):
            found.append(f"{where}.source.filter has no use where the format is JSON: leave it out")
    if kind == PROMETHEUS and not (collector.port and collector.path.startswith("/")):
        found.append(f"{where}.source.httpGet needs a port by number and a path that begins with /")
    return found + metrics.problems(collector.formats)


def with_sidecar(job: Obj, container: str, collector: Collector, image: str) -> Obj:
    """The job with a reader of its file beside each container of this name, or the first of each pod without a name.

    Only where the collector is `File`; a job that has no such container stays as it is (see `has_container`).
    """
    made: Obj = thaw(job)
    if collector.kind == FILE:
        for pod in _pods(made):
            writer = _container(pod, container)
            if writer is not None:
                _add(pod, writer, collector.path, image)
    return made


def has_container(job: Any, container: str) -> bool:
    """Whether a template has a container of this name, or any where the name is empty."""
    return any(_container(pod, container) is not None for pod in _pods(job))


def _add(pod: Obj, writer: Obj, path: str, image: str) -> None:
    mount = next((m for m in writer.get("volumeMounts") or () if _holds(m, path)), None)
    if mount is None:
        mount = {"name": _VOLUME, "mountPath": str(PurePosixPath(path).parent)}
        pod["volumes"] = [*(pod.get("volumes") or ()), {"name": _VOLUME, "emptyDir": {}}]
        writer["volumeMounts"] = [*(writer.get("volumeMounts") or ()), mount]
    sidecar: Obj = {
        "name": SIDECAR,
        "image": image,
        "restartPolicy": "Always",
        "command": ["sh", "-c", _SCRIPT],
        "env": [{"name": "METRICS_FILE", "value": path}],
        "volumeMounts": [mount],
    }
    if writer.get("securityContext"):
        sidecar["securityContext"] = writer["securityContext"]
    pod["initContainers"] = [*(pod.get("initContainers") or ()), sidecar]


def _holds(mount: Obj, path: str) -> bool:
    return PurePosixPath(path).is_relative_to(str(mount.get("mountPath"))) and not mount.get("subPath")


def _container(pod: Obj, name: str) -> Obj | None:
    there: list[Obj] = pod["containers"]
    return next((each for each in there if not name or each.get("name") == name), None)


def _pods(value: Any) -> Iterator[Obj]:
    """Every pod's spec in a job, of whatever kind: what has containers with images."""
    if isinstance(value, dict):
        containers = value.get("containers")
        if isinstance(containers, list) and all(isinstance(each, dict) and each.get("image") for each in containers):
            yield value
        for item in value.values():
            yield from _pods(item)
    elif isinstance(value, list):
        for item in value:
            yield from _pods(item)
