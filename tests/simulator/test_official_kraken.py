"""Kraken: an independent client (python-kraken-sdk) trades on the simulated exchanges, only its address changed.

Mended in the simulator because this client disagreed: the `close` of an order in a batch is an object and not a set of
parameters in brackets; `validate`, `reduce_only` and `starttm` come with every order, as "False" and 0; and the futures
client asks for candles, fee schedules, the state of an instrument and the countdown, which were not served.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from kraken.exceptions import (
    KrakenDeadlineElapsedError,
    KrakenInsufficientFundsError,
    KrakenInvalidArgumentsError,
    KrakenInvalidNonceError,
    KrakenUnknownAssetError,
    KrakenUnknownOrderError,
)
from kraken.spot import Market, Trade, User

from app.simulator.thread import Simulated, SimulatorThread

PAIR = "XBTUSD"


class Spot:
    """The three spot clients of one key, which share its nonce."""

    def __init__(self, sim: Simulated) -> None:
        keys = {"key": sim.api_key, "secret": sim.secret, "url": sim.base_url}
        self.sim = sim
        self.trade, self.user, self.market = Trade(**keys), User(**keys), Market(url=sim.base_url)

    def limit(self, price: str = "20000", **more: Any) -> str:
        """Place a limit order to buy; returns its id."""
        made: Any = self.trade.create_order(
            ordertype="limit", side="buy", pair=PAIR, volume=more.pop("volume", "0.01"), price=price, **more
        )
        txid: str = made["txid"][0]
        return txid


@pytest.fixture
def spot() -> Iterator[Spot]:
    """Clients of a new exchange."""
    with SimulatorThread(["kraken_spot"]) as sims:
        yield Spot(sims["kraken_spot"])


def test_market_data(spot: Spot) -> None:
    """Status, pairs by any of their names, ticker, book, candles."""
    market: Any = spot.market
    assert market.get_system_status()["status"] == "online"
    (pair,) = market.get_asset_pairs(pair="XBT/USD").values()
    assert (pair["altname"], pair["wsname"], pair["ordermin"]) == (PAIR, "XBT/USD", "0.00005")
    assert market.get_ticker(pair="XXBTZUSD")["XXBTZUSD"]["a"][0] == "27000.1"
    assert market.get_order_book(pair=PAIR, count=3)["XXBTZUSD"]["bids"][0][0] == "27000.0"
    candles = market.get_ohlc(pair=PAIR, interval=60)["XXBTZUSD"]
    assert (len(candles), candles[1][0] - candles[0][0], candles[0][1]) == (720, 3600, "27000.0")
    assert set(market.get_assets(assets="XBT,USD")) == {"XXBT", "ZUSD"}
    with pytest.raises(KrakenUnknownAssetError):
        market.get_ticker(pair="NOPE")


def test_an_orders_life(spot: Spot) -> None:
    """Placed, told, amended in place, edited into another, cancelled; twice is unknown."""
    user: Any = spot.user
    trade: Any = spot.trade
    txid = spot.limit(cl_ord_id="a" * 32)
    told = user.get_open_orders(cl_ord_id="a" * 32)["open"][txid]
    assert (told["status"], told["descr"]["order"]) == ("open", "buy 0.01000000 XBTUSD @ limit 20000.0")
    assert user.get_balances()["ZUSD"]["hold_trade"] == "200.8000000000"  # with the fee
    assert trade.amend_order(txid=txid, order_qty="0.02", limit_price="21000")["amend_id"]
    assert user.get_orders_info(txid=txid)[txid]["vol"] == "0.02000000"
    edited = trade.edit_order(txid=txid, pair=PAIR, volume="0.03", price="20500")
    assert edited["originaltxid"] == txid != edited["txid"]
    assert trade.cancel_order(txid=edited["txid"]) == {"count": 1}
    closed = user.get_closed_orders()
    assert (closed["count"], closed["closed"][txid]["reason"]) == (2, "User requested")
    with pytest.raises(KrakenUnknownOrderError):
        trade.cancel_order(txid=txid)


def test_fills_and_triggers(spot: Spot) -> None:
    """A market order and its fill; a stop that goes off; fees in the quote coin."""
    user: Any = spot.user
    trade: Any = spot.trade
    sold = trade.create_order(ordertype="market", side="sell", pair=PAIR, volume="0.1")["txid"][0]
    stop = trade.create_order(
        ordertype="stop-loss-limit", side="sell", pair=PAIR, volume="0.01", price="26000", price2="25900"
    )
    assert stop["descr"]["order"] == "sell 0.01000000 XBTUSD @ stop loss 26000.0 -> limit 25900.0"
    spot.sim.control.price("BTC/USD", 25_950)
    info = user.get_orders_info(txid=stop["txid"][0], trades=True)[stop["txid"][0]]
    assert (info["status"], info["vol_exec"], len(info["trades"])) == ("closed", "0.01000000", 1)
    fills = user.get_trades_history()
    assert fills["count"] == 2
    (first,) = [f for f in fills["trades"].values() if f["ordertxid"] == sold]
    assert (first["cost"], first["fee"], first["maker"]) == ("2700.00000", "10.80000000", False)
    assert user.get_trades_info(txid=info["trades"][0])
    assert Decimal(user.get_account_balance()["XXBT"]) == Decimal("0.89")
    assert user.get_trade_volume(pair=PAIR)["fees"]["XXBTZUSD"]["fee"] == "0.4000"


def test_batches_and_the_countdown(spot: Spot) -> None:
    """Several orders in one request, one with a conditional close; cancelled together; the switch over everything."""
    user: Any = spot.user
    trade: Any = spot.trade
    made = trade.create_order_batch(
        orders=[
            {
                "close": {"ordertype": "stop-loss", "price": "19000"},
                "ordertype": "limit",
                "price": "20000",
                "type": "buy",
                "volume": "0.01",
            },
            {"ordertype": "limit", "price": "20100", "type": "buy", "volume": "0.01", "cl_ord_id": "mine"},
        ],
        pair=PAIR,
    )["orders"]
    assert trade.cancel_order_batch(orders=[made[1]["txid"]]) == {"count": 1}
    spot.sim.control.price("BTC/USD", 20_000)
    (child,) = user.get_open_orders()["open"].values()
    assert (child["descr"]["ordertype"], child["stopprice"], child["refid"]) == (
        "stop-loss",
        "19000.0",
        made[0]["txid"],
    )
    assert trade.cancel_all_orders_after_x(timeout=60)["triggerTime"] != "0"
    assert trade.cancel_all_orders_after_x(timeout=0)["triggerTime"] == "0"
    assert trade.cancel_all_orders() == {"count": 1}


def test_client_ids_are_unique_among_open_orders(spot: Spot) -> None:
    """The id of a cancelled or filled order may be used again: a resend after a fill fills twice."""
    trade: Any = spot.trade
    spot.limit(cl_ord_id="mine")
    with pytest.raises(KrakenInvalidArgumentsError, match="cl_ord_id not unique"):
        spot.limit(cl_ord_id="mine")
    assert trade.cancel_order(cl_ord_id="mine") == {"count": 1}
    spot.limit("28000", cl_ord_id="mine")
    spot.limit("28000", cl_ord_id="mine")
    assert len(spot.sim.control.truth()["fills"]) == 2
    for wrong in ("Upper", "x" * 19, "with space"):
        with pytest.raises(KrakenInvalidArgumentsError, match="cl_ord_id"):
            spot.limit(cl_ord_id=wrong)


def test_user_references_name_groups(spot: Spot) -> None:
    """Cancelled together."""
    user: Any = spot.user
    trade: Any = spot.trade
    spot.limit(userref=7)
    spot.limit(userref=7)
    spot.limit(userref=8)
    assert len(user.get_open_orders(userref=7)["open"]) == 2
    assert trade.cancel_order(txid="7") == {"count": 2}


def test_refusals(spot: Spot) -> None:
    """Funds, sizes, ticks, the past deadline, the used nonce: each in the exchange's words, and nothing is placed."""
    with pytest.raises(KrakenInsufficientFundsError):
        spot.limit(volume="1000")
    with pytest.raises(KrakenInvalidArgumentsError, match="volume minimum not met"):
        spot.limit(volume="0.00001")
    with pytest.raises(Exception, match="price can only be specified up to 1 decimals"):
        spot.limit("20000.55")
    now = datetime.now(UTC)
    with pytest.raises(KrakenDeadlineElapsedError):
        spot.limit(deadline=(now - timedelta(seconds=1)).isoformat())
    with pytest.raises(KrakenInvalidArgumentsError, match="deadline"):
        spot.limit(deadline=(now + timedelta(seconds=90)).isoformat())
    assert spot.sim.control.truth()["orders"] == []
    assert spot.limit(deadline=(now + timedelta(seconds=30)).isoformat())
    spot.trade.get_nonce = lambda: "1"  # type: ignore[method-assign]
    with pytest.raises(KrakenInvalidNonceError):
        spot.limit()


def test_validating_places_nothing(spot: Spot) -> None:
    """Only the description comes back."""
    made: Any = spot.trade.create_order(
        ordertype="limit", side="buy", pair=PAIR, volume="0.01", price="20000", validate=True
    )
    assert "txid" not in made
    assert spot.sim.control.truth()["orders"] == []
