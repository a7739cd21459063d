"""What is valid in a pod, or a template of pods, and most likely not meant. Called by `meta.warnings`. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from argosy.meta import names, quantity
from argosy.meta.json import Obj, dig
from argosy.meta.rules import addresses

NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
"""Labels of nodes that have another name now."""
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod":
        'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}  # fmt: skip
_VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_SECCOMP, _SECCOMP_OF = "seccomp.security.alpha.kubernetes.io/pod", "container.seccomp.security.alpha.kubernetes.io/"
_APPARMOR_OF = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_SAID = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_NULL_SELECTOR = "a null labelSelector results in matching no pod"
_BYTES = ("memory", "ephemeral-storage")
_KINDS = ("initContainers", "containers", "ephemeralContainers")


def warnings(owner: Obj, path: str = "") -> Iterator[str]:
    """Of a pod, or with a `path` that ends in a dot, of a template of pods."""
    spec = owner.get("spec") or {}
    marks = (owner.get("metadata") or {}).get("annotations") or {}
    yield from _places(spec, f"{path}spec")
    for key, said in _ANNOTATIONS.items() if marks else ():
        if key in marks:
            yield f"{path}metadata.annotations[{key}]: {said}"
    for index, volume in enumerate(spec.get("volumes") or ()):
        yield from _volume(volume, f"{path}spec.volumes[{index}]")
    for volume in spec.get("volumes") or ():
        yield from _overlaps(volume)
    yield from _repeated(spec, f"{path}spec")
    for name in _BYTES:
        yield from fractional(f"{path}spec.overhead[{name}]", (spec.get("overhead") or {}).get(name))
    if _SECCOMP in marks and not dig(spec, "securityContext", "seccompProfile", default=None):
        yield f"{path}metadata.annotations[{_SECCOMP}]: {_SECCOMP_SAID}"
    for container, place in _containers(spec, f"{path}spec"):
        if marks:
            yield from _marked(container, spec, marks, path)
        yield from _container(container, place)
    yield from _ports(spec, f"{path}spec")
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        yield (
            f"{path}spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated"
            " as 1"
        )
    if spec.get("affinity"):
        yield from _null_selectors(spec["affinity"], f"{path}spec.affinity")
    for index, server in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        yield from odd_address(f"{path}spec.dnsConfig.nameservers[{index}]", server)
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        yield from odd_address(f"{path}spec.hostAliases[{index}].ip", alias.get("ip") or "")


def fractional(path: str, amount: Any) -> Iterator[str]:
    """Of half a byte."""
    if amount is not None and quantity.parse(amount).nanos % quantity.NANO:
        yield f'{path}: fractional byte value "{amount}" is invalid, must be an integer'


def odd_address(path: str, text: str) -> Iterator[str]:
    """Of an address that is not written in its one true form."""
    value = addresses.sloppy(text)
    if value is not None and value.version == 6 and str(value) != text:
        yield f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{value}")'


def node_term(path: str, term: Obj, *, values: bool = False) -> Iterator[str]:
    """Of what a NodeSelectorTerm asks for."""
    for index, each in enumerate(term.get("matchExpressions") or ()):
        key = each.get("key") or ""
        if key in NODE_LABELS:
            yield f"{path}.matchExpressions[{index}].key: {key} is {NODE_LABELS[key]}"
        for number, value in enumerate(each.get("values") or () if values else ()):
            for why in names.label_value(value):
                yield f"{path}.matchExpressions[{index}].values[{number}]: {value} is invalid, {why}"


def _containers(spec: Obj, path: str) -> Iterator[tuple[Obj, str]]:
    for field in _KINDS:
        for index, container in enumerate(spec.get(field) or ()):
            yield container, f"{path}.{field}[{index}]"


def _places(spec: Obj, path: str) -> Iterator[str]:
    for key in spec.get("nodeSelector") or ():
        if key in NODE_LABELS:
            yield f"{path}.nodeSelector[{key}]: {NODE_LABELS[key]}"
    node = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    place = f"{path}.affinity.nodeAffinity"
    required, preferred = (
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    )
    for index, term in enumerate((node.get(required) or {}).get("nodeSelectorTerms") or ()):
        yield from node_term(f"{place}.{required}.nodeSelectorTerms[{index}]", term)
    for index, term in enumerate(node.get(preferred) or ()):
        yield from node_term(f"{place}.{preferred}[{index}].preference", term.get("preference") or {}, values=True)
    for index, each in enumerate(spec.get("topologySpreadConstraints") or ()):
        where, key = f"{path}.topologySpreadConstraints[{index}]", each.get("topologyKey") or ""
        if key in NODE_LABELS:
            yield f"{where}.topologyKey: {key} is {NODE_LABELS[key]}"
        if each.get("labelSelector") is None:
            yield f"{where}.labelSelector: {_NULL_SELECTOR}"


def _volume(volume: Obj, path: str) -> Iterator[str]:
    for source, said in _VOLUMES.items():
        if volume.get(source) is not None:
            yield f"{path}.{'storageOS' if source == 'storageos' else source}: {said}"
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if template:
        yield from claim_spec(f"{path}.ephemeral.volumeClaimTemplate.spec", template.get("spec") or {})


def claim_spec(path: str, spec: Obj) -> Iterator[str]:
    """Of what a claim asks for."""
    for side in ("requests", "limits"):
        amount = ((spec.get("resources") or {}).get(side) or {}).get("storage")
        yield from fractional(f"{path}.resources.{side}[storage]", amount)


def _overlaps(volume: Obj) -> Iterator[str]:
    name = volume.get("name") or ""
    for field, what, key in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
        source = volume.get(field)
        if source is not None:
            paths = [(item.get("path") or "", "", None) for item in source.get("items") or ()]
            yield from _overlapping(name, f"{what} {json.dumps(source.get(key) or '')}", paths)
    items = (volume.get("downwardAPI") or {}).get("items") or ()
    yield from _overlapping(name, "DownwardAPI", [(item.get("path") or "", "", None) for item in items])
    projected: list[tuple[str, str, str | None]] = []
    empty = False
    for source in (volume.get("projected") or {}).get("sources") or ():
        empty = empty or all(value is None for value in source.values())
        projected += _projected(source)
    if empty:
        yield f'volume "{name}" (Projected) has no sources provided'
    yield from _overlapping(name, "Projected", projected)


def _projected(source: Obj) -> Iterator[tuple[str, str, str | None]]:
    """What a source projects: a path, the sort of the source, and its name where it has one."""
    for field, what in (("configMap", "ConfigMap"), ("secret", "Secret")):
        given = source.get(field)
        if given is not None:
            for item in given.get("items") or ():
                yield item.get("path") or "", what, given.get("name") or ""
    for item in (source.get("downwardAPI") or {}).get("items") or ():
        yield item.get("path") or "", "DownwardAPI", None
    if source.get("serviceAccountToken") is not None:
        yield source["serviceAccountToken"].get("path") or "", "ServiceAccountToken", None


def _overlapping(name: str, what: str, paths: Iterable[tuple[str, str, str | None]]) -> Iterator[str]:
    before: list[tuple[str, str, str | None]] = []
    for text, sort, source in paths:
        mine = text.rstrip("/") + "/"
        if mine == "/":
            continue
        for other, its_sort, its_source in before:
            if other.startswith(mine) or mine.startswith(other):
                places = f"{_place(mine, sort, source)} with {_place(other, its_sort, its_source)}"
                yield f'volume "{name}" ({what}): overlapping paths: {places}'
        before.append((mine, sort, source))


def _place(path: str, sort: str, source: str | None) -> str:
    where = f'"{path[:-1]}"'
    if not sort:
        return where
    return f"{where} ({sort})" if source is None else f"{where} ({sort} {json.dumps(source)})"


def _repeated(spec: Obj, path: str) -> Iterator[str]:
    for field, key in (("hostAliases", "ip"), ("imagePullSecrets", "name")):
        seen: set[str] = set()
        for index, item in enumerate(spec.get(field) or ()):
            value = item.get(key) or ""
            if value in seen:
                yield f'{path}.{field}[{index}].{key}: duplicate {key} "{value}"'
            seen.add(value)
    for index, item in enumerate(spec.get("imagePullSecrets") or ()):
        if not item.get("name"):
            yield f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'


def _marked(container: Obj, spec: Obj, marks: Obj, path: str) -> Iterator[str]:
    name, context = container.get("name") or "", container.get("securityContext") or {}
    if f"{_SECCOMP_OF}{name}" in marks and context.get("seccompProfile") is None:
        yield f"{path}metadata.annotations[{_SECCOMP_OF}{name}]: {_SECCOMP_SAID}"
    key = f"{_APPARMOR_OF}{name}"
    confined = context.get("appArmorProfile") or dig(spec, "securityContext", "appArmorProfile", default=None)
    if path and key in marks and not confined:
        yield f'{path}metadata.annotations[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead'


def _container(container: Obj, path: str) -> Iterator[str]:
    asked = container.get("resources") or {}
    for name in _BYTES:
        for side in ("limits", "requests"):
            yield from fractional(f"{path}.resources.{side}[{name}]", (asked.get(side) or {}).get(name))
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or ()):
        name, value = variable.get("name") or "", variable.get("value") or ""
        reference = f"$({name})"
        if name in seen and (variable.get("valueFrom") is not None or value == reference or reference not in value):
            yield f'{path}.env[{index}]: hides previous definition of "{name}", which may be dropped when using apply'
        seen.add(name)


def _ports(spec: Obj, path: str) -> Iterator[str]:
    ports = [
        (f"{place}.ports[{index}]", port)
        for container, place in _containers(spec, path)
        for index, port in enumerate(container.get("ports") or ())
    ]
    by_number: dict[tuple[Any, Any], list[tuple[str, Obj]]] = {}
    for where, port in ports:
        if port.get("hostIP") and not port.get("hostPort"):
            yield f"{where}: hostIP set without hostPort: {_shown(port)}"
        others = by_number.setdefault((port.get("containerPort"), port.get("protocol")), [])
        for other, theirs in others:
            said = _conflict(port, theirs)
            if said:
                yield f"{where}: {said} port definition with {other}"
        others.append((where, port))
    by_name: dict[str, str] = {}
    for where, port in ports:
        name = port.get("name")
        if name and by_name.setdefault(name, where) is not where:
            other = by_name[name]
            yield (
                f'{where}: duplicate port name "{name}" with {other}, services and probes that select ports by name'
                f" will use {other}"
            )


def _shown(port: Obj) -> str:
    return (
        f"{{Name:{port.get('name') or ''} HostPort:{port.get('hostPort') or 0} ContainerPort:{port.get('containerPort') or 0}"
        f" Protocol:{port.get('protocol') or ''} HostIP:{port.get('hostIP') or ''}}}"
    )


def _conflict(port: Obj, other: Obj) -> str:
    mine, theirs = port.get("hostPort") or 0, other.get("hostPort") or 0
    here, there = port.get("hostIP") or "", other.get("hostIP") or ""
    if here == there and mine == theirs:
        return "duplicate"
    if not mine or not theirs:
        return "overlapping"
    return "dangerously ambiguous" if mine == theirs and bool(here) != bool(there) else ""


def _null_selectors(affinity: Obj, path: str) -> Iterator[str]:
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
