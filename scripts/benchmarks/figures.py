"""The table that `make bench` prints. Pure: measured values in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

_HEADINGS = ("what", "measured", "target", "peer or limit beside it")
_BESIDE_WIDTH = 62


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `target` is empty where the project promises nothing."""

    what: str
    measured: str
    target: str = ""
    beside: str = ""


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie (nearest rank); 0 for none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(seconds: Sequence[float]) -> str:
    """`p50 / p99 ms`, with a digit more where they are small."""
    middle, late = quantile(seconds, 0.5) * 1000, quantile(seconds, 0.99) * 1000
    digits = 2 if middle < 10 else 0
    return f"{middle:.{digits}f} / {late:.{digits}f} ms"


def table(figures: Sequence[Figure]) -> str:
    """Columns as wide as they need to be; what stands beside a figure is wrapped."""
    rows = [_HEADINGS, *((f.what, f.measured, f.target, f.beside) for f in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = []
    for number, (*cells, beside) in enumerate(rows):
        first, *rest = wrap(beside, _BESIDE_WIDTH) or [""]
        padded = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append(f"{padded}  {first}".rstrip())
        lines += [" " * (sum(widths) + 6) + line for line in rest]
        if number == 0:
            lines.append("  ".join("-" * width for width in (*widths, _BESIDE_WIDTH)))
    return "\n".join(lines)
