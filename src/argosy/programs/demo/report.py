"""The demo's report: one HTML file with inline SVG, no script and nothing fetched. Pure: values in, text out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]

_COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#475569")
_WIDTH, _HEIGHT = 760.0, 260.0
_LEFT, _BOTTOM, _TOP, _RIGHT = 40.0, 30.0, 12.0, 150.0
_ROW = 24.0
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1e293b;background:#f8fafc;margin:0}
main{max-width:900px;margin:0 auto;padding:32px 20px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:28px 0 8px}
p.lead{color:#64748b;margin:0 0 20px}
.card{background:#fff;border:1px solid #e2e8f0;border-radius:10px;padding:16px 20px;overflow-x:auto}
table{border-collapse:collapse;width:100%}td{padding:5px 12px 5px 0;border-top:1px solid #f1f5f9;vertical-align:top}
tr:first-child td{border-top:0}td:first-child{color:#64748b;white-space:nowrap;width:1%}
blockquote{margin:8px 0;padding:8px 14px;border-left:3px solid #cbd5e1;color:#334155;font-family:ui-monospace,monospace;font-size:13px;white-space:pre-wrap}
svg text{font:12px system-ui,sans-serif;fill:#64748b}svg .label{fill:#1e293b}
"""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something on the timeline: a point, or what lasted until `until` (seconds since the start)."""

    what: str
    at: float
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A value that a curve is to be compared with."""

    what: str
    value: float


def render(
    *,
    title: str,
    facts: Sequence[tuple[str, str]],
    curves: Mapping[str, Sequence[Point]],
    moments: Sequence[Moment],
    replicas: Sequence[tuple[float, int]],
    samples: Sequence[str],
    baseline: Mark | None = None,
) -> str:
    """The whole page. `baseline` is drawn across the pre-training chart."""
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts)
    base = {name: points for name, points in curves.items() if not name.startswith("finetune")}
    tuned = {name.removeprefix("finetune-"): points for name, points in curves.items() if name.startswith("finetune")}
    steps = [(at, float(ready)) for at, ready in replicas]
    parts = [
        ("What happened", f"<table>{rows}</table>"),
        ("Timeline", timeline(moments)),
        ("Pre-training: loss by step (nats per token)", chart(_split(base), mark=baseline)),
        ("Fine-tuning: loss by step", chart(tuned)),
        ("Ready replicas of the served model, by second", chart({"ready": _stairs(steps)}, whole=True)),
        ("What the base model writes, as it is", "".join(f"<blockquote>{escape(s)}</blockquote>" for s in samples)),
    ]
    sections = "".join(f'<h2>{escape(head)}</h2><div class="card">{body}</div>' for head, body in parts if body)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>'
        f'<h1>{escape(title)}</h1><p class="lead">From nothing to a chat app, on one machine.</p>{sections}</main></body></html>\n'
    )


def chart(curves: Mapping[str, Sequence[Point]], *, whole: bool = False, mark: Mark | None = None) -> str:
    """Lines over common axes, with a legend; empty without points. `whole`: counts, so the axis starts at zero."""
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return ""
    ups = [y for _, y in points] + ([mark.value] if mark else []) + ([0.0] if whole else [])
    across = ticks(min(x for x, _ in points), max(x for x, _ in points), least=1)
    up = ticks(min(ups), max(ups), least=1 if whole else 0)

    def place(point: Point) -> Point:
        x = _LEFT + (point[0] - across[0]) / (across[-1] - across[0]) * (_WIDTH - _LEFT - _RIGHT)
        y = _HEIGHT - _BOTTOM - (point[1] - up[0]) / (up[-1] - up[0]) * (_HEIGHT - _BOTTOM - _TOP)
        return x, y

    drawn = [_axes(place, across, up)]
    if mark:
        y = place((0, mark.value))[1]
        drawn.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#94a3b8" stroke-dasharray="5 4"/>')
        drawn.append(f'<text x="{_WIDTH - _RIGHT + 8}" y="{y + 4:.1f}">{escape(mark.what)}</text>')
    below = (y + 22) if mark else _TOP + 14
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, curve))
        drawn.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'
        )
        top = below + 18 * number
        drawn.append(f'<rect x="{_WIDTH - _RIGHT + 8}" y="{top - 9}" width="10" height="10" rx="2" fill="{colour}"/>')
        drawn.append(f'<text class="label" x="{_WIDTH - _RIGHT + 24}" y="{top}">{escape(name)}</text>')
    return _svg(_HEIGHT, drawn)


def ticks(low: float, high: float, *, least: float = 0.0) -> list[float]:
    """About five round numbers from at most `low` to at least `high`, no closer together than `least`."""
    rough = max((high - low) / 5, least, 1e-9)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [round(number * step, 9) for number in range(first, last + 1)]


def timeline(moments: Sequence[Moment]) -> str:
    """Bars for what lasted and dots for what happened, one row each, over seconds."""
    if not moments:
        return ""
    ordered = sorted(moments, key=lambda moment: moment.at)
    end = max(moment.until or moment.at for moment in ordered) or 1.0
    scale = (_WIDTH - 360.0) / end
    drawn = []
    for row, moment in enumerate(ordered):
        y = _ROW * row + 16
        x = 10 + moment.at * scale
        length = ((moment.until or moment.at) - moment.at) * scale
        if moment.until is None:
            colour = "#dc2626" if "kill" in moment.what else "#059669"
            drawn.append(f'<circle cx="{x:.1f}" cy="{y - 4}" r="5" fill="{colour}"/>')
        else:
            width = max(2.0, length)
            drawn.append(f'<rect x="{x:.1f}" y="{y - 11}" width="{width:.1f}" height="14" rx="3" fill="#93c5fd"/>')
        took = f"{moment.at:.0f} s" if moment.until is None else f"{moment.until - moment.at:.1f} s"
        drawn.append(
            f'<text class="label" x="{x + length + 10:.1f}" y="{y}">{escape(_short(moment.what))} · {took}</text>'
        )
    return _svg(_ROW * len(ordered) + 10, drawn)


def _axes(place: Callable[[Point], Point], across: Sequence[float], up: Sequence[float]) -> str:
    left, bottom = place((across[0], up[0]))
    right = place((across[-1], up[0]))[0]
    parts = []
    for value in up:
        y = place((across[0], value))[1]
        parts.append(
            f'<path d="M{left:.1f} {y:.1f}H{right:.1f}" stroke="{"#cbd5e1" if value == up[0] else "#f1f5f9"}"/>'
        )
        parts.append(f'<text x="{left - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in across:
        x = place((value, up[0]))[0]
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{value:g}</text>')
    return "".join(parts)


def _split(curves: Mapping[str, Sequence[Point]]) -> dict[str, list[Point]]:
    """A curve that steps back, because a gang resumed from a checkpoint, becomes one line a life."""
    lives: dict[str, list[Point]] = {}
    for name, points in curves.items():
        life = 1
        for number, point in enumerate(points):
            if number and point[0] <= points[number - 1][0]:
                life += 1
            lives.setdefault(name if life == 1 else f"resumed{f' ({life - 1})' if life > 2 else ''}", []).append(point)
    return lives


def _stairs(points: Sequence[Point]) -> list[Point]:
    """A value that holds until the next one."""
    made: list[Point] = []
    for number, (x, y) in enumerate(points):
        if number:
            made.append((x, points[number - 1][1]))
        made.append((x, y))
    return made


def _short(text: str) -> str:
    return text if len(text) <= 44 else text[:43] + "…"


def _svg(height: float, drawn: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH:.0f} {height:.0f}" width="100%" role="img">{"".join(drawn)}</svg>'
