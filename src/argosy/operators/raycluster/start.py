"""The command that makes a container a Ray node: `ray start` from `rayStartParams`, as KubeRay generates it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from argosy.meta import quantity
from argosy.meta.json import Obj, decode, dig, encode
from argosy.operators.ray import names
from argosy.operators.ray.cluster import Cluster

_WITH_VALUE = ("log-color", "include-dashboard", "include-log-monitor")
"""Flags of `ray start` that take true or false as a value; all others are there or not."""
_ACCELERATORS = {"aws.amazon.com/neuroncore": "neuron_cores", "google.com/tpu": "TPU"}


def head_params(cluster: Cluster) -> dict[str, str]:
    """The head's parameters, completed."""
    params = _given(cluster.head)
    params.setdefault("dashboard-host", "0.0.0.0")
    _everywhere(params)
    if cluster.autoscales:
        params["no-monitor"] = "true"
    options: Obj = cluster.spec.get("gcsFaultToleranceOptions") or {}
    if cluster.fault_tolerant and options.get("backend") != "rocksdb":
        for option in ("username", "password"):
            if options.get(f"redis{option.capitalize()}") is not None:
                params[f"redis-{option}"] = f"$REDIS_{option.upper()}"
    return params


def worker_params(cluster: Cluster, spec: Obj) -> dict[str, str]:
    """A worker group's parameters, completed."""
    params = _given(spec)
    params.setdefault("address", f"{cluster.address}:{cluster.gcs_port}")
    _everywhere(params)
    return params


def command(kind: str, params: Mapping[str, str], container: Obj) -> str:
    """The `ray start` of a head or a worker; what the container may use becomes what Ray may use."""
    flags = "".join(_flag(name, value) for name, value in sorted(_with_resources(params, container).items()))
    return f"ray start --head {flags}" if kind == names.HEAD else f"ray start {flags}"


def wrapped(container: Obj, start: str, *, overwrite: bool) -> None:
    """Put the command into a thawed container: after the user's own, or not at all where that starts Ray itself."""
    own = " ".join([*(container.get("command") or ()), *(container.get("args") or ())])
    if overwrite or "ray start" in own:
        return
    generated = f"ulimit -n ${{RAY_START_ULIMIT_OPEN_FILES:-65536}}; {start}"
    container["command"] = list(names.SHELL)
    container["args"] = [f"{own} && {generated}" if own else generated]


def _given(spec: Obj) -> dict[str, str]:
    params = {name: str(value) for name, value in (spec.get("rayStartParams") or {}).items()}
    resources: dict[str, float] = {}
    for name, amount in (spec.get("resources") or {}).items():
        try:
            parsed = quantity.parse(amount)
        except ValueError:
            continue
        kind = name.lower()
        if kind in ("cpu", "memory") or _is_gpu(kind):
            params[{"cpu": "num-cpus", "memory": "memory"}.get(kind, "num-gpus")] = str(parsed.value)
        else:
            resources[name] = _number(parsed.nanos / quantity.NANO)
    if resources:
        params["resources"] = _quoted(resources)
    labels: Mapping[str, str] = spec.get("labels") or {}
    if labels:
        params["labels"] = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    return params


def _everywhere(params: dict[str, str]) -> None:
    params.setdefault("metrics-export-port", str(names.METRICS_PORT))
    params.setdefault("dashboard-agent-listen-port", str(names.AGENT_PORT))
    params["block"] = "true"


def _with_resources(given: Mapping[str, str], container: Obj) -> dict[str, str]:
    params = dict(given)
    limits: Obj = dig(container, "resources", "limits", default={})
    cpu = _amount(limits, "cpu") or _amount(dig(container, "resources", "requests", default={}), "cpu")
    if cpu:
        params.setdefault("num-cpus", str(cpu))
    memory = _amount(limits, "memory")
    if memory:
        params.setdefault("memory", str(memory))
    custom = _resources_of(params)
    taken = custom is None or any(name in custom for name in _ACCELERATORS.values())
    for name in sorted(limits):
        amount = _amount(limits, name)
        if amount and _is_gpu(name):
            params.setdefault("num-gpus", str(amount))
        elif amount and not taken and custom is not None and name in _ACCELERATORS:
            custom[_ACCELERATORS[name]] = amount
            params["resources"] = _quoted(custom)
            taken = True
    return params


def _resources_of(params: Mapping[str, str]) -> dict[str, float] | None:
    """`--resources` as a map; None where it is not one, and is then left as it is."""
    try:
        value = decode(params.get("resources", "{}").strip("'\"` "))
    except ValueError:
        return None
    return dict(value) if isinstance(value, dict) else None


def _amount(resources: Obj, name: str) -> int:
    return quantity.value_of(resources[name]) if name in resources else 0


def _is_gpu(name: str) -> bool:
    return name.endswith("gpu") or name.startswith("nvidia.com/mig-")


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def _quoted(resources: Mapping[str, float]) -> str:
    return f"'{encode(dict(sorted(resources.items()))).decode()}'"


def _flag(name: str, value: str) -> str:
    """Two blanks between flags, as KubeRay writes them: people compare the commands."""
    if value.lower() in ("true", "false") and name not in _WITH_VALUE:
        return f" --{name} " if value.lower() == "true" else ""
    return f" --{name}={value} "
