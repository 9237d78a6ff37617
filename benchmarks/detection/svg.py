"""The picture of docs/DETECTION.md, as SVG by hand: how soon each fault is met, and what outage is left for. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from benchmarks.detection.scenarios import BY_NAME
from benchmarks.detection.verdict import FAULTS, NOISE, TITLES

COLOURS: Final = {
    "ours": "#d97706",
    "haproxy": "#2563eb",
    "envoy": "#059669",
    "phi": "#7c3aed",
    "seed_loop": "#6b7280",
}
WIDTH, LEFT, RIGHT, TOP = 960, 150, 28, 74
ROW_H, GAP, CURVE_H, FOOT = 42, 78, 220, 56
INK, FAINT, BAND = "#1f2937", "#9ca3af", "#f3f4f6"
LEAST_S, MOST_S = 0.05, 400.0
TICKS_S = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


def drawing(results: Mapping[str, Any]) -> str:
    """The picture of what was measured."""
    names = [name for name in COLOURS if name in results]
    rows = [fault for fault in FAULTS if any(fault in results[name] for name in names)]
    curve_top = TOP + len(rows) * ROW_H + GAP
    height = curve_top + CURVE_H + FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(14, 22, "How soon an ill exchange is left: p50 to p99, in seconds", size=15, weight="bold"),
    ]
    for number, name in enumerate(names):
        at_x = 14 + 128 * number
        parts.append(_dot(at_x + 6, 42, COLOURS[name], hollow=_wrong(results[name]) > 0))
        parts.append(_text(at_x + 18, 46, TITLES[name]))
    parts.append(_text(14 + 128 * len(names), 46, "hollow: left a well one", fill=FAINT))
    bottom = TOP + len(rows) * ROW_H
    for tick_s in TICKS_S:
        parts.append(
            _line(_x(tick_s), TOP - 6, _x(tick_s), bottom, BAND if tick_s not in (1.0, 10.0, 100.0) else "#e5e7eb")
        )
        parts.append(_text(_x(tick_s), bottom + 16, f"{tick_s:g}", anchor="middle", fill=INK))
    for row, fault in enumerate(rows):
        parts += _row(results, names, fault, TOP + row * ROW_H)
    return "\n".join([*parts, *_curve(results, names, curve_top), "</svg>", ""])


def _row(results: Mapping[str, Any], names: list[str], fault: str, top: float) -> list[str]:
    parts = [_line(14, top + ROW_H - 2, WIDTH - RIGHT, top + ROW_H - 2, BAND)]
    parts.append(_text(LEFT - 12, top + ROW_H / 2 + 3, BY_NAME[fault].title, anchor="end"))
    missing = []
    for number, name in enumerate(names):
        found = results[name].get(fault)
        if found is None:
            continue
        colour, y = COLOURS[name], top + 5 + number * (ROW_H - 12) / max(1, len(names) - 1)
        p50, p99 = found["delay_p50_s"], found["delay_p99_s"]
        if p50 is None:
            missing.append(TITLES[name])
            continue
        end = _x(MOST_S) if p99 is None else _x(p99)
        parts.append(_line(_x(p50), y, end, y, colour, 2.2))
        parts.append(_dot(_x(p50), y, colour, hollow=_wrong(results[name]) > 0))
    if missing:
        words = f"never: {', '.join(missing)}" if len(missing) < len(names) else "never"
        parts.append(_text(WIDTH - RIGHT - 4, top + ROW_H / 2 + 3, words, anchor="end", fill=FAINT, size=11))
    return parts


def _curve(results: Mapping[str, Any], names: list[str], top: float) -> list[str]:
    known = {name: results["about"].get("outages", {}).get(name, {}).get("left", []) for name in names}
    longest_s = max((pair[0] for line in known.values() for pair in line), default=12.0)
    bottom = top + CURVE_H

    def x(length_s: float) -> float:
        return LEFT + length_s / longest_s * (WIDTH - LEFT - RIGHT)

    def y(share: float) -> float:
        return bottom - share * (CURVE_H - 10)

    parts = [
        _text(14, top - 22, "How long connections must be refused until the exchange is left", size=15, weight="bold"),
        f'<rect x="{x(1.0):.1f}" y="{y(1.0):.1f}" width="{x(4.0) - x(1.0):.1f}" height="{bottom - y(1.0):.1f}" '
        f'fill="{BAND}"/>',
        _text((x(1.0) + x(4.0)) / 2, y(1.0) + 16, "bursts: no reason to leave", anchor="middle", fill=FAINT),
        _line(LEFT, y(1.0), LEFT, bottom, INK, 0.8),
        _line(LEFT, bottom, WIDTH - RIGHT, bottom, INK, 0.8),
    ]
    for share in (0.0, 0.5, 1.0):
        parts.append(_text(LEFT - 8, y(share) + 4, f"{share:.0%}", anchor="end"))
    for second in range(int(longest_s) + 1):
        parts.append(_text(x(second), bottom + 16, f"{second} s", anchor="middle"))
    for name in names:
        dots = " L".join(f"{x(length_s):.1f} {y(share):.1f}" for length_s, share in known[name])
        if dots:
            parts.append(f'<path d="M{dots}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
    parts.append(_text(LEFT, bottom + 38, "share of outages of that length that are left for", fill=FAINT))
    return parts


def _wrong(entries: Mapping[str, Any]) -> int:
    return sum(entries[name]["false_switches"] for name in NOISE if name in entries)


def _x(at_s: float) -> float:
    at_s = min(MOST_S, max(LEAST_S, at_s))
    return LEFT + math.log(at_s / LEAST_S) / math.log(MOST_S / LEAST_S) * (WIDTH - LEFT - RIGHT)


def _dot(x: float, y: float, colour: str, *, hollow: bool) -> str:
    fill = "white" if hollow else colour
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.4" fill="{fill}" stroke="{colour}" stroke-width="1.8"/>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1.0) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width:g}"/>'


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", fill: str = INK, size: int = 12, weight: str = "normal"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-size="{size}" '
        f'font-weight="{weight}">{escape(words)}</text>'
    )
