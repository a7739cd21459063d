from __future__ import annotations

import pytest

from argosy.engine.node.addresses import Addresses
from argosy.errors import ArgosyError


def test_addresses_go_round():
    pool = Addresses("10.64.0.0/28")
    assert pool.give("a") == "10.64.0.10"
    assert pool.give("a") == "10.64.0.10"
    assert pool.give("b") == "10.64.0.11"
    pool.take_back("a")
    assert pool.give("c") == "10.64.0.12"
    assert [pool.give(x) for x in "de"] == ["10.64.0.13", "10.64.0.14"]
    assert pool.give("f") == "10.64.0.10"
    with pytest.raises(ArgosyError, match="no pod address is free"):
        pool.give("g")


def test_addresses_survive_a_restart():
    pool = Addresses("127.70.0.0/17")
    assert pool.claim("a", "127.70.0.20")
    assert not pool.claim("b", "127.70.0.20")
    assert not pool.claim("b", "10.0.0.1")
    assert pool.give("a") == "127.70.0.20"
    assert pool.give("b") == "127.70.0.21"
