"""What Bybit promises, as the profiles act by it, how it writes, and its test network. Nothing is sent."""

import asyncio
import time
from decimal import Decimal

import pytest

from app.exchanges.client import Unreadable, close_client, make_client
from app.exchanges.clock_offset import ClockOffset
from app.exchanges.codes.bybit import CODES
from app.exchanges.factory import profile_of
from app.exchanges.outcomes import Meaning
from app.exchanges.profiles.base import Profile, ServerStatus
from app.exchanges.profiles.bybit_shapes import fill_rows, order_row, server_status
from app.exchanges.rules import bybit as rules
from app.exchanges.rules.base import ExchangeRules
from app.exchanges.settings import Credentials, ExchangeSettings
from messages.market import MarketType
from messages.orders import Side
from tests.exchanges.desk import wire_id

TABLES = {MarketType.SWAP: rules.SWAP, MarketType.SPOT: rules.SPOT}
ASKED = (
    ("v5/order/create", "private", "POST"),
    ("v5/order/cancel", "private", "POST"),
    ("v5/order/realtime", "private", "GET"),
    ("v5/market/time", "public", "GET"),
    ("v5/market/instruments-info", "public", "GET"),
)


@pytest.mark.parametrize(("market_type", "table"), TABLES.items())
def test_the_profile_acts_by_the_table(market_type: MarketType, table: ExchangeRules) -> None:
    """Proof, look-back, ids, duplicates, exits and triggers: docs and behaviour cannot differ."""
    profile: Profile = profile_of("bybit", market_type)()
    assert (table.exchange, table.market_type) == (profile.name, profile.market_type)
    assert profile.proof == table.proof
    assert profile.look_back_s == table.look_back_s.value
    assert profile.attaches_exits is table.attached_exits.value
    assert profile.takes_triggers is bool(table.trigger_prices.value)
    assert table.admits_id(wire_id())
    assert not table.admits_id("x" * (table.id_length.value + 1))
    assert not table.admits_id("a b")
    assert {CODES[code].meaning for code in table.duplicate_codes.value} == {Meaning.DUPLICATE}


@pytest.mark.parametrize("sandbox", [True, False])
@pytest.mark.parametrize("market_type", list(MarketType))
def test_the_sandbox_is_bybits_test_network(sandbox: bool, market_type: MarketType) -> None:
    """For every address that is really asked, and for none without it."""
    profile = profile_of("bybit", market_type)()

    async def signed() -> list[str]:
        settings = ExchangeSettings(name="bybit", market_type=market_type, sandbox=sandbox)
        offset = ClockOffset()
        client = make_client(
            settings, Credentials(api_key="k", secret="s"), profile=profile, clock=time.time, offset=offset
        )
        try:
            return [client.sign(path, [api], method, {})["url"] for path, api, method in ASKED]
        finally:
            await close_client(client)

    host = "https://api-testnet.bybit.com/" if sandbox else "https://api.bybit.com/"
    assert all(url.startswith(host) for url in asyncio.run(signed()))


FILL = {
    "symbol": "BTCUSDT",
    "orderId": "1",
    "orderLinkId": "",
    "side": "Sell",
    "execId": "a",
    "execType": "Trade",
    "execPrice": "27000.5",
    "execQty": "0.02",
    "execFee": "-0.001",
    "execTime": "1672282722429",
    "feeCurrency": "",
    "isMaker": True,
}


def test_funding_is_no_fill() -> None:
    """It is listed among the executions, with the size of the position and a side; a rebate is below zero."""
    funding = {**FILL, "execId": "b", "execType": "Funding", "execQty": "0.5", "isMaker": False}
    liquidated = {**FILL, "execId": "c", "execType": "BustTrade"}
    told = fill_rows([FILL, funding, liquidated], "USDT")
    assert [fill.trade_id for fill in told] == ["a", "c"]
    assert (told[0].side, told[0].fee, told[0].fee_coin, told[0].maker) == (Side.SELL, Decimal("-0.001"), "USDT", True)
    assert (told[0].at_s, told[0].wire_id) == (1672282722.429, None)


@pytest.mark.parametrize("broken", [{"side": "None"}, {"execQty": ""}, {"execTime": ""}, {"orderId": ""}])
def test_an_execution_that_cannot_be_read_is_not_guessed(broken: dict[str, str]) -> None:
    """One that lacks what is needed."""
    with pytest.raises(Unreadable):
        fill_rows([{**FILL, **broken}], "USDT")


def notice(state: str, product: list[int], title: str = "Upgrade") -> dict[str, object]:
    """A notice of maintenance."""
    return {"title": title, "state": state, "product": product, "begin": "1000", "end": "2000"}


def test_notices_of_maintenance() -> None:
    """Under way it is trouble, announced it is told, over or of other products it is nothing."""
    assert server_status([], 1) == ServerStatus(ok=True)
    assert server_status([notice("completed", [1, 2]), notice("ongoing", [3])], 1) == ServerStatus(ok=True)
    assert server_status([notice("ongoing", [2])], 2) == ServerStatus(
        ok=False, words="Upgrade", begin_s=1.0, until_s=2.0
    )
    assert server_status([notice("ongoing", [])], 1).ok is False
    announced = server_status([notice("scheduled", [1])], 1)
    assert announced == ServerStatus(ok=True, words="announced: Upgrade", begin_s=1.0, until_s=2.0)
    later = {**notice("scheduled", [1], "Later"), "begin": "5000", "end": "9000"}
    both = server_status([later, notice("scheduled", [1])], 1)
    assert (both.begin_s, both.until_s) == (1.0, 2.0)


def test_an_order_by_value_tells_no_quantity() -> None:
    """Not ours: its quantity is an amount of the quote coin."""
    row = {"orderId": "1", "orderStatus": "New", "qty": "500", "orderType": "Market", "price": "27000"}
    assert order_row({**row, "marketUnit": "quoteCoin"}).contracts is None
    of_base = order_row({**row, "marketUnit": "baseCoin"})
    assert (of_base.contracts, of_base.price) == (Decimal(500), None)
    with pytest.raises(Unreadable):
        order_row({**row, "orderStatus": "Unheard"})
