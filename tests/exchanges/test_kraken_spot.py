"""Kraken spot beyond what every exchange must do: nonces, the engine's deadline, ticks, lists, and changes in place."""

import asyncio
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

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
    KlinesResult,
    NotExecuted,
    NotFound,
    OpenOrders,
    OrderReport,
    Placed,
    Refused,
    Result,
    StatusResult,
)
from app.exchanges import nonces
from app.exchanges.clock_offset import ClockOffset
from app.exchanges.profiles.kraken_spot_shapes import system_status
from app.exchanges.rules import kraken as rules
from app.simulator.thread import SimulatorThread
from messages.market import Interval, MarketType
from messages.orders import LegState, Side, TimeInForce, TriggerBy
from tests.exchanges.altered import Altered
from tests.exchanges.desk import Desk, stop, take_profit, until, wire_id

NATIVE = "BTC/USDT"
ZERO = Decimal(0)


@pytest.fixture(scope="module")
def sims() -> Iterator[SimulatorThread]:
    """One exchange for all."""
    with SimulatorThread(["kraken_spot"]) as running:
        yield running


@pytest.fixture(scope="module")
def open_desk(sims: SimulatorThread) -> Iterator[Desk]:
    """One port for most."""
    desk = Desk.at(sims, "kraken", MarketType.SPOT)
    assert desk.open() == ""
    yield desk
    desk.close()


@pytest.fixture
def desk(open_desk: Desk) -> Desk:
    """Without faults, and with Bitcoin at 27,000."""
    open_desk.truthful.clear_faults()
    open_desk.truthful.price(NATIVE, 27000)
    return open_desk


def found(answer: Result) -> OrderReport:
    """What a look-up found."""
    assert isinstance(answer, Found), answer
    return answer.report


# ---- nonces ----------------------------------------------------------------------------------------------------------


class Held:
    """Goes before a client's requests: holds the first one back until it is let go."""

    def __init__(self, client: Any) -> None:
        self._fetch, self.go, self.begun = client.fetch, asyncio.Event(), 0

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """One request."""
        self.begun += 1
        if self.begun == 1:
            await self.go.wait()
        return await self._fetch(*args, **kwargs)


def test_requests_of_one_key_do_not_overtake_each_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first is under way none of the others begins; and none is refused for its nonce."""
    client = desk.port._made_client()
    held = Held(client)
    monkeypatch.setattr(client, "fetch", held)

    async def many() -> list[Any]:
        asked = [asyncio.ensure_future(client.privatePostBalance({})) for _ in range(12)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert held.begun == 1
        held.go.set()
        return await asyncio.gather(*asked)

    assert [answer["error"] for answer in desk.loop.run(many())] == [[]] * 12


def test_one_that_hangs_holds_up_nobody_for_long_and_is_refused_when_it_arrives(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its nonce is overtaken by then, which proves that it did not execute; and says nothing of the clock."""
    client = desk.port._made_client()
    held, wire = Held(client), wire_id()
    monkeypatch.setattr(nonces, "OVERTAKE_S", 0.02)
    monkeypatch.setattr(client, "fetch", held)
    order = {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "price": "20000", "volume": "0.01"}

    async def race() -> tuple[Any, Any]:
        late = asyncio.ensure_future(client.privatePostAddOrder({**order, "cl_ord_id": wire}))
        await asyncio.sleep(0)
        quick = await client.privatePostBalance({})
        held.go.set()
        return quick, (await asyncio.gather(late, return_exceptions=True))[0]

    quick, late = desk.loop.run(race())
    assert quick["error"] == []
    assert type(late).__name__ == "InvalidNonce"
    assert client.router_lead_ms == 0
    assert desk.truth(wire) == []


def test_a_new_life_whose_clock_is_behind_is_not_refused(sims: SimulatorThread) -> None:
    """Its nonces are of the exchange's time; but for the second that this is not known better than."""
    with SimulatorThread(["kraken_spot"]) as own:
        early, late = (Desk.at(own, "kraken", MarketType.SPOT) for _ in range(2))
        assert early.open() == ""
        assert isinstance(early.place(early.spec(), wire_id()), Placed)
        late.clock.behind_s = 20.0
        assert late.open() == ""
        refusals = 0
        while not isinstance(late.place(late.spec(), wire_id()), Placed):
            refusals += 1
            assert refusals <= 4  # a lead of three seconds: twenty would take two more
        for each in (early, late):
            each.close()


def test_nonces_of_another_program_are_caught_up_with_by_refusals() -> None:
    """Each proves that nothing executed, until the lead is large enough; then all goes on at once."""
    with SimulatorThread(["kraken_spot"]) as own:
        early, late = (Desk.at(own, "kraken", MarketType.SPOT) for _ in range(2))
        assert early.open() == ""
        early.port._made_client().router_lead_ms = 20_000  # its clock is ahead of everybody's
        assert isinstance(early.place(early.spec(), wire_id()), Placed)
        assert late.open() == ""
        refusals = 0
        while not isinstance(answer := late.place(late.spec(), wire_id()), Placed):
            assert isinstance(answer, NotExecuted)
            assert (answer.code, answer.native_code) == ("invalid_nonce", "EAPI:Invalid nonce")
            refusals += 1
            assert refusals < 10
        assert refusals > 2
        for _ in range(3):
            assert isinstance(late.place(late.spec(), wire_id()), Placed)
        for each in (early, late):
            each.close()


# ---- orders ----------------------------------------------------------------------------------------------------------


def test_a_market_order_is_sized_in_base_coin_and_pays_in_quote_coin(desk: Desk) -> None:
    """Also a buy."""
    since_s, wire = desk.clock(), wire_id()
    assert isinstance(desk.place(desk.spec("0.02", price=None), wire), Placed)
    (order,) = desk.truth(wire)
    assert (Decimal(order["filled"]), order["status"]) == (Decimal("0.02"), "filled")
    answer = desk.fills(since_s=since_s)
    assert isinstance(answer, Fills)
    (fill,) = [each for each in answer.fills if each.exchange_order_id == order["order_id"]]
    assert (fill.quantity, fill.fee_coin, fill.side) == (Decimal("0.02"), "USDT", Side.BUY)
    assert fill.wire_id == wire  # which only its order tells
    assert fill.fee is not None
    assert fill.fee > 0


@pytest.mark.parametrize("by_id", [False, True])
def test_an_order_is_found_by_either_id_also_after_it_ended(desk: Desk, by_id: bool) -> None:
    """The answer to a placement tells the exchange's only."""
    wire = wire_id()
    placed = desk.place(desk.spec(), wire)
    assert isinstance(placed, Placed)
    order_id = placed.report.exchange_order_id if by_id else None
    report = found(desk.look_up(wire, order_id=order_id))
    assert (report.state, report.quantity, report.price) == (LegState.OPEN, Decimal("0.01"), Decimal(20000))
    assert isinstance(desk.cancel(wire), CancelConfirmed)
    assert isinstance(desk.cancel(wire), CancelTooLate)
    report = found(desk.look_up(wire, order_id=order_id))
    assert (report.state, report.filled, report.wire_id) == (LegState.CANCELLED, ZERO, wire)
    assert isinstance(desk.look_up(wire_id(), order_id="OAAAAA-AAAAA-AAAAAA" if by_id else None), NotFound)


def test_an_id_used_again_is_told_with_all_that_filled_under_it(desk: Desk) -> None:
    """Client order ids are unique among open orders only."""
    wire = wire_id()
    for _ in range(2):
        assert isinstance(desk.place(desk.spec(price=None), wire), Placed)
    assert found(desk.look_up(wire)).filled == Decimal("0.02")


def test_a_deadline_that_is_off_when_it_arrives_is_no_refusal_for_good(desk: Desk) -> None:
    """The exchange calls the argument invalid; it is the time that was."""
    answer = desk.place(desk.spec(), wire_id(), validity_s=75.0)
    assert isinstance(answer, NotExecuted)
    assert (answer.code, answer.native_code) == ("expired", "EGeneral:Invalid arguments:deadline")


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY])
def test_an_order_that_may_not_rest_or_take_ends_at_once(desk: Desk, tif: TimeInForce) -> None:
    """It is accepted, and the look-up tells its end."""
    wire = wire_id()
    price = "28000" if tif is TimeInForce.POST_ONLY else "20000"
    answer = desk.place(desk.spec(price=price, tif=tif), wire)
    if isinstance(answer, Placed):
        assert found(desk.look_up(wire)).state is LegState.CANCELLED
        assert desk.truth(wire)[0]["filled"] == "0"
    else:
        assert isinstance(answer, Refused)
        assert answer.code == "would_not_fill"


# ---- triggers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("price", [None, "28100"])
@pytest.mark.parametrize("kind", ["stop", "take_profit"])
def test_a_trigger_waits_is_listed_changed_set_off_and_followed(desk: Desk, kind: str, price: str | None) -> None:
    """Under one id from the beginning to the end."""
    wire = wire_id()
    trigger = stop("28000") if kind == "stop" else take_profit("26000")
    spec = desk.spec(price=price, trigger=trigger)
    placed = desk.place(spec, wire)
    assert isinstance(placed, Placed)
    report = found(desk.look_up(wire, conditional=True))
    assert (report.state, report.filled) == (LegState.OPEN, ZERO)
    assert report.price == (None if price is None else Decimal(price))
    listed = desk.open_orders(desk.btc, conditional=True)
    assert isinstance(listed, OpenOrders)
    assert wire in [each.wire_id for each in listed.reports]
    level = 28500 if kind == "stop" else 25500
    assert isinstance(desk.amend(wire, spec, trigger_price=str(level), quantity="0.02"), Amended)
    assert Decimal(desk.truth(wire)[0]["trigger_price"]) == level
    desk.truthful.price(NATIVE, trigger.price)
    assert found(desk.look_up(wire, conditional=True)).state is LegState.OPEN
    if price is None or kind == "take_profit":
        desk.truthful.price(NATIVE, level)
        report = found(desk.look_up(wire, conditional=True))
        assert (report.state, report.filled) == (LegState.FILLED, Decimal("0.02"))
        assert report.exchange_order_id == placed.report.exchange_order_id
    else:
        desk.truthful.price(NATIVE, level)  # beyond its limit: it rests
        report = found(desk.look_up(wire, conditional=True))
        assert (report.state, report.price) == (LegState.OPEN, Decimal("28100"))
        assert isinstance(desk.cancel(wire, conditional=True), CancelConfirmed)
        assert found(desk.look_up(wire, conditional=True)).state is LegState.CANCELLED


def test_a_mark_price_is_refused_in_words(desk: Desk) -> None:
    """There is none on spot."""
    answer = desk.place(desk.spec(price=None, trigger=stop("28000", TriggerBy.MARK)), wire_id())
    assert isinstance(answer, Refused)
    assert "no mark price" in answer.words


def test_a_stop_that_cannot_be_paid_for_ends_where_it_is_set_off(desk: Desk) -> None:
    """Nothing was held for it while it waited."""
    wire = wire_id()
    desk.place(desk.spec("300", price=None, trigger=stop("28000")), wire)
    desk.truthful.price(NATIVE, 28000)
    assert desk.truth(wire)[0]["triggered"] is True
    report = found(desk.look_up(wire, conditional=True))
    assert report.filled == ZERO
    assert report.state in (LegState.CANCELLED, LegState.REFUSED)


# ---- changes ---------------------------------------------------------------------------------------------------------


def test_a_change_below_what_has_filled_ends_the_order(desk: Desk) -> None:
    """The exchange takes it, and cancels the rest: no more is ever bought than was asked for."""
    wire, spec = wire_id(), desk.spec("0.03")
    desk.place(spec, wire)
    desk.truthful.fill(client_order_id=wire, qty="0.01")
    assert isinstance(desk.amend(wire, spec, quantity="0.02"), Amended)
    report = found(desk.look_up(wire))
    assert (report.state, report.quantity, report.filled) == (
        LegState.PARTIALLY_FILLED,
        Decimal("0.02"),
        Decimal("0.01"),
    )
    assert isinstance(desk.amend(wire, spec, quantity="0.005"), Amended)
    report = found(desk.look_up(wire))
    assert (report.state, report.filled) == (LegState.CANCELLED, Decimal("0.01"))


def test_a_post_only_order_stays_so_when_its_price_is_changed(desk: Desk) -> None:
    """A change does not inherit it: it would take."""
    wire, spec = wire_id(), desk.spec(tif=TimeInForce.POST_ONLY)
    desk.place(spec, wire)
    taking = desk.amend(wire, spec, price="28000")
    assert isinstance(taking, AmendRefused)
    assert taking.code == "would_take"
    (order,) = desk.truth(wire)
    assert (order["filled"], order["status"]) == ("0", "open")
    assert isinstance(desk.amend(wire, spec, price="20001"), Amended)
    desk.cancel(wire)
    assert isinstance(desk.amend(wire, spec, price="20000"), CancelTooLate)


# ---- lists -----------------------------------------------------------------------------------------------------------


def test_lists_are_read_to_their_end_and_sifted_by_pair_and_time(desk: Desk) -> None:
    """Fifty at a time, of all pairs together, named in two ways."""
    since_s = desk.clock()
    usd, wires = desk.symbol("BTC/USD"), [wire_id() for _ in range(53)]
    desk.place(desk.spec("0.001", of=usd, price=None), wire_id())
    for wire in wires:
        assert isinstance(desk.place(desk.spec("0.001", price=None), wire), Placed)
    answer = desk.fills(since_s=since_s)
    assert isinstance(answer, Fills)
    ids = [desk.truth(wire)[0]["order_id"] for wire in (wires[0], wires[-1])]
    assert [answer.fills[0].exchange_order_id, answer.fills[-1].exchange_order_id] == ids
    assert [fill.wire_id for fill in answer.fills] == wires
    ended = desk.closed_orders(since_s=since_s)
    assert isinstance(ended, ClosedOrders)
    assert {report.wire_id for report in ended.reports} >= set(wires)
    assert {report.symbol for report in ended.reports} == {desk.btc}
    other = desk.fills(usd, since_s=since_s)
    assert isinstance(other, Fills)
    assert len(other.fills) == 1


def test_bars_beyond_what_is_kept_are_refused_in_words(desk: Desk) -> None:
    """Kraken would answer later ones."""
    assert isinstance(desk.klines(limit=5), KlinesResult)
    for since_s, limit in ((desk.clock() - 721 * 60, 5), (None, 721)):
        answer = desk.klines(interval=Interval.MINUTE_1, since_s=since_s, limit=limit)
        assert isinstance(answer, CallFailed)
        assert (answer.code, "720" in answer.words) == (UNSUPPORTED, True)


def test_a_coarser_tick_than_the_decimals_counts_and_a_broken_pair_is_left_out() -> None:
    """ccxt knows the decimals only, and reads all pairs or none."""

    def alter(pairs: dict[str, Any]) -> dict[str, Any]:
        pairs["XBTUSDT"]["tick_size"] = "0.5"
        broken = {key: value for key, value in pairs["XBTUSDT"].items() if key != "altname"}
        return {**pairs, "BROKEN": {**broken, "base": "BROKEN"}}

    with SimulatorThread(["kraken_spot"]) as own, Altered("kraken_spot", own["kraken_spot"].base_url) as exchange:
        sim, exchange.alter = own["kraken_spot"], alter
        desk = Desk(evolve(sim, base_url=exchange.base_url), MarketType.SPOT)
        assert desk.open() == ""
        assert desk.port.tradable("ETH/USD") == ""
        off_tick = desk.place(desk.spec(price="20000.1"), wire_id())
        assert isinstance(off_tick, Refused)
        assert "tick 0.5" in off_tick.words
        assert isinstance(desk.place(desk.spec(price="20000.5"), wire_id()), Placed)
        desk.close()


# ---- the clock -------------------------------------------------------------------------------------------------------


@given(
    offset_s=st.floats(-30, 30), phases=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 0.2)), min_size=1, max_size=12)
)
def test_a_clock_told_in_whole_seconds_is_known_as_well_as_it_says(
    offset_s: float, phases: list[tuple[float, float]]
) -> None:
    """Whenever it is asked: what is held errs by no more than it is said to, and by less than the proof allows for."""
    held, now_s = ClockOffset(rules.SPOT.proof.clock_error_s), 1_000.0
    for pause_s, delay_s in phases:
        sent_s, now_s = now_s + pause_s, now_s + pause_s + delay_s
        server_s = math.floor((sent_s + now_s) / 2 + offset_s)
        assert held.measured(sent_s, server_s, now_s, resolution_s=1.0) is not None
    assert held.held is not None
    assert abs(held.value_s - offset_s) <= held.held.error_s + 1e-6 <= rules.SPOT.proof.clock_error_s


# ---- the exchange ----------------------------------------------------------------------------------------------------


def test_the_countdown_is_over_the_whole_account(desk: Desk) -> None:
    """In whole seconds, a day at most."""
    resting, waiting = wire_id(), wire_id()
    desk.place(desk.spec(), resting)
    desk.place(desk.spec(price=None, trigger=stop("28000")), waiting)
    assert desk.dead_man(0) == DeadManArmed(fires_s=None)
    for wrong in (1.5, 86_401):
        answer = desk.dead_man(wrong)
        assert isinstance(answer, CallFailed)
        assert answer.code == UNSUPPORTED
    assert isinstance(desk.dead_man(1), DeadManArmed)
    until(lambda: {desk.truth(wire)[0]["status"] for wire in (resting, waiting)} == {"cancelled"})


@pytest.mark.parametrize("said", ["cancel_only", "post_only", "limit_only", "maintenance", "unheard_of"])
def test_every_state_of_the_exchange_is_told_in_words(said: str) -> None:
    """Its own word where we have none."""
    status = system_status(said)
    assert status.ok is False
    assert said.split("_")[0] in status.words


def test_the_status_is_the_exchanges_own(desk: Desk) -> None:
    """Well, and in maintenance."""
    for down in (True, False):
        desk.truthful.ask("POST", "/maintenance", {"on": down})
        answer = desk.status()
        assert isinstance(answer, StatusResult)
        assert (answer.status.ok, "maintenance" in answer.status.words) == (not down, down)
