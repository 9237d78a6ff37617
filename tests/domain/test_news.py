"""News are told once, in order and without a gap, whatever is lost, repeated or overtaken on the way."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import news as n
from app.domain.news import News
from app.domain.session_effects import FillTold, NewsBegin, NewsEffect, OrderTold
from messages.base import Failed
from messages.executions import CatchUp, CaughtUp, Execution, OrderFilled
from messages.orders import LegState, OrderChanged, Side
from tests.domain.orders import BTC, key, leg, order


def news(number: int, name: str = "", state: LegState = LegState.OPEN) -> OrderChanged:
    """A change of an order of its own, unless named."""
    return OrderChanged(sequence=number * 2, number=number, order=order(leg(state), of=key(name or f"o{number}")))


class Desk:
    """One who hears news, and the journal he asks."""

    def __init__(self, *, resumes: bool = False, heard: int = 0) -> None:
        self.now_s = 0.0
        self.news = News("s", "maker", resumes=resumes)
        self.journal: list[OrderChanged | OrderFilled] = []
        self.told: list[OrderTold] = []
        self.begins: list[NewsBegin] = []
        self.questions: list[CatchUp] = []
        self.kept = heard

    def perform(self, effects: list[NewsEffect]) -> None:
        """As its owner does."""
        for effect in effects:
            (self.begins if isinstance(effect, NewsBegin) else self.told).append(effect)  # type: ignore[arg-type]

    def record(self, count: int) -> None:
        """The journal has so much more to tell."""
        for _ in range(count):
            self.journal.append(news(len(self.journal) + 1))

    def hears(self, *numbers: int) -> None:
        """A connector tells."""
        for number in numbers:
            self.perform(self.news.told(self.journal[number - 1], self.now_s))

    def up_to(self, latest: int | None = None) -> None:
        """A connector says how much there is."""
        self.perform(self.news.up_to(len(self.journal) if latest is None else latest, self.now_s))

    def asks(self) -> CatchUp | None:
        """A question, if it is time for one."""
        question = self.news.due(self.now_s)
        if question is not None:
            self.questions.append(question)
        return question

    def answer(self, question: CatchUp, limit: int = n.PAGE) -> None:
        """As a connector does."""
        after = self.kept if question.after is None else question.after
        page = tuple(self.journal[after : after + limit])
        reply = CaughtUp(correlation_id="", after=after, news=page, latest=len(self.journal))
        self.perform(self.news.answered(reply, self.now_s))

    def passes(self, seconds: float, *, answered: bool = True, limit: int = n.PAGE) -> None:
        """Time goes by, and questions are answered."""
        until_s = self.now_s + seconds
        while (next_s := self.news.next_s()) <= until_s:
            self.now_s = max(self.now_s, next_s)
            question = self.asks()
            assert question is not None
            if answered:
                self.answer(question, limit)
            else:
                self.perform(self.news.answered(Failed(correlation_id="", code="x", words="x"), self.now_s))
        self.now_s = until_s

    @property
    def numbers(self) -> list[int]:
        """Told so far."""
        return [told.number for told in self.told]


def test_it_begins_with_what_is_told_from_then_on() -> None:
    desk = Desk()
    desk.record(5)
    desk.hears(5)  # told before anybody said where to begin
    desk.up_to(5)
    desk.record(2)
    desk.hears(6, 7)
    assert (desk.numbers, desk.begins) == ([5, 6, 7], [NewsBegin(number=4)])


def test_of_two_who_say_where_it_begins_the_earlier_one_counts() -> None:
    """The one that subscribed us first may be the one whose word comes last."""
    desk = Desk()
    desk.record(6)
    desk.up_to(6)
    desk.up_to(4)
    desk.passes(1.0)
    assert desk.numbers == [5, 6]


def test_what_is_overtaken_waits_and_nothing_is_asked_for() -> None:
    desk = Desk()
    desk.up_to(0)
    desk.record(4)
    desk.hears(2, 4)
    desk.now_s = 0.15
    desk.hears(1)
    assert desk.numbers == [1, 2]
    desk.now_s = 0.3
    desk.hears(3, 3, 1, 4)
    assert desk.numbers == [1, 2, 3, 4]
    desk.passes(60.0)
    assert not desk.questions


def test_a_hole_is_filled_from_the_journal() -> None:
    desk = Desk()
    desk.up_to(0)
    desk.record(5)
    desk.hears(1, 4)
    desk.passes(n.PATIENCE_S - 0.01)
    assert (desk.numbers, desk.questions) == ([1], [])
    desk.passes(0.02)
    assert desk.numbers == [1, 2, 3, 4, 5]
    assert [question.after for question in desk.questions] == [1]


def test_a_hole_at_the_end_is_seen_by_what_was_given_last() -> None:
    desk = Desk()
    desk.up_to(0)
    desk.record(2)
    desk.hears(1)
    desk.up_to()
    desk.passes(1.0)
    assert desk.numbers == [1, 2]


def test_nobody_who_answers_is_asked_a_few_times_and_again_when_somebody_speaks() -> None:
    desk = Desk()
    desk.up_to(0)
    desk.record(2)
    desk.hears(2)
    desk.passes(600.0, answered=False)
    assert len(desk.questions) == 1 + len(n.AGAIN_S)
    assert desk.numbers == []
    desk.up_to()
    desk.passes(1.0)
    assert desk.numbers == [1, 2]


def test_much_is_read_in_pages() -> None:
    desk = Desk()
    desk.up_to(0)
    desk.record(3 * n.PAGE + 7)
    desk.up_to()
    desk.passes(1.0)
    assert desk.numbers == list(range(1, 3 * n.PAGE + 8))
    assert len(desk.questions) == 4


def test_what_waits_behind_a_hole_is_bounded_and_nothing_of_it_lost() -> None:
    desk = Desk()
    desk.up_to(0)
    desk.record(n.MAX_AHEAD + 500)
    desk.hears(*range(2, n.MAX_AHEAD + 501))
    assert len(desk.news._ahead) == n.MAX_AHEAD
    desk.passes(10.0)
    assert desk.numbers == list(range(1, n.MAX_AHEAD + 501))


def test_who_is_too_far_behind_is_told_the_newest_and_how_much_he_is_not() -> None:
    desk = Desk(resumes=True, heard=3)
    desk.record(n.MAX_BEHIND + 13)
    desk.passes(0.0)
    assert desk.told == []
    desk.perform(desk.news.listen(0.0))
    desk.passes(60.0)
    assert desk.begins == [NewsBegin(number=3), NewsBegin(number=13, missed=10)]
    assert desk.numbers == list(range(14, n.MAX_BEHIND + 14))


def test_a_strategy_goes_on_behind_what_it_has_heard() -> None:
    desk = Desk(resumes=True, heard=2)
    desk.record(4)
    desk.up_to()
    desk.hears(4)
    desk.passes(5.0)
    assert [question.after for question in desk.questions] == [None]
    assert (desk.numbers, desk.begins) == ([], [NewsBegin(number=2)]), "not before it can be told"
    desk.record(1)
    desk.perform(desk.news.listen(desk.now_s))
    assert desk.numbers == [3, 4]
    desk.hears(5)
    assert desk.numbers == [3, 4, 5]


def test_numbers_of_another_journal_begin_anew() -> None:
    """A copy was put back."""
    desk = Desk()
    desk.record(9)
    desk.up_to()
    desk.record(2)
    desk.hears(11)
    del desk.journal[4:]
    desk.passes(1.0)
    assert desk.begins[-1] == NewsBegin(number=4)
    desk.record(1)
    desk.hears(5)
    assert desk.numbers == [5]


def test_what_the_journal_has_lost_itself_does_not_hold_up_the_rest() -> None:
    desk = Desk()
    desk.up_to(0)
    desk.record(5)
    desk.hears(5)
    desk.passes(n.PATIENCE_S - 0.01)
    desk.now_s += 0.02
    question = desk.asks()
    assert question is not None
    page = tuple(desk.journal[2:])
    desk.perform(desk.news.answered(CaughtUp(correlation_id="", after=0, news=page, latest=5), desk.now_s))
    assert desk.begins[-1] == NewsBegin(number=2, missed=2)
    assert desk.numbers == [3, 4, 5]


def test_what_nobody_knew_is_told_as_resolved_with_its_news() -> None:
    desk = Desk()
    desk.up_to(0)
    desk.journal = [news(1, "one", LegState.UNKNOWN), news(2, "one", LegState.OPEN), news(3, "one", LegState.FILLED)]
    desk.perform(desk.news.owes(desk.journal[1].order, 0.0, number=2))
    desk.hears(2, 1, 3)
    assert [(told.number, told.resolved) for told in desk.told] == [(1, False), (2, True), (3, False)]


def test_what_an_answer_settled_is_told_by_the_news_the_journal_has_of_it() -> None:
    desk = Desk()
    desk.up_to(0)
    desk.journal = [news(1, "one", LegState.OPEN)]
    desk.perform(desk.news.owes(desk.journal[0].order, 0.0))
    desk.passes(1.0)
    assert [(told.number, told.resolved) for told in desk.told] == [(1, True)]


def test_what_an_answer_settled_and_the_journal_has_no_news_of_is_told_all_the_same() -> None:
    """Its news were told to an earlier life, or before this one began."""
    desk = Desk()
    desk.record(1)
    desk.up_to()
    desk.perform(desk.news.owes(desk.journal[0].order, 0.0))
    desk.passes(1.0)
    assert [(told.number, told.resolved) for told in desk.told] == [(0, True)]
    other = Desk()
    other.up_to(0)
    other.perform(other.news.owes(news(1).order, 0.0))
    other.passes(600.0, answered=False)
    assert [(told.number, told.resolved) for told in other.told] == [(0, True)], "nor while nobody can read it"


def test_a_fill_is_told_in_its_turn() -> None:
    desk = Desk()
    desk.up_to(0)
    execution = Execution(
        exchange="bybit",
        symbol=BTC,
        trade_id="t-1",
        exchange_order_id="x1",
        order_id="o",
        key=key(),
        side=Side.BUY,
        quantity=Decimal(1),
        price=Decimal(2),
        fee=None,
        fee_coin=None,
        maker=None,
        at_s=1.0,
    )
    desk.journal = [news(1), OrderFilled(sequence=4, number=2, order=news(1).order, execution=execution)]
    desk.hears(2, 1)
    first, second = desk.told
    assert not isinstance(first, FillTold)
    assert isinstance(second, FillTold)
    assert (second.number, second.execution) == (2, execution)


STEP = st.one_of(
    st.tuples(st.just("record"), st.integers(1, 4)),
    st.tuples(st.just("hear"), st.integers(0, 40)),
    st.tuples(st.just("up to"), st.integers(0, 40)),
    st.tuples(st.just("time"), st.sampled_from([0.01, 0.1, 0.25, 1.0])),
    st.tuples(st.just("silence"), st.sampled_from([0.3, 2.0, 40.0])),
)


@pytest.mark.parametrize("resumes", [False, True])
@given(steps=st.lists(STEP, max_size=60), limit=st.sampled_from([1, 2, 100]))
def test_whatever_comes_in_whatever_order_everything_is_told_once(
    resumes: bool, steps: list[tuple[str, Any]], limit: int
) -> None:
    desk = Desk(resumes=resumes)
    desk.up_to(0)
    desk.passes(0.0)
    desk.perform(desk.news.listen(0.0))
    for what, value in steps:
        match what:
            case "record":
                desk.record(value)
            case "hear" if desk.journal:
                desk.hears(1 + value % len(desk.journal))
            case "up to":
                desk.up_to(min(value, len(desk.journal)))
            case "time":
                desk.passes(value, limit=limit)
            case "silence":
                desk.passes(value, answered=False)
        assert desk.numbers == list(range(1, len(desk.numbers) + 1)), "in order, each once"
    desk.up_to()
    desk.passes(60.0, limit=limit)
    assert desk.numbers == list(range(1, len(desk.journal) + 1)), "all of it"


def test_what_came_between_a_question_and_its_answer_is_not_called_lost() -> None:
    """The answer is of before; the hole behind it is asked for."""
    desk = Desk()
    desk.up_to(0)
    desk.record(2)
    desk.hears(2)
    desk.now_s += n.PATIENCE_S
    question = desk.asks()
    assert question is not None
    page = tuple(desk.journal)
    desk.hears(1)
    desk.record(4)
    desk.hears(6)
    desk.perform(desk.news.answered(CaughtUp(correlation_id="", after=0, news=page, latest=2), desk.now_s))
    assert desk.begins[-1] == NewsBegin(number=0)
    desk.passes(n.PATIENCE_S + 1.0)
    assert desk.numbers == [1, 2, 3, 4, 5, 6]


def test_an_answer_that_brings_nothing_on_is_not_asked_for_again_at_once() -> None:
    """A journal that has not got what is told of is asked a few times, ever later."""
    desk = Desk()
    desk.up_to(0)
    desk.up_to(3)
    waits: list[float] = []
    for _ in range(3):
        desk.now_s = max(desk.now_s, desk.news.next_s())
        asked_s = desk.now_s
        assert desk.asks() is not None
        desk.perform(desk.news.answered(CaughtUp(correlation_id="", after=0, news=(), latest=3), desk.now_s))
        waits.append(desk.news.next_s() - asked_s)
    assert waits[0] > 0
    assert waits == sorted(waits)
