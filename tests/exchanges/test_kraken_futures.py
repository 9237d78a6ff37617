"""Kraken Futures beyond what every exchange must do: triggers, changes, history, settings, and what ccxt would drop."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.domain.calls import (
    UNSUPPORTED,
    Amended,
    AmendRefused,
    CallFailed,
    CancelConfirmed,
    CancelTooLate,
    ClosedOrders,
    DeadManArmed,
    Fills,
    Found,
    OpenOrders,
    OrderReport,
    Placed,
    PositionsResult,
    Refused,
    Result,
    SettingMade,
    StatusResult,
)
from app.exchanges.profiles import kraken_history as history
from app.exchanges.profiles.kraken_shapes import status_order
from app.exchanges.profiles.rows import OrderRow
from app.simulator.thread import SimulatorThread
from messages.market import MarginMode, PositionMode
from messages.orders import LegState, Side, TimeInForce, TriggerBy
from tests.exchanges.desk import Desk, spec, stop, symbol, take_profit, until, wire_id

NATIVE = "BTC/USD:USD"
ZERO = Decimal(0)


@pytest.fixture(scope="module")
def open_desk() -> Iterator[Desk]:
    """One exchange for all."""
    with SimulatorThread(["kraken"]) as sims:
        desk = Desk.at(sims, "kraken")
        assert desk.open() == ""
        yield desk
        desk.close()


@pytest.fixture
def desk(open_desk: Desk) -> Desk:
    """At rest, with Bitcoin at 27,000."""
    open_desk.flat()
    marked(open_desk, None)
    open_desk.truthful.price(NATIVE, 27000)
    return open_desk


def marked(desk: Desk, price: int | None) -> None:
    """Holds the mark price apart from the last one, or lets it follow."""
    desk.truthful.ask("POST", "/mark", {"symbol": NATIVE, "price": price})


def found(answer: Result) -> OrderReport:
    """What a look-up found."""
    assert isinstance(answer, Found), answer
    return answer.report


def remembered(desk: Desk, wire: str) -> OrderRow | None:
    """What the history tells of an order, which is all there is once the trading API forgot it."""
    market = desk.port._table.known(desk.btc)
    since_ms = int((desk.clock() - 60) * 1000)
    return desk.loop.run(history.order(desk.port._made_client(), market, wire, since_ms, conditional=True))


# ---- triggers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("price", [None, "28100"])
@pytest.mark.parametrize("kind", ["stop", "take_profit"])
def test_a_trigger_waits_is_listed_and_cancelled(desk: Desk, kind: str, price: str | None) -> None:
    """And what is told agrees with the exchange's truth, to the end."""
    wire = wire_id()
    trigger = stop("28000") if kind == "stop" else take_profit("26000")
    assert isinstance(desk.place(spec(price=price, trigger=trigger), wire), Placed)
    (order,) = desk.truth(wire)
    assert (order["status"], order["trigger_price"], order["triggered"]) == ("open", str(trigger.price), False)
    report = found(desk.look_up(wire, conditional=True))
    assert (report.state, report.filled, report.quantity) == (LegState.OPEN, ZERO, Decimal("0.01"))
    assert report.price == (None if price is None else Decimal(price))
    listed = desk.open_orders(conditional=True)
    assert isinstance(listed, OpenOrders)
    assert [each.state for each in listed.reports if each.wire_id == wire] == [LegState.OPEN]
    cancelled = desk.cancel(wire, conditional=True)
    assert isinstance(cancelled, CancelConfirmed)
    assert cancelled.final is not None
    assert (cancelled.final.state, cancelled.final.filled) == (LegState.CANCELLED, ZERO)
    assert isinstance(desk.cancel(wire, conditional=True), CancelTooLate)
    assert found(desk.look_up(wire, conditional=True)).state is LegState.CANCELLED
    row = remembered(desk, wire)
    assert row is not None
    assert (row.state, row.filled, row.order_id) == (LegState.CANCELLED, ZERO, order["order_id"])


@pytest.mark.parametrize("price", [None, "28100"])
def test_a_stop_that_is_set_off_is_followed_to_its_fill(desk: Desk, price: str | None) -> None:
    """At the market, or at its limit."""
    wire = wire_id()
    desk.place(spec(price=price, trigger=stop("28000")), wire)
    desk.truthful.price(NATIVE, 28000)
    (order,) = desk.truth(wire)
    assert (order["triggered"], order["status"]) == (True, "filled")
    report = found(desk.look_up(wire, conditional=True))
    assert (report.state, report.filled) == (LegState.FILLED, Decimal("0.01"))
    assert report.average_price == Decimal(order["avg_price"])
    row = remembered(desk, wire)
    assert row is not None
    assert (row.state, row.filled) == (LegState.FILLED, Decimal("0.01"))


def test_a_stop_that_becomes_a_resting_order_is_open_and_cancelled_there(desk: Desk) -> None:
    """Its limit is not met when it is set off."""
    wire = wire_id()
    desk.place(spec(price="27500", trigger=stop("28000")), wire)
    desk.truthful.price(NATIVE, 28000)
    assert desk.truth(wire)[0]["triggered"] is True
    report = found(desk.look_up(wire, conditional=True))
    assert (report.state, report.filled, report.price) == (LegState.OPEN, ZERO, Decimal(27500))
    row = remembered(desk, wire)
    assert row is not None
    assert row.state is LegState.OPEN
    assert isinstance(desk.cancel(wire, conditional=True), CancelConfirmed)
    assert found(desk.look_up(wire, conditional=True)).state is LegState.CANCELLED


def test_a_stop_by_the_mark_price_leaves_the_last_one_unseen(desk: Desk) -> None:
    """And the other way round."""
    by_mark, by_last, other = wire_id(), wire_id(), wire_id()
    desk.place(spec(price=None, trigger=stop("28000", TriggerBy.MARK)), by_mark)
    desk.place(spec(price=None, trigger=stop("28000", TriggerBy.LAST)), by_last)
    marked(desk, 28000)
    assert found(desk.look_up(by_mark, conditional=True)).state is LegState.FILLED
    assert found(desk.look_up(by_last, conditional=True)).state is LegState.OPEN
    marked(desk, 27000)
    desk.place(spec(price=None, trigger=stop("28000", TriggerBy.MARK)), other)
    desk.truthful.price(NATIVE, 28000)
    assert found(desk.look_up(by_last, conditional=True)).state is LegState.FILLED
    assert found(desk.look_up(other, conditional=True)).state is LegState.OPEN
    desk.cancel(other, conditional=True)


def test_a_take_profit_need_not_reduce(desk: Desk) -> None:
    """ccxt would send it as reduce-only."""
    wire = wire_id()
    desk.place(spec(price=None, trigger=take_profit("26000")), wire)
    assert desk.truth(wire)[0]["reduce_only"] is False
    desk.truthful.price(NATIVE, 26000)
    assert found(desk.look_up(wire, conditional=True)).state is LegState.FILLED


def test_a_stop_without_means_is_refused_at_set_off(desk: Desk) -> None:
    """By its status while that is told, and by the history later."""
    wire = wire_id()
    desk.place(spec("4000", price=None, trigger=stop("28000")), wire)
    assert desk.truth(wire)[0]["status"] == "open"
    desk.truthful.price(NATIVE, 28000)
    (order,) = desk.truth(wire)
    assert (order["triggered"], order["filled"]) == (True, "0")
    assert found(desk.look_up(wire, conditional=True)).state is LegState.REFUSED
    row = remembered(desk, wire)
    assert row is not None
    assert (row.state, row.filled) == (LegState.REFUSED, ZERO)


def test_what_a_trigger_gave_way_to_is_not_taken_for_its_end() -> None:
    """The order it became is told apart."""
    body = {"orderId": "a", "cliOrdId": "w", "type": "TRIGGER_ORDER", "symbol": "PF_XBTUSD", "filled": 0}
    entry = {"order": body, "status": "CANCELLED", "updateReason": "STOP_ORDER_TRIGGERED"}
    assert status_order(entry) is None
    ended = status_order({**entry, "updateReason": "CANCELLED_BY_USER"})
    assert ended is not None
    assert ended.state is LegState.CANCELLED


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY])
def test_a_trigger_with_a_time_in_force_is_refused_in_words(desk: Desk, tif: TimeInForce) -> None:
    """There is no parameter for it."""
    sent = desk.seen("place")
    answer = desk.place(spec(price="28100", tif=tif, trigger=stop("28000")), wire_id())
    assert isinstance(answer, Refused)
    assert "time in force" in answer.words
    assert desk.seen("place") == sent


# ---- changes ---------------------------------------------------------------------------------------------------------


def test_a_quantity_is_the_whole_orders_also_where_some_of_it_filled(desk: Desk) -> None:
    """By default the exchange takes a size for what is to stay open."""
    wire, placed = wire_id(), spec("0.03")
    desk.place(placed, wire)
    desk.truthful.fill(client_order_id=wire, qty="0.01")
    changed = desk.amend(wire, placed, quantity="0.02", price="20100")
    assert isinstance(changed, Amended)
    assert changed.report is None  # what has filled by now only the look-up tells
    (order,) = desk.truth(wire)
    assert (Decimal(order["qty"]), Decimal(order["price"]), order["filled"]) == (
        Decimal("0.02"),
        Decimal(20100),
        "0.01",
    )
    report = found(desk.look_up(wire))
    assert (report.state, report.filled) == (LegState.PARTIALLY_FILLED, Decimal("0.01"))
    listed = desk.open_orders()
    assert isinstance(listed, OpenOrders)
    (shown,) = [each for each in listed.reports if each.wire_id == wire]
    assert (shown.quantity, shown.price) == (Decimal("0.02"), Decimal(20100))
    below = desk.amend(wire, placed, quantity="0.01")
    assert isinstance(below, AmendRefused)
    assert desk.truth(wire)[0]["qty"] == order["qty"]
    desk.cancel(wire)


def test_a_change_tells_the_order_where_nothing_filled(desk: Desk) -> None:
    """It keeps its ids."""
    wire, placed = wire_id(), spec()
    first = desk.place(placed, wire)
    changed = desk.amend(wire, placed, quantity="0.02")
    assert isinstance(first, Placed)
    assert isinstance(changed, Amended)
    report = changed.report
    assert report is not None
    assert report.exchange_order_id == first.report.exchange_order_id
    assert (report.quantity, report.price, report.state) == (Decimal("0.02"), Decimal(20000), LegState.OPEN)
    desk.cancel(wire)


@pytest.mark.parametrize("limit", [None, "28100"])
def test_a_waiting_order_changes_its_trigger_its_limit_and_its_quantity(desk: Desk, limit: str | None) -> None:
    """An edit must name the trigger price also where it stays."""
    wire, placed = wire_id(), spec(price=limit, trigger=stop("28000"))
    desk.place(placed, wire)
    assert isinstance(desk.amend(wire, placed, trigger_price="28500"), Amended)
    assert isinstance(desk.amend(wire, placed, quantity="0.02"), Amended)
    if limit is not None:
        assert isinstance(desk.amend(wire, placed, price="28600"), Amended)
    (order,) = desk.truth(wire)
    assert (Decimal(order["trigger_price"]), Decimal(order["qty"])) == (Decimal(28500), Decimal("0.02"))
    assert order["price"] == (None if limit is None else "28600")
    desk.truthful.price(NATIVE, 28500)
    assert isinstance(desk.amend(wire, placed, trigger_price="28700"), CancelTooLate)


def test_what_cannot_be_changed_is_told_apart(desk: Desk) -> None:
    """An order that is gone, one that never was, and a post-only order that would take."""
    wire, placed = wire_id(), spec(tif=TimeInForce.POST_ONLY)
    desk.place(placed, wire)
    taking = desk.amend(wire, placed, price="28000")
    assert isinstance(taking, CallFailed)  # the documentation leaves open whether the order survives
    assert taking.native_code == "edit:postWouldExecute"
    assert found(desk.look_up(wire)).state.value == desk.truth(wire)[0]["status"]
    desk.cancel(wire)
    assert isinstance(desk.amend(wire, placed, price="20100"), CancelTooLate)
    assert isinstance(desk.amend(wire_id(), spec(), price="20100"), CancelTooLate)


# ---- lists -----------------------------------------------------------------------------------------------------------


def test_fill_or_kill_fills_whole_or_not_at_all(desk: Desk) -> None:
    """ccxt would place a resting order."""
    wire = wire_id()
    assert isinstance(desk.place(spec(price="28000", tif=TimeInForce.FOK), wire), Placed)
    assert desk.truth(wire)[0]["tif"] == "FOK"
    assert found(desk.look_up(wire)).state is LegState.FILLED


def test_fills_have_their_fees_and_ended_orders_their_averages(desk: Desk) -> None:
    """Of the market and time asked for, and as the exchange's truth has them."""
    since_s = desk.clock() - 0.001
    taken, rested, cancelled, waiting, other = (wire_id() for _ in range(5))
    desk.place(spec("0.02", price=None), taken)
    desk.place(spec(), rested)
    desk.truthful.fill(client_order_id=rested, qty="0.004")
    desk.truthful.fill(client_order_id=rested)
    for wire in (cancelled, waiting):
        desk.place(spec(price="28100", trigger=stop("28000")) if wire == waiting else spec(), wire)
        desk.cancel(wire)
    desk.place(spec("0.1", of=symbol("ETHUSDT"), price=None), other)

    listed = desk.fills(since_s=since_s)
    assert isinstance(listed, Fills)
    assert [fill.wire_id for fill in listed.fills] == [taken, rested, rested]
    truth = [fill for fill in desk.truthful.truth()["fills"] if fill["client_order_id"] in (taken, rested)]
    for fill, real in zip(listed.fills, truth, strict=True):
        assert fill.trade_id == real["trade_id"]
        assert (fill.quantity, fill.price, fill.fee) == tuple(Decimal(real[key]) for key in ("qty", "price", "fee"))
        assert (fill.fee_coin, fill.maker) == ("USD", fill.wire_id == rested)

    ended = desk.closed_orders(since_s=since_s)
    assert isinstance(ended, ClosedOrders)
    by_wire = {report.wire_id: report for report in ended.reports}
    assert set(by_wire) == {taken, rested, cancelled, waiting}
    assert (by_wire[rested].state, by_wire[rested].filled) == (LegState.FILLED, Decimal("0.01"))
    assert by_wire[rested].average_price == 20000
    assert by_wire[taken].average_price == Decimal(desk.truth(taken)[0]["avg_price"])
    for wire in (cancelled, waiting):
        assert (by_wire[wire].state, by_wire[wire].filled) == (LegState.CANCELLED, ZERO)


@pytest.mark.parametrize(("place", "maker"), [("makerOrder", True), ("takerOrder", False)])
def test_an_execution_of_the_older_history_is_read_too(desk: Desk, place: str, maker: bool) -> None:
    """Version 2 documents a place for each role."""
    done = {
        "uid": "e",
        "quantity": "0.01",
        "price": "27000",
        "timestamp": 1604937694000,
        place: {"uid": "o", "clientId": "w", "direction": "Sell", "tradeable": "PF_XBTUSD"},
        f"{place}Data": {"fee": "-0.05"},
    }
    (row,) = history.fills_in(done, desk.port._table.known(desk.btc))
    assert (row.order_id, row.wire_id, row.side, row.maker) == ("o", "w", Side.SELL, maker)
    assert (row.fee, row.at_s) == (Decimal("-0.05"), 1604937694.0)


# ---- settings --------------------------------------------------------------------------------------------------------


def test_a_leverage_isolates_so_it_is_set_where_that_was_asked_for(desk: Desk) -> None:
    """In a market backed by the whole account it is refused in words; the position shows what was set."""
    refused = desk.leverage("5")
    assert isinstance(refused, CallFailed)
    assert refused.code == UNSUPPORTED
    assert "isolated first" in refused.words
    assert desk.margin_mode(MarginMode.CROSS) == SettingMade(changed=False)
    assert desk.margin_mode(MarginMode.ISOLATED) == SettingMade(changed=True)
    assert desk.margin_mode(MarginMode.ISOLATED) == SettingMade(changed=False)
    assert desk.leverage("5") == SettingMade(changed=True)
    assert desk.leverage("5") == SettingMade(changed=False)
    desk.place(spec(price=None), wire_id())
    positions = desk.positions()
    assert isinstance(positions, PositionsResult)
    assert [held.leverage for held in positions.positions] == [5]
    desk.flat()
    assert desk.margin_mode(MarginMode.CROSS) == SettingMade(changed=True)
    assert isinstance(desk.leverage("5"), CallFailed)


def test_positions_are_net(desk: Desk) -> None:
    """One-way is what it is already."""
    assert desk.position_mode(PositionMode.ONE_WAY) == SettingMade(changed=False)
    hedge = desk.position_mode(PositionMode.HEDGE)
    assert isinstance(hedge, CallFailed)
    assert (hedge.code, "hedge mode" in hedge.words) == (UNSUPPORTED, True)


def test_the_dead_mans_switch_cancels_what_waits_too(desk: Desk) -> None:
    """Armed, armed off, and armed to the end."""
    resting, waiting = wire_id(), wire_id()
    desk.place(spec(), resting)
    desk.place(spec(price=None, trigger=stop("28000")), waiting)
    armed = desk.dead_man(60)
    assert isinstance(armed, DeadManArmed)
    assert armed.fires_s == pytest.approx(desk.clock() + 60, abs=2)
    assert desk.dead_man(0) == DeadManArmed(fires_s=None)
    fraction = desk.dead_man(1.5)
    assert isinstance(fraction, CallFailed)
    assert fraction.code == UNSUPPORTED
    assert isinstance(desk.dead_man(1), DeadManArmed)
    until(lambda: {desk.truth(wire)[0]["status"] for wire in (resting, waiting)} == {"cancelled"})


def test_the_status_is_whether_any_market_trades(desk: Desk) -> None:
    """There is no status of the exchange."""
    markets = [NATIVE, *(f"{base}/USD:USD" for base in ("ETH", "SOL", "XRP", "ADA"))]
    for halted in (markets[:-1], markets):
        for market in halted:
            desk.truthful.ask("POST", "/suspend", {"symbol": market, "on": True})
        answer = desk.status()
        assert isinstance(answer, StatusResult)
        assert answer.status.ok is (halted != markets)
        assert ("suspended" in answer.status.words) is (halted == markets)
    for market in markets:
        desk.truthful.ask("POST", "/suspend", {"symbol": market, "on": False})
