"""The string formats that a schema may ask for, as kube-apiserver checks them; unknown formats pass."""

from __future__ import annotations

import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date, datetime
from urllib.parse import urlsplit

from argosy.meta import names

_UUID = "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?%s[0-9a-fA-F]{3}-?%s[0-9a-fA-F]{3}-?[0-9a-fA-F]{12}"
_HEX = "[0-9a-fA-F]"
_PATTERNS = {
    "uuid": re.compile(_UUID % (_HEX, _HEX)),
    "uuid3": re.compile(_UUID % ("3", _HEX)),
    "uuid4": re.compile(_UUID % ("4", "[89abAB]")),
    "uuid5": re.compile(_UUID % ("5", "[89abAB]")),
    "bsonobjectid": re.compile("[0-9a-fA-F]{24}"),
    "hexcolor": re.compile("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "mac": re.compile("([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}|([0-9a-fA-F]{4}[.]){2}[0-9a-fA-F]{4}"),
    "hostname": re.compile(r"(?=.{1,255}\Z)[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*"),
    "email": re.compile(r"([^<>]*<)?[^@\s<>]+@[^@\s<>]+>?"),
    "duration": re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*|0|\d+ ?(ns|nano|us|micro|milli|ms|s|sec|second|min|minute|m|hr|hour|h|hours|day|d|days|wk|week|w|weeks)s?"),
}  # fmt: skip


def _raises(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _date_time(text: str) -> None:
    if re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d([.,]\d+)?([Zz]|[-+]\d\d:\d\d)", text) is None:
        raise ValueError(text)
    datetime.fromisoformat(re.sub(r"[.,]\d+", "", text).upper())


def _uri(text: str) -> None:
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise ValueError(text)
    if re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError(text)


def _byte(text: str) -> None:
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


_CHECKS: dict[str, Callable[[str], bool]] = {
    "date-time": _raises(_date_time),
    "datetime": _raises(_date_time),
    "date": lambda text: re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None and _raises(date.fromisoformat)(text),
    "ipv4": _raises(ipaddress.IPv4Address),
    "ipv6": _raises(ipaddress.IPv6Address),
    "cidr": lambda text: "/" in text and _raises(lambda each: ipaddress.ip_network(each, strict=False))(text),
    "uri": _raises(_uri),
    "byte": _raises(_byte),
    "k8s-short-name": lambda text: not names.label(text),
    "k8s-long-name": lambda text: not names.subdomain(text),
}


_KNOWN = {
    "integer": frozenset({"int32", "int64"}),
    "number": frozenset({"float", "double"}),
    "string": frozenset({
        "bsonobjectid", "uri", "email", "hostname", "ipv4", "ipv6", "cidr", "mac", "uuid", "uuid3", "uuid4", "uuid5",
        "isbn", "isbn10", "isbn13", "creditcard", "ssn", "hexcolor", "rgbcolor", "byte", "password", "date", "duration",
        "datetime", "k8sshortname", "k8slongname",
    }),
}  # fmt: skip


def known(kind: str, name: str) -> bool:
    """Whether kube-apiserver knows a format of values of that type; dashes in its name say nothing."""
    plain = name.replace("-", "") if kind == "string" else name
    return plain in _KNOWN.get(kind, ())


def fits(name: str, text: str) -> bool:
    """Whether text is of the format; also when the format is not known."""
    pattern = _PATTERNS.get(name)
    if pattern is not None:
        return pattern.fullmatch(text) is not None
    check = _CHECKS.get(name)
    return check is None or check(text)
