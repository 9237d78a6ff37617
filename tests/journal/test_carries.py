"""Taking an order up elsewhere is one transaction: it is never on two exchanges, and never on none without a word."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from attrs import evolve

from app.domain.carry import (
    NO_POSITION,
    NOT_EXECUTED,
    PLACED_BY_OWNER,
    TOO_OLD,
    Carry,
    Decision,
    Finished,
    Park,
    Standing,
    TickerNeeded,
)
from app.domain.leg_life import LegEvent
from app.domain.order_life import OrderState, state_of
from app.journal.carries import Moved
from app.journal.store import Committed, Journal
from app.journal.verify import verify_tables
from messages.orders import LegState, Linked, OrderView, Side
from tests.domain.orders import BTC, key, spec

D = Decimal


def all_of(order: OrderView, _: Standing) -> Decision:
    """Whatever is left."""
    return Carry(quantity=order.quantity - order.filled, price=None, trigger_price=None, whole=None)


@pytest.fixture
def journal() -> Journal:
    """Trading is on bybit."""
    made = Journal(None)
    made.fence(1.0)
    made.commit_route(1, "bybit", 1.0)
    return made


def placed(journal: Journal, name: str = "one", *, at_s: float = 2.0) -> OrderView:
    """An order that rests on bybit, of which 0.4 has filled."""
    route = journal.route()
    made = journal.commit_intent(
        exchange="bybit", epoch=route.epoch, key=key(name), spec=spec(), expiry_s=at_s + 5, now_s=at_s
    )
    assert isinstance(made, Committed)
    order_id = made.order.order_id
    seen = {"now_s": at_s, "exchange_order_id": "x1"}
    return journal.record(order_id, 1, LegEvent.SEEN_PARTIAL, filled=D("0.4"), **seen).order  # type: ignore[arg-type]


def drained(journal: Journal, name: str = "one") -> OrderView:
    """The same, taken off."""
    order = placed(journal, name)
    journal.record(order.order_id, 1, LegEvent.CARRY_ASKED, now_s=3.0)
    return journal.record(order.order_id, 1, LegEvent.SEEN_CANCELLED, now_s=4.0, filled=D("0.4")).order


def moves(journal: Journal, at_s: float = 5.0) -> int:
    """Trading goes to okx."""
    epoch = journal.fence(at_s).epoch
    journal.commit_route(epoch, "okx", at_s)
    return epoch


def taken_up(
    journal: Journal,
    order: OrderView,
    decide: Callable[[OrderView, Standing], Decision] = all_of,
    *,
    number: int = 1,
    exchange: str = "okx",
    epoch: int = 2,
    linked: bool = False,
) -> Moved:
    """At six seconds."""
    asked = {"exchange": exchange, "epoch": epoch, "expiry_s": 11.0, "now_s": 6.0, "linked": linked}
    return journal.carry(order.order_id, number, decide=decide, **asked)  # type: ignore[arg-type]


def consistent(journal: Journal) -> None:
    """By its own events."""
    report = verify_tables(journal._db)
    assert not report.findings, report.findings


def test_a_cancel_of_the_routers_own_is_no_end_of_its_order(journal: Journal) -> None:
    order = drained(journal)
    assert (state_of(order), order.filled) == (OrderState.MOVING, D("0.4"))
    assert [each.order_id for each in journal.drained()] == [order.order_id]
    assert [each.order_id for each in journal.open_orders()] == [order.order_id], "its owner sees it"
    assert not journal.open_orders(exchange="bybit"), "nothing of it is there"
    assert not journal.closed_orders("maker", None, 5)
    consistent(journal)


def test_it_is_taken_up_once(journal: Journal) -> None:
    order = drained(journal)
    moves(journal)
    first, second = taken_up(journal, order), taken_up(journal, order)
    assert (first.carried.fresh, second.carried.fresh) == (True, False)
    (old, new) = second.carried.order.legs
    assert (old.state, new.state) == (LegState.CANCELLED, LegState.INTENT)
    assert (new.exchange, new.epoch, new.quantity) == ("okx", 2, D("0.6"))
    assert new.wire_id != old.wire_id
    assert not journal.to_carry("okx")
    consistent(journal)


def test_only_where_trading_is(journal: Journal) -> None:
    order = drained(journal)
    journal.fence(5.0)
    assert not taken_up(journal, order).carried.fresh, "between the fence and the commit it is nowhere"
    journal.commit_route(2, "okx", 5.0)
    assert not taken_up(journal, order, exchange="binance").carried.fresh
    assert not taken_up(journal, order, epoch=1).carried.fresh
    assert len(journal.drained()) == 1
    assert taken_up(journal, order).carried.fresh


def test_what_is_parked_says_why_and_is_not_told_twice(journal: Journal) -> None:
    order = drained(journal)
    moves(journal)

    def none_there(_order: OrderView, _standing: Standing) -> Decision:
        return Park(code=NO_POSITION, words="Nothing to reduce.")

    first, again = taken_up(journal, order, none_there), taken_up(journal, order, none_there)
    assert (len(first.news), len(again.news)) == (1, 0)
    assert state_of(again.carried.order) is OrderState.PARKED
    assert again.carried.order.legs[-1].reason_words == "Nothing to reduce."
    assert [each.order_id for each in journal.to_carry("okx")] == [order.order_id], "that may pass"
    old = taken_up(journal, order, lambda _order, _standing: Park(code=TOO_OLD, words="Too old."))
    assert old.carried.order.legs[-1].reason_code == TOO_OLD
    assert (len(journal.parked()), len(journal.to_carry("okx"))) == (1, 0)
    consistent(journal)


def test_a_parked_one_is_placed_by_its_owners_word(journal: Journal) -> None:
    order = drained(journal)
    moves(journal)
    journal.park(order.order_id, "policy", "It waits.", 6.0)
    journal.unpark(order.order_id, PLACED_BY_OWNER, "Place it.", 7.0)
    (waiting,) = journal.drained()
    assert waiting.legs[-1].reason_code == PLACED_BY_OWNER
    assert taken_up(journal, order).carried.fresh
    consistent(journal)


def test_its_owner_ends_it_wherever_it_is(journal: Journal) -> None:
    for name in ("one", "two"):
        order = drained(journal, name)
        if name == "two":
            journal.park(order.order_id, "policy", "It waits.", 6.0)
        ended = journal.record(order.order_id, 1, LegEvent.WITHDRAWN, now_s=7.0).order
        assert state_of(ended) is OrderState.CANCELLED
    moves(journal)
    assert not taken_up(journal, order).carried.fresh
    consistent(journal)


def test_a_fill_that_is_told_late_counts(journal: Journal) -> None:
    order = drained(journal)
    seen = journal.record(order.order_id, 1, LegEvent.SEEN_CANCELLED, now_s=5.0, filled=D("0.7")).order
    assert seen.filled == D("0.7")
    moves(journal)
    assert taken_up(journal, order).carried.order.legs[-1].quantity == D("0.3")
    consistent(journal)


def test_what_is_to_be_dropped_is_over(journal: Journal) -> None:
    order = drained(journal)
    moves(journal)
    gone = taken_up(journal, order, lambda _order, _standing: Finished(words="Dropped."))
    assert state_of(gone.carried.order) is OrderState.CANCELLED
    assert not journal.to_carry("okx")
    consistent(journal)


def test_without_a_price_it_stays_as_it_is(journal: Journal) -> None:
    order = drained(journal)
    moves(journal)
    assert not taken_up(journal, order, lambda _order, _standing: TickerNeeded()).news
    assert len(journal.drained()) == 1


def test_one_that_was_refused_there_is_parked_and_sent_again(journal: Journal) -> None:
    order = drained(journal)
    moves(journal)
    taken_up(journal, order)
    why = {"code": "insufficient_funds", "words": "No funds.", "native_code": "110007"}
    refused = journal.record(order.order_id, 2, LegEvent.PARKED, now_s=7.0, **why)  # type: ignore[arg-type]
    assert state_of(refused.order) is OrderState.PARKED
    assert len(journal.to_carry("okx")) == 1
    again = taken_up(journal, order, number=2)
    assert again.carried.fresh
    assert [each.state for each in again.carried.order.legs] == [
        LegState.CANCELLED,
        LegState.CANCELLED,
        LegState.INTENT,
    ]
    consistent(journal)


@pytest.mark.parametrize("by_owner", [False, True])
def test_one_that_was_proven_absent_there_is_sent_again_under_its_id(journal: Journal, by_owner: bool) -> None:
    """The exchange's own check for duplicates guards it, should the proof be wrong."""
    order = drained(journal)
    moves(journal)
    sent = taken_up(journal, order).carried.order.legs[-1]
    journal.record(order.order_id, 2, LegEvent.PARKED, now_s=7.0, code=NOT_EXECUTED, words="It never executed.")
    if by_owner:
        journal.unpark(order.order_id, PLACED_BY_OWNER, "Place it.", 7.5)
    again = taken_up(journal, order, number=2)
    assert again.carried.fresh
    (_, leg) = again.carried.order.legs
    assert (leg.state, leg.number, leg.wire_id, leg.attempts) == (LegState.INTENT, 2, sent.wire_id, 2)
    assert (leg.expiry_s, leg.reason_code) == (11.0, None)
    assert journal.order(order.order_id) == again.carried.order
    assert not journal.to_carry("okx")
    consistent(journal)


def test_what_is_sent_again_under_its_id_has_its_exits_placed_when_it_fills(journal: Journal) -> None:
    """Its row of exits was over while it was parked."""
    order = drained(journal)
    moves(journal)
    taken_up(journal, order, linked=True)
    journal.record(order.order_id, 2, LegEvent.PARKED, now_s=7.0, code=NOT_EXECUTED, words="It never executed.")
    journal.mark(order.order_id, 2, Linked.DONE, 7.0)
    again = taken_up(journal, order, number=2)
    assert (again.carried.order.legs[-1].number, again.carried.order.legs[-1].linked) == (2, Linked.OPEN)
    assert journal.order(order.order_id) == again.carried.order
    consistent(journal)


def test_one_that_was_taken_off_is_another_leg_also_where_trading_came_back(journal: Journal) -> None:
    """It had not been seen by an id of its exchange, but its end is proven under the id it had."""
    made = journal.commit_intent(exchange="bybit", epoch=1, key=key("x"), spec=spec(), expiry_s=7.0, now_s=2.0)
    assert isinstance(made, Committed)
    order_id = made.order.order_id
    journal.record(order_id, 1, LegEvent.SEEN_OPEN, now_s=2.5)
    journal.record(order_id, 1, LegEvent.CARRY_ASKED, now_s=3.0)
    order = journal.record(order_id, 1, LegEvent.SEEN_CANCELLED, now_s=4.0, filled=D(0)).order
    again = taken_up(journal, order, exchange="bybit", epoch=1)
    assert [leg.number for leg in again.carried.order.legs] == [1, 2]
    consistent(journal)


def test_that_an_exchange_refused_it_is_not_forgotten_when_its_owner_has_it_placed(journal: Journal) -> None:
    order = drained(journal)
    moves(journal)
    taken_up(journal, order)
    why = {"code": "unknown_symbol", "words": "No.", "native_code": "51001"}
    journal.record(order.order_id, 2, LegEvent.PARKED, now_s=7.0, **why)  # type: ignore[arg-type]
    journal.unpark(order.order_id, PLACED_BY_OWNER, "Place it.", 7.5)
    assert len(taken_up(journal, order, number=2).carried.order.legs) == 3


def halved(order: OrderView, _: Standing) -> Decision:
    """Other terms than before."""
    return Carry(quantity=D("0.3"), price=None, trigger_price=None, whole=None)


@pytest.mark.parametrize(
    ("decide", "exchange", "native"), [(halved, "okx", None), (all_of, "bybit", None), (all_of, "okx", "110007")]
)
def test_another_leg_goes_with_other_terms_or_elsewhere_or_after_a_refusal(
    journal: Journal, decide: Callable[[OrderView, Standing], Decision], exchange: str, native: str | None
) -> None:
    order = drained(journal)
    moves(journal)
    sent = taken_up(journal, order).carried.order.legs[-1]
    parked = {"code": NOT_EXECUTED, "words": "Never.", "native_code": native}
    journal.record(order.order_id, 2, LegEvent.PARKED, now_s=7.0, **parked)  # type: ignore[arg-type]
    epoch = 2
    if exchange == "bybit":
        epoch = journal.fence(7.0).epoch
        journal.commit_route(epoch, "bybit", 7.0)
    again = taken_up(journal, order, decide, number=2, exchange=exchange, epoch=epoch)
    assert again.carried.order.legs[-1].wire_id != sent.wire_id
    assert len(again.carried.order.legs) == 3
    consistent(journal)


def test_a_leg_for_less_is_a_step_of_the_exchange_and_one_for_more_is_found(journal: Journal) -> None:
    order = drained(journal)
    moves(journal)
    half = Carry(quantity=D("0.5"), price=None, trigger_price=None, whole=None)
    taken_up(journal, order, lambda _order, _standing: half)
    consistent(journal)
    other = drained_there(journal)
    taken_up(
        journal,
        other,
        lambda _order, _standing: Carry(quantity=D("0.7"), price=None, trigger_price=None, whole=None),
        exchange="bybit",
        epoch=3,
    )
    assert verify_tables(journal._db).findings


def drained_there(journal: Journal) -> OrderView:
    """Another one, once trading is back."""
    epoch = journal.fence(6.0).epoch
    journal.commit_route(epoch, "bybit", 6.0)
    return drained(journal, "other")


def test_standing_says_what_stands_where_and_since_when_trading_is_gone(journal: Journal) -> None:
    order = drained(journal)
    closing = evolve(order, spec=evolve(order.spec, side=Side.SELL, reduce_only=True))
    assert journal.standing_of(closing, "bybit") == Standing(held=D("0.4"), elsewhere=D(0), left_s=None)
    moves(journal, 5.0)
    moves(journal, 9.0)
    assert journal.standing_of(closing, "okx") == Standing(held=D(0), elsewhere=D("0.4"), left_s=5.0)
    assert journal.attributed("bybit", BTC) == D("0.4")
