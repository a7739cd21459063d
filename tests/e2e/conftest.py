"""Homes with engines of their own, at every isolation level that this machine allows, and what an engine leaves behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from engine_home import EngineHome, unavailable

from argosy.engine.node.runtime.spec import Level


@pytest.fixture(params=[Level.L2, Level.L1, Level.L0], ids=str)
def home(request: pytest.FixtureRequest) -> Iterator[EngineHome]:
    """A home in which no engine runs yet; whatever runs there at the end is ended."""
    reason = unavailable(request.param)
    if reason:
        pytest.skip(f"{request.param} is not available here: {reason}")
    made = EngineHome(request.param)
    try:
        yield made
    finally:
        made.remove()
