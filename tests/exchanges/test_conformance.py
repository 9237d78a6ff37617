"""What every port must do at an exchange that is well, one suite for all exchanges, over real HTTP."""

from decimal import Decimal

import pytest

from app.domain.calls import (
    Ambiguous,
    BalancesResult,
    CallFailed,
    CancelConfirmed,
    CancelTooLate,
    Found,
    LookUpCall,
    NotExecuted,
    NotFound,
    OpenOrders,
    Placed,
    PositionsResult,
    ProbeOk,
    Refused,
    TickerResult,
)
from app.simulator.thread import SimulatorThread
from messages.health import ProbeKind
from messages.orders import LegState, Side, TimeInForce
from tests.exchanges.desk import BTC, EXCHANGES, TIMEOUT_S, Desk, spec, symbol, wire_id

ZERO = Decimal(0)
ATTACHES = ("bybit", "okx")
ENGINE_TELLS = ("binance", "kraken")
"""Exchanges that answer a placement with what became of it."""


def test_a_resting_order_is_placed_found_listed_and_cancelled(desk: Desk) -> None:
    """The whole life of an order, and every report agrees with the exchange's truth."""
    wire = wire_id()
    placed = desk.place(spec(), wire)
    assert isinstance(placed, Placed)
    (order,) = desk.truth(wire)
    assert placed.report.exchange_order_id == order["order_id"]
    assert (placed.report.wire_id, placed.report.symbol, placed.report.state) == (wire, BTC, LegState.OPEN)

    found = desk.look_up(wire)
    assert isinstance(found, Found)
    assert found.report.exchange_order_id == order["order_id"]
    assert (found.report.state, found.report.filled, found.report.average_price) == (LegState.OPEN, ZERO, None)

    for listed in (desk.open_orders(), desk.open_orders(BTC)):
        assert isinstance(listed, OpenOrders)
        assert [report.symbol for report in listed.reports if report.wire_id == wire] == [BTC]
    other = desk.open_orders(symbol("ETHUSDT"))
    assert isinstance(other, OpenOrders)
    assert wire not in [report.wire_id for report in other.reports]

    cancelled = desk.cancel(wire)
    assert isinstance(cancelled, CancelConfirmed)
    if cancelled.final is not None:
        assert (cancelled.final.state, cancelled.final.filled) == (LegState.CANCELLED, ZERO)
    assert isinstance(desk.cancel(wire), CancelTooLate)
    gone = desk.look_up(wire)
    assert isinstance(gone, Found)
    assert (gone.report.state, gone.report.filled) == (LegState.CANCELLED, ZERO)
    assert desk.truth(wire)[0]["status"] == "cancelled"


@pytest.mark.parametrize("side", list(Side))
def test_a_market_order_fills(desk: Desk, side: Side) -> None:
    """A look-up tells what filled and at which price; an answer that tells more agrees with it."""
    wire = wire_id()
    placed = desk.place(spec("0.02", side=side, price=None), wire)
    assert isinstance(placed, Placed)
    (order,) = desk.truth(wire)
    found = desk.look_up(wire)
    assert isinstance(found, Found)
    assert found.report.state is LegState.FILLED
    assert found.report.filled == Decimal(order["filled"]) == Decimal("0.02")
    assert found.report.average_price == Decimal(order["avg_price"])
    if desk.name in ENGINE_TELLS:
        assert placed.report == found.report
    else:
        assert (placed.report.state, placed.report.filled) == (LegState.OPEN, None)


def test_a_partial_fill_is_told(desk: Desk) -> None:
    """Then a cancel leaves what filled."""
    wire = wire_id()
    desk.place(spec("0.03"), wire)
    desk.truthful.fill(client_order_id=wire, qty="0.01")
    part = desk.look_up(wire)
    assert isinstance(part, Found)
    assert (part.report.state, part.report.filled) == (LegState.PARTIALLY_FILLED, Decimal("0.01"))
    assert part.report.average_price == 20000
    cancelled = desk.cancel(wire)
    assert isinstance(cancelled, CancelConfirmed)
    if cancelled.final is not None:
        assert cancelled.final.filled == Decimal("0.01")
    gone = desk.look_up(wire)
    assert isinstance(gone, Found)
    assert (gone.report.state, gone.report.filled) == (LegState.CANCELLED, Decimal("0.01"))


def test_a_crossing_limit_order_fills_at_once(desk: Desk) -> None:
    """GTC at a price beyond the market."""
    wire = wire_id()
    assert isinstance(desk.place(spec(price="28000"), wire), Placed)
    found = desk.look_up(wire)
    assert isinstance(found, Found)
    assert (found.report.state, found.report.filled) == (LegState.FILLED, Decimal("0.01"))


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK])
def test_an_order_that_may_not_rest_does_not(desk: Desk, tif: TimeInForce) -> None:
    """Nothing fills, nothing rests, and the end is told; or the exchange refuses it, or we do before sending."""
    wire = wire_id()
    answer = desk.place(spec(tif=tif), wire)
    assert [order for order in desk.truth(wire) if order["status"] == "open"] == []
    if desk.name == "kraken":
        assert isinstance(answer, Refused)
        assert answer.code == "would_not_fill"
        return
    if isinstance(answer, Refused):
        assert answer.code == "would_not_fill"
        return
    assert isinstance(answer, Placed)
    found = desk.look_up(wire)
    assert isinstance(found, Found)
    assert found.report.state in (LegState.CANCELLED, LegState.EXPIRED)
    assert found.report.filled == 0


def test_an_immediate_order_that_crosses_fills(desk: Desk) -> None:
    """The other half of the trap of Kraken Futures' lower case."""
    wire = wire_id()
    assert isinstance(desk.place(spec(price="28000", tif=TimeInForce.IOC), wire), Placed)
    found = desk.look_up(wire)
    assert isinstance(found, Found)
    assert (found.report.state, found.report.filled) == (LegState.FILLED, Decimal("0.01"))
    assert desk.truth(wire)[0]["tif"] == "IOC"


def test_a_post_only_order_never_takes(desk: Desk) -> None:
    """It rests where it can; where it would take, it is refused or ends unfilled."""
    resting, crossing = wire_id(), wire_id()
    assert isinstance(desk.place(spec(tif=TimeInForce.POST_ONLY), resting), Placed)
    assert desk.truth(resting)[0]["tif"] == "PostOnly"
    answer = desk.place(spec(price="28000", tif=TimeInForce.POST_ONLY), crossing)
    if isinstance(answer, Refused):
        assert answer.code == "would_take"
        return
    found = desk.look_up(crossing)
    assert isinstance(found, Found)
    assert (found.report.state, found.report.filled) == (LegState.CANCELLED, ZERO)


def test_reduce_only_reduces_and_nothing_else(desk: Desk) -> None:
    """Refused without a position; with one it closes."""
    refused = desk.place(spec(side=Side.SELL, price=None, reduce_only=True), wire_id())
    assert isinstance(refused, Refused)
    assert refused.code == "reduce_only_rejected"
    desk.truthful.position(desk.native(BTC), "0.02")
    wire = wire_id()
    assert isinstance(desk.place(spec("0.02", side=Side.SELL, price=None, reduce_only=True), wire), Placed)
    assert desk.truth(wire)[0]["reduce_only"] is True
    assert desk.truthful.truth()["positions"] == {}


def test_take_profit_and_stop_loss_are_attached_or_left_to_the_router(desk: Desk) -> None:
    """Never sent as junk that an exchange drops: what it does not take along the router places itself."""
    wire = wire_id()
    wanted = spec(take_profit="30000", stop_loss="15000")
    words = desk.port.check(wanted)
    answer = desk.place(wanted, wire)
    assert words == ""
    assert isinstance(answer, Placed)
    assert desk.port.attaches(wanted) is (desk.name in ATTACHES)
    if desk.name in ATTACHES:
        (order,) = desk.truth(wire)
        assert (Decimal(order["take_profit"]), Decimal(order["stop_loss"])) == (Decimal(30000), Decimal(15000))
    else:
        (order,) = desk.truth(wire)
        assert (order["take_profit"], order["stop_loss"]) == (None, None)


def test_a_duplicate_is_ambiguous_until_looked_up(desk: Desk) -> None:
    """The same wire id while the order is open: the exchange keeps one."""
    wire = wire_id()
    assert isinstance(desk.place(spec(), wire), Placed)
    again = desk.place(spec(), wire)
    assert isinstance(again, Ambiguous)
    assert again.duplicate
    assert again.native_code is not None
    assert len(desk.truth(wire)) == 1


def test_insufficient_funds_are_a_refusal_with_the_native_code(desk: Desk) -> None:
    """On Binance at another URL than its own ccxt raises a bare ExchangeError for this: the code decides."""
    desk.truthful.deposit("USD" if desk.name == "kraken" else "USDT", "-99000")
    try:
        answer = desk.place(spec("5", price="26000"), wire_id())
    finally:
        desk.truthful.deposit("USD" if desk.name == "kraken" else "USDT", "99000")
    assert isinstance(answer, Refused)
    assert answer.code == "insufficient_funds"
    assert answer.native_code
    assert desk.name in answer.words


def test_an_unknown_wire_id_is_not_found(desk: Desk) -> None:
    """By every part of the look-up, also when an exchange's order id is known."""
    before_s = desk.clock()
    for order_id in (None, "1"):
        answer = desk.look_up(wire_id(), order_id=order_id)
        assert isinstance(answer, NotFound)
        assert answer.asked_s >= before_s


def test_absence_beyond_the_exchanges_lists_is_not_told(desk: Desk) -> None:
    """An order of last week that is not listed may have filled all the same."""
    now_s = desk.clock()
    answer = desk.do(
        LookUpCall(
            symbol=BTC, wire_id=wire_id(), exchange_order_id=None, since_s=now_s - 8 * 86400, deadline_s=now_s + 5
        )
    )
    assert isinstance(answer, CallFailed)
    assert answer.code == "look_back_exceeded"


@pytest.mark.parametrize(
    ("name", "quantity", "price"),
    [
        ("BTCUSDT", "0.123", "20000.1"),
        ("BTCUSDT", "1.03", "19999"),
        ("ETHUSDT", "0.37", "1500.5"),
        ("SOLUSDT", "12.3", "20.01"),
        ("XRPUSDT", "300", "0.4001"),
        ("XRPUSDT", "1700", "0.3"),
    ],
)
def test_what_is_sent_is_exactly_what_was_asked(desk: Desk, name: str, quantity: str, price: str) -> None:
    """In contracts or coins, without a float on the way; or refused in words with a valid value in them."""
    wanted = spec(quantity, of=symbol(name), price=price)
    words = desk.port.check(wanted)
    wire = wire_id()
    answer = desk.place(wanted, wire)
    if words:
        assert isinstance(answer, Refused)
        assert answer.words == words
        assert "nearest valid" in words or "or more" in words
        assert desk.truth(wire) == []
        return
    assert isinstance(answer, Placed)
    (order,) = desk.truth(wire)
    assert (Decimal(order["qty"]), Decimal(order["price"])) == (Decimal(quantity), Decimal(price))
    assert order["symbol"] == desk.native(symbol(name))
    found = desk.look_up(wire, symbol(name))
    assert isinstance(found, Found)
    desk.truthful.fill(client_order_id=wire)
    filled = desk.look_up(wire, symbol(name))
    assert isinstance(filled, Found)
    assert (filled.report.filled, filled.report.average_price) == (Decimal(quantity), Decimal(price))
    assert filled.report.symbol == symbol(name)


def test_the_lots_a_market_is_said_to_take_are_those_it_takes(desk: Desk) -> None:
    """In base coin: the least of them is admitted, half a step more is not, and likewise of the tick."""
    lots = desk.port.lots(BTC)
    assert lots is not None
    quantity, price = max(lots.minimum, Decimal(1)), Decimal(20000)
    assert desk.port.check(spec(str(quantity + lots.step), price=str(price + lots.tick))) == ""
    assert "multiple of the step" in desk.port.check(spec(str(quantity + lots.step / 2), price=str(price)))
    assert "multiple of the tick" in desk.port.check(spec(str(quantity), price=str(price + lots.tick / 2)))
    assert "below the minimum" in desk.port.check(spec(str(lots.minimum - lots.step / 2), price=str(price)))
    assert lots.settle == ("USD" if desk.name == "kraken" else "USDT")
    assert desk.port.lots(symbol("NOPEUSDT")) is None


def test_positions_are_signed_base_coin_under_the_routers_symbol(desk: Desk) -> None:
    """Also where the exchange counts contracts or settles in another coin."""
    desk.truthful.position(desk.native(BTC), "-0.25")
    desk.truthful.position(desk.native(symbol("ETHUSDT")), "1.5")
    answer = desk.positions()
    assert isinstance(answer, PositionsResult)
    held = {position.symbol: position.quantity for position in answer.positions}
    assert held == {BTC: Decimal("-0.25"), symbol("ETHUSDT"): Decimal("1.5")}
    (btc,) = [position for position in answer.positions if position.symbol == BTC]
    assert (btc.exchange, btc.entry_price) == (desk.name, Decimal(27000))


def test_balances_and_ticker(desk: Desk) -> None:
    """Exact numbers, the settlement coin among them."""
    balances = desk.balances()
    assert isinstance(balances, BalancesResult)
    truth = desk.truthful.truth()["balance"]
    (coin,) = truth
    (balance,) = [balance for balance in balances.balances if balance.coin == coin]
    assert balance.total == Decimal(truth[coin])
    assert balance.free + balance.used == balance.total
    ticker = desk.ticker()
    assert isinstance(ticker, TickerResult)
    assert ticker.ticker.symbol == BTC
    assert ticker.ticker.last == 27000
    assert ticker.ticker.bid is not None
    assert ticker.ticker.ask is not None
    assert ticker.ticker.bid <= 27000 <= ticker.ticker.ask


def test_probes(desk: Desk) -> None:
    """The public one measures the clock, the signed one proves that we may trade."""
    public = desk.probe(ProbeKind.PUBLIC)
    assert isinstance(public, ProbeOk)
    assert public.clock_offset_s is not None
    assert abs(public.clock_offset_s) < 0.5
    assert isinstance(desk.probe(ProbeKind.SIGNED), ProbeOk)


def test_nothing_is_sent_after_the_deadline(desk: Desk) -> None:
    """A placement is proven not to have executed."""
    before = len(desk.truthful.requests())
    answer = desk.place(spec(), wire_id(), deadline_s=-0.001)
    assert isinstance(answer, NotExecuted)
    assert answer.code == "deadline_passed"
    assert not answer.ill
    assert len(desk.truthful.requests()) == before


def test_before_it_is_open_a_port_places_nothing(sims: SimulatorThread) -> None:
    """But it can be probed, so that health is known first."""
    desk = Desk(sims["okx"], timeout_s=TIMEOUT_S)
    assert not desk.port.ready
    answer = desk.place(spec(), wire_id())
    assert isinstance(answer, NotExecuted)
    assert answer.code == "not_ready"
    assert isinstance(desk.look_up(wire_id()), CallFailed)
    assert isinstance(desk.probe(ProbeKind.PUBLIC), ProbeOk)
    desk.close()


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_wrong_secret_is_told_and_proves_that_nothing_executed(sims: SimulatorThread, name: str) -> None:
    """It speaks against the exchange as a place to trade, not against the order; no word of it holds the secret."""
    secret = "d3Jvbmctc2VjcmV0"
    desk = Desk(sims[name], secret=secret)
    words = desk.open()
    if words:  # Bybit's warm-up is signed
        assert name in words
        assert secret not in words
    else:
        answer = desk.place(spec(), wire_id())
        assert isinstance(answer, NotExecuted)
        assert (answer.code, answer.ill) == ("not_authenticated", True)
    probe = desk.probe(ProbeKind.SIGNED)
    assert isinstance(probe, CallFailed)
    assert (probe.code, probe.ill) == ("not_authenticated", True)
    desk.close()


def test_another_settlement_currency_has_to_be_allowed(sims: SimulatorThread) -> None:
    """Kraken Futures has no USDT-settled market."""
    desk = Desk(sims["kraken"], allow_settlement_change=False)
    assert desk.open() == ""
    desk.flat()
    desk.truthful.position("BTC/USD:USD", "0.5")
    words = desk.port.tradable("BTC/USDT:USDT")
    assert "allow_settlement_change" in words
    assert desk.port.check(spec()) == words
    answer = desk.place(spec(), wire_id())
    assert isinstance(answer, Refused)
    assert desk.port.tradable("BTC/USD:USD") == ""
    positions = desk.positions()
    assert isinstance(positions, PositionsResult)
    assert [position.symbol for position in positions.positions] == [symbol("BTC/USD:USD")]
    desk.close()


@pytest.mark.parametrize(
    ("text", "says"),
    [("BTC/USDT:BTC", "no linear swap"), ("NOPEUSDT", "no linear swap"), ("what is this", "must look like")],
)
def test_what_cannot_be_traded_is_told_in_a_sentence(desk: Desk, text: str, says: str) -> None:
    """Unknown, inverse, or no symbol at all."""
    words = desk.port.tradable(text)
    assert says in words
    assert words.endswith(".")
