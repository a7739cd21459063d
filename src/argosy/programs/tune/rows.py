"""Rows of an instruction data set out of JSON, JSON lines, CSV or Parquet, as pairs of prompt and answer."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from argosy.meta.json import Obj
from argosy.programs.tune.settings import Data

_SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")
_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. Write a response "
    "that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
)
_ALONE = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:\n"
)


def pairs(place: Path, data: Data) -> list[tuple[str, str]]:
    """(prompt, answer) of every row that has an answer. Raises ValueError or OSError with a sentence."""
    files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.suffix in _SUFFIXES)
    files = [path for path in files if not path.name.startswith(".")]
    if not files:
        raise ValueError(f"there is no {', '.join(_SUFFIXES)} file at {place}; fetch one with spec.initializer.dataset")
    names = {ours: data.columns.get(ours, ours) for ours in ("instruction", "input", "output")}
    made = []
    for path in files:
        for row in _rows(path):
            asked, given, said = (str(row.get(names[ours]) or "") for ours in ("instruction", "input", "output"))
            if said:
                made.append(((_WITH_INPUT if given else _ALONE).format(instruction=asked, input=given), said))
    if not made:
        raise ValueError(
            f"no row at {place} has a column {names['output']!r}; say which columns are what with dataset.column_map"
        )
    return made


def _rows(path: Path) -> Iterator[Obj]:
    if path.suffix == ".parquet":
        try:
            from pyarrow import parquet  # noqa: PLC0415 - not in every image
        except ImportError:
            raise ValueError(f"{path.name} is Parquet, which needs pyarrow in the image; use JSON lines") from None
        yield from parquet.read_table(path).to_pylist()
    elif path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)
    elif path.suffix == ".json":
        whole = json.loads(path.read_text(encoding="utf-8"))
        yield from whole if isinstance(whole, list) else [whole]
    else:
        with path.open(encoding="utf-8") as file:
            yield from (json.loads(line) for line in file if line.strip())
