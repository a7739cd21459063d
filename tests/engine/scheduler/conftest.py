"""Puts this folder on the path, and the controllers', whose `small_cluster` the loop's tests use too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "controllers"))
sys.path.insert(0, str(Path(__file__).parent))
