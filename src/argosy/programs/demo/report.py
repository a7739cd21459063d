"""The demo's report: one HTML file with inline SVG, no script and nothing fetched. Pure: values in, text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]

_COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#475569")
_WIDTH, _HEIGHT = 760.0, 260.0
_LEFT, _BOTTOM, _TOP, _RIGHT = 46.0, 30.0, 10.0, 150.0
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


def render(
    *,
    title: str,
    facts: Sequence[tuple[str, str]],
    curves: Mapping[str, Sequence[Point]],
    moments: Sequence[Moment],
    replicas: Sequence[tuple[float, int]],
    samples: Sequence[str],
) -> str:
    """The whole page."""
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts)
    base = {name: points for name, points in curves.items() if not name.startswith("finetune")}
    tuned = {name.removeprefix("finetune-"): points for name, points in curves.items() if name.startswith("finetune")}
    steps = [(at, float(ready)) for at, ready in replicas]
    parts = [
        ("What happened", f"<table>{rows}</table>"),
        ("Timeline", timeline(moments)),
        ("Pre-training: loss by step (nats per token)", chart(_split(base))),
        ("Fine-tuning: loss by step", chart(tuned)),
        ("Ready replicas of the served model, by second", chart({"ready": _stairs(steps)}, from_zero=True)),
        ("What the base model writes, as it is", "".join(f"<blockquote>{escape(s)}</blockquote>" for s in samples)),
    ]
    sections = "".join(f'<h2>{escape(head)}</h2><div class="card">{body}</div>' for head, body in parts if body)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>'
        f'<h1>{escape(title)}</h1><p class="lead">From nothing to a chat app, on one machine.</p>{sections}</main></body></html>\n'
    )


def chart(curves: Mapping[str, Sequence[Point]], *, from_zero: bool = False) -> str:
    """Lines over common axes, with a legend; empty without points."""
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return ""
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = min(y for _, y in points), max(y for _, y in points)
    low_y = 0.0 if from_zero else low_y
    span_x, span_y = (high_x - low_x) or 1.0, (high_y - low_y) or 1.0

    def place(point: Point) -> Point:
        x = _LEFT + (point[0] - low_x) / span_x * (_WIDTH - _LEFT - _RIGHT)
        y = _HEIGHT - _BOTTOM - (point[1] - low_y) / span_y * (_HEIGHT - _BOTTOM - _TOP)
        return x, y

    drawn = [_axes(place, (low_x, high_x), (low_y, high_y))]
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, curve))
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        top = _TOP + 14 + 18 * number
        drawn.append(f'<rect x="{_WIDTH - _RIGHT + 16}" y="{top - 9}" width="10" height="10" rx="2" fill="{colour}"/>')
        drawn.append(f'<text class="label" x="{_WIDTH - _RIGHT + 32}" y="{top}">{escape(name)}</text>')
    return _svg(_HEIGHT, drawn)


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
            drawn.append(f'<circle cx="{x:.1f}" cy="{y - 4}" r="5" fill="#dc2626"/>')
        else:
            width = max(2.0, length)
            drawn.append(f'<rect x="{x:.1f}" y="{y - 11}" width="{width:.1f}" height="14" rx="3" fill="#93c5fd"/>')
        took = f"{moment.at:.0f} s" if moment.until is None else f"{moment.until - moment.at:.1f} s"
        drawn.append(
            f'<text class="label" x="{x + length + 10:.1f}" y="{y}">{escape(_short(moment.what))} · {took}</text>'
        )
    return _svg(_ROW * len(ordered) + 10, drawn)


def _axes(place: Callable[[Point], Point], across: Point, up: Point) -> str:
    left, bottom = place((across[0], up[0]))
    right, top = place((across[1], up[1]))
    parts = [f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="#cbd5e1"/>']
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = across[0] + share * (across[1] - across[0]), up[0] + share * (up[1] - up[0])
        at_x, at_y = place((x, up[0]))[0], place((across[0], y))[1]
        parts.append(f'<text x="{at_x:.1f}" y="{bottom + 18}" text-anchor="middle">{x:.0f}</text>')
        parts.append(f'<text x="{left - 6}" y="{at_y + 4:.1f}" text-anchor="end">{y:.1f}</text>')
    return "".join(parts)


def _split(curves: Mapping[str, Sequence[Point]]) -> dict[str, list[Point]]:
    """A curve that steps back, because a gang resumed from a checkpoint, becomes one line a life."""
    lives: dict[str, list[Point]] = {}
    for name, points in curves.items():
        life = 1
        for number, point in enumerate(points):
            if number and point[0] <= points[number - 1][0]:
                life += 1
            lives.setdefault(name if life == 1 else f"{name}, life {life}", []).append(point)
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
