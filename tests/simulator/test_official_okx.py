"""OKX's own client (python-okx) trades on the simulator, unmodified but for its base URL.

What it and the simulator disagreed about, mended in the simulator:

- It sends every parameter that it knows, most of them as "" and some as null or []: an empty posSide, tgtCcy or
  instType is one that was not given.
- It places, lists, amends and cancels algo orders, which have ids of their own: none of their endpoints was served.
- It closes positions, arms the countdown, reads fees, klines and public trades: none was served.
- Spot was not there; its market order to buy is given by what to spend.
- A tdMode of isolated was taken to be cross; long/short mode was refused; leverage was shown as 10, whatever was set.
- Lists were not cut by instType, nor by how far back they go.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from okx.Account import AccountAPI
from okx.MarketData import MarketAPI
from okx.PublicData import PublicAPI
from okx.Trade import TradeAPI

from app.simulator.server import wall_clock_ms
from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.desk import SkewedClock
from tests.simulator.real_clients import client_id, eventually, order_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SWAP = {"instId": "BTC-USDT-SWAP", "tdMode": "cross"}
SPOT = {"instId": "BTC-USDT", "tdMode": "cash"}
MARKETS = pytest.mark.parametrize("market", [SWAP, SPOT], ids=["swap", "spot"])
Market = dict[str, str]


class Clients:
    """Its parts, with another address."""

    def __init__(self, sim: Simulated) -> None:
        keys = (sim.api_key, sim.secret, sim.password)
        self.trade = TradeAPI(*keys, flag="0", domain=sim.base_url)
        self.account = AccountAPI(*keys, flag="0", domain=sim.base_url)
        self.market = MarketAPI(flag="0", domain=sim.base_url)
        self.public = PublicAPI(flag="0", domain=sim.base_url)

    def close(self) -> None:
        """Let go of the connections."""
        for part in (self.trade, self.account, self.market, self.public):
            part.close()


@pytest.fixture
def clock() -> SkewedClock:
    """The exchange's clock."""
    return SkewedClock()


@pytest.fixture
def sim(clock: SkewedClock) -> Iterator[Simulated]:
    """A fresh OKX."""
    with SimulatorThread(["okx"], clock=clock) as sims:
        yield sims["okx"]


@pytest.fixture
def okx(sim: Simulated) -> Iterator[Clients]:
    """Clients of it."""
    made = Clients(sim)
    yield made
    made.close()


def data(answer: Any) -> list[Any]:
    """The rows of an answer that went well."""
    assert answer["code"] == "0", answer
    found: list[Any] = answer["data"]
    return found


def code_of(answer: Any) -> str:
    """The sCode of an answer's only row, or the answer's own code."""
    assert answer["code"] != "0", answer
    return str(answer["data"][0]["sCode"] if answer["data"] else answer["code"])


@MARKETS
def test_place_look_up_amend_cancel_and_list(sim: Simulated, okx: Clients, market: Market) -> None:
    """The life of a resting order, by either id; what is gone is in the history of its kind of market."""
    kind = "SPOT" if market is SPOT else "SWAP"
    limit = {"side": "buy", "ordType": "limit", "sz": "1", "px": "25000", "clOrdId": client_id()}
    [placed] = data(okx.trade.place_order(**market, **limit))
    assert (placed["clOrdId"], placed["sCode"]) == (client_id(), "0")
    [found] = data(okx.trade.get_order(market["instId"], clOrdId=client_id()))
    assert (found["ordId"], found["state"], found["px"], found["instType"]) == (placed["ordId"], "live", "25000", kind)
    assert (found["tdMode"], found["sz"]) == (market["tdMode"], "1")
    [amended] = data(okx.trade.amend_order(market["instId"], ordId=placed["ordId"], newSz="2", reqId="r1"))
    assert amended["reqId"] == "r1"
    [resting] = data(okx.trade.get_order_list(instType=kind))
    assert resting["sz"] == "2"
    assert data(okx.trade.get_order_list(instType="FUTURES")) == []
    data(okx.trade.cancel_order(market["instId"], clOrdId=client_id()))
    assert code_of(okx.trade.cancel_order(market["instId"], clOrdId=client_id())) == "51400"
    assert code_of(okx.trade.amend_order(market["instId"], clOrdId=client_id(), newSz="3")) == "51503"
    [gone] = data(okx.trade.get_orders_history(kind))
    assert (gone["state"], gone["cancelSource"]) == ("canceled", "1")
    assert data(okx.trade.get_orders_history("SWAP" if market is SPOT else "SPOT")) == []
    assert code_of(okx.trade.place_order(**market, **limit)) == "51016"
    assert order_of(sim, client_id())["status"] == "cancelled"


@MARKETS
def test_market_orders_fill_and_fills_come_in_pages(sim: Simulated, okx: Clients, market: Market) -> None:
    """With fees, newest first, going on from a billId."""
    size = {"sz": "0.01", "tgtCcy": "base_ccy"} if market is SPOT else {"sz": "1"}
    for n in range(5):
        data(okx.trade.place_order(**market, side="buy", ordType="market", clOrdId=client_id(n), **size))
    first = data(okx.trade.get_fills(instId=market["instId"], limit="3"))
    rest = data(okx.trade.get_fills(instId=market["instId"], after=first[-1]["billId"]))
    assert [f["clOrdId"] for f in first + rest] == [client_id(n) for n in reversed(range(5))]
    newer = data(okx.trade.get_fills(instId=market["instId"], before=first[-1]["billId"]))
    assert [f["clOrdId"] for f in newer] == [client_id(4), client_id(3)]
    assert (first[0]["feeCcy"], first[0]["execType"]) == ("BTC" if market is SPOT else "USDT", "T")
    [public, *_] = data(okx.market.get_trades(market["instId"]))
    assert (public["side"], public["sz"]) == ("buy", size["sz"])


def test_spot_orders_spend_and_receive_coins(sim: Simulated, okx: Clients) -> None:
    """A market order to buy says what to spend; locked coins are frozen; too little is refused."""
    data(okx.trade.place_order(**SPOT, side="buy", ordType="market", sz="2700.01", clOrdId=client_id(1)))
    [bought] = data(okx.trade.get_order("BTC-USDT", clOrdId=client_id(1)))
    assert (bought["tgtCcy"], bought["sz"], bought["accFillSz"], bought["feeCcy"]) == (
        "quote_ccy",
        "2700.01",
        "0.1",
        "BTC",
    )
    data(okx.trade.place_order(**SPOT, side="sell", ordType="limit", sz="0.05", px="28000", clOrdId=client_id(2)))
    [account] = data(okx.account.get_account_balance())
    coins = {c["ccy"]: c for c in account["details"]}
    assert (coins["BTC"]["cashBal"], coins["BTC"]["ordFrozen"], coins["BTC"]["availBal"]) == (
        "0.0999",
        "0.05",
        "0.0499",
    )
    assert Decimal(coins["USDT"]["cashBal"]) == 100_000 - Decimal("2700.01")
    assert code_of(okx.trade.place_order(**SPOT, side="sell", ordType="market", sz="1")) == "51008"
    assert code_of(okx.trade.place_order(**SPOT, side="buy", ordType="market", sz="1E30")) == "51101"
    assert code_of(okx.trade.place_order("BTC-USDT", "cross", "buy", "limit", "1", px="25000")) == "51000"
    sim.control.price("BTC/USDT", 28000)
    assert order_of(sim, client_id(2))["status"] == "filled"


@MARKETS
def test_a_trigger_order_has_an_id_of_its_own_until_it_goes_off(sim: Simulated, okx: Clients, market: Market) -> None:
    """Listed, looked up, amended and cancelled as an algo order; afterwards an ordinary one."""
    trigger = {"side": "buy", "ordType": "trigger", "sz": "1", "triggerPx": "28000", "orderPx": "28500"}
    [made] = data(okx.trade.place_algo_order(**market, **trigger, algoClOrdId=client_id(1), triggerPxType="mark"))
    [second] = data(okx.trade.place_algo_order(**market, **trigger, algoClOrdId=client_id(2)))
    assert code_of(okx.trade.place_algo_order(**market, **trigger, algoClOrdId=client_id(1))) == "51065"
    listed = data(okx.trade.order_algos_list(ordType="trigger"))
    assert [o["algoId"] for o in listed] == [second["algoId"], made["algoId"]]
    assert [o["algoId"] for o in data(okx.trade.order_algos_list("trigger", after=second["algoId"]))] == [
        made["algoId"]
    ]
    [found] = data(okx.trade.get_algo_order_details(algoClOrdId=client_id(1)))
    assert (found["algoId"], found["state"], found["triggerPxType"]) == (made["algoId"], "live", "mark")
    assert data(okx.trade.get_order_list()) == []
    assert code_of(okx.trade.get_order(market["instId"], clOrdId=client_id(1))) == "51603"
    data(okx.trade.amend_algo_order(market["instId"], algoId=made["algoId"], newTriggerPx="28200"))
    data(okx.trade.cancel_algo_order([{"instId": market["instId"], "algoId": second["algoId"]}]))
    again = okx.trade.cancel_algo_order([{"instId": market["instId"], "algoId": second["algoId"]}])
    assert code_of(again) == "51400"
    sim.control.price("BTC/USDT" if market is SPOT else "BTC/USDT:USDT", 28200)
    [fired] = data(okx.trade.order_algos_history("trigger", state="effective"))
    assert (fired["algoId"], fired["actualSz"]) == (made["algoId"], "1")
    [order] = data(okx.trade.get_order(market["instId"], ordId=fired["ordId"]))
    assert (order["state"], order["algoId"], order["algoClOrdId"], order["clOrdId"]) == (
        "filled",
        made["algoId"],
        client_id(1),
        "",
    )
    [cancelled] = data(okx.trade.order_algos_history("trigger", state="canceled"))
    assert cancelled["algoId"] == second["algoId"]


def test_conditional_oco_and_attached_levels(sim: Simulated, okx: Clients) -> None:
    """A level that is passed is refused in its own code; of an oco one side goes off and the other is gone."""
    data(okx.trade.place_order(**SWAP, side="buy", ordType="market", sz="10"))
    closing = {"side": "sell", "sz": "4", "reduceOnly": "true", "tpOrdPx": "-1", "slOrdPx": "-1"}
    levels = {"tpTriggerPx": "28000", "slTriggerPx": "26000"}
    [oco] = data(okx.trade.place_algo_order(**SWAP, **closing, **levels, ordType="oco", algoClOrdId=client_id(1)))
    one = {**closing, "slTriggerPx": "25000", "ordType": "conditional"}
    [single] = data(okx.trade.place_algo_order(**SWAP, **one))
    low = {**closing, "tpTriggerPx": "26000", "ordType": "conditional"}
    assert code_of(okx.trade.place_algo_order(**SWAP, **low)) == "51279"
    high = {**closing, "slTriggerPx": "28000", "ordType": "conditional"}
    assert code_of(okx.trade.place_algo_order(**SWAP, **high)) == "51280"
    trailing = {**closing, "ordType": "move_order_stop", "callbackRatio": "0.01"}
    assert code_of(okx.trade.place_algo_order(**SWAP, **trailing)) == "51000"
    [both] = data(okx.trade.order_algos_list("oco"))
    assert (both["algoId"], both["tpTriggerPx"], both["slTriggerPx"], both["sz"]) == (
        oco["algoId"],
        "28000",
        "26000",
        "4",
    )
    sim.control.price("BTC/USDT:USDT", 28000)
    [done] = data(okx.trade.order_algos_history("oco", algoId=oco["algoId"]))
    assert (done["state"], done["actualSide"]) == ("effective", "tp")
    assert data(okx.trade.order_algos_list("oco")) == []
    assert [o["algoId"] for o in data(okx.trade.order_algos_list("conditional,oco"))] == [single["algoId"]]
    attach = [{"attachAlgoClOrdId": client_id(9), "tpTriggerPx": "30000", "tpOrdPx": "29900", "slTriggerPx": "24000"}]
    data(okx.trade.place_order(**SWAP, side="buy", ordType="market", sz="1", attachAlgoOrds=attach))
    [born] = data(okx.trade.order_algos_list("oco"))
    assert (born["algoClOrdId"], born["tpOrdPx"], born["slOrdPx"], born["sz"]) == (client_id(9), "29900", "-1", "1")


def test_batches_go_order_by_order(sim: Simulated, okx: Clients) -> None:
    """A bad one does not stop the others."""
    one = {**SWAP, "side": "buy", "ordType": "limit", "sz": "1", "px": "20000"}
    named = [{"instId": SWAP["instId"], "clOrdId": client_id(n)} for n in range(2)]
    answer = okx.trade.place_multiple_orders(
        [*({**one, "clOrdId": client_id(n)} for n in range(2)), {**one, "sz": "0"}]
    )
    assert (answer["code"], [i["sCode"] for i in answer["data"]]) == ("2", ["0", "0", "51000"])
    data(okx.trade.amend_multiple_orders([{**n, "newPx": "21000"} for n in named]))
    assert {o["px"] for o in data(okx.trade.get_order_list())} == {"21000"}
    data(okx.trade.cancel_multiple_orders(named))
    assert data(okx.trade.get_order_list()) == []


def test_leverage_position_mode_margin_mode_and_closing(sim: Simulated, okx: Clients) -> None:
    """A long and a short side by side, isolated, each with its leverage; closed by their side."""
    data(okx.account.set_position_mode("long_short_mode"))
    assert data(okx.account.get_account_config())[0]["posMode"] == "long_short_mode"
    isolated = {"instId": SWAP["instId"], "mgnMode": "isolated"}
    data(okx.account.set_leverage("20", **isolated, posSide="long"))
    data(okx.account.set_leverage("5", **isolated, posSide="short"))
    market = {"instId": SWAP["instId"], "tdMode": "isolated", "ordType": "market", "sz": "10"}
    assert code_of(okx.trade.place_order(**market, side="buy")) == "51000"
    data(okx.trade.place_order(**market, side="buy", posSide="long"))
    data(okx.trade.place_order(**market, side="sell", posSide="short"))
    told = {(p["posSide"], p["pos"], p["lever"], p["mgnMode"]) for p in data(okx.account.get_positions())}
    assert told == {("long", "10", "20", "isolated"), ("short", "10", "5", "isolated")}
    levers = {(r["posSide"], r["lever"]) for r in data(okx.account.get_leverage("isolated", instId=SWAP["instId"]))}
    assert levers == {("long", "20"), ("short", "5")}
    assert code_of(okx.trade.place_order(**{**market, "tdMode": "cross"}, side="buy", posSide="long")) == "51000"
    assert code_of(okx.account.set_position_mode("net_mode")) == "59000"
    data(okx.account.adjustment_margin(SWAP["instId"], "long", "add", "50"))
    for side in ("long", "short"):
        data(okx.trade.close_positions(SWAP["instId"], "isolated", posSide=side))
    assert data(okx.account.get_positions()) == []
    data(okx.account.set_position_mode("net_mode"))
    assert data(okx.account.set_leverage("30", "cross", SWAP["instId"]))[0]["lever"] == "30"


@MARKETS
def test_klines_tell_what_the_price_did(sim: Simulated, okx: Clients, market: Market) -> None:
    """Newest first, older than `after` and newer than `before`; months by UTC or by UTC+8."""
    symbol = "BTC/USDT" if market is SPOT else "BTC/USDT:USDT"
    for price in (27500, 26500, 27100):
        sim.control.price(symbol, price)
    data(okx.trade.place_order(**market, side="buy", ordType="limit", sz="1", px="28000"))
    newest, older = data(okx.market.get_candlesticks(market["instId"], bar="1Mutc", limit="2"))
    assert [Decimal(x) for x in newest[1:5]] == [27000, 27500, 26500, 27100]
    assert (newest[5], newest[6], newest[8]) == (("1", "27100.1", "0") if market is SPOT else ("1", "0.01", "0"))
    assert [Decimal(x) for x in older[1:7]] == [27000] * 4 + [0, 0]
    assert older[8] == "1"
    [local] = data(okx.market.get_candlesticks(market["instId"], bar="1D", limit="1"))
    assert int(local[0]) % 86_400_000 == 16 * 3_600_000
    start = int(older[0])
    between = data(
        okx.market.get_history_candlesticks(
            market["instId"], bar="1H", after=str(start + 4 * 3_600_000), before=str(start)
        )
    )
    assert [int(k[0]) for k in between] == [start + n * 3_600_000 for n in (3, 2, 1)]


def test_what_is_public(sim: Simulated, okx: Clients) -> None:
    """Instruments of each type, a halted one as suspended; tickers, book, time, fees."""
    assert abs(int(data(okx.public.get_system_time())[0]["ts"]) - wall_clock_ms()) < 5_000
    for kind, count in (("SWAP", 5), ("SPOT", 4), ("FUTURES", 0)):
        assert len(data(okx.public.get_instruments(kind))) == count
        assert len(data(okx.market.get_tickers(kind))) == count
    sim.control.ask("POST", "/suspend", {"symbol": "BTC/USDT", "on": True})
    states = {m["instId"]: m["state"] for m in data(okx.public.get_instruments("SPOT"))}
    assert (states["BTC-USDT"], states["ETH-USDT"]) == ("suspend", "live")
    assert code_of(okx.trade.place_order(**SPOT, side="buy", ordType="limit", sz="1", px="25000")) == "51022"
    [book] = data(okx.market.get_orderbook("BTC-USDT", "5"))
    assert (len(book["bids"]), book["bids"][0][0], book["asks"][0][0]) == (5, "27000", "27000.1")
    assert data(okx.account.get_fee_rates("SPOT"))[0]["taker"] == "-0.001"
    assert data(okx.account.get_fee_rates("SWAP"))[0]["takerU"] == "-0.0005"


def test_the_countdown_takes_orders_and_leaves_algo_orders(sim: Simulated, okx: Clients, clock: SkewedClock) -> None:
    """Armed again it starts anew, 0 stops it; bounds are refused. The client of python-okx has no method for it."""

    def arm(timeout: str) -> Any:
        return okx.trade._request_with_params("POST", "/api/v5/trade/cancel-all-after", {"timeOut": timeout})

    assert code_of(arm("5")) == "51000"
    data(okx.trade.place_order(**SWAP, side="buy", ordType="limit", sz="1", px="20000"))
    data(okx.trade.place_algo_order(**SWAP, side="buy", ordType="trigger", sz="1", triggerPx="28000", orderPx="-1"))
    assert data(arm("10"))[0]["triggerTime"] != "0"
    assert data(arm("0"))[0]["triggerTime"] == "0"
    data(arm("10"))
    clock.ahead_ms += 10_500
    assert eventually(lambda: data(okx.trade.get_order_list()) == [])
    assert len(data(okx.trade.order_algos_list("trigger"))) == 1


def test_lists_go_back_only_so_far(sim: Simulated, okx: Clients) -> None:
    """Seven days of orders; the archive goes on."""
    data(okx.trade.place_order(**SWAP, side="buy", ordType="market", sz="1"))
    assert len(data(okx.trade.get_orders_history("SWAP"))) == 1
    [order] = sim.exchange.engine.all_orders()
    order.updated_ms -= 8 * 86_400_000
    assert data(okx.trade.get_orders_history("SWAP")) == []
    assert len(data(okx.trade.get_orders_history_archive("SWAP"))) == 1
    assert len(data(okx.trade.get_fills())) == len(data(okx.trade.get_fills_history("SWAP"))) == 1
