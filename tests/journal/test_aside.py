"""Legs of which nobody knows, in the journal: set aside with what follows them or not at all, counted, and proven."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from actors.order_path import OrderPath
from actors.order_writes import News, OrderWrites
from app.domain import effects as e
from app.domain.commit import AlreadyKnown, Decision, TooManyUnresolved
from app.domain.elsewhere import Elsewhere
from app.domain.leg_life import LegEvent
from app.domain.order_life import OrderState, state_of
from app.journal import statements as hot
from app.journal.store import Committed, Journal
from app.journal.verify import verify
from messages.executions import OrderFilled
from messages.orders import LegState, OrderChanged, OrderView, Purpose
from tests.domain.connector_desk import Desk
from tests.domain.orders import key, spec
from tests.domain.test_deadlines import ready_runner
from tests.journal.test_fills import fill

MOST = Elsewhere(max_notional=Decimal(150))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a journal."""
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    """One whose trading has moved from bybit to okx, with an order in doubt on bybit."""
    journal = Journal(path)
    journal.commit_route(journal.fence(0.0).epoch, "bybit", 0.0)
    doubted(journal, "a")
    journal.commit_route(journal.fence(1.0).epoch, "okx", 1.0)
    yield journal
    journal.close()


def ask(journal: Journal, name: str, **more: object) -> Committed | Decision:
    """Asks for an order where trading is."""
    route = journal.route()
    assert route.exchange is not None
    given: dict[str, object] = {"elsewhere": MOST, **more}
    return journal.commit_intent(
        exchange=route.exchange,
        epoch=route.epoch,
        key=key(name),
        spec=spec(),
        expiry_s=7.0,
        now_s=2.0,
        **given,  # type: ignore[arg-type]
    )


def doubted(journal: Journal, name: str) -> OrderView:
    """An order is sent, and nobody knows of it."""
    made = ask(journal, name)
    assert isinstance(made, Committed)
    return journal.record(made.order.order_id, 1, LegEvent.SENT_AMBIGUOUS, now_s=2.0, code="timeout").order


def held(journal: Journal) -> OrderView:
    """The order in doubt, placed on okx as well."""
    made = ask(journal, "a")
    assert isinstance(made, Committed)
    return made.order


def test_both_legs_are_one_step(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A death between the two leaves the order as it was: it is never without a leg, and never with two that count."""

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(hot, "ADD_LEG", dies)
        with pytest.raises(KeyboardInterrupt):
            ask(journal, "a")
    (order,) = journal.open_orders()
    assert [leg.state for leg in order.legs] == [LegState.UNKNOWN]
    assert journal.held_notional() == 0
    order = held(journal)
    assert [(leg.exchange, leg.state) for leg in order.legs] == [("bybit", LegState.HELD), ("okx", LegState.INTENT)]
    assert order.legs[0].reason_code == "set_aside"
    assert journal.order(order.order_id) == order


def test_it_is_open_on_both_exchanges_until_the_last_leg_is_proven(journal: Journal) -> None:
    """As a connector asks at its start, as its owner does, and as a position is reckoned."""
    order = held(journal)
    journal.record(order.order_id, 2, LegEvent.REFUSED, now_s=3.0, code="no")
    assert [each.order_id for each in journal.open_orders(exchange="bybit")] == [order.order_id]
    assert journal.open_orders(exchange="okx") == ()
    assert [each.order_id for each in journal.open_orders(strategy="maker")] == [order.order_id]
    assert journal.closed_orders("maker", None, 9) == ()
    assert journal.counts() == {"held": 1, "refused": 1}
    assert journal.oldest_unproven_s() == 2.0
    assert [(leg.exchange, leg.state) for leg in journal.exposures()] == [("bybit", LegState.HELD)]
    assert state_of(journal.open_orders()[0]) is OrderState.HELD
    journal.record(order.order_id, 1, LegEvent.PROVEN_ABSENT, now_s=4.0, code="absent")
    assert journal.open_orders() == ()
    assert [state_of(each) for each in journal.closed_orders("maker", None, 9)] == [OrderState.REFUSED]


def test_what_is_held_uses_the_bound_until_it_is_proven(journal: Journal) -> None:
    """Of all orders together."""
    journal.commit_route(journal.fence(1.0).epoch, "bybit", 1.0)
    doubted(journal, "b")
    journal.commit_route(journal.fence(1.0).epoch, "okx", 1.0)
    order = held(journal)
    assert journal.held_notional() == 100
    assert isinstance(ask(journal, "b"), AlreadyKnown), "another hundred is beyond the bound"
    journal.record(order.order_id, 1, LegEvent.SEEN_CANCELLED, now_s=3.0, filled=Decimal("0.6"))
    assert journal.held_notional() == 60, "the newer leg may fill too"
    journal.record(order.order_id, 2, LegEvent.SEEN_OPEN, now_s=3.0)
    assert journal.held_notional() == 60
    assert isinstance(ask(journal, "b"), AlreadyKnown)
    journal.record(order.order_id, 2, LegEvent.SEEN_CANCELLED, now_s=4.0, filled=Decimal("0.3"))
    assert journal.held_notional() == 0
    assert isinstance(ask(journal, "b"), Committed)


def test_one_outage_after_another_executes_no_more_twice_than_the_bound(journal: Journal) -> None:
    """What executed there is no longer in doubt, but may still execute here, however many orders come to that."""
    for name in ("a", "b", "c"):
        if name != "a":
            journal.commit_route(journal.fence(1.0).epoch, "bybit", 1.0)
            doubted(journal, name)
            journal.commit_route(journal.fence(1.0).epoch, "okx", 1.0)
        made = ask(journal, name)
        if isinstance(made, Committed):
            journal.record(made.order.order_id, 1, LegEvent.SEEN_FILLED, now_s=3.0, filled=Decimal(1))
    assert sorted(len(order.legs) for order in journal.open_orders()) == [1, 1, 2]


def test_while_it_rests_it_stays_held_and_the_newer_leg_counts(journal: Journal) -> None:
    """The index of live legs would refuse a second one."""
    order = held(journal)
    journal.record(order.order_id, 2, LegEvent.SEEN_OPEN, now_s=3.0, exchange_order_id="x2")
    shown = journal.record(order.order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0, filled=Decimal("0.4")).order
    assert [(leg.state, leg.filled) for leg in shown.legs] == [
        (LegState.HELD, Decimal("0.4")),
        (LegState.OPEN, Decimal(0)),
    ]


def test_what_filled_beyond_what_was_asked_is_kept(journal: Journal) -> None:
    """Once a report: how much, and of how many orders."""
    order = held(journal)
    half = journal.record(order.order_id, 1, LegEvent.SEEN_CANCELLED, now_s=3.0, filled=Decimal("0.5"))
    first = journal.record(order.order_id, 2, LegEvent.SEEN_PARTIAL, now_s=3.0, filled=Decimal("0.5"))
    assert [half.excess, first.excess] == [0, 0]
    assert journal.exceeded() == 0
    more = journal.record(order.order_id, 2, LegEvent.SEEN_FILLED, now_s=3.0, filled=Decimal(1))
    assert (more.excess, journal.exceeded()) == (Decimal("0.5"), 1)


def test_doubts_are_counted_over_all_connections(journal: Journal, path: Path) -> None:
    """What another connector has learned counts at once, in both directions."""
    other = Journal(path)
    assert isinstance(ask(journal, "b", max_unresolved=2), Committed)
    order = doubted(other, "c")
    stopped = ask(journal, "d", max_unresolved=2)
    assert isinstance(stopped, TooManyUnresolved)
    assert isinstance(ask(journal, "d", max_unresolved=2, purpose=Purpose.EXIT), Committed), "an exit passes"
    other.record(order.order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0)
    other.close()
    assert isinstance(ask(journal, "e", max_unresolved=2), Committed)
    held(journal)
    assert isinstance(ask(journal, "f", max_unresolved=1), TooManyUnresolved), "what is held counts"


def test_the_events_alone_give_the_same(journal: Journal, path: Path) -> None:
    """Set aside, held, exceeded: the journal's own proof finds nothing amiss, and sees a bit that fell over."""
    order = held(journal)
    journal.record(order.order_id, 2, LegEvent.SEEN_FILLED, now_s=3.0, filled=Decimal(1))
    journal.record(order.order_id, 1, LegEvent.SEEN_PARTIAL, now_s=3.0, filled=Decimal("0.4"))
    journal.record(order.order_id, 1, LegEvent.SEEN_CANCELLED, now_s=4.0, filled=Decimal("0.4"))
    assert verify(path).findings == ()
    journal._db.execute("UPDATE legs SET state = 'absent' WHERE number = 1 AND order_id = ?", (order.order_id,))
    assert verify(path).findings != ()


def test_the_log_tells_of_the_leg_that_filled_beyond_what_was_asked(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where its executions say so before any report of the order does."""
    order = held(journal)
    journal.record(order.order_id, 2, LegEvent.SEEN_FILLED, now_s=3.0, filled=Decimal(1))
    desk = Desk()
    runner = ready_runner(desk)
    writes = OrderWrites(journal, desk.machine, runner, OrderPath("bybit", journal, runner, 5.0), lambda: 4.0)
    filled = e.RecordFills(order_id=order.order_id, number=1, fills=(fill("t1"),))
    news: list[News] = []
    with caplog.at_level(logging.INFO, logger="actors.order_writes"), capture_logs() as told:
        writes.record_fills([filled], 4.0, news)
    (excess,) = [line for line in told if line["event"] == "order.excess"]
    assert (excess["excess"], excess["leg"], excess["exchange"]) == ("0.1", 1, "bybit")
    (changed,) = [json.loads(line) for line in caplog.messages if "order.changed" in line]
    assert (changed["leg"], changed["exchange"], changed["state"]) == (1, "bybit", "held")
    assert [type(each) for each in news] == [OrderChanged, OrderFilled]
