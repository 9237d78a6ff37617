"""Leverage, margin modes, hedge mode, liquidation, funding, dead-man switch, suspension, several accounts."""

import pytest

from app.simulator.model import MarginMode, PositionSide, Reason, Refusal, Role, Side, Status
from app.simulator.spec import DeadManRules
from tests.simulator.engines import BTC, BUY, SELL, SPOT, D, engine, order, refusal, swap

ETH = "ETH/USDT:USDT"
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def reason_of(call: object, *args: object, **kwargs: object) -> Reason:
    """The reason for which a call is refused."""
    assert callable(call)
    with pytest.raises(Refusal) as caught:
        call(*args, **kwargs)
    return caught.value.reason


# ---- modes ----------------------------------------------------------------------------------------------------------


def test_hedge_mode_holds_a_long_and_a_short() -> None:
    """Each side opens and closes its own; closing more than there is closes what is there, and never flips."""
    e = engine()
    assert refusal(e, order(position_side=LONG)) is Reason.WRONG_POSITION_SIDE
    assert e.set_hedge_mode(True) is True
    assert e.set_hedge_mode(True) is False
    assert refusal(e, order()) is Reason.WRONG_POSITION_SIDE
    assert refusal(e, order(SELL, position_side=LONG)) is Reason.REDUCE_ONLY
    e.place(order(BUY, "1", position_side=LONG), 1)
    e.place(order(SELL, "2", position_side=SHORT), 2)
    assert [(p.side, p.qty, p.entry_price) for p in e.positions()] == [
        (LONG, D(1), D("27000.1")),
        (SHORT, D(-2), D(27000)),
    ]
    assert e.ledger.used_margin == D(27000) * 3 / 10
    closing = e.place(order(SELL, "5", position_side=LONG), 3)
    assert (closing.filled, closing.status) == (D(1), Status.EXPIRED)
    assert [(p.side, p.qty) for p in e.positions()] == [(SHORT, D(-2))]


def test_modes_do_not_change_in_use() -> None:
    """A position or an open order refuses it, of the symbols that would change only."""
    e = engine(swap(), swap(symbol=ETH, native="ETHUSDT", base="ETH"))
    resting = e.place(order(price="20000"), 1)
    assert reason_of(e.set_hedge_mode, True) is Reason.MODE_IN_USE
    assert reason_of(e.set_margin_mode, MarginMode.ISOLATED, [BTC]) is Reason.MARGIN_MODE_IN_USE
    assert e.set_hedge_mode(True, [ETH]) is True
    e.cancel(2, order_id=resting.order_id)
    e.set_position(BTC, D(1), 3)
    assert reason_of(e.set_hedge_mode, True) is Reason.MODE_IN_USE
    e.set_position(BTC, D(0), 4)
    assert e.set_hedge_mode(True) is True
    assert e.set_margin_mode(MarginMode.ISOLATED, [BTC]) is True
    assert e.set_margin_mode(MarginMode.ISOLATED, [BTC]) is False
    assert (e.ledger.mode(BTC), e.ledger.mode(ETH)) == (MarginMode.ISOLATED, MarginMode.CROSS)


def test_an_isolated_position_has_a_margin_of_its_own() -> None:
    """Taken at the fill, moved by hand and by leverage, given back with what is closed."""
    e = engine()
    e.set_margin_mode(MarginMode.ISOLATED)
    e.place(order(SELL, "1"), 1)
    position = e.ledger.position(BTC)
    assert (position.margin, e.ledger.available) == (D(2700), D(97300))
    e.move_price(BTC, D(26000), 2)
    assert (e.ledger.available, e.ledger.cross_equity) == (D(97300), D(97300)), "its profit is not for others"
    assert e.add_margin(BTC, D(300)) == D(3000)
    assert reason_of(e.add_margin, BTC, D(-301)) is Reason.INSUFFICIENT_MARGIN
    e.set_leverage(BTC, D(5))
    assert position.margin == D(5400)
    e.place(order(BUY, "0.5"), 3)
    assert position.margin == D(2700)
    e.place(order(BUY, "0.5"), 4)
    assert (position.margin, e.ledger.balances["USDT"]) == (D(0), D(100_000) + D("999.9"))
    assert reason_of(e.add_margin, BTC, D(1)) is Reason.NO_POSITION


# ---- liquidation ----------------------------------------------------------------------------------------------------


def test_an_isolated_position_is_liquidated_and_costs_no_more_than_its_margin() -> None:
    """Also when the price falls through: the exchange bears the rest."""
    e = engine()
    e.set_margin_mode(MarginMode.ISOLATED)
    e.set_leverage(BTC, D(20))
    e.place(order(BUY, "1"), 1)
    resting = e.place(order(BUY, "1", "15000"), 2)
    price = e.liquidation_price(e.ledger.position(BTC))
    assert price is not None
    assert D(25700) < price < D(25800)
    e.move_price(BTC, D(25800), 3)
    assert e.positions() != []
    e.move_price(BTC, D(20000), 4)
    assert e.positions() == []
    assert e.fills[-1].order.role is Role.LIQUIDATION
    assert (e.ledger.balances["USDT"], e.ledger.position(BTC).margin) == (D(100_000) - D("27000.1") / 20, D(0))
    assert [(x.kind, x.symbol) for x in e.ledger.entries] == [("insurance", BTC)]
    assert (resting.status, resting.close_reason) == (Status.CANCELLED, "liquidation")


def test_a_cross_account_is_liquidated_by_its_largest_loss() -> None:
    """Orders go first; when closing one is enough the other stays; a debt is the exchange's."""
    e = engine(swap(), swap(symbol=ETH, native="ETHUSDT", base="ETH", price=D(1800)), initial_balance=D(3000))
    e.set_position(BTC, D(1), 1)
    e.set_position(ETH, D(1), 1)
    # Reduce-only, so it needs no margin: liquidation takes every open order of the account's positions.
    resting = e.place(order(SELL, "1", "40000", reduce_only=True), 2)
    assert e.move_price(BTC, D(24200), 3) == []
    [fill] = e.move_price(BTC, D(24100), 4)
    assert (fill.order.role, fill.qty, resting.close_reason) == (Role.LIQUIDATION, D(1), "liquidation")
    assert [p.symbol for p in e.positions()] == [ETH]
    assert e.ledger.balances["USDT"] == D(100)
    e.move_price(ETH, D(1000), 5)
    assert e.positions() == []
    assert e.ledger.balances["USDT"] == 0
    assert [x.kind for x in e.ledger.entries] == ["insurance"]


@pytest.mark.parametrize("mode", list(MarginMode))
@pytest.mark.parametrize("side", [BUY, SELL])
def test_the_liquidation_price_is_where_it_happens(mode: MarginMode, side: Side) -> None:
    """One tick before it nothing, at it the end."""
    e = engine(initial_balance=D(4000))
    e.set_margin_mode(mode)
    e.place(order(side, "1"), 1)
    price = e.liquidation_price(e.ledger.position(BTC))
    assert price is not None
    safe = price // D("0.1") * D("0.1") + (D("0.2") if side is BUY else -D("0.1"))
    e.move_price(BTC, safe, 2)
    assert e.positions() != []
    e.move_price(BTC, safe - side.sign * D("0.3"), 3)
    assert e.positions() == []


# ---- funding --------------------------------------------------------------------------------------------------------


def test_funding_by_hand_and_by_the_clock() -> None:
    """Longs pay a positive rate at the mark price; off until switched on; spot has none."""
    e = engine()
    other = e.new_account("other")
    e.set_position(BTC, D(2), 1)
    other.set_position(BTC, D(-1), 1)
    e.venue.pin_mark(BTC, D(54000), 2)
    e.venue.fund(BTC, D("0.00005"), 2)
    e.venue.pin_mark(BTC, None, 2)
    assert (e.ledger.balances["USDT"], other.ledger.balances["USDT"]) == (D("99994.6"), D("100002.7"))
    assert reason_of(e.venue.fund, SPOT, D(0), 3) is Reason.UNSUPPORTED
    e.venue.advance(10**9)
    assert e.ledger.balances["USDT"] == D("99994.6")
    e.venue.set_funding(1000, {BTC: D("-0.0001")}, 2500)
    assert e.venue.due_ms() == 3000
    e.venue.advance(2999)
    assert e.ledger.balances["USDT"] == D("99994.6")
    e.venue.advance(3000)
    e.venue.advance(3999)
    assert (e.ledger.balances["USDT"], e.venue.due_ms()) == (D(100_000), 4000)
    assert [x.amount for x in e.ledger.entries] == [D("-5.4"), D("5.4")]


def test_funding_of_an_isolated_position_comes_from_its_margin() -> None:
    """And may liquidate it."""
    e = engine()
    e.set_margin_mode(MarginMode.ISOLATED)
    e.place(order(BUY, "1"), 1)
    e.venue.fund(BTC, D("0.01"), 2)
    assert e.ledger.position(BTC).margin == D("2700.01") - 270
    e.venue.fund(BTC, D("0.09"), 3)
    assert (e.positions(), e.fills[-1].order.role) == ([], Role.LIQUIDATION)


# ---- dead-man switch, suspension, accounts ---------------------------------------------------------------------------


def test_a_dead_man_switch_cancels_what_its_rule_says() -> None:
    """The account's orders with their triggers here; one symbol's without them there; positions stay."""
    e = engine()
    e.set_position(BTC, D(1), 1)
    resting = e.place(order(price="20000"), 1)
    assert reason_of(e.arm_dead_man, 1000, 1, symbol=BTC) is Reason.UNSUPPORTED
    assert e.arm_dead_man(1000, 1) == 1001
    assert e.arm_dead_man(1000, 500) == 1500
    e.venue.advance(1499)
    assert resting.status is Status.OPEN
    e.venue.advance(1500)
    assert (resting.close_reason, e.venue.due_ms(), len(e.positions())) == ("dead_man", None, 1)

    per_symbol = engine(dead_man=DeadManRules(per_symbol=True, triggers=False, max_ms=5000))
    per_symbol.set_position(BTC, D(1), 1)
    per_symbol.set_position_levels(BTC, 1, stop_loss=D(20000))
    resting = per_symbol.place(order(price="20000"), 1)
    assert reason_of(per_symbol.arm_dead_man, 1000, 1) is Reason.UNSUPPORTED
    assert reason_of(per_symbol.arm_dead_man, 6000, 1, symbol=BTC) is Reason.BAD_QTY
    per_symbol.arm_dead_man(1000, 1, symbol=BTC)
    assert per_symbol.arm_dead_man(0, 2, symbol=BTC) is None
    per_symbol.venue.advance(5000)
    assert resting.status is Status.OPEN
    per_symbol.arm_dead_man(1000, 5000, symbol=BTC)
    per_symbol.venue.advance(6000)
    assert (resting.status, list(per_symbol.levels(BTC))) == (Status.CANCELLED, [Role.STOP_LOSS])
    assert reason_of(engine(dead_man=None).arm_dead_man, 1000, 1) is Reason.UNSUPPORTED


def test_a_suspended_symbol_takes_no_orders_and_does_nothing() -> None:
    """Cancels pass; what the price reached meanwhile happens when it opens again."""
    e = engine()
    one, two = e.place(order(price="26000"), 1), e.place(order(price="26000"), 1)
    e.venue.suspend(BTC, True, 2)
    assert refusal(e, order()) is Reason.SUSPENDED
    assert reason_of(e.amend, 3, order_id=one.order_id, price=D(25000)) is Reason.SUSPENDED
    assert e.move_price(BTC, D(25000), 3) == []
    e.cancel(4, order_id=one.order_id)
    e.venue.suspend(BTC, False, 5)
    assert (one.status, two.status) == (Status.CANCELLED, Status.FILLED)


def test_accounts_share_the_market_and_nothing_else() -> None:
    """One price and one row of ids; ledgers, orders and client ids apart."""
    e = engine()
    other = e.new_account("other")
    assert reason_of(e.new_account, "other") is Reason.UNSUPPORTED
    mine = e.place(order(price="26000", client_order_id="a"), 1)
    theirs = other.place(order(qty="2", price="26000", client_order_id="a"), 2)
    assert (mine.order_id, theirs.order_id) == ("1", "2")
    assert e.find(3, order_id="2") is None
    assert reason_of(e.cancel, 3, order_id="2") is Reason.UNKNOWN_ORDER
    fills = e.move_price(BTC, D(26000), 3)
    assert [(f.order, f.qty, f.trade_id) for f in fills] == [(mine, D(1), "1"), (theirs, D(2), "2")]
    assert (len(e.fills), len(other.fills), e.prices[BTC], other.prices[BTC]) == (1, 1, D(26000), D(26000))
    assert [p.qty for p in other.positions()] == [D(2)]
