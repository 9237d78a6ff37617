"""What Bybit promises, as the profiles act by it; and its test network. Nothing is sent."""

import asyncio
import time

import pytest

from app.exchanges.client import close_client, make_client
from app.exchanges.clock_offset import ClockOffset
from app.exchanges.codes.bybit import CODES
from app.exchanges.factory import profile_of
from app.exchanges.outcomes import Meaning
from app.exchanges.profiles.base import Profile
from app.exchanges.rules import bybit as rules
from app.exchanges.rules.base import ExchangeRules
from app.exchanges.settings import Credentials, ExchangeSettings
from messages.market import MarketType
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


@pytest.mark.parametrize("table", TABLES.values())
def test_every_row_has_its_source(table: ExchangeRules) -> None:
    """Also those that say that there is nothing."""
    rows = dict(table.rows())
    assert len(rows) > 20
    assert all(rule.source for rule in rows.values())


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
