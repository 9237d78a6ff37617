"""The Bybit dialect under the real ccxt client: every call, every refusal in its own code, the gateway's checks."""

import json
from collections.abc import Iterator
from typing import Any

import ccxt.async_support as ccxt
import pytest

from app.simulator.server import wall_clock_ms
from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.real_clients import BTC, client_id, order_of, trade


@pytest.fixture
def sim() -> Iterator[Simulated]:
    """A fresh Bybit."""
    with SimulatorThread(["bybit"]) as sims:
        yield sims["bybit"]


def code_of(error: BaseException) -> int:
    """The retCode that ccxt put into its exception's text."""
    return int(json.loads(str(error).split(" ", 1)[1])["retCode"])


def held(balance: Any) -> tuple[float, float, float]:
    """USDT: total, used, free."""
    return balance["USDT"]["total"], balance["USDT"]["used"], balance["USDT"]["free"]


async def refused(awaitable: Any, kind: type[Exception], code: int) -> str:
    """Await a refusal; its class and native code are as said; returns the words."""
    with pytest.raises(ccxt.BaseError) as caught:
        await awaitable
    assert (type(caught.value), code_of(caught.value)) == (kind, code)
    return str(json.loads(str(caught.value).split(" ", 1)[1])["retMsg"])


def test_markets_time_status_ticker_and_book(sim: Simulated) -> None:
    """What is public."""

    async def act(client: Any) -> None:
        prices = {s: (await client.fetch_ticker(s))["last"] for s in client.markets}
        usdt = {"BTC": 27000, "ETH": 1800, "SOL": 30, "XRP": 0.5, "ADA": 0.25}
        assert prices == {f"{base}/USDT:USDT": price for base, price in usdt.items()}
        assert client.market("BTCUSDT")["precision"] == {"amount": 0.001, "price": 0.1}
        assert abs(await client.fetch_time() - client.milliseconds()) < 2_000
        assert (await client.fetch_status())["status"] == "ok"
        book = await client.fetch_order_book(BTC, 5)
        assert (book["bids"][0][0], book["asks"][0][0], len(book["asks"])) == (27000, 27000.1, 5)
        ticker = await client.fetch_ticker(BTC)
        assert (ticker["bid"], ticker["ask"], ticker["symbol"]) == (27000, 27000.1, BTC)

    trade(sim, act)


def test_the_seeds_order_rests_open_with_its_attached_levels(sim: Simulated) -> None:
    """Buy Limit 0.001 BTCUSDT at 25000, take profit 30000, stop loss 24000, with BTC at 27000."""

    async def act(client: Any) -> None:
        params = {"clientOrderId": client_id(), "takeProfit": {"triggerPrice": 30000}, "timeInForce": "GTC"}
        placed = await client.create_order(
            "BTCUSDT", "limit", "buy", 0.001, 25000, {**params, "stopLoss": {"triggerPrice": 24000}}
        )
        assert (placed["clientOrderId"], placed["status"]) == (client_id(), None)
        [resting] = await client.fetch_open_orders("BTCUSDT")
        assert resting["id"] == placed["id"]
        assert (resting["takeProfitPrice"], resting["stopLossPrice"], resting["status"]) == (30000, 24000, "open")
        assert held(await client.fetch_balance()) == (100000, 2.5, 99997.5)

    trade(sim, act)
    order = order_of(sim, client_id())
    assert (order["status"], order["take_profit"], order["stop_loss"]) == ("open", "30000", "24000")


def test_market_orders_move_positions_and_balances(sim: Simulated) -> None:
    """Open, reduce, close; the fees are paid."""

    async def act(client: Any) -> None:
        await client.create_order(BTC, "market", "buy", 0.5, None, {"clientOrderId": client_id(1)})
        [position] = await client.fetch_positions()
        assert (position["side"], position["contracts"], position["entryPrice"]) == ("long", 0.5, 27000.1)
        sim.control.price(BTC, 28000)
        [position] = await client.fetch_positions([BTC])
        assert position["unrealizedPnl"] == pytest.approx(499.95)
        await client.create_order(BTC, "market", "sell", 2, None, {"reduceOnly": True, "clientOrderId": client_id(2)})
        assert await client.fetch_positions() == []
        trades = sorted(await client.fetch_my_trades(BTC), key=lambda t: str(t["id"]))
        assert [(t["side"], t["amount"], t["price"]) for t in trades] == [("buy", 0.5, 27000.1), ("sell", 0.5, 28000)]
        fees = sum(t["fee"]["cost"] for t in trades)
        assert fees == pytest.approx(0.00055 * (0.5 * 27000.1 + 0.5 * 28000))
        assert (await client.fetch_balance())["USDT"]["total"] == pytest.approx(100000 + 499.95 - fees)

    trade(sim, act)
    assert order_of(sim, client_id(2))["status"] == "expired"


def test_looking_up_by_client_id_over_open_and_closed(sim: Simulated) -> None:
    """Realtime by orderLinkId shows open and recently closed ones; history what is closed."""

    async def act(client: Any) -> None:
        by_id = {"orderLinkId": client_id(1)}
        assert await client.fetch_open_orders(BTC, params=by_id) == []
        await client.create_order(BTC, "limit", "buy", 0.01, 26000, {"clientOrderId": client_id(1)})
        await client.create_order(BTC, "limit", "buy", 0.01, 26000, {"clientOrderId": client_id(2)})
        [found] = await client.fetch_open_orders(BTC, params=by_id)
        assert (found["clientOrderId"], found["status"], found["filled"]) == (client_id(1), "open", 0)
        assert await client.fetch_canceled_and_closed_orders(BTC, params=by_id) == []
        sim.control.fill(client_order_id=client_id(1), qty="0.004")
        [found] = await client.fetch_open_orders(BTC, params=by_id)
        assert (found["filled"], found["remaining"], found["average"]) == (0.004, 0.006, 26000)
        sim.control.fill(client_order_id=client_id(1))
        [found] = await client.fetch_canceled_and_closed_orders(BTC, params=by_id)
        assert (found["status"], found["filled"]) == ("closed", 0.01)
        [found] = await client.fetch_open_orders(BTC, params=by_id)
        assert found["status"] == "closed"
        assert [o["clientOrderId"] for o in await client.fetch_open_orders(BTC)] == [client_id(2)]
        [one, two] = sorted(await client.fetch_my_trades(BTC, params=by_id), key=lambda t: str(t["id"]))
        assert (one["amount"], two["amount"], one["order"]) == (0.004, 0.006, found["id"])
        assert (await client.fetch_order(found["id"], BTC, {"acknowledged": True}))["status"] == "closed"

    trade(sim, act)


def test_pages_of_open_orders(sim: Simulated) -> None:
    """Twenty a page unless asked for more, at most fifty, newest first, with a cursor."""

    async def act(client: Any) -> None:
        for n in range(60):
            await client.create_order(BTC, "limit", "buy", 0.001, 20000 + n, {"clientOrderId": client_id(n)})
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = await client.private_get_v5_order_realtime(
                {"category": "linear", "symbol": "BTCUSDT", "limit": 50, **cursor}
            )
            rows = page["result"]["list"]
            seen += [row["orderLinkId"] for row in rows]
            if not page["result"]["nextPageCursor"]:
                break
            cursor = {"cursor": page["result"]["nextPageCursor"]}
        assert seen == [client_id(n) for n in reversed(range(60))]
        assert len(await client.fetch_open_orders(BTC)) in (20, 50)

    trade(sim, act)


def test_cancel_by_either_id_amend_and_cancel_all(sim: Simulated) -> None:
    """And what is gone cannot be cancelled again."""

    async def act(client: Any) -> None:
        for n in range(1, 5):
            await client.create_order(BTC, "limit", "sell", 0.01, 29000, {"clientOrderId": client_id(n)})
        await client.cancel_order(None, BTC, {"orderLinkId": client_id(1)})
        await client.cancel_order(order_of(sim, client_id(2))["order_id"], BTC)
        await refused(client.cancel_order(None, BTC, {"orderLinkId": client_id(1)}), ccxt.OrderNotFound, 110001)
        await refused(client.cancel_order("nowhere", BTC), ccxt.OrderNotFound, 110001)
        moved = order_of(sim, client_id(3))["order_id"]
        await client.edit_order(moved, BTC, "limit", "sell", 0.02, 29500)
        assert order_of(sim, client_id(3))["price"] == "29500"
        words = await refused(client.edit_order("nowhere", BTC, "limit", "sell", 1, 29500), ccxt.OrderNotFound, 110001)
        assert words.endswith("replace")
        assert len(await client.cancel_all_orders(BTC)) == 2
        assert await client.fetch_open_orders(BTC) == []

    trade(sim, act)


def test_times_in_force(sim: Simulated) -> None:
    """IOC and FOK that do not cross, and a post-only that does, are accepted and end at once."""

    async def act(client: Any) -> None:
        cases: list[tuple[int, dict[str, object]]] = [
            (26000, {"timeInForce": "IOC"}),
            (26000, {"timeInForce": "FOK"}),
            (28000, {"postOnly": True}),
        ]
        for n, (price, params) in enumerate(cases):
            placed = await client.create_order(
                BTC, "limit", "buy", 0.01, price, {**params, "clientOrderId": client_id(n)}
            )
            assert placed["id"]
        ended = await client.fetch_canceled_and_closed_orders(BTC)
        assert [o["status"] for o in ended] == ["canceled"] * 3
        assert {o["clientOrderId"]: o["info"]["rejectReason"] for o in ended} == {
            client_id(0): "EC_NoImmediateQtyToFill",
            client_id(1): "EC_NoImmediateQtyToFill",
            client_id(2): "EC_PostOnlyWillTakeLiquidity",
        }
        taken = await client.create_order(BTC, "limit", "buy", 0.01, 28000, {"timeInForce": "IOC"})
        [found] = await client.fetch_open_orders(BTC, params={"orderId": taken["id"]})
        assert (found["status"], found["average"]) == ("closed", 27000.1)

    trade(sim, act)


def test_a_trigger_order_waits_and_fires(sim: Simulated) -> None:
    """Untriggered until the price is there."""

    async def act(client: Any) -> None:
        params = {"triggerPrice": 28000, "triggerDirection": "ascending", "clientOrderId": client_id()}
        await client.create_order(BTC, "market", "buy", 0.01, None, params)
        [waiting] = await client.fetch_open_orders(BTC, params={"orderLinkId": client_id()})
        assert (waiting["info"]["orderStatus"], waiting["triggerPrice"]) == ("Untriggered", 28000)
        sim.control.price(BTC, 28001)
        assert order_of(sim, client_id())["avg_price"] == "28001.1"
        late = {**params, "clientOrderId": client_id(2)}
        await refused(client.create_order(BTC, "market", "buy", 0.01, None, late), ccxt.InvalidOrder, 110092)

    trade(sim, act)


def test_leverage(sim: Simulated) -> None:
    """Setting the same again is an error that means success."""

    async def act(client: Any) -> None:
        await client.set_leverage(20, BTC)
        await refused(client.set_leverage(20, BTC), ccxt.BadRequest, 110043)
        await refused(client.set_leverage(101, BTC), ccxt.BadRequest, 110013)
        await client.create_order(BTC, "limit", "buy", 0.1, 20000)
        assert (await client.fetch_balance())["USDT"]["used"] == 100

    trade(sim, act)


def test_native_refusals(sim: Simulated) -> None:
    """Each in Bybit's code, sent raw where ccxt itself would stop it; none leaves an order."""

    async def act(client: Any) -> None:
        await client.fetch_balance()

        async def raw(kind: type[Exception], code: int, **changes: object) -> str:
            body: dict[str, object] = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
            asked = client.private_post_v5_order_create({**body, "qty": "0.01", "price": "25000", **changes})
            return await refused(asked, kind, code)

        assert "symbol" in await raw(ccxt.BadRequest, 10001, symbol="DOGEUSDT")
        assert await raw(ccxt.BadRequest, 10001, qty="0.0015") == "Qty invalid"
        assert await raw(ccxt.BadRequest, 10001, qty="much") == "params error: 'much' is no number."
        assert "minimum" in await raw(ccxt.BadRequest, 10001, qty="0.0001")
        assert "maximum" in await raw(ccxt.BadRequest, 10001, qty="5000")
        assert await raw(ccxt.BadRequest, 10001, price="25000.05") == "Price invalid"
        assert "side" in await raw(ccxt.BadRequest, 10001, side="Up")
        assert "category" in await raw(ccxt.BadRequest, 10001, category="future")
        assert "OrderLinkId" in await raw(ccxt.BadRequest, 10001, orderLinkId="x" * 37)
        assert "position idx" in await raw(ccxt.BadRequest, 10001, positionIdx=1)
        assert "higher" in await raw(ccxt.BadRequest, 10001, takeProfit="24000")
        assert "lower" in await raw(ccxt.BadRequest, 10001, stopLoss="26000")
        await raw(ccxt.InvalidOrder, 110094, qty="0.001", price="4000")
        await raw(ccxt.InvalidOrder, 110017, side="Sell", reduceOnly=True)
        await raw(ccxt.InsufficientFunds, 110007, qty="500")
        assert sim.control.truth()["orders"] == []
        await client.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": client_id()})
        await raw(ccxt.InvalidOrder, 110072, orderLinkId=client_id())
        assert len(sim.control.truth()["orders"]) == 1

    trade(sim, act)


def test_key_signature_and_path(sim: Simulated) -> None:
    """Nothing gets past a wrong one."""

    async def act(client: Any) -> None:
        await client.fetch_balance()
        client.secret = "wrong"
        for call in (client.fetch_balance(), client.create_order(BTC, "market", "buy", 0.01)):
            await refused(call, ccxt.AuthenticationError, 10004)
        client.secret, client.apiKey = sim.secret, "wrong"
        await refused(client.fetch_balance(), ccxt.AuthenticationError, 10003)
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await client.fetch(sim.base_url + "/v5/nowhere")

    trade(sim, act)
    assert sim.control.truth()["orders"] == []


@pytest.mark.parametrize(("skew_ms", "window_ms", "good"), [(0, 5000, True), (-900, 5000, True), (400, 200, False)])
def test_the_window_counts_from_the_signed_timestamp(skew_ms: int, window_ms: int, good: bool) -> None:
    """A timestamp older than the window, or more than a second ahead, is refused with 10002."""
    with SimulatorThread(["bybit"], clock=lambda: wall_clock_ms() + skew_ms) as sims:

        async def act(client: Any) -> None:
            client.options["recvWindow"] = window_ms
            if good:
                await client.fetch_balance()
            else:
                await refused(client.fetch_balance(), ccxt.InvalidNonce, 10002)

        trade(sims["bybit"], act)


def test_an_expired_placement_is_refused_on_arrival(sim: Simulated) -> None:
    """The timestamp pinned when it was committed, the request sent too late."""

    async def act(client: Any) -> None:
        await client.fetch_balance()
        pinned = client.milliseconds() - 700
        client.nonce = lambda: pinned
        client.options["recvWindow"] = 600
        await refused(client.create_order(BTC, "market", "buy", 0.01), ccxt.InvalidNonce, 10002)
        client.options["recvWindow"] = 5000
        await client.create_order(BTC, "market", "buy", 0.01)

    trade(sim, act)
    assert len(sim.control.truth()["orders"]) == 1
