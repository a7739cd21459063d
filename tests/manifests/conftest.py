"""Makes the runner importable for the tests of this folder, and an engine to run it on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from engine_home import EngineHome, unavailable

from argosy.engine.node.runtime.spec import Level


@pytest.fixture
def home() -> Iterator[EngineHome]:
    """A home at the strongest level, in which no engine runs yet."""
    if reason := unavailable(Level.L2):
        pytest.skip(f"L2 is not available here: {reason}")
    made = EngineHome(Level.L2)
    try:
        yield made
    finally:
        made.remove()
