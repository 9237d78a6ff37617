"""Whatever is sent, the dialects of Bybit and OKX answer in the exchange's own words and never break."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.simulator.dialects import dialect_class
from app.simulator.dialects.base import Request
from app.simulator.engine import Engine
from tests.depth import examples

NOW_MS = 1_800_000_000_000
NAMES = {
    "bybit": "category symbol side orderType qty price timeInForce orderLinkId orderId reduceOnly closeOnTrigger "
    "positionIdx triggerPrice triggerDirection triggerBy orderFilter marketUnit takeProfit stopLoss tpslMode tpSize "
    "slSize tpLimitPrice tpOrderType buyLeverage sellLeverage mode coin settleCoin baseCoin limit cursor startTime "
    "endTime start end interval status openOnly margin timeWindow product accountType setMarginMode execType "
    "trailingStop orderStatus",
    "okx": "instId tdMode side ordType sz px posSide tgtCcy reduceOnly clOrdId ordId newSz newPx algoId algoClOrdId "
    "triggerPx orderPx tpTriggerPx tpOrdPx slTriggerPx slOrdPx closeFraction newTriggerPx newTpTriggerPx instType uly "
    "after before begin end limit state bar timeOut lever mgnMode posMode type amt ccy autoCxl tag attachAlgoOrds",
}
VALUES = "BTCUSDT BTC-USDT BTC-USDT-SWAP linear spot inverse Buy Sell buy sell Limit Market limit market trigger oco "
VALUES += "conditional ioc fok PostOnly StopOrder tpslOrder Order quoteCoin baseCoin quote_ccy base_ccy cash cross "
VALUES += "isolated long short net Partial Full 0 1 2 3 -1 -3 0.001 26000 27000 28000 1e9 1E-30 -1E30 1E30 NaN inf "
VALUES += "true false UNIFIED SPOT SWAP FUTURES M W D 1M 1Mutc 6H 60 live effective canceled b1 None % = é \x00"
STRANGE = ["", " ", "9" * 19, "9" * 30, "-" + "9" * 19, "1e999999", "1e-999999", "0." + "0" * 60 + "1"]
GOOD = {
    "bybit": [
        {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "1", "price": "26000"},
        {"category": "spot", "symbol": "BTCUSDT", "side": "Sell", "orderType": "Market", "qty": "0.1"},
    ],
    "okx": [
        {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "26000"},
        {"instId": "BTC-USDT", "tdMode": "cash", "side": "sell", "ordType": "market", "sz": "0.1"},
    ],
}
"""Sound orders of each exchange, which the garbage is put over: so much of it gets past the first checks."""


@pytest.mark.parametrize("name", ["bybit", "okx"])
@given(data=st.data())
@settings(max_examples=examples(40, 200), deadline=None)
def test_every_route_answers_anything(name: str, data: st.DataObject) -> None:
    """Gateway and handler of each route, unsigned and as if signed: JSON, and HTTP below 500."""
    kind = dialect_class(name)
    dialect = kind(Engine(kind.markets(), kind.rules()), kind.default_credentials)
    dialect.engine.ledger.deposit("BTC", dialect.engine.markets["BTC/USDT"].max_qty)
    dialect.engine.set_position("BTC/USDT:USDT", dialect.engine.markets["BTC/USDT:USDT"].step * 100, NOW_MS)
    value = st.sampled_from([*VALUES.split(), *STRANGE]) | st.text(max_size=8) | st.integers() | st.just([{"x": "1"}])
    garbage = data.draw(st.dictionaries(st.sampled_from(NAMES[name].split()), value, max_size=6))
    sent: dict[str, Any] = {**data.draw(st.sampled_from(GOOD[name])), **garbage}
    bodies: list[object] = [sent, [sent, sent], {**sent, "request": [sent, 1]}]
    for route in dialect.routes():
        posted = route.method == "POST"
        for body in bodies if posted else bodies[:1]:
            request = Request(
                method=route.method,
                path=route.path,
                raw_query="" if posted else urlencode({k: str(v) for k, v in sent.items()}),
                headers={},
                body=json.dumps(body).encode() if posted else b"",
                arrived_ms=NOW_MS,
            )
            matched = dialect.match(request)
            assert matched is not None
            dialect.client_order_id_of(request)
            dialect.symbol_of(request, matched)
            assert (dialect.admit(request, matched, NOW_MS) is not None) == route.private
            answer = dialect.execute(request, matched, NOW_MS)
            assert answer.status < 500
            assert json.loads(answer.body) is not None
    for order in dialect.engine.all_orders():
        assert order.qty > 0
        assert order.price is None or order.price > 0
        assert order.filled <= order.qty
