"""Slices of at most a hundred endpoints that change as little as can be, and the old Endpoints object. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.engine.controllers.endpointslice.endpoints import Group, groups_of
from argosy.engine.controllers.endpointslice.mirroring import groups_of_subsets, is_mirrored
from argosy.engine.controllers.pods import suffix
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan
from argosy.kinds import ENDPOINT_SLICE, ENDPOINTS, POD, SERVICE
from argosy.meta.json import Obj, dig, encode
from argosy.meta.objects import is_deleting, key_of, labels_of, name_of, namespace_of, owner_reference, uid_of

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_MANAGER = "endpointslice-controller.k8s.io"
_MIRRORING = "endpointslicemirroring-controller.k8s.io"
_HEADLESS = "service.kubernetes.io/headless"
_SLICE_MAX = 100
_ENDPOINTS_MAX = 1000


def plan(seen: Observed) -> Plan:
    """Bring the slices in line with the pods."""
    service = seen.subject
    spec = service.get("spec") or {}
    if is_deleting(service) or spec.get("type") == "ExternalName":
        return Plan()
    manager = _MANAGER if spec.get("selector") else _MIRRORING
    existing = [slice for slice in seen.of(ENDPOINT_SLICE) if not is_deleting(slice)]
    other = _MIRRORING if manager is _MANAGER else _MANAGER
    actions: list[Action] = [_delete(slice) for slice in existing if labels_of(slice).get(MANAGED_BY) == other]
    mine = [slice for slice in existing if labels_of(slice).get(MANAGED_BY) == manager]
    if manager is _MANAGER:
        groups = groups_of(service, seen.related.get(POD, ()))
        actions += _slices(service, groups or [Group([], [])], mine, manager)
        actions += _endpoints(service, groups, [*seen.of(ENDPOINTS), *seen.related.get(ENDPOINTS, ())])
    else:
        written = [each for each in seen.related.get(ENDPOINTS, ()) if is_mirrored(each)]
        groups = groups_of_subsets(subset for each in written for subset in each.get("subsets") or ())
        actions += _slices(service, groups, mine, manager)
    return Plan(tuple(actions))


def _slices(service: Obj, groups: Sequence[Group], existing: Sequence[Obj], manager: str) -> list[Action]:
    actions: list[Action] = []
    by_ports: dict[bytes, list[Obj]] = {}
    for slice in existing:
        by_ports.setdefault(encode(slice.get("ports") or []), []).append(slice)
    spare = list(existing)
    names = {name_of(slice) for slice in existing}
    for group in groups:
        mine = by_ports.get(encode(group.ports), [])
        spare = [slice for slice in spare if slice not in mine]
        chunks = _distribute(group.endpoints, mine)
        for number, (slice, chunk) in enumerate(zip(mine, chunks, strict=False)):
            if not chunk and (number or any(g.endpoints for g in groups)):  # one slice stays, if only to say "none"
                actions.append(_delete(slice))
            else:
                actions += _update(_labels(service, manager), slice, group.ports, chunk)
        for chunk in chunks[len(mine) :]:
            if spare:  # a slice whose ports are wanted no more serves for others
                actions += _update(_labels(service, manager), spare.pop(0), group.ports, chunk)
            else:
                made = _new(service, group.ports, chunk, names)
                made["metadata"]["labels"] = _labels(service, manager)
                actions.append(Create(ENDPOINT_SLICE, made))
    actions += [_delete(slice) for slice in spare]
    return actions


def _delete(slice: Obj) -> Delete:
    return Delete(ENDPOINT_SLICE, key_of(slice), uid=uid_of(slice))


def _distribute(endpoints: Sequence[Obj], slices: Sequence[Obj]) -> list[list[Obj]]:
    """Endpoints stay in the slice they are in; new ones fill the room that is left, then new slices."""
    wanted = {_identity(endpoint): endpoint for endpoint in endpoints}
    chunks: list[list[Obj]] = []
    for slice in slices:
        kept = [_identity(endpoint) for endpoint in slice.get("endpoints") or ()]
        chunks.append([wanted.pop(each) for each in kept if each in wanted])
    if not slices:
        chunks.append([])
    for endpoint in wanted.values():
        room = next((chunk for chunk in chunks if len(chunk) < _SLICE_MAX), None)
        if room is None:
            chunks.append(room := [])
        room.append(endpoint)
    return chunks


def _identity(endpoint: Obj) -> str:
    return str(dig(endpoint, "targetRef", "uid") or endpoint["addresses"][0])


def _update(labels: dict[str, str], slice: Obj, ports: list[Obj], endpoints: list[Obj]) -> list[Action]:
    patch: Obj = {}
    if (slice.get("endpoints") or []) != endpoints:
        patch["endpoints"] = endpoints
    if (slice.get("ports") or []) != ports:
        patch["ports"] = ports
    had = labels_of(slice)
    if had != labels:
        patch["metadata"] = {"labels": {**dict.fromkeys(had.keys() - labels.keys()), **labels}}
    return [Patch(ENDPOINT_SLICE, key_of(slice), patch, uid=uid_of(slice))] if patch else []


def _new(service: Obj, ports: list[Obj], endpoints: list[Obj], names: set[str]) -> Obj:
    number = 0
    while (name := f"{name_of(service)}-{suffix(uid_of(service), number)}") in names:
        number += 1
    names.add(name)
    return {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": namespace_of(service),
            "ownerReferences": [owner_reference(service, SERVICE)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    }


def _labels(service: Obj, manager: str) -> dict[str, str]:
    labels = {**labels_of(service), SERVICE_LABEL: name_of(service), MANAGED_BY: manager}
    if dig(service, "spec", "clusterIP") == "None":
        labels[_HEADLESS] = ""
    return labels


def _endpoints(service: Obj, groups: Sequence[Group], existing: Sequence[Obj]) -> list[Action]:
    """The object of old, for those who still read it."""
    subsets = [subset for group in groups if (subset := _subset(group))]
    mine = next((e for e in existing if name_of(e) == name_of(service)), None)
    if mine is not None:
        if (mine.get("subsets") or []) == subsets:
            return []
        return [Patch(ENDPOINTS, key_of(mine), {"subsets": subsets or None}, uid=uid_of(mine))]
    made: Obj = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": name_of(service),
            "namespace": namespace_of(service),
            "labels": {**labels_of(service), "endpoints.kubernetes.io/managed-by": "endpoint-controller"},
            "ownerReferences": [owner_reference(service, SERVICE)],
        },
    }
    if subsets:
        made["subsets"] = subsets
    return [Create(ENDPOINTS, made)]


def _subset(group: Group) -> Obj:
    ready: list[Obj] = []
    waiting: list[Obj] = []
    for endpoint in group.endpoints[:_ENDPOINTS_MAX]:
        address: Obj = {"ip": endpoint["addresses"][0], "targetRef": endpoint["targetRef"]}
        address |= {k: endpoint[k] for k in ("hostname", "nodeName") if k in endpoint}
        if endpoint["conditions"]["ready"]:
            ready.append(address)
        elif not endpoint["conditions"]["terminating"]:
            waiting.append(address)
    subset: Obj = {}
    if ready:
        subset["addresses"] = ready
    if waiting:
        subset["notReadyAddresses"] = waiting
    if subset and group.ports:
        subset["ports"] = [{k: v for k, v in port.items() if k != "name" or v} for port in group.ports]
    return subset
