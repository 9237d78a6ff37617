"""The drawing of a planned switch, as SVG by hand: where the positions stand, and how far the net drifts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

COLOURS = {"bybit": "#d97706", "okx": "#2563eb", "binance": "#059669", "kraken": "#7c3aed"}
WIDTH, LEFT, RIGHT, TOP = 960, 86, 24, 54
GROSS_H, ROW_H, GAP, FOOT = 190, 62, 16, 44
INK, FAINT, BAND = "#1f2937", "#9ca3af", "#e5e7eb"


def drawing(shown: Mapping[str, Any]) -> str:
    """The picture.

    Args:
        shown: `until_s`, `slice` (quote coin), `stops` (each with `exchange`, `from_s`, `to_s`), `gross` (by exchange,
            pairs of seconds and quote coin) and `drift` (by base coin, the same): each value holds until the next.
    """
    rows = sorted(shown["drift"])
    height = TOP + GROSS_H + GAP + len(rows) * (ROW_H + GAP) + FOOT
    until_s = float(shown["until_s"])
    scale = (WIDTH - LEFT - RIGHT) / until_s

    def x(at_s: float) -> float:
        return LEFT + at_s * scale

    bottom = height - FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(LEFT, 20, "Positions while trading moves", size=15, weight="bold"),
    ]
    for stop in shown["stops"]:
        begin, end = x(stop["from_s"]), x(stop["to_s"])
        parts.append(
            f'<rect x="{begin:.1f}" y="{TOP}" width="{max(1.0, end - begin):.1f}" height="{bottom - TOP}" '
            f'fill="{BAND}" fill-opacity="0.55"/>'
        )
        parts.append(_text((begin + end) / 2, TOP - 8, f"to {stop['exchange']}", anchor="middle", fill=INK))
    parts += _gross(shown, x)
    y = TOP + GROSS_H + GAP
    for base in rows:
        parts += _drift(base, shown["drift"][base], float(shown["slice"]), x, y, until_s)
        y += ROW_H + GAP
    parts += _clock(x, until_s, bottom)
    return "\n".join([*parts, "</svg>", ""])


def _gross(shown: Mapping[str, Any], x: Any) -> list[str]:
    most = max((value for line in shown["gross"].values() for _, value in line), default=1.0) or 1.0
    base_y = TOP + GROSS_H

    def y(value: float) -> float:
        return base_y - value / most * (GROSS_H - 12)

    parts = [_axis(TOP, base_y), _text(LEFT - 8, y(most) + 4, f"{most:,.0f}", anchor="end")]
    parts += [_text(LEFT - 8, base_y, "0", anchor="end"), _side(TOP, base_y, "held, in quote coin")]
    for number, (exchange, line) in enumerate(shown["gross"].items()):
        colour = COLOURS.get(exchange, INK)
        path = _steps([(x(at_s), y(value)) for at_s, value in line], x(shown["until_s"]))
        parts.append(
            f'<path d="{path} V{base_y} H{x(line[0][0]):.1f} Z" fill="{colour}" fill-opacity="0.14" stroke="none"/>'
            if line
            else ""
        )
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        parts.append(
            f'<rect x="{WIDTH - RIGHT - 380 + 95 * number}" y="10" width="12" height="12" fill="{colour}"/>'
            + _text(WIDTH - RIGHT - 363 + 95 * number, 20, exchange)
        )
    return parts


def _drift(
    base: str, line: Sequence[tuple[float, float]], slice_: float, x: Any, top: float, until_s: float
) -> list[str]:
    """One row: the band is one slice to either side of what the strategy wants."""
    middle, half = top + ROW_H / 2, ROW_H / 2
    reach = max(1.25 * slice_, max((abs(value) for _, value in line), default=0.0) * 1.05)

    def y(value: float) -> float:
        return middle - value / reach * half

    band = y(slice_), y(-slice_)
    right = WIDTH - RIGHT
    return [
        f'<rect x="{LEFT}" y="{band[0]:.1f}" width="{right - LEFT}" height="{band[1] - band[0]:.1f}" '
        'fill="#10b981" fill-opacity="0.13"/>',
        f'<line x1="{LEFT}" x2="{right}" y1="{middle}" y2="{middle}" stroke="{FAINT}" stroke-width="0.7"/>',
        _axis(top, top + ROW_H),
        _text(LEFT - 8, band[0] + 4, f"+{slice_:,.0f}", anchor="end", fill=FAINT, size=10),
        _text(LEFT - 8, band[1] + 4, f"-{slice_:,.0f}", anchor="end", fill=FAINT, size=10),
        _text(LEFT - 8, middle + 4, base, anchor="end", weight="bold"),
        f'<path d="{_steps([(x(at_s), y(value)) for at_s, value in line], x(until_s))}" fill="none" '
        f'stroke="{INK}" stroke-width="1"/>',
    ]


def _clock(x: Any, until_s: float, bottom: float) -> list[str]:
    every_s = next(step for step in (1, 2, 5, 10, 20, 60, 120, 300) if until_s / step <= 14)
    parts = [f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}" stroke="{INK}" stroke-width="0.8"/>']
    at_s = 0
    while at_s <= until_s:
        parts.append(_text(x(at_s), bottom + 16, f"{at_s} s", anchor="middle"))
        at_s += every_s
    words = "below: drift of the net over all exchanges from what the strategy wants; green: one slice"
    return [*parts, _text(LEFT, bottom + 34, words, fill=FAINT)]


def _steps(dots: Sequence[tuple[float, float]], right: float) -> str:
    """A line that holds each value until the next."""
    if not dots:
        return "M0 0"
    (first_x, first_y), *rest = dots
    parts = [f"M{first_x:.1f} {first_y:.1f}"]
    parts += [f"H{at_x:.1f} V{at_y:.1f}" for at_x, at_y in rest]
    return " ".join([*parts, f"H{right:.1f}"])


def _axis(top: float, bottom: float) -> str:
    return f'<line x1="{LEFT}" x2="{LEFT}" y1="{top}" y2="{bottom}" stroke="{INK}" stroke-width="0.8"/>'


def _side(top: float, bottom: float, words: str) -> str:
    middle = (top + bottom) / 2
    return (
        f'<text x="14" y="{middle:.1f}" transform="rotate(-90 14 {middle:.1f})" text-anchor="middle" '
        f'fill="{INK}">{escape(words)}</text>'
    )


def _text(
    at_x: float,
    at_y: float,
    words: str,
    *,
    anchor: str = "start",
    fill: str = INK,
    size: int = 12,
    weight: str = "normal",
) -> str:
    return (
        f'<text x="{at_x:.1f}" y="{at_y:.1f}" text-anchor="{anchor}" fill="{fill}" font-size="{size}" '
        f'font-weight="{weight}">{escape(words)}</text>'
    )
