"""Which model names lead where: a table made from InferenceServices and EndpointSlices.

Pure; `discovery` rebuilds it when either changes. A model is known by its InferenceService's name, by the name that its
server was told (`--model_name`), and each LoRA adapter by its own. Where two namespaces use one name, the older
InferenceService has it, and `namespace/name` reaches either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from argosy.clock import parse_time
from argosy.meta.json import Obj, decode, dig
from argosy.meta.objects import Key, annotations_of, key_of, labels_of

LABEL_SERVICE = "serving.kserve.io/inferenceservice"
LABEL_OWNER = "kubernetes.io/service-name"
PREFIX_ANNOTATION = "argosy.dev/openai-prefix"
_FRAMEWORKS = (
    "model", "huggingface", "lightgbm", "onnx", "paddle", "pmml", "pytorch", "sklearn", "tensorflow", "triton",
    "xgboost",
)  # fmt: skip
_KSERVES_SERVER = "huggingfaceserver"
_LORA = "--lora-modules"
_MODEL_NAME = ("--model_name", "--model-name", "--served-model-name", "--served_model_name")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a model's requests go."""

    model: str
    """The name that was asked for."""
    service: Key
    upstream: str
    """The name that the server knows it by."""
    parent: str = ""
    """An adapter's base model."""
    created: int = 0


@dataclass(frozen=True, slots=True)
class Backend:
    """One InferenceService's replicas."""

    ready: frozenset[tuple[str, int]] = frozenset()
    draining: frozenset[tuple[str, int]] = frozenset()
    """Not to be asked any more, but may still be answering."""
    limit: int = 0
    """`containerConcurrency`: the most requests at a replica; 0 for any number."""
    prefix: str = ""
    """What stands before `/v1` in the server's paths."""


@dataclass(frozen=True, slots=True)
class Table:
    """All routes and replicas at one moment."""

    routes: Mapping[str, Route] = field(default_factory=dict)
    listed: tuple[Route, ...] = ()
    """One route per model, for `GET /v1/models`."""
    backends: Mapping[Key, Backend] = field(default_factory=dict)


def build(services: Iterable[Obj], slices: Iterable[Obj]) -> Table:
    """The table for these InferenceServices and EndpointSlices."""
    ordered = sorted(services, key=lambda s: (str(s["metadata"].get("creationTimestamp") or ""), key_of(s)))
    routes: dict[str, Route] = {}
    listed: list[Route] = []
    for service in ordered:
        key = key_of(service)
        for number, route in enumerate(_routes(service)):
            if number == 0 or route.model not in routes:
                name = route.model if route.model not in routes else f"{key.namespace}/{route.model}"
                listed.append(Route(name, key, route.upstream, route.parent, route.created))
            routes.setdefault(route.model, route)
            routes.setdefault(f"{key.namespace}/{route.model}", route)
    ready: dict[Key, set[tuple[str, int]]] = {}
    draining: dict[Key, set[tuple[str, int]]] = {}
    for slice in slices:
        _collect(slice, ready, draining)
    backends = {key_of(service): _backend(service, ready, draining) for service in ordered}
    return Table(routes, tuple(_distinct(listed)), backends)


def served_names(service: Obj) -> tuple[str, list[str]]:
    """(the name that the server goes by, its adapters' names), from the arguments that it is given."""
    args = _arguments(service)
    name, adapters, option = str(service["metadata"]["name"]), list[str](), ""
    for arg in args:
        if arg.startswith("--"):
            option, equals, value = arg.partition("=")
            if not equals:
                continue
        else:
            value = arg
        if option in _MODEL_NAME and value:
            name, option = value, ""
        elif option == _LORA:
            adapters += _adapter(value)
    return name, adapters


def _adapter(value: str) -> list[str]:
    """`name=path`, or vLLM's JSON form `{"name": …, "path": …}`."""
    if value.startswith("{"):
        try:
            return [str(decode(value)["name"])]
        except (ValueError, KeyError, TypeError):
            return []
    name = value.partition("=")[0]
    return [name] if name else []


def _routes(service: Obj) -> list[Route]:
    key = key_of(service)
    created = _epoch(str(service["metadata"].get("creationTimestamp") or ""))
    upstream, adapters = served_names(service)
    routes = [Route(key.name, key, upstream, "", created)]
    if upstream != key.name:
        routes.append(Route(upstream, key, upstream, "", created))
    return routes + [Route(name, key, name, key.name, created) for name in adapters]


def _distinct(listed: list[Route]) -> list[Route]:
    """A service and its server's own name are one model: the first of them is listed."""
    seen: set[tuple[Key, str]] = set()
    kept = []
    for route in listed:
        if (route.service, route.upstream) not in seen:
            seen.add((route.service, route.upstream))
            kept.append(route)
    return kept


def _arguments(service: Obj) -> list[str]:
    predictor = dig(service, "spec", "predictor", default={})
    for name in _FRAMEWORKS:
        if isinstance(predictor.get(name), dict):
            return [str(arg) for arg in predictor[name].get("args") or ()]
    containers = predictor.get("containers") or [{}]
    return [str(arg) for arg in (*(containers[0].get("command") or ()), *(containers[0].get("args") or ()))]


def _backend(
    service: Obj, ready: Mapping[Key, set[tuple[str, int]]], draining: Mapping[Key, set[tuple[str, int]]]
) -> Backend:
    key = key_of(service)
    limit = dig(service, "spec", "predictor", "containerConcurrency", default=0)
    given = annotations_of(service).get(PREFIX_ANNOTATION)
    alive = frozenset(ready.get(key, ()))
    return Backend(
        ready=alive,
        draining=frozenset(draining.get(key, ())) - alive,
        limit=int(limit),
        prefix=given.rstrip("/") if given is not None else _prefix(service),
    )


def _prefix(service: Obj) -> str:
    """KServe's own server keeps OpenAI's paths under a prefix; every other one has them where OpenAI does."""
    images = [dig(service, "spec", "predictor", name, "image", default="") for name in _FRAMEWORKS]
    runtimes = [
        dig(service, "status", name, default="") for name in ("clusterServingRuntimeName", "servingRuntimeName")
    ]
    return "/openai" if any(_KSERVES_SERVER in str(name) for name in (*images, *runtimes)) else ""


def _collect(slice: Obj, ready: dict[Key, set[tuple[str, int]]], draining: dict[Key, set[tuple[str, int]]]) -> None:
    labels = labels_of(slice)
    name, port = labels.get(LABEL_SERVICE, ""), dig(slice, "ports", 0, "port")
    if not name or not port or labels.get(LABEL_OWNER) != f"{name}-predictor":
        return
    key = Key(key_of(slice).namespace, name)
    for endpoint in slice.get("endpoints") or ():
        conditions = endpoint.get("conditions") or {}
        alive = conditions.get("ready") is not False
        place = ready if alive else draining
        place.setdefault(key, set()).update((str(address), int(port)) for address in endpoint.get("addresses") or ())


def _epoch(stamp: str) -> int:
    try:
        return int(parse_time(stamp).timestamp())
    except ValueError:
        return 0
