"""What the simulated Binance and Kraken answer has every field of the examples that ccxt's source documents.

As `test_documented_examples.py` has it for Bybit and OKX: an answer is what the exchange sent, before ccxt's parsers;
fields that it rightly lacks are listed with the reason, and must be lacking.
"""

import asyncio
from typing import Any

import ccxt.async_support as ccxt
import pytest

from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.documented import Case, example
from tests.simulator.real_clients import connected

CLASSES: dict[str, Any] = {
    "binance": ccxt.binance,
    "binance_spot": ccxt.binance,
    "kraken": ccxt.krakenfutures,
    "kraken_spot": ccxt.kraken,
}
BINANCE = (
    Case(answer="create", method="parse_order", marker="258649539704"),
    Case(answer="order", method="fetch_open_order", marker="3697213934"),
    Case(answer="orders", method="fetch_orders", marker="259235347005", at=(0,)),
    Case(answer="edit", method="edit_contract_order", marker="151007482392"),
    Case(answer="cancel", method="parse_order", marker="151007482392"),
    Case(answer="batch", method="create_orders", marker="650640530", at=(0,)),
    Case(answer="algo", method="parse_order", marker="algoStatus"),
    Case(answer="cancel_algo", method="parse_order", marker="success"),
    Case(answer="cancel_all", method="cancel_all_orders", marker="cancel all open order"),
    Case(answer="fills", method="fetch_my_trades", marker="4575108247", at=(0,)),
    Case(answer="positions", method="fetch_positions_risk", marker="44525.0", at=(0,)),
    Case(answer="balances", method="fetch_balance", marker="accountAlias", at=(0,)),
    Case(answer="margin_mode", method="set_margin_mode", marker="success"),
    Case(answer="ticker", method="parse_ticker", marker="SUSDT"),
    Case(answer="mark", method="parse_ticker", marker="markPrice"),
    Case(answer="best", method="parse_ticker", marker="1673899207538"),
    Case(answer="book", method="fetch_order_book", marker="lastUpdateId"),
    Case(answer="markets", method="fetch_markets", marker="maintMargi", within=("symbols", 0), at=("symbols", 0)),
)
BINANCE_SPOT = (
    Case(answer="create", method="parse_order", marker="5403233939"),
    Case(answer="create_limit", method="parse_order", marker="24684460474"),
    Case(
        answer="order",
        method="parse_order",
        marker="24700763749",
        lacks={
            "accountId": "only where the exchange prevented the account's trade with itself",
            "preventedMatchId": "the same",
            "preventedQuantity": "the same",
        },
    ),
    Case(answer="orders", method="fetch_orders", marker="LTCBTC", at=(0,)),
    Case(answer="cancel", method="cancel_all_orders", marker="3935107"),
    Case(answer="replace", method="edit_spot_order", marker="cancelResult"),
    Case(answer="fills", method="fetch_my_trades", marker="BNBBTC", at=(0,)),
    Case(answer="ticker", method="parse_ticker", marker="prevClosePrice"),
    Case(answer="best", method="parse_ticker", marker="ETHBTC"),
    Case(answer="markets", method="fetch_markets", marker="ETHBTC", within=("symbols", 0), at=("symbols", 0)),
)
KRAKEN = (
    Case(answer="create", method="create_order", marker="a133a4f9"),
    Case(answer="edit", method="parse_order", marker="edited", at=("editStatus",)),
    Case(
        answer="cancel",
        method="parse_order",
        marker="cancelled",
        at=("cancelStatus",),
        lacks={"orderEvents[].order.stopPrice": "a limit order has none"},
    ),
    Case(answer="batch", method="create_orders", marker="requiredArgumentMissing"),
    Case(answer="open", method="parse_order", marker="unfilledSi", at=("openOrders", 0)),
    Case(answer="fills", method="fetch_my_trades"),
    Case(answer="positions", method="parse_position", marker="pf_ftmusd", at=("openPositions", 0)),
    Case(
        answer="accounts",
        method="parse_balance",
        marker="currencies",
        at=("accounts", "flex"),
        lacks={"currencies.USDT": "of the coins that the account holds, which is USD"},
    ),
    Case(answer="leverages", method="fetch_leverages"),
    Case(answer="countdown", method="cancel_all_orders_after"),
    Case(answer="ticker", method="fetch_ticker"),
    Case(answer="book", method="fetch_order_book"),
    Case(answer="charts", method="fetch_ohlcv"),
)
KRAKEN_SPOT = (
    Case(answer="open", method="fetch_open_orders", within=("result", "open", "*"), at=("result", "open", "*")),
    Case(answer="closed", method="fetch_closed_orders", within=("result", "closed", "*"), at=("result", "closed", "*")),
    Case(answer="order", method="fetch_order", within=("result", "*"), at=("result", "*")),
    Case(answer="trades", method="fetch_order_trades", within=("result", "*"), at=("result", "trades", "*")),
    Case(answer="amend", method="parse_order", marker="amend_id", within=("amend_id",), at=("result", "amend_id")),
    Case(answer="balance", method="fetch_balance", within=("result", "*"), at=("result", "*")),
    Case(answer="markets", method="fetch_markets", within=("result", "*"), at=("result", "*")),
    Case(answer="countdown", method="cancel_all_orders_after"),
    Case(answer="time", method="fetch_time"),
    Case(answer="ticker", method="parse_ticker", at=("result", "*")),
    Case(answer="book", method="fetch_order_book", within=("result", "*"), at=("result", "*")),
    Case(answer="fees", method="fetch_trading_fee", within=("result", "fees", "*"), at=("result", "fees", "*")),
)
CASES = {"binance": BINANCE, "binance_spot": BINANCE_SPOT, "kraken": KRAKEN, "kraken_spot": KRAKEN_SPOT}


async def _binance(client: Any) -> dict[str, Any]:
    of = {"symbol": "BTCUSDT"}
    limit = {**of, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "25000"}
    trigger = {**limit, "algoType": "CONDITIONAL", "type": "STOP", "price": "31000", "triggerPrice": "30900"}
    place, cancel = client.fapiprivate_post_order, client.fapiprivate_delete_order
    made = {"create": await place({**limit, "newClientOrderId": "one"})}
    made["order"] = await client.fapiprivate_get_openorder({**of, "origClientOrderId": "one"})
    change = {**of, "side": "BUY", "quantity": "0.02", "price": "24000", "origClientOrderId": "one"}
    made["edit"] = await client.fapiprivate_put_order(change)
    made["cancel"] = await cancel({**of, "origClientOrderId": "one"})
    made["batch"] = await client.fapiprivate_post_batchorders({"batchOrders": [limit]})
    made["algo"] = await client.fapiprivate_post_algoorder({**trigger, "clientAlgoId": "three"})
    made["cancel_algo"] = await client.fapiprivate_delete_algoorder({**of, "clientAlgoId": "three"})
    made["cancel_all"] = await client.fapiprivate_delete_allopenorders(of)
    await place({**of, "side": "BUY", "type": "MARKET", "quantity": "0.01"})
    made["orders"] = await client.fapiprivate_get_allorders(of)
    made["fills"] = await client.fapiprivate_get_usertrades(of)
    made["positions"] = await client.fapiprivatev2_get_positionrisk(of)
    made["balances"] = await client.fapiprivatev3_get_balance()
    made["margin_mode"] = await client.fapiprivate_post_margintype({"symbol": "ETHUSDT", "marginType": "ISOLATED"})
    made["ticker"] = await client.fapipublic_get_ticker_24hr(of)
    made["mark"] = await client.fapipublic_get_premiumindex(of)
    made["best"] = await client.fapipublic_get_ticker_bookticker(of)
    made["book"] = await client.fapipublic_get_depth(of)
    made["markets"] = await client.fapipublic_get_exchangeinfo()
    return made


async def _binance_spot(client: Any) -> dict[str, Any]:
    of = {"symbol": "BTCUSDT"}
    limit = {**of, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "25000"}
    place = client.private_post_order
    made = {"create_limit": await place({**limit, "newClientOrderId": "one"})}
    made["order"] = await client.private_get_order({**of, "origClientOrderId": "one"})
    replaced = {**limit, "cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrigClientOrderId": "one"}
    made["replace"] = await client.private_post_order_cancelreplace({**replaced, "newClientOrderId": "two"})
    made["cancel"] = await client.private_delete_order({**of, "origClientOrderId": "two"})
    made["create"] = await place({**of, "side": "BUY", "type": "MARKET", "quantity": "0.01"})
    made["orders"] = await client.private_get_allorders(of)
    made["fills"] = await client.private_get_mytrades(of)
    made["ticker"] = await client.public_get_ticker_24hr(of)
    made["best"] = await client.public_get_ticker_bookticker(of)
    made["markets"] = await client.public_get_exchangeinfo()
    return made


async def _kraken(client: Any) -> dict[str, Any]:
    of = {"symbol": "PF_XBTUSD"}
    limit = {**of, "orderType": "lmt", "side": "buy", "size": "0.01", "limitPrice": "25000"}
    market = {**of, "orderType": "mkt", "side": "buy", "size": "0.01"}
    place = client.private_post_sendorder
    await client.private_put_leveragepreferences({**of, "maxLeverage": "10"})
    await place({**limit, "cliOrdId": "one"})
    made = {"open": await client.private_get_openorders()}
    made["edit"] = await client.private_post_editorder({"cliOrdId": "one", "size": "0.02", "limitPrice": "25000"})
    made["cancel"] = await client.private_post_cancelorder({"cliOrdId": "one"})
    item = {"order": "send", "order_tag": "1", **limit}
    made["batch"] = await client.private_post_batchorder({"batchOrder": [item]})
    made["create"] = await place({**market, "cliOrdId": "two"})
    made["fills"] = await client.private_get_fills()
    made["positions"] = await client.private_get_openpositions()
    made["accounts"] = await client.private_get_accounts()
    made["leverages"] = await client.private_get_leveragepreferences()
    made["countdown"] = await client.private_post_cancelallordersafter({"timeout": "60"})
    made["ticker"] = await client.public_get_tickers_symbol(of)
    made["book"] = await client.public_get_orderbook(of)
    made["charts"] = await client.charts_get_price_type_symbol_interval({**of, "price_type": "trade", "interval": "1h"})
    return made


async def _kraken_spot(client: Any) -> dict[str, Any]:
    of = {"pair": "XBTUSD"}
    limit = {**of, "ordertype": "limit", "type": "buy", "volume": "0.01", "price": "25000"}
    await client.private_post_addorder({**limit, "cl_ord_id": f"{1:032x}"})
    made = {"open": await client.private_post_openorders()}
    made["amend"] = await client.private_post_amendorder({"cl_ord_id": f"{1:032x}", "order_qty": "0.02"})
    await client.private_post_cancelorder({"cl_ord_id": f"{1:032x}"})
    placed = await client.private_post_addorder({**of, "ordertype": "market", "type": "buy", "volume": "0.01"})
    made["closed"] = await client.private_post_closedorders()
    made["order"] = await client.private_post_queryorders({"txid": placed["result"]["txid"][0], "trades": True})
    made["trades"] = await client.private_post_tradeshistory()
    made["balance"] = await client.private_post_balanceex()
    made["countdown"] = await client.private_post_cancelallordersafter({"timeout": 60})
    made["markets"] = await client.public_get_assetpairs()
    made["time"] = await client.public_get_time()
    made["ticker"] = await client.public_get_ticker(of)
    made["book"] = await client.public_get_depth(of)
    made["fees"] = await client.private_post_tradevolume(of)
    return made


ASK = {"binance": _binance, "binance_spot": _binance_spot, "kraken": _kraken, "kraken_spot": _kraken_spot}


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """What each exchange answered, by the name of the call."""

    async def asked(sim: Simulated, ask: Any) -> dict[str, Any]:
        async with connected(sim) as client:
            found: dict[str, Any] = await ask(client)
            return found

    with SimulatorThread(list(ASK)) as sims:
        return {name: asyncio.run(asked(sims[name], ask)) for name, ask in ASK.items()}


@pytest.mark.parametrize(
    ("exchange", "case"),
    [(name, case) for name, cases in CASES.items() for case in cases],
    ids=[f"{name}-{case.name}" for name, cases in CASES.items() for case in cases],
)
def test_an_answer_has_every_field_of_the_documented_example(
    answers: dict[str, dict[str, Any]], exchange: str, case: Case
) -> None:
    """No more is missing than is said, and no less."""
    documented = example(getattr(CLASSES[exchange], case.method), case.marker)
    assert case.lost(documented, answers[exchange][case.answer]) == sorted(case.lacks)
