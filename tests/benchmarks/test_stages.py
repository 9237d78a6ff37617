"""Stages, hops and messages from marks that were written by hand."""

from __future__ import annotations

import pytest

from benchmarks import stages
from benchmarks.stages import Mark, Traced, read_stages

STEPS = (
    (stages.CALLED, "", ""),
    (stages.TOLD, stages.REQUEST, "{}"),
    (stages.HANDED_OVER, stages.REQUEST, "{}"),
    (stages.DELIVERED, stages.REQUEST, "{}"),
    (stages.COMMIT, "", ""),
    (stages.COMMITTED, "", ""),
    (stages.SUBMITTED, "", ""),
    (stages.PERFORMING, "", ""),
    (stages.FETCH, "", ""),
    (stages.FETCHED, "", ""),
    (stages.PERFORMED, "", ""),
    (stages.DRAINED, "", ""),
    (stages.RECORD, "", ""),
    (stages.RECORDED, "", ""),
    (stages.SENT, stages.REPLY, "{}"),
    (stages.SENT, "OrderChanged", ""),
    (stages.HANDED_OVER, "OrderAccepted+OrderChanged", "{},other"),
    (stages.RECEIVED, stages.REPLY, "{}"),
    (stages.ANSWERED, "", ""),
)


def order(number: int) -> list[Mark]:
    """The marks of one order, a millisecond apart; the news of it arrives after its answer."""
    begin_s = 10.0 + number
    marks = [Mark(begin_s + n / 1000, name, word, of.format(number)) for n, (name, word, of) in enumerate(STEPS)]
    return [*marks, Mark(begin_s + 0.5, stages.RECEIVED, "OrderChanged")]


def run(orders: int) -> list[Mark]:
    """A whole run, a probe meanwhile and one order before it."""
    marks = [Mark(1.0, stages.HANDED_OVER, "Probe", "early"), Mark(10.001, stages.HANDED_OVER, "Probe", "meanwhile")]
    for number in range(orders):
        marks += order(number)
    return [*marks, Mark(99.0, stages.DONE)]


def shown(marks: list[Mark]) -> Traced:
    """Read in any order: every process writes its own file."""
    return read_stages(reversed(marks))


def test_stages_follow_each_other_without_gaps() -> None:
    """So that they sum up to the whole."""
    found = shown(run(3))
    assert all(end == begin for (_, _, end), (_, begin, _) in zip(stages.STAGES, stages.STAGES[1:], strict=False))
    for number in range(3):
        assert sum(times[number] for times in found.stages.values()) == pytest.approx(0.018)
    assert found.stages["hop: client to connector"] == pytest.approx([0.002] * 3)
    assert found.within["ccxt and HTTP: the request itself"] == pytest.approx([0.001] * 3)


def test_hops_are_the_messages_of_the_order_itself() -> None:
    """A probe is a message, but no hop; the news that travels with the answer is none of its own."""
    told = shown(run(4)).told()
    assert told["hops_per_order"] == 2.0
    assert told["messages_per_order"] == {"OrderAccepted+OrderChanged": 1.0, "PlaceOrder": 1.0, "Probe": 0.25}


def test_a_message_more_on_the_way_is_a_hop_more() -> None:
    """Observed, not asserted."""
    marks = run(1)
    marks.append(Mark(10.0015, stages.HANDED_OVER, stages.REQUEST, "0"))
    assert shown(marks).told()["hops_per_order"] == 3.0


@pytest.mark.parametrize("name", [stages.SUBMITTED, stages.COMMIT, stages.DRAINED])
def test_a_mark_that_is_missing_is_told(name: str) -> None:
    """Rather than another thing measured."""
    with pytest.raises(ValueError, match=name):
        shown([mark for mark in run(2) if mark.name != name])


def test_a_run_without_orders_is_told() -> None:
    """The same."""
    with pytest.raises(ValueError, match="no order"):
        shown(run(0))


def test_a_mark_survives_its_file() -> None:
    """With and without words."""
    for mark in (Mark(12.3456789, stages.DELIVERED, "PlaceOrder", "ab12"), Mark(1.0, stages.CALLED)):
        assert Mark.read(mark.line()) == mark
