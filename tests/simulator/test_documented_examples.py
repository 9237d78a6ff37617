"""What the simulated Bybit and OKX answer has every field of the examples that ccxt's source documents for its calls.

An answer is what the exchange sent, before ccxt's parsers; its first row is compared with the example's. Fields that an
answer rightly lacks are listed with the reason, and must be lacking: an exception that is none any more fails too.
"""

import asyncio
from typing import Any

import ccxt.async_support as ccxt
import pytest

from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.documented import Case, example, missing
from tests.simulator.real_clients import connected

SWAP = {"category": "linear", "symbol": "BTCUSDT"}
SPOT = {"category": "spot", "symbol": "BTCUSDT"}
CURSOR = "a cursor that ccxt puts into the row itself"
NO_FEE = "nothing of the order is filled: there is no fee yet"


ROW = ("result", "list", 0)
BYBIT = (
    Case(answer="create", method="create_order"),
    Case(answer="create_batch", method="create_orders"),
    Case(answer="edit", method="edit_order"),
    Case(answer="cancel", method="cancel_order"),
    Case(answer="cancel_batch", method="cancel_orders"),
    Case(answer="cancel_all", method="cancel_all_orders", marker="a001"),
    Case(answer="cancel_all_spot", method="cancel_all_orders", marker="success"),
    Case(answer="open", method="fetch_open_orders", lacks={"result.list[].cumFeeDetail.USDT": NO_FEE}),
    Case(answer="open", method="parse_order", marker="slLimitPrice", at=ROW, lacks={"cumFeeDetail.USDT": NO_FEE}),
    Case(answer="history", method="parse_order", marker="slLimitPrice", at=ROW),
    Case(
        answer="history_spot",
        method="parse_order",
        marker="slLimitPrice",
        at=ROW,
        lacks={
            "tpslMode": "ccxt tells an order of spot by its absence",
            "cumFeeDetail.USDT": "a spot order to buy pays its fee in the coin that it receives",
        },
    ),
    Case(answer="positions", method="fetch_position"),
    Case(answer="positions", method="parse_position", marker="XRPUSDT", at=ROW),
    Case(answer="balance", method="fetch_balance", marker="accountIMRate"),
    Case(answer="ticker", method="fetch_ticker"),
    Case(answer="ticker", method="parse_ticker", marker="openInterestValue", at=ROW),
    Case(answer="ticker_spot", method="parse_ticker", marker="usdIndexPrice", at=ROW),
    Case(answer="book", method="fetch_order_book"),
    Case(answer="klines", method="fetch_ohlcv"),
    Case(answer="trades", method="fetch_trades"),
    Case(answer="fills", method="fetch_my_trades"),
    Case(
        answer="fills",
        method="parse_trade",
        marker="closedSize",
        at=ROW,
        lacks={"nextPageCursor": CURSOR},
    ),
    Case(answer="instruments", method="fetch_future_markets"),
    Case(answer="instruments_spot", method="fetch_spot_markets"),
    Case(answer="fees", method="fetch_trading_fee"),
    Case(answer="dcp", method="cancel_all_orders_after"),
    Case(answer="key", method="is_unified_enabled", marker="readOnly"),
    Case(answer="account", method="is_unified_enabled", marker="marginMode"),
)
FIRST = ("data", 0)
OKX = (
    Case(answer="create", method="parse_order", marker="oktswap6", at=FIRST),
    Case(answer="create_batch", method="create_orders"),
    Case(answer="edit", method="edit_order"),
    Case(answer="edit", method="parse_order", marker="reqId", at=FIRST),
    Case(answer="cancel", method="cancel_order"),
    Case(answer="cancel_batch", method="cancel_orders", marker="clOrdId"),
    Case(answer="cancel_algos", method="cancel_orders", marker="algoId"),
    Case(answer="order", method="fetch_order"),
    Case(answer="order_spot", method="fetch_order"),
    Case(answer="open", method="fetch_open_orders"),
    Case(answer="history", method="fetch_closed_orders"),
    Case(answer="history", method="parse_order", marker="linkedAlgoOrd", at=FIRST),
    Case(answer="history_spot", method="fetch_canceled_orders"),
    Case(answer="algos", method="fetch_open_orders", marker="activePx"),
    Case(answer="algos", method="parse_order", marker="activePx", at=FIRST),
    Case(answer="algo_history", method="fetch_closed_orders", marker="activePx"),
    Case(answer="positions", method="fetch_position"),
    Case(answer="positions", method="parse_position", marker="availPos", at=FIRST),
    Case(answer="balance", method="fetch_balance", marker="adjEq"),
    Case(answer="ticker", method="fetch_ticker"),
    Case(answer="ticker_spot", method="parse_ticker", marker="sodUtc0", at=FIRST),
    Case(answer="book", method="fetch_order_book"),
    Case(answer="klines", method="fetch_ohlcv"),
    Case(answer="trades", method="fetch_trades"),
    Case(answer="fills", method="fetch_my_trades"),
    Case(answer="fills_spot", method="parse_trade", marker="fillSz", at=FIRST),
    Case(answer="instruments", method="parse_market", marker="baseCcy", at=FIRST),
    Case(answer="instruments_spot", method="fetch_markets_by_type"),
    Case(answer="fees", method="fetch_trading_fee"),
    Case(answer="leverage", method="fetch_leverage"),
    Case(answer="set_leverage", method="set_leverage"),
    Case(answer="position_mode", method="set_position_mode"),
    Case(answer="countdown", method="cancel_all_orders_after"),
)


async def _bybit(client: Any) -> dict[str, Any]:
    limit = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "25000"}
    market = {"side": "Buy", "orderType": "Market", "qty": "0.01"}
    create, cancel = client.private_post_v5_order_create, client.private_post_v5_order_cancel
    made = {"create": await create({**SWAP, **limit, "orderLinkId": "one"})}
    items = [{"symbol": "BTCUSDT", **limit, "orderLinkId": f"b{n}"} for n in range(2)]
    named = [{"symbol": "BTCUSDT", "orderLinkId": f"b{n}"} for n in range(2)]
    made["create_batch"] = await client.private_post_v5_order_create_batch({"category": "linear", "request": items})
    made["edit"] = await client.private_post_v5_order_amend({**SWAP, "orderLinkId": "one", "qty": "0.02"})
    made["open"] = await client.private_get_v5_order_realtime(SWAP)
    made["cancel"] = await cancel({**SWAP, "orderLinkId": "one"})
    made["cancel_batch"] = await client.private_post_v5_order_cancel_batch({"category": "linear", "request": named})
    await create({**SWAP, **limit})
    await create({**SPOT, **limit})
    made["cancel_all"] = await client.private_post_v5_order_cancel_all(SWAP)
    made["cancel_all_spot"] = await client.private_post_v5_order_cancel_all(SPOT)
    await create({**SWAP, **market})
    await create({**SPOT, **market, "marketUnit": "baseCoin"})
    made["history"] = await client.private_get_v5_order_history(SWAP)
    made["history_spot"] = await client.private_get_v5_order_history(SPOT)
    made["positions"] = await client.private_get_v5_position_list(SWAP)
    made["balance"] = await client.private_get_v5_account_wallet_balance({"accountType": "UNIFIED"})
    made["ticker"] = await client.public_get_v5_market_tickers(SWAP)
    made["ticker_spot"] = await client.public_get_v5_market_tickers(SPOT)
    made["book"] = await client.public_get_v5_market_orderbook(SWAP)
    made["klines"] = await client.public_get_v5_market_kline({**SWAP, "interval": "60"})
    made["trades"] = await client.public_get_v5_market_recent_trade(SWAP)
    made["fills"] = await client.private_get_v5_execution_list(SWAP)
    made["instruments"] = await client.public_get_v5_market_instruments_info({"category": "linear"})
    made["instruments_spot"] = await client.public_get_v5_market_instruments_info({"category": "spot"})
    made["fees"] = await client.private_get_v5_account_fee_rate(SWAP)
    made["dcp"] = await client.private_post_v5_order_disconnected_cancel_all(
        {"timeWindow": 30, "product": "DERIVATIVES"}
    )
    made["key"] = await client.private_get_v5_user_query_api()
    made["account"] = await client.private_get_v5_account_info()
    return made


async def _okx(client: Any) -> dict[str, Any]:
    swap, spot = {"instId": "BTC-USDT-SWAP"}, {"instId": "BTC-USDT"}
    limit = {"side": "buy", "ordType": "limit", "sz": "1", "px": "25000"}
    of_swap, of_spot = {**swap, **limit, "tdMode": "cross"}, {**spot, **limit, "tdMode": "cash"}
    place, cancel = client.private_post_trade_order, client.private_post_trade_cancel_order
    made = {"create": await place({**of_swap, "clOrdId": "one"})}
    made["create_batch"] = await client.private_post_trade_batch_orders(
        [{**of_swap, "clOrdId": f"b{n}"} for n in range(2)]
    )
    made["edit"] = await client.private_post_trade_amend_order({**swap, "clOrdId": "one", "newSz": "2"})
    made["order"] = await client.private_get_trade_order({**swap, "clOrdId": "one"})
    made["open"] = await client.private_get_trade_orders_pending()
    made["cancel"] = await cancel({**swap, "clOrdId": "one"})
    made["cancel_batch"] = await client.private_post_trade_cancel_batch_orders(
        [{**swap, "clOrdId": f"b{n}"} for n in range(2)]
    )
    await place({**of_spot, "clOrdId": "two"})
    made["order_spot"] = await client.private_get_trade_order({**spot, "clOrdId": "two"})
    await cancel({**spot, "clOrdId": "two"})
    trigger = {**of_swap, "ordType": "trigger", "triggerPx": "28000", "orderPx": "-1"}
    algo = (await client.private_post_trade_order_algo(trigger))["data"][0]["algoId"]
    made["algos"] = await client.private_get_trade_orders_algo_pending({"ordType": "trigger"})
    made["cancel_algos"] = await client.private_post_trade_cancel_algos([{**swap, "algoId": algo}])
    made["algo_history"] = await client.private_get_trade_orders_algo_history({"ordType": "trigger", "algoId": algo})
    await place({**of_swap, "ordType": "market"})
    await place({**of_spot, "ordType": "market", "sz": "100"})
    made["history"] = await client.private_get_trade_orders_history({"instType": "SWAP"})
    made["history_spot"] = await client.private_get_trade_orders_history({"instType": "SPOT"})
    made["positions"] = await client.private_get_account_positions()
    made["balance"] = await client.private_get_account_balance()
    made["ticker"] = await client.public_get_market_ticker(swap)
    made["ticker_spot"] = await client.public_get_market_ticker(spot)
    made["book"] = await client.public_get_market_books(swap)
    made["klines"] = await client.public_get_market_candles(swap)
    made["trades"] = await client.public_get_market_trades(swap)
    made["fills"] = await client.private_get_trade_fills({"instType": "SWAP"})
    made["fills_spot"] = await client.private_get_trade_fills({"instType": "SPOT"})
    made["instruments"] = await client.public_get_public_instruments({"instType": "SWAP"})
    made["instruments_spot"] = await client.public_get_public_instruments({"instType": "SPOT"})
    made["fees"] = await client.private_get_account_trade_fee({"instType": "SPOT"})
    made["leverage"] = await client.private_get_account_leverage_info({**swap, "mgnMode": "cross"})
    made["set_leverage"] = await client.private_post_account_set_leverage({**swap, "mgnMode": "cross", "lever": "5"})
    made["position_mode"] = await client.private_post_account_set_position_mode({"posMode": "net_mode"})
    made["countdown"] = await client.private_post_trade_cancel_all_after({"timeOut": "30"})
    return made


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """What each exchange answered, by the name of the call."""

    async def asked(sim: Simulated, ask: Any) -> dict[str, Any]:
        async with connected(sim) as client:
            found: dict[str, Any] = await ask(client)
            return found

    with SimulatorThread(["bybit", "okx"]) as sims:
        return {name: asyncio.run(asked(sims[name], ask)) for name, ask in (("bybit", _bybit), ("okx", _okx))}


@pytest.mark.parametrize(
    ("exchange", "case"),
    [("bybit", c) for c in BYBIT] + [("okx", c) for c in OKX],
    ids=[f"bybit-{c.name}" for c in BYBIT] + [f"okx-{c.name}" for c in OKX],
)
def test_an_answer_has_every_field_of_the_documented_example(
    answers: dict[str, dict[str, Any]], exchange: str, case: Case
) -> None:
    """No more is missing than is said, and no less."""
    documented = example(getattr(getattr(ccxt, exchange), case.method), case.marker)
    assert case.lost(documented, answers[exchange][case.answer]) == sorted(case.lacks)


def test_a_missing_field_is_found() -> None:
    """Also deep inside, and of a list without rows."""
    assert missing({"a": {"b": [{"c": 1}]}, "d": 2}, {"a": {"b": [{}]}}) == ["a.b[].c", "d"]
    assert missing({"rows": [{"c": 1}]}, {"rows": []}) == ["rows[]"]
