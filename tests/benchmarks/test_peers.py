"""Rules of the comparison: what counts as doubled, told wrong, unresolved and known, and how that is written down."""

from __future__ import annotations

import pytest

from benchmarks.peers import EXCHANGES, OURS, TROUBLES, Seen, broken, page
from benchmarks.peers_ways import WAYS, Told


def seen(told: Told, executed: int, took_s: float = 1.0) -> Seen:
    """One order."""
    return Seen(told=told, took_s=took_s, executed=executed)


@pytest.mark.parametrize(
    ("told", "executed", "right"),
    [
        (Told.DONE, 1, True),
        (Told.NOT_DONE, 0, True),
        (Told.DONE, 2, False),
        (Told.DONE, 0, False),
        (Told.NOT_DONE, 1, False),
        (Told.UNKNOWN, 0, False),
        (Told.UNKNOWN, 1, False),
    ],
)
def test_only_the_truth_is_known(told: Told, executed: int, right: bool) -> None:
    assert seen(told, executed).right is right


def test_a_row_says_what_was_doubled_told_wrong_left_and_known() -> None:
    well = [seen(Told.DONE, 1, 2.0), seen(Told.NOT_DONE, 0, 4.0)]
    mixed = [seen(Told.DONE, 2), seen(Told.NOT_DONE, 1), seen(Told.UNKNOWN, 1), seen(Told.DONE, 1, 3.0)]
    sheet = {
        (way, exchange, trouble.title): well if way == OURS else mixed
        for way in WAYS
        for exchange in EXCHANGES
        for trouble in TROUBLES
    }
    text = page(sheet, "Measured.", 4)
    assert text.count("| ccxt in tenacity | 1 | 2 | 1 | 1 of 4 | 3.0, 3.0 |") == len(EXCHANGES) * len(TROUBLES)
    assert f"| {OURS} | 0 | 0 | 0 | 2 of 2 | 3.0, 4.0 |" in text
    assert broken(sheet) == []
    assert len(broken({**sheet, (OURS, "bybit", TROUBLES[0].title): mixed})) == 3
