"""Attached take profit and stop loss, levels of a position, orders that cancel each other, triggers by price."""

import pytest

from app.simulator.model import (
    Attach,
    PositionSide,
    Reason,
    Refusal,
    Role,
    Status,
    Trigger,
    TriggerBy,
)
from tests.simulator.engines import BTC, BUY, SELL, SPOT, D, engine, order, refusal, spot, swap, told


def test_attached_levels_wait_reduce_only_and_cancel_each_other() -> None:
    """Nothing before the fill; then both; the one set off closes the position, the other goes."""
    e = engine()
    parent = e.place(order(qty="1", price="25000", take_profit="30000", stop_loss="24000"), 1)
    assert e.children(parent) == []
    e.move_price(BTC, D(25000), 2)
    profit, loss = e.children(parent)
    assert told([profit, loss]) == [("take_profit", "1", "open"), ("stop_loss", "1", "open")]
    assert (profit.side, profit.reduce_only, profit.oco) == (SELL, True, loss.oco)
    assert [o.role for o in e.open_orders(3)] == [Role.TAKE_PROFIT, Role.STOP_LOSS]
    [fill] = e.move_price(BTC, D(23900), 4)
    assert (fill.order, fill.price) == (loss, D(23900))
    assert (profit.status, profit.close_reason) == (Status.CANCELLED, "oco")
    assert (e.positions(), e.open_orders(5)) == ([], [])
    assert e.move_price(BTC, D(31000), 6) == []


def test_a_take_profit_of_a_short_falls_and_may_be_a_limit_order() -> None:
    """A limit order rests when set off, and its rival is gone already."""
    e = engine()
    limit = Attach(take_profit_limit=D(24000), take_profit_id="tp")
    parent = e.place(order(SELL, take_profit="25000", stop_loss="29000", attach=limit), 1)
    profit, loss = e.children(parent)
    assert (profit.side, profit.client_order_id, loss.client_order_id) == (BUY, "tp", None)
    e.move_price(BTC, D(24900), 2)
    assert (profit.triggered, profit.status, loss.status) == (True, Status.OPEN, Status.CANCELLED)
    e.move_price(BTC, D(24000), 3)
    assert (profit.status, e.positions()) == (Status.FILLED, [])


def test_a_level_that_the_market_is_past_when_the_order_fills_goes_off_at_once() -> None:
    """The price fell through order and stop in one move; or a counterparty sold below the take profit."""
    e = engine()
    parent = e.place(order(qty="1", price="25000", take_profit="26500", stop_loss="24000"), 1)
    e.fill(parent, 2, qty=D("0.4"))
    assert told(e.children(parent)) == [("take_profit", "0.4", "filled"), ("stop_loss", "0.4", "cancelled")]
    fills = e.move_price(BTC, D(23000), 3)
    assert [(f.order.role, f.qty, f.price) for f in fills] == [
        (Role.USER, D("0.6"), D(25000)),
        (Role.STOP_LOSS, D("0.6"), D(23000)),
    ]
    assert (e.positions(), e.open_orders(4)) == ([], [])


def test_growth_before_and_after_one_was_set_off() -> None:
    """The second pair covers only the quantity that the first did not."""
    e = engine()
    parent = e.place(order(qty="1", price="26000", take_profit="28000", stop_loss="25000"), 1)
    e.fill(parent, 2, qty=D("0.3"))
    e.fill(parent, 3, qty=D("0.2"))
    assert told(e.children(parent)) == [("take_profit", "0.5", "open"), ("stop_loss", "0.5", "open")]
    e.move_price(BTC, D(28000), 4)
    assert e.positions() == []
    e.fill(parent, 5, qty=D("0.1"))
    assert told(e.children(parent))[2:] == [("take_profit", "0.1", "filled"), ("stop_loss", "0.1", "cancelled")]
    e.move_price(BTC, D(27000), 6)
    e.fill(parent, 7, qty=D("0.1"))
    e.cancel(8, order_id=parent.order_id)
    assert told(e.children(parent))[4:] == [("take_profit", "0.1", "open"), ("stop_loss", "0.1", "open")]
    e.move_price(BTC, D(24000), 9)
    assert e.positions() == []


def test_levels_go_with_their_position_and_follow_an_amendment() -> None:
    """Closed by hand: both are cancelled. New levels of a half-filled order reach the waiting pair."""
    e = engine()
    parent = e.place(order(qty="1", price="26000", take_profit="28000", stop_loss="25000"), 1)
    e.fill(parent, 2, qty=D("0.5"))
    e.amend(3, order_id=parent.order_id, take_profit=D(29000), stop_loss=D(25500))
    assert [o.trigger.price for o in e.children(parent) if o.trigger] == [D(29000), D(25500)]
    past = e.place(order(qty="1", price="26500", take_profit="28000"), 3)
    e.fill(past, 3, qty=D("0.2"))
    e.amend(3, order_id=past.order_id, take_profit=D(26900))
    assert told(e.children(past)) == [("take_profit", "0.2", "filled")], "the market is past the new level already"
    e.cancel(3, order_id=past.order_id)
    e.place(order(SELL, "0.5", reduce_only=True), 4)
    assert [(o.status, o.close_reason) for o in e.children(parent)] == [(Status.CANCELLED, "position_closed")] * 2


def test_nothing_is_attached_to_what_only_reduces() -> None:
    """A buy that makes a short smaller has no position of its own to protect."""
    e = engine()
    e.set_position(BTC, D(-2), 1)
    parent = e.place(order(BUY, "1", take_profit="30000", stop_loss="20000"), 2)
    assert (parent.status, e.children(parent)) == (Status.FILLED, [])


def test_levels_of_a_whole_position_follow_its_size() -> None:
    """Set, replaced, removed; grown and shrunk with the position; one closes it, and both are gone."""
    e = engine()
    with pytest.raises(Refusal) as none:
        e.set_position_levels(BTC, 1, stop_loss=D(26000))
    assert none.value.reason is Reason.NO_POSITION
    e.set_position(BTC, D(1), 1)
    for level, reason in ((D(28000), Reason.BAD_STOP_LOSS), (D("26000.05"), Reason.BAD_STOP_LOSS)):
        with pytest.raises(Refusal) as bad:
            e.set_position_levels(BTC, 1, stop_loss=level)
        assert bad.value.reason is reason
    e.set_position_levels(BTC, 2, take_profit=D(28000), stop_loss=D(26000))
    e.place(order(BUY, "0.5"), 3)
    assert {r: o.qty for r, o in e.levels(BTC).items()} == {Role.TAKE_PROFIT: D("1.5"), Role.STOP_LOSS: D("1.5")}
    e.set_position(BTC, D("0.7"), 4)
    e.set_position_levels(BTC, 5, stop_loss=D(25000))
    assert {r: (o.qty, o.trigger and o.trigger.price) for r, o in e.levels(BTC).items()} == {
        Role.TAKE_PROFIT: (D("0.7"), D(28000)),
        Role.STOP_LOSS: (D("0.7"), D(25000)),
    }
    e.set_position_levels(BTC, 6, take_profit=D(0))
    assert list(e.levels(BTC)) == [Role.STOP_LOSS]
    [fill] = e.move_price(BTC, D(25000), 7)
    assert (fill.qty, e.positions(), e.levels(BTC), e.open_orders(8)) == (D("0.7"), [], {}, [])


def test_attached_for_the_whole_position() -> None:
    """What bybit's Full mode does: one pair, as large as the position, whoever opened the rest."""
    e = engine()
    e.set_position(BTC, D(2), 1)
    full = Attach(whole_position=True)
    e.place(order(BUY, "1", take_profit="28000", stop_loss="26000", attach=full), 2)
    assert {o.qty for o in e.levels(BTC).values()} == {D(3)}
    e.place(order(BUY, "1", stop_loss="25000", attach=full), 3)
    assert {r: (o.qty, o.trigger and o.trigger.price) for r, o in e.levels(BTC).items()} == {
        Role.TAKE_PROFIT: (D(4), D(28000)),
        Role.STOP_LOSS: (D(4), D(25000)),
    }
    half = e.place(order(BUY, "1", "26900", stop_loss="24000", attach=full), 4)
    e.fill(half, 5, qty=D("0.5"))
    e.set_position_levels(BTC, 6, stop_loss=D(25500))
    e.fill(half, 7)
    levels = {r: (o.qty, o.trigger and o.trigger.price) for r, o in e.levels(BTC).items()}
    assert levels[Role.STOP_LOSS] == (D(5), D(25500)), "a later fill does not undo what was set meanwhile"
    e.move_price(BTC, D(28000), 8)
    assert (e.positions(), e.open_orders(9)) == ([], [])


def test_ids_of_attached_levels_are_checked_like_the_orders_own() -> None:
    """Used before, they refuse the order."""
    e = engine()
    e.place(order(price="20000", client_order_id="a"), 1)
    for attach in (Attach(take_profit_id="a"), Attach(stop_loss_id="a")):
        assert refusal(e, order(take_profit="28000", stop_loss="26000", attach=attach)) is Reason.DUPLICATE_CLIENT_ID


def test_a_clients_own_oco_pair() -> None:
    """Nothing placed if one is refused or would execute; one at most ever fills."""
    e = engine()
    e.set_position(BTC, D(1), 1)
    profit = order(SELL, "1", "28000", reduce_only=True, client_order_id="tp")
    loss = order(SELL, "1", reduce_only=True, client_order_id="sl", trigger=Trigger(price=D(26000), rising=False))
    for wrong in ([profit, profit], [order(SELL, "1", "26000", reduce_only=True), loss], [profit, order(SELL, "0")]):
        with pytest.raises(Refusal):
            e.place_oco(wrong, 2)
    assert list(e.all_orders()) == []
    one, two = e.place_oco([profit, loss], 3)
    e.fill(one, 4, qty=D("0.1"))
    assert (two.status, two.close_reason) == (Status.CANCELLED, "oco")
    e.move_price(BTC, D(25000), 5)
    assert [p.qty for p in e.positions()] == [D("0.9")]


def test_a_trigger_by_mark_does_not_look_at_the_last_price() -> None:
    """And the other way round."""
    e = engine()
    e.set_position(BTC, D(1), 1)
    by_mark = Trigger(price=D(26000), rising=False, by=TriggerBy.MARK)
    marked = e.place(order(SELL, "0.5", reduce_only=True, trigger=by_mark), 2)
    last = e.place(order(SELL, "0.5", reduce_only=True, trigger=Trigger(price=D(26000), rising=False)), 3)
    e.venue.pin_mark(BTC, D(27000), 4)
    e.move_price(BTC, D(25500), 5)
    assert (marked.status, last.status) == (Status.OPEN, Status.FILLED)
    e.venue.pin_mark(BTC, D(25900), 6)
    assert marked.status is Status.FILLED


def test_a_trigger_can_be_amended_and_must_be_a_price() -> None:
    """Off tick, or past already, it is refused and stays what it was."""
    e = engine()
    e.set_position(BTC, D(1), 1)
    waiting = e.place(order(SELL, "1", reduce_only=True, trigger=Trigger(price=D(26000), rising=False)), 2)
    assert refusal(e, order(SELL, trigger=Trigger(price=D("26000.05"), rising=False))) is Reason.BAD_TRIGGER
    with pytest.raises(Refusal) as passed:
        e.amend(3, order_id=waiting.order_id, trigger_price=D(27500))
    assert passed.value.reason is Reason.WOULD_TRIGGER
    e.amend(4, order_id=waiting.order_id, trigger_price=D(26500), qty=D("0.5"))
    e.move_price(BTC, D(26500), 5)
    assert (waiting.status, waiting.filled) == (Status.FILLED, D("0.5"))


def test_a_trigger_without_means_is_rejected_when_it_is_set_off() -> None:
    """Margin is looked at then, and coins on spot; a reduce-only one without a position expires."""
    e = engine(swap(), spot())
    cases = [
        (order(BUY, "900", trigger=Trigger(price=D(28000), rising=True)), Status.REJECTED, "insufficient_margin"),
        (
            order(SELL, "1", reduce_only=True, trigger=Trigger(price=D(28000), rising=True)),
            Status.EXPIRED,
            "reduce_only",
        ),
        (
            order(SELL, "1", symbol=SPOT, trigger=Trigger(price=D(28000), rising=True)),
            Status.REJECTED,
            "insufficient_balance",
        ),
    ]
    placed = [(e.place(new, 1), status, why) for new, status, why in cases]
    e.move_price(BTC, D(28000), 2)
    e.move_price(SPOT, D(28000), 2)
    assert [(o.status, o.close_reason) for o, _, _ in placed] == [(status, why) for _, status, why in placed]
    assert e.open_orders(3) == []


def test_spot_levels_sell_what_was_received() -> None:
    """The fee in the coin received makes them smaller, in whole steps; nobody reduces a position there."""
    e = engine(spot(), spot_taker_fee=D("0.001"))
    parent = e.place(order(BUY, "2", symbol=SPOT, take_profit="28000", stop_loss="26000"), 1)
    profit, loss = e.children(parent)
    assert told([profit, loss]) == [("take_profit", "1.998", "open"), ("stop_loss", "1.998", "open")]
    assert (profit.reduce_only, e.ledger.balances["BTC"], e.ledger.free_of("BTC")) == (False, D("1.998"), D("1.998"))
    e.move_price(SPOT, D(25900), 2)
    assert (loss.status, profit.status, e.ledger.balances["BTC"]) == (Status.FILLED, Status.CANCELLED, D(0))


def test_hedge_mode_levels_belong_to_their_side() -> None:
    """Closing the long leaves the short's levels alone."""
    e = engine()
    e.set_hedge_mode(True)
    long_, short = PositionSide.LONG, PositionSide.SHORT
    a = e.place(order(BUY, "1", position_side=long_, take_profit="28000", stop_loss="26000"), 1)
    b = e.place(order(SELL, "2", position_side=short, take_profit="25000", stop_loss="29000"), 2)
    e.move_price(BTC, D(28000), 3)
    assert [o.status for o in e.children(a)] == [Status.FILLED, Status.CANCELLED]
    assert [o.status for o in e.children(b)] == [Status.OPEN, Status.OPEN]
    assert [(p.side, p.qty) for p in e.positions()] == [(short, D(-2))]
