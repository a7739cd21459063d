"""Rules of a ResourceClaim's status: what the scheduler allocated, for whom, and what drivers say of the devices."""

from __future__ import annotations

import ipaddress
import re
from uuid import UUID

from argosy.meta import causes, names
from argosy.meta.json import Obj, encode
from argosy.meta.rules.conditions import well_formed
from argosy.meta.rules.devices import (
    PARAMETERS_MAX,
    Names,
    binding_conditions,
    configuration,
    distinct,
    fits,
    pool_name,
    raw,
    request_name,
    request_names,
    requests_of,
)
from argosy.meta.rules.fields import Found, one_of, required, say, unchanged_form
from argosy.meta.rules.scheduling import node_selector
from argosy.meta.rules.volumes import driver_name

_MOST_CONSUMERS, _MOST_RESULTS, _MOST_CONFIGS, _MOST_ADDRESSES, _MOST_CONDITIONS = 256, 32, 64, 16, 8


def status(new: Obj, old: Obj) -> Found:
    """What changes through the claim's `status`."""
    found: Found = []
    now, before = new.get("status") or {}, old.get("status") or {}
    allocation, reserved = now.get("allocation"), now.get("reservedFor") or []
    distinct(found, "status.reservedFor", reserved, _MOST_CONSUMERS, _consumer, "uid")
    allocated = {_identity(each) for each in ((allocation or {}).get("devices") or {}).get("results") or ()}
    seen: set[str] = set()
    for index, device in enumerate(now.get("devices") or ()):
        place, identity = f"status.devices[{index}]", _identity(device)
        _device(found, place, device)
        if identity not in allocated:
            found.append(causes.invalid(place, _shown(device), "must be an allocated device in the claim"))
        if identity in seen:
            found.append(causes.duplicate(place, _shown(device)))
        seen.add(identity)
    if reserved and allocation is None:
        found.append(causes.forbidden("status.reservedFor", "may not be specified when `allocated` is not set"))
    elif new["metadata"].get("deletionTimestamp") and any(e not in before.get("reservedFor", ()) for e in reserved):
        message = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        found.append(causes.forbidden("status.reservedFor", message))
    if allocation is not None and before.get("allocation") is not None:
        unchanged_form(found, "status.allocation", "resource.AllocationResult", allocation, before["allocation"])
    elif allocation is not None:
        _allocation(found, "status.allocation", allocation, requests_of(new["spec"]))
    return found


def _identity(device: Obj) -> str:
    parts = [device.get(field) or "" for field in ("driver", "pool", "device", "shareID")]
    return "/".join(parts if parts[3] else parts[:3])


def _shown(device: Obj) -> Obj:
    fields = {"Driver": "driver", "Pool": "pool", "Device": "device", "ShareID": "shareID"}
    return {name: device.get(field) or "" for name, field in fields.items()}


def live(now: Obj, before: Obj) -> list[Obj]:
    """What drivers say of devices, without those that the claim had and has no more."""

    def results(status: Obj) -> set[str]:
        return {_identity(e) for e in ((status.get("allocation") or {}).get("devices") or {}).get("results") or ()}

    lost = results(before) - results(now)
    return [each for each in now.get("devices") or () if _identity(each) not in lost]


def _consumer(found: Found, path: str, consumer: Obj) -> None:
    for field in ("resource", "name", "uid"):
        required(found, f"{path}.{field}", consumer.get(field))


def _allocation(found: Found, path: str, allocation: Obj, known: Names) -> None:
    devices = allocation.get("devices") or {}
    results, configs = devices.get("results") or (), devices.get("config") or ()
    if fits(found, f"{path}.devices.results", results, _MOST_RESULTS):
        for index, result in enumerate(results):
            place = f"{path}.devices.results[{index}]"
            request_name(found, f"{place}.request", result.get("request") or "", known)
            _named(found, place, result)
            binding_conditions(found, place, result)
    if fits(found, f"{path}.devices.config", configs, _MOST_CONFIGS):
        for index, config in enumerate(configs):
            place, source = f"{path}.devices.config[{index}]", config.get("source") or ""
            if required(found, f"{place}.source", source):
                one_of(found, f"{place}.source", source, ("FromClaim", "FromClass"))
            request_names(found, f"{place}.requests", config.get("requests") or (), known)
            configuration(found, place, config)
    if allocation.get("nodeSelector") is not None:
        node_selector(found, f"{path}.nodeSelector", allocation["nodeSelector"])


def _named(found: Found, path: str, device: Obj) -> None:
    """What a device is called."""
    driver_name(found, f"{path}.driver", device.get("driver") or "")
    pool_name(found, f"{path}.pool", device.get("pool") or "")
    name = device.get("device") or ""
    say(found, f"{path}.device", name, names.label(name))
    share = device.get("shareID")
    if share is not None:
        say(found, f"{path}.shareID", share, _bad_uid(share))


def _bad_uid(text: str) -> list[str]:
    forms = (36, 36 + 9, 38, 32)
    if len(text) not in forms:
        return [f"error validating uid: invalid UUID length: {len(text)}"]
    try:
        UUID(text)
    except ValueError:
        return ["error validating uid: invalid UUID format"]
    if len(text) != 36 or text != text.lower():
        form = "`xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters"
        return [f"uid must be in RFC 4122 normalized form, {form}"]
    return []


def _device(found: Found, path: str, device: Obj) -> None:
    _named(found, path, device)
    conditions = device.get("conditions") or ()
    fits(found, f"{path}.conditions", conditions, _MOST_CONDITIONS)
    well_formed(found, f"{path}.conditions", conditions)
    if device.get("data") is not None and len(encode(device["data"])) <= PARAMETERS_MAX:
        raw(found, f"{path}.data", device["data"])
    elif device.get("data") is not None:
        found.append(causes.too_long(f"{path}.data", PARAMETERS_MAX))
    network, path = device.get("networkData") or {}, f"{path}.networkData"
    for field, most in (("interfaceName", 256), ("hardwareAddress", 128)):
        if len((network.get(field) or "").encode()) > most:
            found.append(causes.too_long(f"{path}.{field}", most))
    distinct(found, f"{path}.ips", network.get("ips") or (), _MOST_ADDRESSES, _address)


def _address(found: Found, path: str, text: str) -> None:
    try:
        if "/" not in text or not re.fullmatch("[0-9]+", text.rpartition("/")[2]):
            raise ValueError
        address = ipaddress.ip_interface(text)
    except ValueError:
        message = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        found.append(causes.invalid(path, text, message))
        return
    if str(address) != text:
        found.append(causes.invalid(path, text, f'must be in canonical form ("{address}")'))
