"""Every fault on Binance and Kraken Futures: what a real client hears, and by the truth whether the order executed.

Both exchanges' matching engines enforce an expiry themselves: an order that arrives late is executed only in its time.
"""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import ccxt.async_support as ccxt
import pytest

from app.simulator.dialects.kraken_bodies import iso
from tests.simulator.desk import Desk
from tests.simulator.real_clients import arrived, eventually, impatient

SYMBOLS = {"binance": "BTC/USDT:USDT", "kraken": "BTC/USD:USD"}
PATIENCE_MS = 250
"""How long an impatient client waits for an answer to what it has sent."""


@pytest.fixture(scope="module", params=list(SYMBOLS))
def client_of_module(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """The desk of each exchange with its client, kept for the module."""
    desk = Desk(request.param)
    yield desk
    desk.close()


@pytest.fixture
def desk(client_of_module: Desk) -> Iterator[Desk]:
    """The desk at an exchange of its own."""
    with client_of_module.exchange() as running:
        yield running


def place(desk: Desk, client_order_id: str, *, valid_ms: int | None = None, price: float | None = None) -> Any:
    """A buy order of 0.001 BTC, at market unless priced; `valid_ms` from now on is its expiry."""
    params: dict[str, Any] = {"clientOrderId": client_order_id}
    if valid_ms is not None and desk.name == "binance":
        params["recvWindow"] = valid_ms
    elif valid_ms is not None:
        params["processBefore"] = iso(desk.clock() + valid_ms)
    kind = "market" if price is None else "limit"
    return desk.client.create_order(SYMBOLS[desk.name], kind, "buy", 0.001, price, params)


def look_up(desk: Desk, client_order_id: str) -> str | None:
    """Filled quantity that the exchange tells for a client id over all its look-ups, None if it knows no such order."""
    symbol = SYMBOLS[desk.name]
    if desk.name == "binance":
        try:
            found = desk.run(desk.client.fetch_order(None, symbol, {"clientOrderId": client_order_id}))
        except ccxt.OrderNotFound:
            return None
        return str(found["filled"])
    for order in desk.run(desk.client.fetch_open_orders(symbol)):
        if order["clientOrderId"] == client_order_id:
            return str(order["filled"])
    for order in desk.run(desk.client.privateGetOrdersStatus({"cliOrdIds": client_order_id}))["orders"]:
        return str(order["order"]["filled"])
    fills = [t for t in desk.run(desk.client.fetch_my_trades(symbol)) if t["info"].get("cliOrdId") == client_order_id]
    return str(sum(t["amount"] for t in fills)) if fills else None


@pytest.mark.parametrize(
    ("kind", "params", "heard", "executed"),
    [
        ("blackhole", {}, ccxt.RequestTimeout, False),
        ("hang_before", {}, ccxt.RequestTimeout, False),
        ("hang_after", {}, ccxt.RequestTimeout, True),
        ("drop_before", {}, ccxt.ExchangeNotAvailable, False),
        ("drop_after", {}, ccxt.ExchangeNotAvailable, True),
        ("http_5xx", {}, ccxt.ExchangeNotAvailable, False),
        ("http_5xx", {"status": 502, "executed": True}, ccxt.ExchangeNotAvailable, True),
        ("http_5xx", {"status": 504, "executed": True}, ccxt.RequestTimeout, True),
    ],
)
def test_a_lost_answer_says_nothing_about_the_order(
    desk: Desk, kind: str, params: Mapping[str, object], heard: type[Exception], executed: bool
) -> None:
    """The client hears the same whether it executed or not; the look-up tells what the truth tells."""
    desk.sim.control.fault(kind, call="place", count=1, params=params)
    with impatient(desk.client, PATIENCE_MS) if heard is ccxt.RequestTimeout else nullcontext():
        error = desk.refused(place(desk, "lost"))
    assert type(error) is heard
    arrived(desk.sim, "place")
    assert desk.filled_of("lost") == ("0.001" if executed else None)
    assert look_up(desk, "lost") == ("0.001" if executed else None)
    assert desk.sim.control.requests()[-1]["fault"] is None
    assert desk.run(place(desk, "after"))["filled"] == 0.001


@pytest.mark.parametrize("executed", [True, False])
def test_half_an_answer_proves_nothing(desk: Desk, executed: bool) -> None:
    """Half a body ends in an error of some kind or in an order without an id."""
    params = {} if executed else {"executed": False}
    desk.sim.control.fault("half_json", call="place", count=1, params=params)
    try:
        made = desk.run(place(desk, "half"))
    except (ccxt.BaseError, TypeError, AttributeError):
        made = {"id": None}
    assert made["id"] is None
    assert look_up(desk, "half") == desk.filled_of("half") == ("0.001" if executed else None)


def test_refused_connections(desk: Desk) -> None:
    """The whole exchange is away, the control is not; then it is back with the same account."""
    desk.run(place(desk, "before"))
    desk.sim.control.fault("refused")
    for call in (place(desk, "away"), desk.client.fetch_balance()):
        assert isinstance(desk.refused(call), ccxt.ExchangeNotAvailable)
    assert desk.orders_of("away") == []
    desk.sim.control.clear_faults()
    desk.run(place(desk, "back"))
    assert [o["client_order_id"] for o in desk.truth()["orders"]] == ["before", "back"]


def test_a_slow_answer_is_executed_on_arrival(desk: Desk) -> None:
    """The client gives up, the order is there; patience gets the answer."""
    desk.sim.control.fault("slow", call="place", count=2, params={"delay_s": 2 * PATIENCE_MS / 1000})
    with impatient(desk.client, PATIENCE_MS):
        assert isinstance(desk.refused(place(desk, "s1")), ccxt.RequestTimeout)
    arrived(desk.sim, "place")
    assert desk.filled_of("s1") == "0.001"
    assert desk.run(place(desk, "s2"))["filled"] == 0.001


def test_a_late_order_executes_only_in_its_time(desk: Desk) -> None:
    """Of two late orders the first is past its expiry when it reaches the engine, the second is not."""
    desk.sim.control.fault("late", call="place", count=1, params={"delay_s": 1.3})
    desk.sim.control.fault("late", call="place", count=1, params={"delay_s": 1.4})
    with impatient(desk.client, PATIENCE_MS):
        assert isinstance(desk.refused(place(desk, "past", valid_ms=1_000)), ccxt.RequestTimeout)
        arrived(desk.sim, "place")
        assert isinstance(desk.refused(place(desk, "fine", valid_ms=30_000)), ccxt.RequestTimeout)
    arrived(desk.sim, "place", requests=2)
    eventually(lambda: desk.orders_of("fine"))
    came, went = desk.sim.control.requests()[-1], desk.order_of("fine")
    assert went["created_ms"] >= came["ts_ms"] + 1_400
    assert desk.filled_of("fine") == "0.001"
    assert desk.orders_of("past") == []
    assert look_up(desk, "past") is None
    assert look_up(desk, "fine") == "0.001"


def test_a_double_execution_is_in_the_truth(desk: Desk) -> None:
    """What a checker has to catch: two fills under one client id, told as one."""
    desk.sim.control.fault("double", call="place", count=1)
    assert desk.run(place(desk, "twice"))["filled"] == 0.001
    assert [o["filled"] for o in desk.orders_of("twice")] == ["0.001", "0.001"]
    assert desk.truth()["positions"] == {SYMBOLS[desk.name]: "0.002"}


def test_a_visibility_lag_hides_an_order_from_every_look_up(desk: Desk) -> None:
    """Not found while it is there; found when the lag is over; the duplicate check sees it all the time."""
    desk.sim.control.fault("not_visible", call="place", count=1, params={"delay_s": 2})
    desk.run(place(desk, "hidden", price=26_000))
    assert look_up(desk, "hidden") is None
    assert desk.run(desk.client.fetch_open_orders(SYMBOLS[desk.name])) == []
    again = desk.refused(place(desk, "hidden", price=26_000))
    assert "-4116" in str(again) or isinstance(again, ccxt.DuplicateOrderId)
    desk.clock.ahead_ms += 2_000
    assert look_up(desk, "hidden") == "0.0"


def test_a_lost_cancel_may_have_cancelled(desk: Desk) -> None:
    """Faults of one call leave the others alone."""
    desk.run(place(desk, "c1", price=26_000))
    made = desk.run(place(desk, "c2", price=26_000))
    desk.sim.control.fault("hang_after", call="cancel", count=1)
    symbol = SYMBOLS[desk.name]
    if desk.name == "binance":
        lost = desk.client.cancel_order(None, symbol, {"clientOrderId": "c1"})
    else:
        lost = desk.client.cancel_orders([], symbol, {"clientOrderIds": ["c1"]})
    with impatient(desk.client, PATIENCE_MS):
        assert isinstance(desk.refused(lost), ccxt.RequestTimeout)
    arrived(desk.sim, "cancel")
    assert desk.order_of("c1")["status"] == "cancelled"
    assert desk.run(desk.client.cancel_order(made["id"], symbol))["status"] == "canceled"


@pytest.mark.parametrize(
    ("call", "ask"),
    [
        ("balance", lambda c, s: c.fetch_balance()),
        ("ticker", lambda c, s: c.fetch_ticker(s)),
        ("book", lambda c, s: c.fetch_order_book(s)),
        ("open_orders", lambda c, s: c.fetch_open_orders(s)),
        ("closed_orders", lambda c, s: c.fetch_closed_orders(s)),
        ("order", lambda c, s: c.fetch_order("00000001-0bde-4000-8000-0000000000a1", s)),
        ("fills", lambda c, s: c.fetch_my_trades(s)),
        ("positions", lambda c, s: c.fetch_positions()),
        ("leverage", lambda c, s: c.set_leverage(5, s)),
        ("cancel_all", lambda c, s: c.cancel_all_orders(s)),
        ("markets", lambda c, s: c.load_markets(True)),
    ],
)
def test_every_call_can_break_alone(desk: Desk, call: str, ask: Any) -> None:
    """Each request is counted as its call: the rule for it hits, and no other request of the client breaks."""
    desk.run(desk.client.fetch_positions())  # Binance's leverage brackets are asked for once
    desk.sim.control.fault("http_5xx", call=call)
    assert isinstance(desk.refused(ask(desk.client, SYMBOLS[desk.name])), ccxt.ExchangeNotAvailable)
    (rule,) = desk.sim.control.faults()
    assert rule["hits"] == 1
    assert desk.run(place(desk, "well"))["filled"] == 0.001


def test_a_rule_for_a_symbol_leaves_the_others_alone(desk: Desk) -> None:
    """By the canonical symbol, whatever the exchange calls it."""
    symbol = SYMBOLS[desk.name]
    desk.sim.control.fault("http_5xx", symbol=symbol)
    assert isinstance(desk.refused(desk.client.fetch_ticker(symbol)), ccxt.ExchangeNotAvailable)
    assert isinstance(desk.refused(place(desk, "btc")), ccxt.ExchangeNotAvailable)
    assert desk.run(desk.client.fetch_ticker(symbol.replace("BTC", "ETH")))["last"] == 1_800


def test_the_request_log_names_call_id_and_fault(desk: Desk) -> None:
    """What a checker reads."""
    desk.sim.control.fault("http_5xx", call="place", count=1)
    desk.refused(place(desk, "logged"))
    desk.run(place(desk, "logged"))
    told = [(r["call"], r["client_order_id"], r["fault"], r["status"]) for r in desk.sim.control.requests()[-2:]]
    assert told == [("place", "logged", "http_5xx", 503), ("place", "logged", None, 200)]
