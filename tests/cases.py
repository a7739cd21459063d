"""Where the real cases lie that tests are held against: `ARGOSY_CASES`, else `../shared/cases` beside the checkout.

Tests of several areas use it; each skips, and says so, where the folder is absent.
"""

import gzip
import json
import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "cases"
FOLDER = Path(os.environ.get("ARGOSY_CASES") or _BESIDE)
needs_cases = pytest.mark.skipif(
    not (FOLDER / "README.md").exists(), reason=f"no real cases at {FOLDER}; name their folder in ARGOSY_CASES"
)


def lines(name):
    """The values in a `.jsonl.gz` file of the folder, one a line."""
    with gzip.open(FOLDER / name, "rt") as source:
        return [json.loads(line) for line in source]
