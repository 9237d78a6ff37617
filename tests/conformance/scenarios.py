"""The register of scenarios: which call each is about, in the order in which the tables show them."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from tests.conformance.stand import Stand

Play = Callable[[Stand], str | None]
"""Returns what the cell shows where that is not `WORKS`."""
WORKS = "works"
APART = "apart"


@frozen(kw_only=True)
class Scenario:
    """One row of the calls."""

    section: str
    title: str
    play: Play


SECTIONS = (
    "Placing",
    "Waiting for a trigger",
    "Changing",
    "Cancelling",
    "Looking up",
    "Lists",
    "Account",
    "Settings",
    "Market",
    "Exchange",
)
SCENARIOS: list[Scenario] = []
"""In the order of the sections; filled by importing the modules `scenes_*`."""


def scenario(section: str, title: str) -> Callable[[Play], Play]:
    """Registers a scenario."""

    def register(play: Play) -> Play:
        assert title not in {known.title for known in SCENARIOS}, f"there is a scenario {title!r} already"
        SCENARIOS.append(Scenario(section=section, title=title, play=play))
        SCENARIOS.sort(key=lambda known: SECTIONS.index(known.section))
        return play

    return register
