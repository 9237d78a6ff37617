"""Bybit's linear swaps through the port: what is past, the market, settings, long and short apart."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from attrs import evolve

from app.domain.calls import (
    UNSUPPORTED,
    CallFailed,
    CancelConfirmed,
    ClosedOrders,
    Fills,
    KlinesResult,
    OrderBookResult,
    Placed,
    PositionsResult,
    Refused,
    SettingMade,
    StatusResult,
)
from messages.market import MarginMode, PositionMode
from messages.orders import LegState, OrderSpec, Side
from tests.exchanges.altered import Altered
from tests.exchanges.bybit_desk import HOST, at_rest, opened, requests
from tests.exchanges.desk import Desk, spec, stop, symbol, wire_id

ZERO = Decimal(0)
ETH = symbol("ETHUSDT")


@pytest.fixture(scope="module")
def bybit() -> Iterator[Desk]:
    """Opened once."""
    yield from opened()


@pytest.fixture
def desk(bybit: Desk) -> Iterator[Desk]:
    """At rest before and after."""
    yield from at_rest(bybit)


# ---- what is past ---------------------------------------------------------------------------------------------------


def test_what_ended_is_listed_and_what_is_open_is_not(desk: Desk) -> None:
    """Filled, cancelled in part, cancelled whole, cancelled before it was set off; each once."""
    taken, part, whole, never, resting = (wire_id() for _ in range(5))
    since_s = desk.clock()
    desk.place(spec("0.02", price=None), taken)
    for wire in (part, whole, resting):
        desk.place(spec("0.03"), wire)
    desk.place(spec(side=Side.SELL, price=None, trigger=stop("26000")), never)
    desk.truthful.fill(client_order_id=part, qty="0.01")
    for wire in (part, whole, never):
        desk.cancel(wire)
    listed = desk.closed_orders(since_s=since_s)
    assert isinstance(listed, ClosedOrders)
    assert {report.wire_id: (report.state, report.filled) for report in listed.reports if report.wire_id} == {
        taken: (LegState.FILLED, Decimal("0.02")),
        part: (LegState.CANCELLED, Decimal("0.01")),
        whole: (LegState.CANCELLED, ZERO),
        never: (LegState.CANCELLED, ZERO),
    }
    assert len(listed.reports) == 4
    other = desk.closed_orders(ETH, since_s=since_s)
    assert other == ClosedOrders(reports=())


def test_fills_tell_their_fees_and_no_funding(desk: Desk) -> None:
    """A cost is above zero; every page is read; what is not an execution is left out."""
    since_s = desk.clock()
    maker, taker = wire_id(), wire_id()
    desk.place(spec("1.2"), maker)
    for _ in range(110):
        desk.truthful.fill(client_order_id=maker, qty="0.01")
    desk.place(spec("0.02", side=Side.SELL, price=None), taker)
    desk.truthful.ask("POST", "/funding", {"symbol": HOST, "rate": "0.0001"})
    told = desk.fills(since_s=since_s)
    assert isinstance(told, Fills)
    assert len({fill.trade_id for fill in told.fills}) == len(told.fills) == 111
    assert [fill.at_s for fill in told.fills] == sorted(fill.at_s for fill in told.fills)
    last = next(fill for fill in told.fills if fill.wire_id == taker)
    assert (last.side, last.quantity, last.fee_coin, last.maker) == (Side.SELL, Decimal("0.02"), "USDT", False)
    assert last.fee == last.quantity * last.price * Decimal("0.00055")
    resting = [fill for fill in told.fills if fill.wire_id == maker]
    assert {(fill.maker, fill.fee) for fill in resting} == {(True, Decimal("0.01") * 20000 * Decimal("0.0002"))}


def test_the_newest_is_told_though_the_clocks_differ(desk: Desk) -> None:
    """Filled in the exchange's future, as we see it."""
    since_s, wire = desk.clock(), wire_id()
    desk.truthful.ask("POST", "/clock", {"ahead_s": 0.7})
    try:
        desk.place(spec("0.02", price=None), wire)
        told, listed = desk.fills(since_s=since_s), desk.closed_orders(since_s=since_s)
    finally:
        desk.truthful.ask("POST", "/clock", {"ahead_s": 0})
    assert isinstance(told, Fills)
    assert wire in [fill.wire_id for fill in told.fills]
    assert isinstance(listed, ClosedOrders)
    assert wire in [report.wire_id for report in listed.reports]


def test_a_long_past_is_asked_for_window_by_window(desk: Desk) -> None:
    """Of seven days each; one too long to be read whole is refused."""
    before = requests(desk, "fills")
    assert isinstance(desk.fills(ETH, since_s=desk.clock() - 20 * 86400), Fills)
    assert requests(desk, "fills") == before + 3
    too_long = desk.fills(ETH, since_s=desk.clock() - 200 * 86400)
    assert isinstance(too_long, CallFailed)


# ---- the market -----------------------------------------------------------------------------------------------------


def test_book_bars_and_status(desk: Desk) -> None:
    """As many as asked for; a maintenance is told in Bybit's words."""
    book = desk.order_book(depth=3)
    assert isinstance(book, OrderBookResult)
    assert (len(book.book.bids), len(book.book.asks)) == (3, 3)
    assert book.book.bids[0].price < book.book.asks[0].price
    bars = desk.klines(limit=4)
    assert isinstance(bars, KlinesResult)
    assert len(bars.klines) == 4
    assert [b.start_s for b in bars.klines] == sorted(b.start_s for b in bars.klines)
    since = desk.klines(since_s=bars.klines[1].start_s, limit=2)
    assert isinstance(since, KlinesResult)
    assert [bar.start_s for bar in since.klines] == [bars.klines[1].start_s, bars.klines[2].start_s]
    too_many = desk.klines(limit=1001)
    assert isinstance(too_many, CallFailed)
    assert too_many.code == UNSUPPORTED
    well = desk.status()
    assert isinstance(well, StatusResult)
    assert (well.status.ok, well.status.words) == (True, "")
    desk.truthful.ask("POST", "/maintenance", {"on": True, "message": "The engine is upgraded"})
    ill = desk.status()
    desk.truthful.ask("POST", "/maintenance", {"on": False})
    assert isinstance(ill, StatusResult)
    assert (ill.status.ok, ill.status.words) == (False, "The engine is upgraded")


# ---- settings -------------------------------------------------------------------------------------------------------


def test_leverage_is_set_and_told_to_be_so_already(desk: Desk) -> None:
    """And refused above what the market allows."""
    assert desk.leverage("7") == SettingMade(changed=True)
    assert desk.leverage("7") == SettingMade(changed=False)
    refused = desk.leverage("1000")
    assert isinstance(refused, CallFailed)
    assert (refused.code, refused.native_code, refused.retryable) == ("invalid_leverage", "110013", False)
    desk.truthful.position(HOST, "0.02")
    held = desk.positions()
    assert isinstance(held, PositionsResult)
    assert [position.leverage for position in held.positions] == [Decimal(7)]


def test_the_margin_mode_is_the_accounts(desk: Desk) -> None:
    """So it is not changed while another market would change with it."""
    assert desk.margin_mode(MarginMode.CROSS) == SettingMade(changed=False)
    desk.truthful.position(str(ETH), "1")
    refused = desk.margin_mode(MarginMode.ISOLATED)
    assert isinstance(refused, CallFailed)
    assert refused.code == UNSUPPORTED
    assert "ETHUSDT would change with BTCUSDT" in refused.words
    desk.flat()
    assert desk.margin_mode(MarginMode.ISOLATED) == SettingMade(changed=True)
    assert desk.margin_mode(MarginMode.ISOLATED, ETH) == SettingMade(changed=False)
    assert desk.margin_mode(MarginMode.CROSS) == SettingMade(changed=True)


def test_the_position_mode_is_set_where_nothing_is_open(desk: Desk) -> None:
    """Bybit would pass silently over markets with orders or positions."""
    assert desk.position_mode(PositionMode.ONE_WAY) == SettingMade(changed=False)
    wire = wire_id()
    desk.place(spec(of=ETH, price="1000"), wire)
    refused = desk.position_mode(PositionMode.HEDGE)
    assert isinstance(refused, CallFailed)
    assert (refused.code, "ETHUSDT" in refused.words) == (UNSUPPORTED, True)
    desk.cancel(wire, ETH)
    desk.truthful.position(HOST, "0.02")
    assert isinstance(desk.position_mode(PositionMode.HEDGE), CallFailed)
    desk.flat()
    assert desk.position_mode(PositionMode.HEDGE) == SettingMade(changed=True)
    assert desk.position_mode(PositionMode.HEDGE) == SettingMade(changed=False)
    assert desk.position_mode(PositionMode.ONE_WAY) == SettingMade(changed=True)


def test_there_is_no_countdown(desk: Desk) -> None:
    """In words, and nothing is sent."""
    before = len(desk.truthful.requests())
    answer = desk.dead_man(30)
    assert isinstance(answer, CallFailed)
    assert (answer.code, answer.retryable) == (UNSUPPORTED, False)
    assert "countdown" in answer.words
    assert len(desk.truthful.requests()) == before


@pytest.fixture
def hedged(desk: Desk) -> Iterator[Desk]:
    """An account that holds long and short apart, which the port was not told of."""
    desk.truthful.ask("POST", "/mode", {"symbol": HOST, "hedge": True})
    yield desk
    for order in desk.truthful.truth()["orders"]:
        if order["status"] in ("open", "partially_filled"):
            desk.truthful.ask("POST", "/cancel", {"order_id": order["order_id"]})
    desk.place(spec("0.03", side=Side.SELL, price=None, reduce_only=True), wire_id())
    desk.place(spec("0.03", price=None, reduce_only=True), wire_id())
    desk.truthful.ask("POST", "/mode", {"symbol": HOST, "hedge": False})
    assert isinstance(desk.place(spec(), wire_id()), Placed)  # which learns that it is one net position again


def test_long_and_short_apart(hedged: Desk) -> None:
    """The first order learns it from a refusal, the next knows; reduce-only closes the position of the other side."""
    before = requests(hedged, "place")
    orders: list[tuple[OrderSpec, Decimal]] = [
        (spec("0.03", price=None), Decimal("0.03")),
        (spec("0.01", side=Side.SELL, price=None), Decimal("0.02")),
        (spec("0.02", side=Side.SELL, price=None, reduce_only=True), Decimal(0)),
        (spec("0.01", price=None, reduce_only=True), Decimal("0.01")),
    ]
    for what, net in orders:
        wire = wire_id()
        assert isinstance(hedged.place(what, wire), Placed)
        assert len([order for order in hedged.truth(wire) if order["status"] == "filled"]) == 1
        held = hedged.positions()
        assert isinstance(held, PositionsResult)
        assert sum((position.quantity for position in held.positions), ZERO) == net
    assert requests(hedged, "place") == before + len(orders) + 1
    refused = hedged.place(spec("0.01", price=None, reduce_only=True), wire_id())
    assert isinstance(refused, Refused)
    assert refused.code == "reduce_only_rejected"
    wire = wire_id()
    assert isinstance(
        hedged.place(spec(side=Side.SELL, price=None, trigger=stop("26000"), reduce_only=True), wire), Placed
    )
    assert isinstance(hedged.cancel(wire, conditional=True), CancelConfirmed)


def test_a_refusal_for_another_reason_is_not_sent_again(desk: Desk) -> None:
    """10001 says many things."""
    before = requests(desk, "place")
    answer = desk.place(spec(price="28000", take_profit="20000"), wire_id())
    assert isinstance(answer, Refused)
    assert answer.native_code == "10001"
    assert requests(desk, "place") == before + 1


def test_a_market_order_larger_than_market_orders_may_be_is_not_sent(bybit: Desk) -> None:
    """A reduce-only one would be split into several, which nobody could find."""

    def smaller(rows: list[dict[str, dict[str, str]]]) -> list[dict[str, dict[str, str]]]:
        return [{**row, "lotSizeFilter": {**row["lotSizeFilter"], "maxMktOrderQty": "5"}} for row in rows]

    with Altered("bybit", bybit.sim.base_url) as proxy:
        proxy.alter = smaller
        desk = Desk(evolve(bybit.sim, base_url=proxy.base_url))
        assert desk.open() == ""
        for closes in (True, False):
            told = desk.port.check(spec("5.001", side=Side.SELL, price=None, reduce_only=closes))
            assert told == "Quantity 5.001 is above the maximum: use 5 or less."
        assert desk.port.check(spec("5.001", side=Side.SELL, reduce_only=True)) == ""
        desk.close()
