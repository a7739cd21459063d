"""`argosy demo` from nothing, at every isolation level, and nothing left when it has been taken down. Takes minutes: the
environments are built anew for each.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_home import EngineHome

from argosy.meta.json import decode

pytestmark = pytest.mark.slow

_SECONDS = 1500
_TOLD = (
    "held-out loss", "resumed from step", "registered", "models", "burst", "replicas", "whole demo",
)  # fmt: skip


def test_the_demo_tells_its_story_and_leaves_nothing(home: EngineHome) -> None:
    told = decode(home.argosy("demo", "--isolation", home.level, "-o", "json", timeout=_SECONDS).encode())
    home.listens(told["ingress"])
    assert set(_TOLD) <= set(told["facts"])
    loss, baseline = (float(told["facts"][name].split()[0]) for name in ("held-out loss", "unigram entropy"))
    assert loss < baseline, "the model has learned something"
    assert max(count["ready"] for count in told["replicas"]) > 1
    assert Path(told["report"]).read_text().startswith("<!")
    assert "everything has ended" in home.argosy("down")
    assert home.leftovers() == []
