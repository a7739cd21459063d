"""Two `argosy up` at once in one home: one engine, and both are told of it; and what `ARGOSY_ALLOW` may name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.cluster.settings import allowed_demands
from argosy.errors import UserError
from argosy.meta.json import decode


def test_two_starts_at_once_make_one_engine(tmp_path: Path) -> None:
    environ = {**os.environ, "ARGOSY_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "argosy", "up", "--isolation", "L0", "-o", "json"]
    try:
        starts = [
            subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)
        ]
        said = [start.communicate(timeout=60) for start in starts]
        assert [start.returncode for start in starts] == [0, 0], said
        assert len({decode(out)["pid"] for out, _ in said}) == 1
    finally:
        subprocess.run([sys.executable, "-m", "argosy", "down"], env=environ, check=True, timeout=60)


def test_what_nobody_can_allow_is_refused() -> None:
    assert allowed_demands({"ARGOSY_ALLOW": "hostPID, privileged,"}) == {"hostPID", "privileged"}
    with pytest.raises(UserError, match="ARGOSY_ALLOW names hostpid, which nobody can allow; write some of host"):
        allowed_demands({"ARGOSY_ALLOW": "hostpid"})
