"""Binance USDⓈ-M futures: what the gateway and the engine refuse, by native code, HTTP status and ccxt class.

On loopback ccxt does not take its table of futures codes (it goes by the address), so several classes are not those of
the real exchange: the native code is what counts.
"""

import json
from collections.abc import Iterator
from typing import Any

import ccxt.async_support as ccxt
import pytest

from tests.simulator.desk import Desk

BTC = "BTC/USDT:USDT"
LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "26000",
    "newClientOrderId": "ref",
}


@pytest.fixture(scope="module")
def client_of_module() -> Iterator[Desk]:
    """The desk with its client, kept for the module."""
    desk = Desk("binance")
    yield desk
    desk.close()


@pytest.fixture
def desk(client_of_module: Desk) -> Iterator[Desk]:
    """The desk at an exchange of its own."""
    with client_of_module.exchange() as running:
        yield running


def last_status(desk: Desk) -> int:
    """HTTP status of the latest answer."""
    return int(desk.sim.control.requests()[-1]["status"])


# ---- orders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"symbol": "DOGEUSDT"}, -1121, "Invalid symbol."),
        ({"symbol": None}, -1102, "Mandatory parameter 'symbol' was not sent"),
        ({"side": "LONG"}, -1117, "Invalid side."),
        ({"type": "ICEBERG"}, -1116, "Invalid orderType."),
        ({"type": "STOP_MARKET"}, -4120, "Please use the Algo Order API"),
        ({"timeInForce": "FOREVER"}, -1115, "Invalid timeInForce."),
        ({"timeInForce": None}, -1102, "Mandatory parameter 'timeInForce'"),
        ({"price": None}, -1102, "Mandatory parameter 'price'"),
        ({"type": "MARKET"}, -1106, "Parameter 'price' sent when not required."),
        ({"quantity": "0.0015"}, -1111, "Precision is over the maximum defined for this asset."),
        ({"quantity": "0"}, -4003, "Quantity less than or equal to zero."),
        ({"quantity": "-1"}, -1100, "Illegal characters found in parameter 'quantity'"),
        ({"quantity": "1e3"}, -1100, "Illegal characters found in parameter 'quantity'"),
        ({"quantity": "5000"}, -4005, "Quantity greater than max quantity."),
        ({"price": "26000.05"}, -4014, "Price not increased by tick size."),
        ({"price": "26000.001"}, -1111, "Precision is over the maximum defined for this asset."),
        ({"price": "0"}, -4001, "Price less than 0."),
        ({"price": "50000"}, -4016, "Limit price can't be higher than 31050."),
        ({"side": "SELL", "price": "10000"}, -4024, "Limit price can't be lower than 22950."),
        ({"price": "4000"}, -4164, "Order's notional must be no smaller than 5"),
        ({"quantity": "900"}, -2019, "Margin is insufficient."),
        ({"reduceOnly": "true"}, -2022, "ReduceOnly Order is rejected."),
        ({"positionSide": "LONG"}, -4061, "Order's position side does not match user's setting."),
        ({"newClientOrderId": "x" * 37}, -4015, "Client order id length should not be more than 36 chars"),
        ({"newClientOrderId": "a b"}, -1100, "Illegal characters found in parameter 'newClientOrderId'"),
        ({"newOrderRespType": "FULL"}, -1136, "Invalid newOrderRespType."),
    ],
)
def test_an_order_is_refused_by_its_code(desk: Desk, changes: dict[str, str | None], code: int, words: str) -> None:
    """HTTP 400, {"code", "msg"}, and nothing is placed."""
    asked = {k: v for k, v in {**LIMIT, **changes}.items() if v is not None}
    said = str(desk.refused(desk.client.fapiPrivatePostOrder(asked)))
    body = json.loads(said.partition(" ")[2])
    assert body["code"] == code
    assert words in body["msg"]
    assert last_status(desk) == 400
    assert desk.truth()["orders"] == []


def test_the_least_notional_is_not_asked_of_reduce_only_orders(desk: Desk) -> None:
    """As its words say."""
    desk.sim.control.position("XRP/USDT:USDT", "100")
    small = desk.client.create_order("XRP/USDT:USDT", "limit", "sell", 1, 0.5)
    assert "-4164" in str(desk.refused(small))
    reduce = {"reduceOnly": True}
    assert desk.run(desk.client.create_order("XRP/USDT:USDT", "limit", "sell", 1, 0.5, reduce))["filled"] == 1


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda c: c.fapiPrivateGetOrder({"symbol": "BTCUSDT"}), "-1102"),
        (lambda c: c.fapiPrivateDeleteOrder({"symbol": "BTCUSDT"}), "-1102"),
        (lambda c: c.fapiPrivateGetOrder({"symbol": "BTCUSDT", "orderId": "x"}), "-1102"),
        (lambda c: c.fapiPrivateGetOpenOrder({"symbol": "BTCUSDT", "origClientOrderId": "none"}), "-2013"),
        (lambda c: c.fapiPrivateGetUserTrades(), "-1102"),
        (lambda c: c.fapiPrivateGetAllOrders({"symbol": "BTCUSDT", "limit": "0"}), "-1130"),
        (lambda c: c.fapiPublicGetDepth({"symbol": "BTCUSDT", "limit": "7"}), "-4021"),
        (lambda c: c.fapiPublicGetTicker24hr({"symbol": "NONE"}), "-1121"),
        (lambda c: c.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": "126"}), "-4028"),
        (lambda c: c.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": "x"}), "-4028"),
        (lambda c: c.fapiPrivatePostPositionSideDual({"dualSidePosition": "false"}), "-4059"),
        (lambda c: c.fapiPrivatePostAlgoOrder({"algoType": "VP"}), "-1130"),
        (lambda c: c.fapiPrivateGetAlgoOrder({"clientAlgoId": "none"}), "-2013"),
    ],
)
def test_other_requests_are_refused_by_their_codes(desk: Desk, call: Any, code: str) -> None:
    """Look-ups, account and conditional orders."""
    assert f'"code":{code}' in str(desk.refused(call(desk.client)))


def test_classes_that_survive_loopback(desk: Desk) -> None:
    """The codes that ccxt knows without its futures table keep their class."""
    missing = desk.refused(desk.client.fetch_order(None, BTC, {"clientOrderId": "none"}))
    assert isinstance(missing, ccxt.OrderNotFound)
    assert isinstance(desk.refused(desk.client.fapiPrivatePostOrder({**LIMIT, "symbol": "NONE"})), ccxt.BadSymbol)
    unfilled = {"timeInForce": "FOK"}
    assert isinstance(
        desk.refused(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, unfilled)), ccxt.InvalidOrder
    )


def test_an_unknown_path_is_answered_by_the_load_balancer(desk: Desk) -> None:
    """404 without JSON: not available, which proves nothing about an order."""
    error = desk.refused(desk.client.fapiPrivateGetApiTradingStatus())
    assert isinstance(error, ccxt.ExchangeNotAvailable)
    assert last_status(desk) == 404


# ---- gateway --------------------------------------------------------------------------------------------------------


def test_the_key_is_known(desk: Desk) -> None:
    """HTTP 401 with -2015 for a strange key."""
    desk.client.apiKey = "stranger"
    error = desk.refused(desk.client.fetch_balance())
    assert isinstance(error, ccxt.AuthenticationError)
    assert "-2015" in str(error)
    assert last_status(desk) == 401


def test_the_signature_covers_every_parameter(desk: Desk) -> None:
    """-1022 for a wrong secret; and for a right signature over something else."""
    request, matched = desk.signed("order", "fapiPrivate", "POST", dict(LIMIT))
    dialect = desk.sim.exchange.dialect
    assert dialect.admit(request, matched, request.arrived_ms) is None
    request.body = request.body.replace(b"quantity=0.001", b"quantity=0.009")
    request._params = None
    refused = dialect.admit(request, matched, request.arrived_ms)
    assert refused is not None
    assert json.loads(refused.body)["code"] == -1022
    desk.client.secret = "wrong"
    assert "-1022" in str(desk.refused(desk.client.fapiPrivatePostOrder(dict(LIMIT))))
    assert desk.truth()["orders"] == []


def test_a_request_without_key_time_or_signature(desk: Desk) -> None:
    """-2014 and -1102."""
    request, matched = desk.signed("account", "fapiPrivateV3", "GET", {})
    dialect = desk.sim.exchange.dialect

    def code(query: str, headers: dict[str, str]) -> int:
        request.raw_query, request.headers, request._params = query, headers, None
        refused = dialect.admit(request, matched, request.arrived_ms)
        assert refused is not None
        return int(json.loads(refused.body)["code"])

    whole, headers = request.raw_query, dict(request.headers)
    assert code(whole, {}) == -2014
    assert code(whole.partition("&signature")[0], headers) == -1102
    assert code("", headers) == -1102


@pytest.mark.parametrize(
    ("params", "ahead_ms", "code"),
    [
        ({}, 11_000, "-1021"),  # ccxt's own window is 10 s
        ({"recvWindow": 500}, 700, "-1021"),
        ({}, -3_000, "-1021"),  # the client is ahead
        ({"recvWindow": 60_001}, 0, "-1131"),
    ],
)
def test_a_stale_or_early_request_stops_at_the_gateway(
    desk: Desk, params: dict[str, int], ahead_ms: int, code: str
) -> None:
    """Nothing is placed; InvalidNonce is not an ExchangeError."""
    desk.clock.ahead_ms = ahead_ms
    error = desk.refused(desk.client.fapiPrivatePostOrder({**LIMIT, **params}))
    assert code in str(error)
    assert isinstance(error, ccxt.InvalidNonce) == (code == "-1021")
    assert desk.truth()["orders"] == []


def test_within_the_window_a_skewed_clock_is_fine(desk: Desk) -> None:
    """Behind by less than the window, ahead by less than a second."""
    for n, ahead_ms in enumerate((9_000, -900)):
        desk.clock.ahead_ms = ahead_ms
        desk.run(desk.client.fapiPrivatePostOrder({**LIMIT, "newClientOrderId": f"w{n}"}))
        assert desk.order_of(f"w{n}")["status"] == "open"


# ---- the matching engine's own look at the expiry --------------------------------------------------------------------


def test_the_engine_refuses_what_the_gateway_let_in(desk: Desk) -> None:
    """Admitted in time, executed after timestamp + recvWindow: -5028, and nothing happens; in time it does."""
    dialect = desk.sim.exchange.dialect
    place, matched = desk.signed("order", "fapiPrivate", "POST", {**LIMIT, "recvWindow": 1_000})
    expiry_ms = int(place.params["timestamp"]) + 1_000
    assert dialect.expiry_ms(place) == expiry_ms
    assert dialect.admit(place, matched, place.arrived_ms) is None
    late = dialect.execute(place, matched, expiry_ms + 1)
    assert (late.status, json.loads(late.body)["code"]) == (400, -5028)
    assert "outside of the ME recvWindow" in json.loads(late.body)["msg"]
    assert desk.truth()["orders"] == []
    assert dialect.execute(place, matched, expiry_ms).status == 200
    assert desk.order_of("ref")["status"] == "open"


@pytest.mark.parametrize(
    ("path", "method", "params"),
    [
        ("order", "DELETE", {"symbol": "BTCUSDT", "origClientOrderId": "ref"}),
        ("allOpenOrders", "DELETE", {"symbol": "BTCUSDT"}),
        ("order", "PUT", {**LIMIT, "origClientOrderId": "ref", "quantity": "0.002"}),
    ],
)
def test_late_changes_do_nothing(desk: Desk, path: str, method: str, params: dict[str, str]) -> None:
    """A cancel or an amendment past its expiry changes nothing either."""
    desk.run(desk.client.fapiPrivatePostOrder(dict(LIMIT)))
    request, matched = desk.signed(path, "fapiPrivate", method, dict(params))
    expiry_ms = desk.sim.exchange.dialect.expiry_ms(request)
    assert expiry_ms is not None
    late = desk.sim.exchange.dialect.execute(request, matched, expiry_ms + 1)
    assert json.loads(late.body)["code"] == -5028
    assert (desk.order_of("ref")["status"], desk.order_of("ref")["qty"]) == ("open", "0.001")
