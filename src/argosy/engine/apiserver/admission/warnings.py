"""What is valid and most likely not meant: the warnings that come with pods and what makes them."""

from __future__ import annotations

from collections.abc import Iterator

from argosy import kinds
from argosy.engine.apiserver.admission.podsecurity import TEMPLATES
from argosy.engine.apiserver.calls import Call
from argosy.meta import names, quantity
from argosy.meta.json import Obj, dig

_NULL_SELECTOR = "a null labelSelector results in matching no pod"
_BYTES = ("memory", "ephemeral-storage", "storage")


def review(call: Call, obj: Obj, old: Obj | None) -> None:
    """Warn of a pod, or of what makes pods, when it is written with a new spec."""
    kind = call.served.storage
    if call.target.subresource or (old is not None and old.get("spec") == obj.get("spec")):
        return
    if kind is kinds.POD:
        call.warnings += [*_name(obj), *_spec(obj.get("spec") or {}, "spec")]
    elif kind in TEMPLATES:
        path = TEMPLATES[kind]
        call.warnings += _spec(dig(obj, *path, "spec", default={}), ".".join((*path, "spec")))


def _name(pod: Obj) -> Iterator[str]:
    faults = names.label(pod["metadata"].get("name") or "")
    if faults:
        yield (
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is"
            f" recommended: [{' '.join(faults)}]"
        )


def _spec(spec: Obj, path: str) -> Iterator[str]:
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        if constraint.get("labelSelector") is None:
            yield f"{path}.topologySpreadConstraints[{index}].labelSelector: {_NULL_SELECTOR}"
    yield from _affinity(spec.get("affinity") or {}, f"{path}.affinity")
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield from _container(container, f"{path}.{field}[{index}]")


def _affinity(affinity: Obj, path: str) -> Iterator[str]:
    for side in ("podAffinity", "podAntiAffinity"):
        for when, inner in (
            ("requiredDuringSchedulingIgnoredDuringExecution", ""),
            ("preferredDuringSchedulingIgnoredDuringExecution", "podAffinityTerm"),
        ):
            for index, term in enumerate(dig(affinity, side, when, default=())):
                wanted = term.get(inner) or {} if inner else term
                if wanted.get("labelSelector") is None:
                    place = f"{path}.{side}.{when}[{index}]" + (f".{inner}" if inner else "")
                    yield f"{place}.labelSelector: {_NULL_SELECTOR}"


def _container(container: Obj, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or ()):
        name = variable.get("name", "")
        if name in seen:
            yield f'{path}.env[{index}]: hides previous definition of "{name}", which may be dropped when using apply'
        seen.add(name)
    for side in ("limits", "requests"):
        for name, amount in sorted(dig(container, "resources", side, default={}).items()):
            if name in _BYTES and quantity.parse(amount).nanos % quantity.NANO:
                why = f'fractional byte value "{amount}" is invalid, must be an integer'
                yield f"{path}.resources.{side}[{name}]: {why}"
