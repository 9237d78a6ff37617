"""Whatever is sent, the dialects of Binance and Kraken Futures answer in the exchange's own words and never break."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.simulator.dialects import dialect_class
from app.simulator.dialects.base import Dialect, Matched, Request
from app.simulator.engine import Engine
from tests.depth import examples

NOW_MS = 1_800_000_000_000
NAMES = ["symbol", "side", "type", "quantity", "price", "timeInForce", "newClientOrderId", "reduceOnly", "orderId"]
NAMES += ["origClientOrderId", "limit", "startTime", "endTime", "fromId", "leverage", "algoType", "triggerPrice"]
NAMES += ["clientAlgoId", "timestamp", "recvWindow", "dualSidePosition", "marginType", "positionSide", "algoId"]
NAMES += ["orderType", "size", "limitPrice", "stopPrice", "cliOrdId", "processBefore", "order_id", "orderIds"]
NAMES += ["cliOrdIds", "lastFillTime", "maxLeverage", "count", "since", "before", "continuation_token", "sort", "json"]
VALUES = ["BTCUSDT", "PF_XBTUSD", "BUY", "buy", "sell", "LIMIT", "MARKET", "STOP", "STOP_MARKET", "lmt", "mkt", "stp"]
VALUES += ["post", "ioc", "fok", "GTC", "GTX", "0", "1", "-1", "0.001", "27000", "28000", "1e9", "1E-30", "NaN", "inf"]
VALUES += [
    "9" * 30,
    "9" * 5_000,
    "1e999999",
    "1e-999999",
    "0." + "0" * 60 + "1",
    "",
    " ",
    "true",
    "false",
    "CONDITIONAL",
    "\x00",
    "é",
    "None",
    "2026-01-01T00:00:00Z",
    "c1",
    "=",
]
VALUES += ["0001-01-01T00:00:00+14:00", "[]", '{"batchOrder":[{"order":"send"}]}', '{"batchOrder":1}', "MTA=", "%"]
PARAMS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(max_size=8), max_size=6)
GOOD = {
    "binance": {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.001",
        "price": "26000",
    },
    "binance_spot": {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01",
        "price": "26000",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": "30000",
        "belowType": "STOP_LOSS",
        "belowStopPrice": "20000",
        "interval": "1h",
    },
    "kraken_spot": {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "26000"},
    "kraken": {"symbol": "PF_XBTUSD", "side": "buy", "orderType": "lmt", "size": "0.001", "limitPrice": "26000"},
}
"""A sound order of each exchange, which the garbage is put over: so much of it gets past the first checks."""


def make(name: str) -> Dialect:
    """A dialect over an engine of its own."""
    kind = dialect_class(name)
    return kind(Engine(kind.markets(), kind.rules()), kind.default_credentials)


_NAME = re.compile(r"{(\w+)}")


def requests_of(dialect: Dialect, params: dict[str, str], in_body: bool) -> list[tuple[Request, Matched]]:
    """The same parameters for every route, in the query or in the body."""
    raw = urlencode(params)
    made = []
    for route in dialect.routes():
        request = Request(
            method=route.method,
            path=_NAME.sub(lambda m: params.get(m.group(1), "x") or "x", route.path),
            raw_query="" if in_body else raw,
            headers={},
            body=raw.encode() if in_body else b"",
            arrived_ms=NOW_MS,
        )
        made.append(
            (
                request,
                Matched(route=route, path_args={name: params.get(name, "x") for name in _NAME.findall(route.path)}),
            )
        )
    return made


@pytest.mark.parametrize("name", ["binance", "binance_spot", "kraken", "kraken_spot"])
@given(params=PARAMS, in_body=st.booleans())
@settings(max_examples=examples(40, 200), deadline=None)
def test_every_route_answers_anything(name: str, params: dict[str, str], in_body: bool) -> None:
    """Gateway and handler of each route, unsigned and as if signed: JSON, and HTTP below 501."""
    dialect = make(name)
    params = {**GOOD[name], **params}
    if name == "binance":
        params = {"algoType": "CONDITIONAL", "triggerPrice": "26000", **params}
    for request, matched in requests_of(dialect, params, in_body):
        dialect.client_order_id_of(request)
        dialect.symbol_of(request, matched)
        refused = dialect.admit(request, matched, NOW_MS)
        assert (refused is not None) == matched.route.private
        answer = dialect.execute(request, matched, NOW_MS)
        told: Any = json.loads(answer.body)
        assert answer.status <= 500
        assert told is not None
    for order in dialect.engine.all_orders():
        assert order.qty > 0
        assert order.price is None or order.price > 0
