"""A bounded share of what dies in the middle of a switch; the rest is `make chaos-switch`."""

from __future__ import annotations

import pytest

from tests.chaos.injury import Target
from tests.chaos.switching import TARGETS, Blow, Moment, plan, play


@pytest.mark.deep
def test_a_switch_with_orders_and_positions_survives_whoever_dies_in_it() -> None:
    """Judged by the exchanges' books: each order once, with what is left of it, and the net within a slice."""
    blows = [
        Blow(target=Target.COORDINATOR, moment=Moment.CARRIED),
        Blow(target="new connector", moment=Moment.OPENED),
    ]
    samples = play(blows, lambda _: None)
    assert [sample.wrong for sample in samples] == [[], []]
    assert all(sample.hit for sample in samples), "each died when it was to"


def test_every_target_and_moment_has_its_turn() -> None:
    drawn = plan(seed=3)
    first = [next(drawn) for _ in range(len(TARGETS) * len(Moment))]
    assert len(set(first)) == len(first)
