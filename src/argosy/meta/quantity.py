"""Kubernetes quantities: `500m`, `1.5Gi`, `1e3`, exactly.

The API server writes every quantity of a built-in object in canonical form, the scheduler and the quotas add them up. A
quantity is a whole number of nano-units (Kubernetes itself keeps no more and rounds up), so arithmetic is plain
integers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

NANO = 1_000_000_000
_LARGEST = (2**63 - 1) * NANO
_FORM = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_EXPONENT = re.compile(r"[eE]([-+]?[0-9]+)")

DECIMAL, BINARY, EXPONENT = "DecimalSI", "BinarySI", "DecimalExponent"

_DECIMAL_POWERS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIXES = {power: suffix for suffix, power in _DECIMAL_POWERS.items()}
_BINARY_SHIFTS = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}

WRONG_FORM = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
WRONG_SUFFIX = "unable to parse quantity's suffix"


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """An amount and the notation it was written in; two quantities are compared by amount first."""

    nanos: int
    """Billionths of the unit."""
    notation: str = DECIMAL

    @property
    def millis(self) -> int:
        """Thousandths, rounded up, as the scheduler counts CPU."""
        return -(-self.nanos // 1_000_000)

    @property
    def value(self) -> int:
        """Whole units, rounded up."""
        return -(-self.nanos // NANO)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos + other.nanos, self.notation if self.nanos else other.notation)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos - other.nanos, self.notation if self.nanos else other.notation)

    def __str__(self) -> str:
        nanos = self.nanos
        if not nanos:
            return "0"
        if self.notation == BINARY and nanos % NANO == 0 and abs(nanos) >= 1024 * NANO:
            return _binary(nanos // NANO)
        power, mantissa = -9, nanos
        while mantissa % 1000 == 0 and (power < 18 or self.notation == EXPONENT):
            mantissa //= 1000
            power += 3
        if self.notation == EXPONENT:
            return f"{mantissa}e{power}" if power else str(mantissa)
        return f"{mantissa}{_DECIMAL_SUFFIXES[power]}"


def _binary(value: int) -> str:
    shift, suffix = 0, ""
    for name, bits in _BINARY_SHIFTS.items():
        if value % (1 << bits):
            break
        shift, suffix = bits, name
    return f"{value >> shift}{suffix}"


@lru_cache(maxsize=4096)
def _parse(text: str) -> Quantity:
    match = _FORM.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise ValueError(WRONG_FORM)
    sign, whole, fraction, suffix = match.groups()
    fraction = fraction or ""
    digits = int((whole + fraction) or "0")
    notation, power, shift = DECIMAL, 0, 0
    if suffix in _DECIMAL_POWERS:
        power = _DECIMAL_POWERS[suffix]
    elif suffix in _BINARY_SHIFTS:
        notation, shift = BINARY, _BINARY_SHIFTS[suffix]
    else:
        exponent = _EXPONENT.fullmatch(suffix)
        if exponent is None:
            raise ValueError(WRONG_SUFFIX)
        notation, power = EXPONENT, int(exponent[1])
        if abs(power) > 1000:
            raise ValueError(WRONG_SUFFIX)
    scale = power + 9 - len(fraction)
    amount = digits << shift
    nanos = amount * 10**scale if scale >= 0 else -(-amount // 10**-scale)
    nanos = min(nanos, _LARGEST)
    return Quantity(-nanos if sign == "-" else nanos, notation)


def parse(text: str | float) -> Quantity:
    """Read a quantity; a bare JSON number is one too. Raises ValueError with Kubernetes' words for anything else."""
    if type(text) is str:
        return _parse(text)
    if isinstance(text, int | float) and not isinstance(text, bool):
        return _parse(repr(text).replace("e+", "e"))
    raise ValueError(WRONG_FORM)


def millis_of(text: str | float) -> int:
    """Thousandths of a unit, rounded up: `millis_of("1.5")` is 1500."""
    return parse(text).millis


def value_of(text: str | float) -> int:
    """Whole units, rounded up: `value_of("1Ki")` is 1024."""
    return parse(text).value


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    return str(_parse(text))


def canonical(text: Any) -> str:
    """The one way in which Kubernetes writes this amount in its notation: `1024Mi` becomes `1Gi`, 1.5 `1500m`."""
    if type(text) is str:
        return _canonical(text)
    return str(parse(text))


@lru_cache(maxsize=4096)
def rounded_to_millis(text: str) -> str:
    """Canonical, with what is finer than a thousandth rounded up, as resource lists of containers are kept."""
    quantity = _parse(text)
    return str(Quantity(-(-quantity.nanos // 1_000_000) * 1_000_000, quantity.notation))


def compare(left: str | float, right: str | float) -> int:
    """-1, 0 or 1 as the left amount is smaller, equal or larger."""
    a, b = parse(left).nanos, parse(right).nanos
    return (a > b) - (a < b)
