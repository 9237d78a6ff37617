"""OKX's spot markets over real HTTP: sized in base coin whatever the order, in cash, with balances for positions."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.domain.calls import (
    Amended,
    BalancesResult,
    CallFailed,
    CancelConfirmed,
    Fills,
    KlinesResult,
    OpenOrders,
    OrderBookResult,
    Placed,
    PositionsResult,
    Refused,
    TickerResult,
)
from app.exchanges.profiles import okx_account
from messages.market import MarginMode, MarketType, PositionMode
from messages.orders import LegState, Side, TimeInForce
from tests.exchanges.desk import Desk, wire_id
from tests.exchanges.okx_desk import at_rest, found, move, opened, placed


@pytest.fixture(scope="module")
def market() -> Iterator[Desk]:
    yield from opened(MarketType.SPOT)


@pytest.fixture
def desk(market: Desk) -> Iterator[Desk]:
    market.own("BTC", "1")
    yield from at_rest(market)


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_a_market_order_is_sized_in_base_coin(desk: Desk, side: Side) -> None:
    """OKX takes the size of one that buys for the coin to spend, unless told otherwise."""
    wire = placed(desk, desk.spec("0.02", side=side, price=None))
    (truth,) = desk.truth(wire)
    assert (truth["qty"], truth["filled"], truth["side"]) == ("0.02", "0.02", side.value)
    assert truth["symbol"] == "BTC/USDT"
    assert found(desk, wire) == (LegState.FILLED, "0.02", "0.02")


def test_the_configuration_cannot_make_it_count_in_quote_coin(desk: Desk) -> None:
    client = desk.port._made_client()
    client.options["tgtCcy"] = "quote_ccy"
    try:
        wire = placed(desk, desk.spec("0.02", price=None))
    finally:
        del client.options["tgtCcy"]
    assert desk.truth(wire)[0]["qty"] == "0.02"


@pytest.mark.parametrize(
    ("tif", "price", "state"),
    [
        (TimeInForce.GTC, "20000", LegState.OPEN),
        (TimeInForce.POST_ONLY, "20000", LegState.OPEN),
        (TimeInForce.POST_ONLY, "28000", LegState.CANCELLED),
        (TimeInForce.IOC, "20000", LegState.CANCELLED),
        (TimeInForce.FOK, "28000", LegState.FILLED),
    ],
)
def test_limit_orders_by_their_time_in_force(desk: Desk, tif: TimeInForce, price: str, state: LegState) -> None:
    wire = placed(desk, desk.spec("0.02", price=price, tif=tif))
    assert found(desk, wire)[0] is state


def test_a_resting_order_is_listed_changed_and_cancelled(desk: Desk) -> None:
    what = desk.spec("0.02", price="20000")
    wire = placed(desk, what)
    listed = desk.open_orders()
    assert isinstance(listed, OpenOrders)
    assert [(each.wire_id, each.quantity, each.price) for each in listed.reports] == [
        (wire, Decimal("0.02"), Decimal(20000))
    ]
    assert desk.amend(wire, what, price="20100", quantity="0.03") == Amended(report=None)
    assert (desk.truth(wire)[0]["price"], desk.truth(wire)[0]["qty"]) == ("20100", "0.03")
    assert isinstance(desk.cancel(wire), CancelConfirmed)
    assert found(desk, wire)[0] is LegState.CANCELLED


def test_an_order_of_the_swaps_of_the_account_is_not_listed(market: Desk, desk: Desk) -> None:
    swaps = Desk(market.sim)
    try:
        assert swaps.open() == ""
        other = placed(swaps, swaps.spec())
        assert desk.open_orders() != swaps.open_orders()
        listed = desk.open_orders(conditional=True)
        assert isinstance(listed, OpenOrders)
        assert other not in {each.wire_id for each in listed.reports}
    finally:
        swaps.close()


def test_fees_are_paid_in_what_is_bought_and_balances_add_up(desk: Desk) -> None:
    before = _balance(desk, "BTC")
    wire = placed(desk, desk.spec("0.02", price=None))
    result = desk.fills()
    assert isinstance(result, Fills)
    (fill,) = [each for each in result.fills if each.wire_id == wire]
    assert (fill.fee_coin, fill.maker, fill.quantity) == ("BTC", False, Decimal("0.02"))
    assert fill.fee is not None
    assert fill.fee > 0
    assert _balance(desk, "BTC") == before + Decimal("0.02") - fill.fee
    assert desk.positions() == PositionsResult(positions=())


def _balance(desk: Desk, coin: str) -> Decimal:
    result = desk.balances()
    assert isinstance(result, BalancesResult)
    real = Decimal(desk.truthful.truth()["balance"][coin])
    (mine,) = [each for each in result.balances if each.coin == coin]
    assert mine.total == real
    return mine.total


def test_orders_of_an_account_in_multi_currency_margin_say_so_and_one_that_left_it_is_relearned(
    desk: Desk,
) -> None:
    """There spot knows `cross` only, which the simulated account, of another mode, refuses."""
    client = desk.port._made_client()
    okx_account.recall(client, {"hedged": False, "margined": True})
    refused = desk.place(desk.spec("0.02", price=None), wire_id())
    assert isinstance(refused, Refused)
    assert "tdMode" in refused.words
    wire = placed(desk, desk.spec("0.02", price=None))
    assert desk.truth(wire)[0]["filled"] == "0.02"


@pytest.mark.parametrize(("level", "td_mode"), [("1", "cash"), ("2", "cash"), ("3", "cross"), ("4", "cross")])
def test_what_orders_say_follows_from_the_mode_of_the_account(desk: Desk, level: str, td_mode: str) -> None:
    class Client:
        def __init__(self) -> None:
            self.options: dict[str, object] = {}

        async def privateGetAccountConfig(self, params: object) -> object:
            return {"code": "0", "data": [{"acctLv": level, "posMode": "net_mode"}], "msg": ""}

    async def ask() -> dict[str, str]:
        client = Client()
        named = await okx_account.named(client, desk.spec(), MarketType.SPOT)
        assert await okx_account.named(client, desk.spec(), MarketType.SWAP) == {"tdMode": "cross"}
        return named

    assert desk.loop.run(ask()) == {"tdMode": td_mode}


def test_take_profit_and_stop_loss_become_a_pair_once_the_purchase_filled(desk: Desk) -> None:
    result = desk.place(desk.spec("0.02", price="26900", take_profit="28000", stop_loss="26000"), wire_id())
    assert isinstance(result, Placed)
    move(desk, 26900)
    legs = [each for each in desk.truthful.truth()["orders"] if each["parent_id"] == result.report.exchange_order_id]
    assert {(each["role"], each["side"], each["status"]) for each in legs} == {
        ("take_profit", "sell", "open"),
        ("stop_loss", "sell", "open"),
    }
    move(desk, 28000)
    legs = [each for each in desk.truthful.truth()["orders"] if each["parent_id"] == result.report.exchange_order_id]
    assert {each["role"]: each["status"] for each in legs} == {"take_profit": "filled", "stop_loss": "cancelled"}


def test_a_sale_carries_no_levels(desk: Desk) -> None:
    result = desk.place(desk.spec(side=Side.SELL, price="28000", take_profit="26000"), wire_id())
    assert isinstance(result, Refused)
    assert "sale" in result.words


def test_reduce_only_is_refused_in_words(desk: Desk) -> None:
    result = desk.place(desk.spec(side=Side.SELL, price=None, reduce_only=True), wire_id())
    assert isinstance(result, Refused)
    assert "no positions" in result.words


def test_more_than_one_has_is_refused_by_its_code(desk: Desk) -> None:
    for side in (Side.BUY, Side.SELL):
        result = desk.place(desk.spec("900", side=side, price=None), wire_id())
        assert isinstance(result, Refused)
        assert (result.native_code, result.code) == ("51008", "insufficient_funds")


def test_the_settings_of_swaps_are_refused_in_words(desk: Desk) -> None:
    for result in (desk.leverage("3"), desk.margin_mode(MarginMode.CROSS), desk.position_mode(PositionMode.HEDGE)):
        assert isinstance(result, CallFailed)
        assert result.code == "unsupported"
        assert "Spot markets have no leverage" in result.words


def test_the_market_is_read(desk: Desk) -> None:
    ticker, book, bars = desk.ticker(), desk.order_book(depth=3), desk.klines(limit=2)
    assert isinstance(ticker, TickerResult)
    assert ticker.ticker.last == 27000
    assert isinstance(book, OrderBookResult)
    assert (len(book.book.bids), len(book.book.asks)) == (3, 3)
    assert book.book.bids[0].price < book.book.asks[0].price
    before = bars
    assert isinstance(before, KlinesResult)
    placed(desk, desk.spec("0.05", price=None))
    after = desk.klines(limit=2)
    assert isinstance(after, KlinesResult)
    traded = sum(bar.volume for bar in after.klines) - sum(bar.volume for bar in before.klines)
    assert Decimal("0.05") >= traded > 0 or len({bar.start_s for bar in (*before.klines, *after.klines)}) > 2
