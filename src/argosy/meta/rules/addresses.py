"""Rules of addresses and blocks of them, as every kind that names one is held against them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from argosy.meta import causes
from argosy.meta.rules.fields import Found

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_BLOCK = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_LEADING = re.compile(r"(?<![0-9a-fA-F:.])0+(?=[0-9])|(?<=\.)0+(?=[0-9])")


def sloppy(text: str) -> Address | None:
    """An address, also with the leading zeros that old clients write; None for what is none."""
    try:
        return ipaddress.ip_address(_LEADING.sub("", text) if ":" not in text else text)
    except ValueError:
        return None


def sloppy_block(text: str) -> Network | None:
    """A block of addresses, bits beyond its length or not; None for what is none."""
    host, slash, length = text.partition("/")
    base = sloppy(host)
    if base is None or not slash or re.fullmatch("[0-9]+", length) is None or int(length) > base.max_prefixlen:
        return None
    return ipaddress.ip_network((base, int(length)), strict=False)


def address(found: Found, path: str, text: str, kept: Collection[str] = ()) -> bool:
    """An address in its one true form, unless it stood there before (`kept`); whether it is good."""
    if text in kept:
        return True
    value, before = sloppy(text), len(found)
    if value is None:
        found.append(causes.invalid(path, text, _ADDRESS))
        return False
    if ":" not in text and _LEADING.search(text):
        found.append(causes.invalid(path, text, "must not have leading 0s"))
    if isinstance(value, ipaddress.IPv6Address) and value.ipv4_mapped is not None:
        found.append(causes.invalid(path, text, "must not be an IPv4-mapped IPv6 address"))
    return len(found) == before


def block(found: Found, path: str, text: str, kept: Collection[str] = ()) -> bool:
    """A block of addresses in its one true form, unless it stood there before (`kept`); whether it is good."""
    if text in kept:
        return True
    value = sloppy_block(text)
    if value is None:
        found.append(causes.invalid(path, text, _BLOCK))
        return False
    host, _, length = text.partition("/")
    plain = sloppy(host)
    if (":" not in host and _LEADING.search(host)) or (len(length) > 1 and length.startswith("0")):
        found.append(causes.invalid(path, text, "must not have leading 0s in IP or prefix length"))
    elif isinstance(plain, ipaddress.IPv6Address) and plain.ipv4_mapped is not None:
        found.append(causes.invalid(path, text, "must not have an IPv4-mapped IPv6 address"))
    elif plain != value.network_address:
        found.append(causes.invalid(path, text, "must not have bits set beyond the prefix length"))
    else:
        return True
    return False


def endpoint(found: Found, path: str, text: str, *, local: bool = False) -> None:
    """An address that traffic can be sent to from anywhere, or also from this machine alone (`local`)."""
    value = sloppy(text)
    if value is None:
        found.append(causes.invalid(path, text, "must be a valid IP address"))
        return
    if value.is_unspecified:
        found.append(causes.invalid(path, text, f"may not be unspecified ({text})"))
    if value.is_loopback and not local:
        found.append(causes.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if value.is_link_local:
        found.append(causes.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    multicast = "ff02::/16" if value.version == 6 else "224.0.0.0/24"
    if value in ipaddress.ip_network(multicast):
        found.append(
            causes.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
        )
