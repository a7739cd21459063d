from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.meta import quantity
from argosy.meta.quantity import NANO, canonical, compare, millis_of, parse, value_of


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("100m", "100m"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("0.5Gi", "512Mi"), ("1023Ki", "1023Ki"),
        (1.5, "1500m"), (1, "1"), ("2000m", "2"), ("1000", "1k"), ("100000", "100k"), ("1e3", "1e3"), ("12e6", "12e6"),
        ("1E", "1E"), ("0.1n", "1n"), ("0", "0"), ("0Gi", "0"), ("-5", "-5"), (".5", "500m"), ("5.", "5"), ("1000k", "1M"),
        ("1u", "1u"), ("512", "512"), ("1500Mi", "1500Mi"), ("0.5", "500m"), ("1Ki", "1Ki"), ("1e-3", "1e-3"),
    ],
)  # fmt: skip
def test_canonical_form(written: object, expected: str) -> None:
    assert canonical(written) == expected


@pytest.mark.parametrize("text", ["", " ", "abc", "1 Gi", ".", "--1", "1,5", "+", "m", "1KiB"])
def test_wrong_form(text: str) -> None:
    with pytest.raises(ValueError, match="must match the regular expression"):
        parse(text)


@pytest.mark.parametrize("text", ["1mm", "1Eki", "5e", "1e+"])
def test_wrong_suffix(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse quantity's suffix"):
        parse(text)


def test_true_is_no_quantity() -> None:
    with pytest.raises(ValueError, match="regular expression"):
        parse(True)


def test_millis_and_values_round_up() -> None:
    assert millis_of("1.5") == 1500
    assert millis_of("100u") == 1
    assert value_of("1500m") == 2
    assert value_of("1Ki") == 1024
    assert quantity.rounded_to_millis("100u") == "1m"


def test_order_ignores_notation() -> None:
    assert compare("1Gi", "1G") == 1
    assert compare("1024Mi", "1Gi") == 0
    assert compare("999m", 1) == -1


def test_too_large_is_the_largest() -> None:
    assert parse("1000000E").nanos == (2**63 - 1) * NANO


@given(st.integers(-(10**12), 10**12), st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "u", "n"]))
def test_canonical_keeps_the_amount_and_is_stable(number: int, suffix: str) -> None:
    written = f"{number}{suffix}"
    once = canonical(written)
    assert parse(once).nanos == parse(written).nanos
    assert canonical(once) == once


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_addition_is_exact(left: int, right: int) -> None:
    total = parse(f"{left}m") + parse(f"{right}m")
    assert total.millis == left + right
    assert (total - parse(f"{right}m")).millis == left
