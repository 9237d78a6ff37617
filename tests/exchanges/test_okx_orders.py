"""OKX's swaps over real HTTP: changing orders, what ended, fills with their fees, bars, announcements, settings."""

import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from app.domain.calls import (
    Amended,
    AmendRefused,
    CallFailed,
    CancelTooLate,
    ClosedOrders,
    DeadManArmed,
    Fills,
    Found,
    KlinesResult,
    LookUpCall,
    NotExecuted,
    NotFound,
    Placed,
    PositionsResult,
    Refused,
    SettingMade,
    StatusResult,
)
from app.exchanges.adapter import CcxtPort
from app.exchanges.profiles import okx_shapes
from app.exchanges.settings import Credentials, ExchangeSettings
from app.simulator.thread import SimulatorThread
from messages.market import Interval, MarginMode, MarketType, PositionMode
from messages.orders import LegState, Side, TimeInForce
from tests.exchanges.desk import Desk, spec, stop, wire_id
from tests.exchanges.okx_desk import PRICE, at_rest, found, move, opened, placed


@pytest.fixture(scope="module")
def swaps() -> Iterator[Desk]:
    yield from opened(MarketType.SWAP)


@pytest.fixture
def desk(swaps: Desk) -> Iterator[Desk]:
    yield from at_rest(swaps)


# ---- changing --------------------------------------------------------------------------------------------------------


def test_quantity_and_price_of_a_resting_order_are_changed(desk: Desk) -> None:
    what = spec("0.02", price="20000")
    wire = placed(desk, what)
    assert desk.amend(wire, what, quantity="0.03", price="20500") == Amended(report=None)
    (truth,) = desk.truth(wire)
    assert (truth["qty"], truth["price"]) == ("0.03", "20500")
    assert found(desk, wire) == (LegState.OPEN, "0", "0.03")


def test_the_quantity_counts_what_has_filled(desk: Desk) -> None:
    what = spec("0.04", price="20000")
    wire = placed(desk, what)
    desk.truthful.fill(client_order_id=wire, qty="0.01")
    assert desk.amend(wire, what, quantity="0.03") == Amended(report=None)
    (truth,) = desk.truth(wire)
    assert (truth["qty"], truth["filled"]) == ("0.03", "0.01")


def test_less_than_has_filled_ends_the_order_and_adds_nothing(desk: Desk) -> None:
    what = spec("0.04", price="20000")
    wire = placed(desk, what)
    desk.truthful.fill(client_order_id=wire, qty="0.02")
    result = desk.amend(wire, what, quantity="0.01")
    assert isinstance(result, Amended | AmendRefused | CancelTooLate)
    (truth,) = desk.truth(wire)
    assert truth["filled"] == "0.02"


def test_asking_for_what_is_already_so_is_no_error(desk: Desk) -> None:
    what = spec("0.02", price="20000")
    wire = placed(desk, what)
    assert desk.amend(wire, what, quantity="0.02", price="20000") == Amended(report=None)


def test_what_filled_or_never_was_cannot_be_changed(desk: Desk) -> None:
    what = spec("0.02", price="20000")
    wire = placed(desk, what)
    desk.truthful.fill(client_order_id=wire)
    for gone in (wire, wire_id()):
        result = desk.amend(gone, what, price="20500")
        assert isinstance(result, CancelTooLate)
        assert result.native_code == "51503"


def test_a_change_that_arrives_late_is_refused_by_the_exchange(desk: Desk) -> None:
    what = spec("0.02", price="20000")
    wire = placed(desk, what)
    desk.clock.behind_s = 12.0
    result = desk.amend(wire, what, price="20500")
    desk.clock.behind_s = 0.0
    assert isinstance(result, CallFailed)
    assert result.code == "expired"
    assert desk.truth(wire)[0]["price"] == "20000"


def test_off_its_step_it_is_refused_before_it_is_sent(desk: Desk) -> None:
    what = spec("0.02", price="20000")
    wire = placed(desk, what)
    sent = desk.seen("amend")
    assert isinstance(desk.amend(wire, what, price="20500.01"), AmendRefused)
    assert desk.seen("amend") == sent


# ---- looking up long after -------------------------------------------------------------------------------------------


def test_one_that_the_exchange_had_and_forgot_was_cancelled_without_any_fill(desk: Desk) -> None:
    """OKX forgets those after two hours, and nothing else for days. Without an order id nothing says it had it."""
    result = desk.place(spec("0.02", price="20000"), wire := wire_id())
    assert isinstance(result, Placed)
    since_s, order_id = desk.clock(), result.report.exchange_order_id
    desk.cancel(wire)

    def later(hours: float, known_as: str | None) -> object:
        desk.truthful.ask("POST", "/clock", {"ahead_s": hours * 3600})
        desk.clock.behind_s = -hours * 3600
        return desk.do(
            LookUpCall(
                symbol=desk.btc,
                wire_id=wire,
                exchange_order_id=known_as,
                since_s=since_s,
                deadline_s=desk.soon(),
            )
        )

    try:
        for hours in (1.0, 3.0):
            answer = later(hours, order_id)
            assert isinstance(answer, Found)
            assert (answer.report.state, answer.report.filled) == (LegState.CANCELLED, Decimal(0))
        assert isinstance(later(3.0, None), NotFound)
        assert not isinstance(later(7 * 24.0, order_id), Found | NotFound), "by then the lists prove nothing"
    finally:
        desk.truthful.ask("POST", "/clock", {"ahead_s": 0})
        desk.clock.behind_s = 0.0


# ---- lists -----------------------------------------------------------------------------------------------------------


def test_what_ended_is_listed_by_when_it_ended(desk: Desk) -> None:
    filled, cancelled, rests = (placed(desk, spec("0.02", price="20000")) for _ in range(3))
    desk.truthful.fill(client_order_id=filled)
    desk.cancel(cancelled)
    result = desk.closed_orders()
    assert isinstance(result, ClosedOrders)
    states = {each.wire_id: each.state for each in result.reports}
    assert states[filled] is LegState.FILLED
    assert states[cancelled] is LegState.CANCELLED
    assert rests not in states
    later = desk.closed_orders(since_s=desk.clock() + 60)
    assert later == ClosedOrders(reports=())


def test_fills_carry_their_fee_as_a_cost_and_who_took(desk: Desk) -> None:
    maker = placed(desk, spec("0.02", price="20000"))
    desk.truthful.fill(client_order_id=maker)
    taker = placed(desk, spec("0.03", price=None))
    result = desk.fills()
    assert isinstance(result, Fills)
    truth = {fill["trade_id"]: fill for fill in desk.truthful.truth()["fills"]}
    mine = {fill.wire_id: fill for fill in result.fills if fill.wire_id in (maker, taker)}
    assert (mine[maker].maker, mine[taker].maker) == (True, False)
    for fill in mine.values():
        real = truth[fill.trade_id]
        assert (fill.quantity, fill.price) == (Decimal(real["qty"]), Decimal(real["price"]))
        assert fill.fee == Decimal(real["fee"])
        assert fill.fee is not None
        assert fill.fee > 0
        assert fill.fee_coin == "USDT"


@pytest.mark.parametrize("ask", ["fills", "closed_orders"])
def test_older_than_a_few_days_the_archive_is_asked_and_beyond_it_nobody(desk: Desk, ask: str) -> None:
    call = "fills" if ask == "fills" else "closed_orders"
    paths = []
    for days in (1, 20, 91):
        before = desk.truthful.requests()
        result = getattr(desk, ask)(since_s=desk.clock() - days * 86400)
        new = [each for each in desk.truthful.requests()[len(before) :] if each["call"] == call]
        paths.append([each["path"].rpartition("/")[2] for each in new if "algo" not in each["path"]])
    recent, archive = ("fills", "fills-history") if ask == "fills" else ("orders-history", "orders-history-archive")
    assert paths == [[recent], [archive], []]
    assert isinstance(result, CallFailed)
    assert "90 days" in result.words


def test_a_list_is_read_page_by_page_to_its_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(okx_shapes, "_PAGE", 2)
    wires = {placed(desk, spec("0.02", price="20000")) for _ in range(5)}
    for wire in wires:
        desk.truthful.fill(client_order_id=wire)
    result = desk.fills()
    assert isinstance(result, Fills)
    assert wires <= {fill.wire_id for fill in result.fills}
    closed = desk.closed_orders()
    assert isinstance(closed, ClosedOrders)
    assert wires <= {each.wire_id for each in closed.reports}


def test_bars_count_in_base_coin_and_go_beyond_one_page(desk: Desk) -> None:
    placed(desk, spec("0.05", price=None))
    newest = desk.klines(limit=3)
    assert isinstance(newest, KlinesResult)
    assert sum(bar.volume for bar in newest.klines) >= Decimal("0.05")
    many = desk.klines(limit=701)
    assert isinstance(many, KlinesResult)
    starts = [bar.start_s for bar in many.klines]
    assert len(starts) == 701
    assert [b - a for a, b in itertools.pairwise(starts)] == [60.0] * 700
    since = desk.klines(limit=650, since_s=starts[10])
    assert isinstance(since, KlinesResult)
    assert [bar.start_s for bar in since.klines] == starts[10:660]
    too_many = desk.klines(limit=6001, interval=Interval.MINUTE_1)
    assert isinstance(too_many, CallFailed)
    assert "At most 6000 bars" in too_many.words


# ---- what the exchange says of itself --------------------------------------------------------------------------------


def test_a_maintenance_of_trading_is_told(desk: Desk) -> None:
    well = desk.status()
    assert isinstance(well, StatusResult)
    assert well.status.ok
    desk.truthful.ask("POST", "/maintenance", {"on": True, "message": "Trading engine upgrade"})
    try:
        ill = desk.status()
    finally:
        desk.truthful.ask("POST", "/maintenance", {"on": False})
    assert isinstance(ill, StatusResult)
    assert not ill.status.ok
    assert "Trading engine upgrade" in ill.status.words


EVENT = {"state": "scheduled", "serviceType": "5", "env": "1", "begin": "1795400000000", "end": "1795403600000"}


@pytest.mark.parametrize(
    ("event", "ok", "words"),
    [
        ({}, True, "okx announces a maintenance from 2026-11-23 02:13 UTC to 2026-11-23 03:13 UTC: Upgrade."),
        ({"state": "ongoing"}, False, "okx says it is under maintenance: Upgrade."),
        ({"state": "ongoing", "serviceType": "0"}, True, ""),
        ({"state": "ongoing", "serviceType": "8"}, False, "okx says it is under maintenance: Upgrade."),
        ({"state": "ongoing", "env": "2"}, True, ""),
        ({"state": "completed"}, True, ""),
    ],
)
def test_only_what_stops_trading_counts(event: dict[str, Any], ok: bool, words: str) -> None:
    said = okx_shapes.status([{**EVENT, "title": "Upgrade", **event}], "okx", demo=False)
    assert (said.ok, said.words) == (ok, words)
    assert (said.begin_s, said.until_s) == ((1795400000.0, 1795403600.0) if words else (None, None))


# ---- settings --------------------------------------------------------------------------------------------------------


def test_leverage_is_set_and_too_much_of_it_refused(desk: Desk) -> None:
    assert desk.leverage("7") == SettingMade(changed=True)
    placed(desk, spec("0.02", price=None))
    held = desk.positions()
    assert isinstance(held, PositionsResult)
    assert held.positions[0].leverage == 7
    too_much = desk.leverage("1000")
    assert isinstance(too_much, CallFailed)
    assert (too_much.code, too_much.native_code) == ("invalid_leverage", "59102")
    assert not too_much.retryable


def test_the_margin_mode_is_the_configured_one_and_each_order_says_so(swaps: Desk, desk: Desk) -> None:
    assert desk.margin_mode(MarginMode.CROSS) == SettingMade(changed=False)
    other = desk.margin_mode(MarginMode.ISOLATED)
    assert isinstance(other, CallFailed)
    assert other.code == "unsupported"
    assert "exchanges.okx.options.defaultMarginMode" in other.words

    isolated = _Isolated.at_host(swaps)
    try:
        assert isolated.open() == ""
        assert isolated.margin_mode(MarginMode.ISOLATED) == SettingMade(changed=False)
        placed(isolated, spec("0.02", price=None))
        placed(isolated, spec("0.02", price=None, trigger=stop("28000")))
        move(isolated, 28000)
        assert _modes(isolated) == {"isolated"}
    finally:
        isolated.close()


def _modes(desk: Desk) -> set[str]:
    """What the exchange says stands behind the orders."""

    async def ask() -> set[str]:
        answer = await desk.port._made_client().privateGetTradeOrdersHistory({"instType": "SWAP"})
        return {row["tdMode"] for row in answer["data"][:2]}

    return desk.loop.run(ask())


class _Isolated(Desk):
    """A desk whose orders are configured to be in isolated margin."""

    @classmethod
    def at_host(cls, other: Desk) -> "_Isolated":
        return cls(other.sim)

    def build(self, settings: ExchangeSettings, credentials: Credentials) -> CcxtPort:
        return super().build(evolve(settings, options={"defaultMarginMode": "isolated"}), credentials)


def test_long_and_short_side_by_side() -> None:
    """An order that opens means its own side, one that reduces the other; and the router sees the net."""
    with SimulatorThread(("okx",)) as sims:
        desk = Desk.at(sims, "okx")
        assert desk.open() == ""
        try:
            assert desk.position_mode(PositionMode.HEDGE) == SettingMade(changed=True)
            placed(desk, spec("0.05", price=None))
            placed(desk, spec("0.02", side=Side.SELL, price=None))
            assert _sides(desk) == {"long": "0.05", "short": "-0.02"}
            placed(desk, spec("0.01", price=None, reduce_only=True))
            assert _sides(desk) == {"long": "0.05", "short": "-0.01"}
            protects = placed(desk, spec("0.03", side=Side.SELL, price=None, reduce_only=True, trigger=stop("26000")))
            move(desk, 26000)
            assert found(desk, protects, conditional=True)[0] is LegState.FILLED
            assert _sides(desk) == {"long": "0.02", "short": "-0.01"}
            held = desk.positions()
            assert isinstance(held, PositionsResult)
            assert [position.quantity for position in held.positions] == [Decimal("0.01")]
            in_use = desk.position_mode(PositionMode.ONE_WAY)
            assert isinstance(in_use, CallFailed)
            assert (in_use.code, in_use.native_code) == ("setting_in_use", "59000")

            later = Desk.at(sims, "okx")
            assert later.open() == ""
            placed(later, spec("0.01", price=None, reduce_only=True))
            assert _sides(later) == {"long": "0.02"}, "a later life asks what the account has"
            later.close()
        finally:
            desk.close()


def test_a_position_mode_somebody_else_changed_is_learned_from_one_refusal() -> None:
    with SimulatorThread(("okx",)) as sims:
        desk = Desk.at(sims, "okx")
        assert desk.open() == ""
        try:
            for mode, held in (("hedge", {"long": "0.01"}), ("one_way", {"BTC/USDT:USDT": "0.01"})):
                desk.truthful.ask("POST", "/mode", {"hedge": mode == "hedge"})
                refused = desk.place(spec("0.01", price=None), wire_id())
                assert isinstance(refused, Refused)
                assert refused.native_code == "51000"
                desk.truthful.fault("http_5xx", call="account")
                blind = desk.place(spec("0.01", price=None), wire_id())
                assert isinstance(blind, NotExecuted)
                assert "What the account of okx is like" in blind.words
                desk.truthful.clear_faults()
                placed(desk, spec("0.01", price=None))
                assert _sides(desk) == held
                placed(desk, spec("0.01", side=Side.SELL, price=None, reduce_only=True))
        finally:
            desk.close()


def _sides(desk: Desk) -> dict[str, str]:
    """What the exchange really holds on each side."""
    held = desk.truthful.truth()["positions"]
    return {name.rpartition(" ")[2]: qty for name, qty in held.items() if Decimal(qty)}


# ---- the dead-man switch ---------------------------------------------------------------------------------------------


def test_the_countdown_is_armed_and_stopped_and_what_it_cannot_count_refused(desk: Desk) -> None:
    before_s = desk.clock()
    armed = desk.dead_man(30)
    assert isinstance(armed, DeadManArmed)
    assert armed.fires_s is not None
    assert before_s + 30 <= armed.fires_s <= desk.clock() + 30
    assert desk.dead_man(0) == DeadManArmed(fires_s=None)
    sent = desk.seen("dead_man")
    for seconds in (5, 121, 30.5):
        refused = desk.dead_man(seconds)
        assert isinstance(refused, CallFailed)
        assert "10 to 120 whole seconds" in refused.words
    assert desk.seen("dead_man") == sent


# ---- orders as they always were --------------------------------------------------------------------------------------


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK])
def test_what_cannot_fill_at_once_ends_without_a_fill(desk: Desk, tif: TimeInForce) -> None:
    wire = placed(desk, spec("0.02", price="20000", tif=tif))
    assert found(desk, wire)[:2] == (LegState.CANCELLED, "0")


def test_post_only_that_would_take_ends_without_a_fill(desk: Desk) -> None:
    wire = placed(desk, spec("0.02", price=str(PRICE + 1000), tif=TimeInForce.POST_ONLY))
    assert found(desk, wire)[:2] == (LegState.CANCELLED, "0")


def test_reduce_only_without_a_position_is_refused(desk: Desk) -> None:
    result = desk.place(spec("0.02", side=Side.SELL, price=None, reduce_only=True), wire_id())
    assert isinstance(result, Refused)
    assert result.code == "reduce_only_rejected"


def test_take_profit_and_stop_loss_travel_with_the_order(desk: Desk) -> None:
    result = desk.place(spec("0.02", price="26900", take_profit="28000", stop_loss="26000"), wire_id())
    assert isinstance(result, Placed)
    orders = desk.truthful.truth()["orders"]
    (order,) = [each for each in orders if each["order_id"] == result.report.exchange_order_id]
    assert (order["take_profit"], order["stop_loss"]) == ("28000", "26000")
