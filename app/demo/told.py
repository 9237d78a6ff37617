"""The demo in plain lines: while it runs where there is no terminal, and its last word everywhere."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from app.demo.scene import Scene
from app.demo.view import clock, in_order

PROGRESS_S = 3.0


class PlainLines:
    """What to print since the last time: moments as they are learned, and a count now and then."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._told: set[int] = set()
        self._next_s = PROGRESS_S

    def new(self) -> list[str]:
        """Lines to print."""
        scene = self._scene
        if scene.began_s is None:
            return []
        fresh = [moment for moment in in_order(list(scene.moments)) if id(moment) not in self._told]
        self._told.update(id(moment) for moment in fresh)
        lines = [f"{clock(moment.at_s - scene.began_s)}  {moment.words}" for moment in fresh]
        if scene.elapsed_s >= self._next_s and not scene.finished:
            self._next_s = scene.elapsed_s + PROGRESS_S
            lines.append(
                f"{clock(scene.elapsed_s)}  {len(scene.orders)} placed, {scene.outcomes['accepted']} accepted,"
                f" {scene.unknown} unknown, on {scene.active or 'no exchange'}"
            )
        return lines


def last_word(facts: Mapping[str, Any], width: int) -> list[str]:
    """The verdict for people, from the same facts as `--json` prints, in lines of at most `width` columns."""
    lines = _last_word(facts)
    return [part for line in lines for part in textwrap.wrap(line, width, subsequent_indent="    ")]


def _took(seconds: float) -> str:
    return "less than 1 ms" if seconds < 0.001 else f"{seconds * 1000:.0f} ms"


def _last_word(facts: Mapping[str, Any]) -> list[str]:
    where = ", ".join(f"{count} on {name}" for name, count in facts["by_exchange"].items() if count)
    if sum(facts["by_exchange"].values()) > facts["accepted"]:
        where += "; what moved is in both"
    lines = [
        "What the strategy was told, against the exchanges' own books:",
        f"  {facts['orders_placed']} orders placed: {facts['accepted']} accepted and in the books ({where}),"
        f" {facts['refused']} refused, {facts['not_executed']} not executed",
        f"  {facts['resolved']} were unknown for a while and are known now, {facts['unknown']} are still unknown",
        f"  {facts['lost']} lost, {facts['duplicated']} doubled,"
        f" {facts['contradicted'] + facts['strays'] + facts['misstated']} told or booked wrongly",
    ]
    for switch in facts["switches"]:
        lines.append(
            f"  trading moved from {switch['from_exchange']} to {switch['to_exchange']}"
            f" in {_took(switch['duration_s'])}: {switch['reason']}"
        )
    if facts["moves"]:
        lines.append(f"  its position went along in {facts['moves']} orders of the router's own")
    if facts["outage_ms"] is not None:
        lines.append(f"  longest time without an accepted order: {facts['outage_ms'] / 1000:.2f} s")
    lines += [f"  {each['order']} {each['why']}" for each in facts["bad"]]
    if facts["sound"]:
        lines.append("Nothing was lost, and nothing was doubled.")
    elif facts["failovers"] == 0 and not facts["bad"]:
        lines.append("Trading did not move: this run shows nothing.")
    else:
        lines.append("This must not happen: please report it.")
    return lines
