"""The OKX dialect under the real ccxt client: every call, every refusal in its own code, the gateway's checks."""

import json
from collections.abc import Iterator
from typing import Any

import ccxt.async_support as ccxt
import pytest

from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.real_clients import BTC, client_id, order_of, trade


@pytest.fixture
def sim() -> Iterator[Simulated]:
    """A fresh OKX."""
    with SimulatorThread(["okx"]) as sims:
        yield sims["okx"]


def code_of(error: BaseException) -> str:
    """The order's sCode, or the code of the whole answer, from the text of ccxt's exception."""
    body = json.loads(str(error).split(" ", 1)[1])
    return str(body["data"][0]["sCode"] if body["code"] == "1" else body["code"])


async def refused(awaitable: Any, kind: type[Exception], code: str) -> None:
    """Await a refusal; its class and native code are as said."""
    with pytest.raises(ccxt.BaseError) as caught:
        await awaitable
    assert (type(caught.value), code_of(caught.value)) == (kind, code)


def test_markets_time_status_ticker_and_book(sim: Simulated) -> None:
    """What is public; contracts of 0.01 BTC."""

    async def act(client: Any) -> None:
        prices = {s: (await client.fetch_ticker(s))["last"] for s in client.markets}
        usdt = {"BTC": 27000, "ETH": 1800, "SOL": 30, "XRP": 0.5, "ADA": 0.25}
        assert prices == {f"{base}/USDT:USDT": price for base, price in usdt.items()}
        market = client.market(BTC)
        assert (market["id"], market["contractSize"], market["precision"]) == (
            "BTC-USDT-SWAP",
            0.01,
            {"amount": 0.01, "price": 0.1},
        )
        assert abs(await client.fetch_time() - client.milliseconds()) < 2_000
        assert (await client.fetch_status())["status"] == "ok"
        book = await client.fetch_order_book(BTC, 5)
        assert (book["bids"][0][:2], book["asks"][0][:2]) == ([27000, 740.74], [27000.1, 740.74])

    trade(sim, act)


@pytest.mark.parametrize("method", ["privatePostTradeBatchOrders", "privatePostTradeOrder"])
def test_the_seeds_order_rests_open_with_its_attached_levels(sim: Simulated, method: str) -> None:
    """0.1 contracts are the seed's 0.001 BTC; alone or as a batch of one."""

    async def act(client: Any) -> None:
        client.options["createOrder"] = method
        params = {"clientOrderId": client_id(), "takeProfit": {"triggerPrice": 30000}}
        placed = await client.create_order(
            BTC, "limit", "buy", 0.1, 25000, {**params, "stopLoss": {"triggerPrice": 24000}}
        )
        [resting] = await client.fetch_open_orders(BTC)
        assert (resting["id"], resting["clientOrderId"]) == (placed["id"], client_id())
        assert (resting["takeProfitPrice"], resting["stopLossPrice"], resting["status"]) == (30000, 24000, "open")
        assert (await client.fetch_balance())["USDT"] == {"total": 100000, "used": 2.5, "free": 99997.5}

    trade(sim, act)
    order = order_of(sim, client_id())
    assert (order["qty"], order["status"], order["take_profit"], order["stop_loss"]) == (
        "0.001",
        "open",
        "30000",
        "24000",
    )
    path = {"privatePostTradeOrder": "/api/v5/trade/order"}.get(method, "/api/v5/trade/batch-orders")
    assert [r["path"] for r in sim.control.requests() if r["call"] == "place"] == [path]


def test_market_orders_move_positions_and_balances(sim: Simulated) -> None:
    """In contracts for the client, in coins for the truth."""

    async def act(client: Any) -> None:
        await client.create_order(BTC, "market", "sell", 50, None, {"clientOrderId": client_id(1)})
        [position] = await client.fetch_positions()
        assert (position["side"], position["contracts"], position["entryPrice"]) == ("short", 50, 27000)
        sim.control.price(BTC, 26000)
        [position] = await client.fetch_positions([BTC])
        assert position["unrealizedPnl"] == 500
        await client.create_order(BTC, "market", "buy", 500, None, {"reduceOnly": True, "clientOrderId": client_id(2)})
        assert await client.fetch_positions() == []
        trades = sorted(await client.fetch_my_trades(BTC), key=lambda t: str(t["id"]))
        assert [(t["side"], t["amount"], t["price"]) for t in trades] == [("sell", 50, 27000), ("buy", 50, 26000.1)]
        fees = sum(t["fee"]["cost"] for t in trades)
        assert fees == pytest.approx(0.0005 * (0.5 * 27000 + 0.5 * 26000.1))
        assert (await client.fetch_balance())["USDT"]["total"] == pytest.approx(100000 + 499.95 - fees)

    trade(sim, act)
    assert [f["qty"] for f in sim.control.truth()["fills"]] == ["0.5", "0.5"]


def test_looking_up_by_client_id_over_open_and_closed(sim: Simulated) -> None:
    """GET /trade/order knows both; pending only the open ones; history only the closed ones."""

    async def act(client: Any) -> None:
        async def found() -> Any:
            return await client.fetch_order(None, BTC, {"clientOrderId": client_id(1)})

        await refused(found(), ccxt.OrderNotFound, "51603")
        await client.create_order(BTC, "limit", "buy", 1, 26000, {"clientOrderId": client_id(1)})
        assert ((await found())["status"], (await found())["filled"]) == ("open", 0)
        sim.control.fill(client_order_id=client_id(1), qty="0.004")
        assert ((await found())["filled"], (await found())["remaining"]) == (0.4, 0.6)
        assert (await found())["info"]["state"] == "partially_filled"
        sim.control.fill(client_order_id=client_id(1))
        assert ((await found())["status"], (await found())["average"]) == ("closed", 26000)
        assert await client.fetch_open_orders(BTC) == []
        [closed] = await client.fetch_closed_orders(BTC)
        assert closed["clientOrderId"] == client_id(1)
        trades = await client.fetch_my_trades(BTC, params={"ordId": closed["id"]})
        assert sorted(t["amount"] for t in trades) == [0.4, 0.6]

    trade(sim, act)


def test_pages_of_open_orders(sim: Simulated) -> None:
    """At most a hundred, newest first; `after` goes on from an order id."""

    async def act(client: Any) -> None:
        for n in range(120):
            await client.create_order(BTC, "limit", "buy", 0.1, 20000 + n, {"clientOrderId": client_id(n)})
        first = (await client.private_get_trade_orders_pending({"instType": "SWAP"}))["data"]
        rest = (await client.private_get_trade_orders_pending({"after": first[-1]["ordId"]}))["data"]
        assert (len(first), len(rest)) == (100, 20)
        assert [o["clOrdId"] for o in first + rest] == [client_id(n) for n in reversed(range(120))]

    trade(sim, act)


def test_cancel_by_either_id_and_amend(sim: Simulated) -> None:
    """And what is gone cannot be cancelled again."""

    async def act(client: Any) -> None:
        for n in range(1, 5):
            await client.create_order(BTC, "limit", "sell", 1, 29000, {"clientOrderId": client_id(n)})
        await client.cancel_order(None, BTC, {"clientOrderId": client_id(1)})
        await client.cancel_order(order_of(sim, client_id(2))["order_id"], BTC)
        again = client.cancel_order(None, BTC, {"clientOrderId": client_id(1)})
        await refused(again, ccxt.OrderNotFound, "51400")
        await refused(client.cancel_order("123", BTC), ccxt.OrderNotFound, "51400")
        await client.edit_order(order_of(sim, client_id(3))["order_id"], BTC, "limit", "sell", 2, 29500)
        moved = order_of(sim, client_id(3))
        assert (moved["price"], moved["qty"]) == ("29500", "0.02")
        await refused(client.edit_order("123", BTC, "limit", "sell", 2, 29500), ccxt.OrderNotFound, "51503")
        await client.cancel_orders([moved["order_id"], order_of(sim, client_id(4))["order_id"]], BTC)
        assert await client.fetch_open_orders(BTC) == []

    trade(sim, act)


def test_a_batch_may_succeed_in_part(sim: Simulated) -> None:
    """Code 2; each item has its own sCode."""

    async def act(client: Any) -> None:
        good = {
            "instId": "BTC-USDT-SWAP",
            "tdMode": "cross",
            "side": "buy",
            "ordType": "limit",
            "sz": "1",
            "px": "25000",
        }
        answer = await client.private_post_trade_batch_orders([good, {**good, "sz": "0.001"}])
        assert answer["code"] == "2"
        assert [item["sCode"] for item in answer["data"]] == ["0", "51020"]

    trade(sim, act)
    assert len(sim.control.truth()["orders"]) == 1


def test_times_in_force(sim: Simulated) -> None:
    """IOC and FOK that do not cross, and a post-only that does, are accepted and end at once."""

    async def act(client: Any) -> None:
        cases: list[tuple[int, dict[str, object]]] = [
            (26000, {"timeInForce": "IOC"}),
            (26000, {"timeInForce": "FOK"}),
            (28000, {"postOnly": True}),
        ]
        for n, (price, params) in enumerate(cases):
            await client.create_order(BTC, "limit", "buy", 1, price, {**params, "clientOrderId": client_id(n)})
        ended = await client.fetch_canceled_orders(BTC)
        assert {o["clientOrderId"]: o["info"]["cancelSource"] for o in ended} == {
            client_id(0): "14",
            client_id(1): "13",
            client_id(2): "31",
        }
        taken = await client.create_order(BTC, "limit", "buy", 1, 28000, {"timeInForce": "FOK"})
        assert (await client.fetch_order(taken["id"], BTC))["average"] == 27000.1

    trade(sim, act)


def test_leverage(sim: Simulated) -> None:
    """Setting the same again is a success here."""

    async def act(client: Any) -> None:
        for _ in range(2):
            await client.set_leverage(20, BTC)
        too_high = {"instId": "BTC-USDT-SWAP", "lever": "101", "mgnMode": "cross"}
        await refused(client.private_post_account_set_leverage(too_high), ccxt.ExchangeError, "59102")
        await client.create_order(BTC, "limit", "buy", 10, 20000)
        assert (await client.fetch_balance())["USDT"]["used"] == 100

    trade(sim, act)


def test_native_refusals(sim: Simulated) -> None:
    """Each in OKX's sCode, sent raw where ccxt itself would stop it; none leaves an order."""

    async def act(client: Any) -> None:
        async def raw(kind: type[Exception], code: str, **changes: object) -> None:
            body: dict[str, object] = {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "buy", "ordType": "limit"}
            await refused(client.private_post_trade_order({**body, "sz": "1", "px": "25000", **changes}), kind, code)

        await raw(ccxt.BadSymbol, "51001", instId="DOGE-USDT-SWAP")
        await raw(ccxt.InvalidOrder, "51121", sz="1.005")
        await raw(ccxt.BadRequest, "51000", sz="much")
        await raw(ccxt.InvalidOrder, "51020", sz="0.001")
        await raw(ccxt.InvalidOrder, "51101", sz="100000001")
        await raw(ccxt.BadRequest, "51000", px="25000.05")
        await raw(ccxt.BadRequest, "51000", side="up")
        await raw(ccxt.BadRequest, "51000", tdMode="cash")
        await raw(ccxt.BadRequest, "51000", posSide="long")
        await raw(ccxt.BadRequest, "51000", clOrdId="has-hyphen")
        await raw(ccxt.BadRequest, "51000", clOrdId="x" * 33)
        await raw(ccxt.InvalidOrder, "51046", attachAlgoOrds=[{"tpTriggerPx": "24000", "tpOrdPx": "-1"}])
        await raw(ccxt.InvalidOrder, "51047", attachAlgoOrds=[{"slTriggerPx": "26000", "slOrdPx": "-1"}])
        await raw(ccxt.ExchangeError, "51169", side="sell", reduceOnly=True)
        await raw(ccxt.InsufficientFunds, "51008", sz="50000")
        assert sim.control.truth()["orders"] == []
        await client.create_order(BTC, "market", "buy", 1, None, {"clientOrderId": client_id()})
        await raw(ccxt.InvalidOrder, "51016", clOrdId=client_id())
        assert len(sim.control.truth()["orders"]) == 1

    trade(sim, act)


def test_key_passphrase_signature_timestamp_and_path(sim: Simulated) -> None:
    """Nothing gets past a wrong one."""

    async def act(client: Any) -> None:
        client.secret = "wrong"
        for call in (client.fetch_balance(), client.create_order(BTC, "market", "buy", 1)):
            await refused(call, ccxt.AuthenticationError, "50113")
        client.secret, client.apiKey = sim.secret, "wrong"
        await refused(client.fetch_balance(), ccxt.AuthenticationError, "50111")
        client.apiKey, client.password = sim.api_key, "wrong"
        await refused(client.fetch_balance(), ccxt.AuthenticationError, "50105")
        client.password = sim.password
        client.nonce = lambda: client.milliseconds() - 31_000
        await refused(client.create_order(BTC, "market", "buy", 1), ccxt.InvalidNonce, "50102")
        with pytest.raises(ccxt.ExchangeError):
            await client.fetch(sim.base_url + "/api/v5/nowhere")

    trade(sim, act)
    assert sim.control.truth()["orders"] == []


def test_exp_time_refuses_on_arrival_what_places_and_nothing_else(sim: Simulated) -> None:
    """A header in Unix ms; look-ups and cancels do not look at it."""

    async def act(client: Any) -> None:
        client.headers = {"expTime": str(client.milliseconds() + 5_000)}
        placed = await client.create_order(BTC, "limit", "buy", 1, 25000)
        client.headers = {"expTime": str(client.milliseconds() - 1)}
        await refused(client.create_order(BTC, "limit", "buy", 1, 25000), ccxt.InvalidNonce, "50102")
        assert (await client.fetch_order(placed["id"], BTC))["status"] == "open"
        await client.cancel_order(placed["id"], BTC)

    trade(sim, act)
    assert [o["status"] for o in sim.control.truth()["orders"]] == ["cancelled"]
