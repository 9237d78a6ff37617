"""The verdict finds each way in which an order can be lost, doubled or told wrongly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.demo.verdict import Verdict, judge
from app.domain.ids import order_id, wire_id
from messages.market import MarketType, Symbol
from messages.orders import LegState, LegView, OrderKey, OrderSpec, OrderType, OrderView, Side

JOURNAL = "0123abcd"
KEY = OrderKey(strategy="demo", client_order_id="one")
WIRE = wire_id(JOURNAL, KEY, 1)
PLACED = {"what": "placed", "at_s": 0.0, "id": "one", "side": "buy", "price": None, "quantity": "0.01"}


def told(word: str, state: str | None = None) -> dict[str, Any]:
    """A line of the diary."""
    return {"what": "told", "at_s": 1.0, "id": "one", "told": word, "state": state, "exchange": None}


def entry(wire: str = WIRE, *, filled: str = "0.01", status: str = "filled") -> dict[str, Any]:
    """An order in an exchange's book."""
    return {"client_order_id": wire, "qty": "0.01", "filled": filled, "status": status}


def verdict(
    lines: list[dict[str, Any]],
    *,
    bybit: list[dict[str, Any]] | None = None,
    okx: list[dict[str, Any]] | None = None,
    journal: list[OrderView] | None = None,
) -> Verdict:
    """Of one order."""
    truths = {"bybit": {"orders": bybit or []}, "okx": {"orders": okx or []}}
    return judge([PLACED, *lines], journal or [], truths, journal_id=JOURNAL, strategy="demo")


def test_accepted_and_in_one_book_is_sound() -> None:
    """As it should be."""
    found = verdict([told("accepted", "open"), told("changed", "filled")], bybit=[entry()])
    assert found.sound
    assert (found.accepted, found.by_exchange) == (1, {"bybit": 1, "okx": 0})


def test_accepted_and_in_no_book_is_lost() -> None:
    """Whatever was told later."""
    found = verdict([told("accepted", "open"), told("changed", "filled")])
    assert (found.lost, found.accepted, found.sound) == (1, 0, False)


def test_never_answered_is_lost_even_where_it_executed() -> None:
    """News without an answer is no answer."""
    assert verdict([told("changed", "open")], bybit=[entry()]).lost == 1
    assert verdict([]).lost == 1


def test_twice_under_one_id_is_doubled_even_when_cancelled() -> None:
    """One placement, one order."""
    found = verdict([told("accepted", "open")], bybit=[entry(filled="0", status="cancelled")] * 2)
    assert (found.duplicated, found.sound) == (1, False)


def test_legs_that_fill_more_than_was_asked_are_doubled() -> None:
    """On two exchanges; what is still open counts as if it filled."""
    second = wire_id(JOURNAL, KEY, 2)
    assert verdict([told("accepted", "open")], bybit=[entry()], okx=[entry(second)]).duplicated == 1
    resting = entry(second, filled="0", status="open")
    assert verdict([told("accepted", "open")], bybit=[entry()], okx=[resting]).duplicated == 1
    gone = entry(filled="0", status="cancelled")
    assert verdict([told("accepted", "open")], bybit=[gone], okx=[entry(second)]).sound


def test_unknown_must_be_resolved() -> None:
    """By news of the order itself, or by the router knowing none such."""
    assert verdict([told("unknown")], bybit=[entry()]).unknown == 1
    assert verdict([told("unknown"), told("changed", "unknown")], bybit=[entry()]).unknown == 1
    resolved = verdict([told("unknown"), told("changed", "filled")], bybit=[entry()])
    assert (resolved.unknown, resolved.resolved, resolved.accepted) == (0, 1, 1)
    never = verdict([told("unknown"), told("never_sent")])
    assert (never.unknown, never.resolved, never.not_executed) == (0, 1, 1)


def test_denied_and_in_a_book_is_contradicted() -> None:
    """The worst: a strategy that places anew doubles it."""
    for lines in ([told("refused")], [told("not_executed", "absent")], [told("unknown"), told("never_sent")]):
        found = verdict(lines, okx=[entry()])
        assert (found.contradicted, found.sound) == (1, False)
        assert verdict(lines).contradicted == 0


def test_what_nobody_asked_for_is_a_stray() -> None:
    """Ours or anybody's."""
    found = verdict([told("accepted", "open")], bybit=[entry(), entry("somebody-elses")])
    assert (found.strays, found.sound) == (1, False)


def test_journal_that_counts_other_fills_is_told() -> None:
    """Leg by leg."""
    leg = LegView(
        number=1,
        exchange="bybit",
        epoch=1,
        wire_id=WIRE,
        quantity=Decimal("0.01"),
        state=LegState.FILLED,
        committed_s=0.0,
        expiry_s=1.0,
        attempts=1,
        exchange_order_id="x",
        filled=Decimal("0.01"),
        average_price=Decimal(27000),
        reason_code=None,
        reason_words=None,
        native_code=None,
        created_s=0.0,
        updated_s=0.0,
    )
    symbol = Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
    spec = OrderSpec(symbol=symbol, side=Side.BUY, order_type=OrderType.MARKET, quantity=Decimal("0.01"))
    order = OrderView(order_id=order_id(JOURNAL, KEY), key=KEY, spec=spec, legs=(leg,), created_s=0.0)
    lines = [told("accepted", "filled")]
    assert verdict(lines, bybit=[entry()], journal=[order]).sound
    assert verdict(lines, bybit=[entry(filled="0.02")], journal=[order]).misstated == 1


def test_nothing_traded_is_nothing_shown() -> None:
    """No order, no proof."""
    assert not judge([], [], {}, journal_id=JOURNAL, strategy="demo").sound
