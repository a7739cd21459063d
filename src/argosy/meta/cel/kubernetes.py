"""Kubernetes' own functions of CEL: quantities, addresses and networks, URLs, versions, named formats."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from argosy.meta import formats, names, quantity
from argosy.meta.cel.functions import Table
from argosy.meta.cel.values import NOTHING, EvalError, Opaque, Optional
from argosy.meta.quantity import NANO, Quantity

_IP, _CIDR, _URL, _SEMVER, _FORMAT = (
    "net.IP",
    "net.CIDR",
    "kubernetes.URL",
    "kubernetes.Semver",
    "kubernetes.NamedFormat",
)
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)


def _possible(make: Callable[..., Any]) -> Callable[..., bool]:
    """`isX`: whether `x` of the same text has a value."""

    def run(*args: Any) -> bool:
        try:
            make(*args)
        except EvalError:
            return False
        return True

    return run


def _quantity(text: str) -> Quantity:
    try:
        return quantity.parse(text)
    except ValueError:
        raise EvalError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'") from None  # fmt: skip


def _as_quantity(value: Any) -> Quantity:
    return value if isinstance(value, Quantity) else quantity.parse(str(value))


def _as_integer(value: Quantity) -> int:
    if value.nanos % NANO:
        raise EvalError("cannot convert value to integer")
    return value.nanos // NANO


def _sign(left: int, right: int) -> int:
    return (left > right) - (left < right)


def _order(value: Any) -> Any:
    return value.nanos if isinstance(value, Quantity) else value.value


def _compare(left: Any, right: Any) -> int:
    return _sign(_order(left), _order(right))


def _ip(text: str) -> Opaque:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise EvalError(f'IP Address {text!r} parse error during conversion from string: ParseAddr("{text}")') from None
    if isinstance(found, ipaddress.IPv6Address) and (found.ipv4_mapped or found.scope_id):
        raise EvalError(f"IPv4-mapped IPv6 address and zones are not allowed: {text}")
    return Opaque(_IP, found)


def _cidr(text: str) -> Opaque:
    try:
        address, slash, _ = text.partition("/")
        if not slash or "." in text.partition("/")[2]:
            raise ValueError(text)
        return Opaque(_CIDR, ipaddress.ip_interface(f"{_ip(address).value}/{text.partition('/')[2]}"))
    except (ValueError, EvalError):
        raise EvalError(f"network address parse error during conversion from string: {text}") from None


def _contains_ip(network: Opaque, wanted: Any) -> bool:
    address = (wanted if isinstance(wanted, Opaque) else _ip(wanted)).value
    return bool(address.version == network.value.version and address in network.value.network)


def _contains_cidr(network: Opaque, wanted: Any) -> bool:
    inner = (wanted if isinstance(wanted, Opaque) else _cidr(wanted)).value.network
    outer = network.value.network
    return bool(inner.version == outer.version and inner.subnet_of(outer))


def _global(address: Any) -> bool:
    return not (
        address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
        or str(address) == "255.255.255.255"
    )  # fmt: skip


def _url(text: str) -> Opaque:
    if not formats.fits("uri", text) or not (urlsplit(text).scheme or text.startswith("/")):
        raise EvalError(f"URL parse error during conversion from string: parse {text!r}: invalid URI for request")
    return Opaque(_URL, text)


def _host(url: Opaque) -> str:
    return str(urlsplit(url.value).netloc.rpartition("@")[2])


def _port(url: Opaque) -> str:
    return _host(url).rpartition("]")[2].partition(":")[2]


def _hostname(url: Opaque) -> str:
    host = _host(url)
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _semver(text: str, normalize: bool = False) -> Opaque:
    if normalize:
        parts = text.removeprefix("v").split(".")
        text = ".".join(
            part.lstrip("0") or "0" if part.isdigit() else part for part in [*parts, "0", "0"][: max(3, len(parts))]
        )
    match = _VERSION.fullmatch(text)
    if match is None:
        raise EvalError(f"Invalid character(s) found in version number {text!r}")
    major, minor, patch, before = match.groups()
    marks = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in (before or "").split(".") if part)
    # A version before a release orders below the release.
    return Opaque(_SEMVER, (int(major), int(minor), int(patch), not marks, marks))


_FORMATS: dict[str, Callable[[str], list[str]]] = {
    "dns1123Label": names.label,
    "dns1123Subdomain": names.subdomain,
    "dns1035Label": names.label_1035,
    "qualifiedName": names.qualified,
    "dns1123LabelPrefix": lambda text: names.label(text.removesuffix("-") + ("a" if text.endswith("-") else "")),
    "dns1123SubdomainPrefix": lambda text: names.subdomain(
        text.removesuffix("-") + ("a" if text.endswith("-") else "")
    ),
    "dns1035LabelPrefix": lambda text: names.label_1035(text.removesuffix("-") + ("a" if text.endswith("-") else "")),
    "labelValue": names.label_value,
    "uri": lambda text: [] if formats.fits("uri", text) else ["invalid URI"],
    "uuid": lambda text: [] if formats.fits("uuid", text) else ["does not match the UUID format"],
    "byte": lambda text: [] if formats.fits("byte", text) else ["invalid base64"],
    "date": lambda text: [] if formats.fits("date", text) else ["invalid date"],
    "datetime": lambda text: [] if formats.fits("date-time", text) else ["invalid datetime"],
}


def _named(name: str) -> Optional:
    return Optional(True, Opaque(_FORMAT, name)) if name in _FORMATS else NOTHING


def _validate(format: Opaque, text: str) -> Optional:
    problems = _FORMATS[format.value](text)
    return Optional(True, problems) if problems else NOTHING


def _of(read: Callable[[Any], Any]) -> Callable[[Opaque], Any]:
    return lambda value: read(value.value)


_Q, _S = "kubernetes.Quantity", _SEMVER
_ORDERED = tuple(f"{each}.({each}): " for each in (_Q, _S))

TABLE: Table = {
    "quantity": ((f"(string): {_Q}",), _quantity),
    "isQuantity": (("(string): bool",), _possible(_quantity)),
    "sign": ((f"({_Q}): int",), lambda value: _sign(value.nanos, 0)),
    "isInteger": ((f"{_Q}.(): bool",), lambda value: value.nanos % NANO == 0),
    "asInteger": ((f"{_Q}.(): int",), _as_integer),
    "asApproximateFloat": ((f"{_Q}.(): double",), lambda value: value.nanos / NANO),
    "add": ((f"{_Q}.({_Q}): {_Q}", f"{_Q}.(int): {_Q}"), lambda one, other: one + _as_quantity(other)),
    "sub": ((f"{_Q}.({_Q}): {_Q}", f"{_Q}.(int): {_Q}"), lambda one, other: one - _as_quantity(other)),
    "isGreaterThan": (tuple(f"{each}bool" for each in _ORDERED), lambda one, other: _compare(one, other) > 0),
    "isLessThan": (tuple(f"{each}bool" for each in _ORDERED), lambda one, other: _compare(one, other) < 0),
    "compareTo": (tuple(f"{each}int" for each in _ORDERED), _compare),
    "semver": ((f"(string): {_S}", f"(string, bool): {_S}"), _semver),
    "isSemver": (("(string): bool", "(string, bool): bool"), _possible(_semver)),
    "major": ((f"{_S}.(): int",), _of(lambda version: version[0])),
    "minor": ((f"{_S}.(): int",), _of(lambda version: version[1])),
    "patch": ((f"{_S}.(): int",), _of(lambda version: version[2])),
    "ip": ((f"(string): {_IP}", f"{_CIDR}.(): {_IP}"),
           lambda value: Opaque(_IP, value.value.ip) if isinstance(value, Opaque) else _ip(value)),
    "isIP": (("(string): bool",), _possible(_ip)),
    "ip.isCanonical": (("(string): bool",), lambda text: str(_ip(text).value) == text),
    "family": ((f"{_IP}.(): int",), _of(lambda address: address.version)),
    "isUnspecified": ((f"{_IP}.(): bool",), _of(lambda address: address.is_unspecified)),
    "isLoopback": ((f"{_IP}.(): bool",), _of(lambda address: address.is_loopback)),
    "isLinkLocalMulticast": ((f"{_IP}.(): bool",), _of(
        lambda a: a in ipaddress.ip_network("224.0.0.0/24") if a.version == 4 else a in ipaddress.ip_network("ff02::/16"))),
    "isLinkLocalUnicast": ((f"{_IP}.(): bool",), _of(lambda address: address.is_link_local)),
    "isGlobalUnicast": ((f"{_IP}.(): bool",), _of(_global)),
    "cidr": ((f"(string): {_CIDR}",), _cidr),
    "isCIDR": (("(string): bool",), _possible(_cidr)),
    "containsIP": ((f"{_CIDR}.({_IP}): bool", f"{_CIDR}.(string): bool"), _contains_ip),
    "containsCIDR": ((f"{_CIDR}.({_CIDR}): bool", f"{_CIDR}.(string): bool"), _contains_cidr),
    "prefixLength": ((f"{_CIDR}.(): int",), _of(lambda network: network.network.prefixlen)),
    "masked": ((f"{_CIDR}.(): {_CIDR}",),
               lambda network: _cidr(f"{network.value.network.network_address}/{network.value.network.prefixlen}")),
    "string": ((f"({_IP}): string", f"({_CIDR}): string"), _of(str)),
    "url": ((f"(string): {_URL}",), _url),
    "isURL": (("(string): bool",), _possible(_url)),
    "getScheme": ((f"{_URL}.(): string",), _of(lambda text: urlsplit(text).scheme)),
    "getHost": ((f"{_URL}.(): string",), _host),
    "getHostname": ((f"{_URL}.(): string",), _hostname),
    "getPort": ((f"{_URL}.(): string",), _port),
    "getEscapedPath": ((f"{_URL}.(): string",), _of(lambda text: urlsplit(text).path)),
    "getQuery": ((f"{_URL}.(): map(string, list(string))",),
                 _of(lambda text: parse_qs(urlsplit(text).query, keep_blank_values=True))),
    "format.named": ((f"(string): optional_type({_FORMAT})",), _named),
    **{f"format.{name}": ((f"(): {_FORMAT}",), lambda name=name: Opaque(_FORMAT, name)) for name in _FORMATS},
    "validate": ((f"{_FORMAT}.(string): optional_type(list(string))",), _validate),
}  # fmt: skip
