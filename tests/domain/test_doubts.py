"""What a session owes an answer for: asked after until it is known, at the promised distances, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from attrs import define, evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.domain import doubts as room
from app.domain.doubts import ANSWER_S, ASK_AFTER_S, MARK, About, Doubts
from app.domain.order_life import OPEN, PLACEABLE, state_of, unproven
from messages.base import Failed
from messages.orders import CancelOrder, GetOrder, LegState, OrderKey, OrderReply, OrderView
from tests.depth import stateful
from tests.domain.orders import key, leg, order
from tests.strategies import orders, pauses_s

MOST = 3
OVER = ("unknown_order", "order_not_open")
IDS = ["a", "b", "c", "d"]


@define
class Owed:
    """What we know of one."""

    key: OrderKey | None
    about: About
    due_s: float
    asked: int = 0

    def pause_s(self) -> float:
        return ASK_AFTER_S[min(self.asked, len(ASK_AFTER_S) - 1)]


def settles(about: About, view: OrderView) -> bool:
    """Whether an order that is so leaves nothing in doubt."""
    if view.leg is None:
        return False
    if about is About.CANCEL:
        return state_of(view) not in OPEN and state_of(view) not in PLACEABLE
    return not unproven(view) and not (about is About.CHANGE and view.leg.wanted is not None)


class DoubtsMachine(RuleBasedStateMachine):
    """Whatever is told, answered or not answered at all.

    - Each in doubt is asked after 2 s, 4 s and from then on 8 s beyond the time an answer may take, by its own id.
    - A cancel is asked for again, everything else asked after; a doubt about a cancel stays one until the
      order is over.
    - What is known ends the doubt, told or answered, and what is not known does not.
    - An order that the journal does not know was never committed, unless it is being placed again; without its key
      nobody can be told so.
    - At most `MAX_DOUBTS` are kept; `next_s` is when the next question is due, and never while there is none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bound = room.MAX_DOUBTS
        room.MAX_DOUBTS = MOST
        self.doubts, self.now_s = Doubts(), 100.0
        self.owed: dict[str, Owed] = {}

    def teardown(self) -> None:
        room.MAX_DOUBTS = self.bound

    @rule(name=st.sampled_from(IDS), known=st.booleans(), about=st.sampled_from(About))
    def add(self, name: str, known: bool, about: About) -> None:
        named = key(name) if known else None
        self.doubts.add(name, named, self.now_s, about)
        if name in self.owed:
            self.owed[name].key = self.owed[name].key or named
            if self.owed[name].about is not About.CANCEL:
                self.owed[name].about = about
        elif len(self.owed) < MOST:
            self.owed[name] = Owed(named, about, self.now_s + ASK_AFTER_S[0])

    @rule(name=st.sampled_from(IDS), view=orders())
    def told(self, name: str, view: OrderView) -> None:
        over = name in self.owed and settles(self.owed[name].about, view)
        assert self.doubts.told(evolve(view, order_id=name)) == over
        if over:
            del self.owed[name]

    @rule(name=st.sampled_from(IDS), view=orders())
    def found(self, name: str, view: OrderView) -> None:
        view = evolve(view, order_id=name)
        over = name in self.owed and settles(self.owed[name].about, view)
        answer = self.doubts.answered(name, OrderReply(correlation_id="", order=view), (), self.now_s)
        assert answer == (view if over else None)
        self._ends(name, over)

    @rule(
        name=st.sampled_from(IDS), placing=st.booleans(), code=st.sampled_from(["unknown_order", "order_not_open", "x"])
    )
    def failed(self, name: str, placing: bool, code: str) -> None:
        owed = self.owed.get(name)
        answer = self.doubts.answered(
            name, Failed(correlation_id="", code=code, words=""), [key(name)] if placing else [], self.now_s
        )
        if owed is not None and owed.about is About.CANCEL and code in OVER:
            assert answer is None
            owed.about, owed.due_s = About.PLACE, self.now_s
        elif owed is not None and code == "unknown_order" and not (placing and owed.key is not None):
            assert answer == owed.key
            del self.owed[name]
        else:
            assert answer is None
            self._ends(name, False)

    @rule(name=st.sampled_from(IDS))
    def no_answer(self, name: str) -> None:
        assert self.doubts.answered(name, None, (), self.now_s) is None
        self._ends(name, False)

    def _ends(self, name: str, over: bool) -> None:
        owed = self.owed.get(name)
        if over:
            del self.owed[name]
        elif owed is not None:
            owed.due_s = self.now_s + owed.pause_s()

    @rule(pause_s=pauses_s)
    def wait(self, pause_s: float) -> None:
        self.now_s += pause_s
        self.ask()

    @precondition(lambda self: self.owed)
    @rule(early=st.booleans())
    def wait_until_due(self, early: bool) -> None:
        self.now_s = max(self.now_s, self.doubts.next_s() - (0.01 if early else 0.0))
        self.ask()

    def ask(self) -> None:
        """Whatever is due is asked, in any case exactly that."""
        due = {name: owed for name, owed in self.owed.items() if self.now_s >= owed.due_s}
        asked = self.doubts.due("session", "maker", self.now_s)
        assert {each.order_id for each in asked} == set(due)
        assert len(asked) == len(due)
        for each in asked:
            assert each.order_id is not None
            owed = due[each.order_id]
            assert type(each) is (CancelOrder if owed.about is About.CANCEL else GetOrder)
            assert (each.strategy, each.deadline_s) == ("maker", self.now_s + ANSWER_S)
            assert Doubts.about(each.correlation_id) == each.order_id
            assert each.correlation_id.startswith("session")
            owed.due_s = self.now_s + ANSWER_S + owed.pause_s()
            owed.asked += 1
        assert self.doubts.due("session", "maker", self.now_s) == [], "asked once"

    @invariant()
    def the_next_question_is_known(self) -> None:
        assert self.doubts.next_s() == min((owed.due_s for owed in self.owed.values()), default=inf)


TestDoubtsMachine = stateful(DoubtsMachine, 30, 600)


def test_a_question_tells_which_order_it_was_about_whatever_the_session_is_called() -> None:
    doubts = Doubts()
    doubts.add("o1", None, 0.0)
    (question,) = doubts.due(f"s{MARK}", "maker", 2.0)
    assert Doubts.about(question.correlation_id) == "o1"
    assert Doubts.about("r1") is None


def test_no_more_are_kept_than_are_promised() -> None:
    doubts = Doubts()
    for number in range(room.MAX_DOUBTS + 1):
        doubts.add(str(number), None, 0.0)
    assert len(doubts.due("s", "maker", 10.0)) == room.MAX_DOUBTS == 10_000


AGAIN: list[tuple[About, Callable[[], Any]]] = [
    (About.PLACE, lambda: order(leg(LegState.OPEN))),
    (About.CANCEL, lambda: order(leg(LegState.CANCELLED))),
]


@pytest.mark.parametrize(("about", "known"), AGAIN)
def test_the_first_question_comes_after_two_seconds(about: About, known: Callable[[], OrderView]) -> None:
    doubts, order_id = Doubts(), known().order_id
    doubts.add(order_id, key(), 0.0, about)
    assert doubts.next_s() == 2.0
    assert doubts.told(known())
    assert doubts.next_s() == inf
