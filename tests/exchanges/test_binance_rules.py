"""What Binance promises, as the profiles act by it; and its test networks. Nothing is sent."""

import asyncio
import time

import pytest

from app.domain.calls import ExpiryEnforcement
from app.exchanges.client import close_client, make_client
from app.exchanges.clock_offset import ClockOffset
from app.exchanges.factory import profile_of
from app.exchanges.outcomes import Meaning
from app.exchanges.profiles.base import Profile, Unsupported
from app.exchanges.rules import binance as rules
from app.exchanges.rules.base import DeadMan, ExchangeRules, IdScope
from app.exchanges.settings import Credentials, ExchangeSettings
from messages.market import MarketType
from tests.exchanges.desk import wire_id

TABLES = {MarketType.SWAP: rules.SWAP, MarketType.SPOT: rules.SPOT}
ASKED = {
    MarketType.SWAP: (
        ("order", "fapiPrivate", "POST"),
        ("order", "fapiPrivate", "PUT"),
        ("algoOrder", "fapiPrivate", "POST"),
        ("openAlgoOrders", "fapiPrivate", "GET"),
        ("account", "fapiPrivateV3", "GET"),
        ("positionRisk", "fapiPrivateV3", "GET"),
        ("countdownCancelAll", "fapiPrivate", "POST"),
        ("exchangeInfo", "fapiPublic", "GET"),
        ("time", "fapiPublic", "GET"),
    ),
    MarketType.SPOT: (
        ("order", "private", "POST"),
        ("order/amend/keepPriority", "private", "PUT"),
        ("account", "private", "GET"),
        ("exchangeInfo", "public", "GET"),
        ("time", "public", "GET"),
    ),
}
HOSTS = {
    (MarketType.SWAP, False): "https://fapi.binance.com/",
    (MarketType.SWAP, True): "https://demo-fapi.binance.com/",
    (MarketType.SPOT, False): "https://api.binance.com/",
    (MarketType.SPOT, True): "https://testnet.binance.vision/",
}


@pytest.mark.parametrize(("market_type", "table"), TABLES.items())
def test_the_profile_acts_by_the_table(market_type: MarketType, table: ExchangeRules) -> None:
    """Proof, look-back, ids, duplicates, exits and triggers: docs and behaviour cannot differ."""
    profile: Profile = profile_of("binance", market_type)()
    assert (table.exchange, table.market_type) == (profile.name, profile.market_type)
    assert profile.proof == table.proof
    assert profile.look_back_s == table.look_back_s.value
    assert profile.attaches_exits is table.attached_exits.value
    assert profile.takes_triggers is bool(table.trigger_prices.value)
    assert table.admits_id(wire_id())
    assert not table.admits_id("x" * (table.id_length.value + 1))
    assert not table.admits_id("a b")
    read = [profile.row_of(code, "Duplicate order sent.") for code in table.duplicate_codes.value]
    assert {row.meaning for row in read if row is not None} == {Meaning.DUPLICATE}
    assert None not in read


def test_what_the_two_differ_in() -> None:
    """The futures' engine looks at the expiry and their trigger service does not; spot has no countdown."""
    swap, spot = rules.SWAP, rules.SPOT
    assert (swap.expiry.value, spot.expiry.value) == (ExpiryEnforcement.ENGINE, ExpiryEnforcement.GATEWAY)
    assert swap.proof.margin_of(conditional=True) == spot.proof.margin_of(conditional=False)
    assert (swap.dead_man.value, spot.dead_man.value) == (DeadMan.COUNTDOWN, DeadMan.NONE)
    assert swap.id_scope.value is spot.id_scope.value is IdScope.OPEN


@pytest.mark.parametrize("sandbox", [True, False])
@pytest.mark.parametrize("market_type", list(MarketType))
def test_the_sandbox_is_demo_trading_or_the_spot_test_network(sandbox: bool, market_type: MarketType) -> None:
    """For every address that is really asked, and for none without it; neither tells a status."""
    profile = profile_of("binance", market_type)()

    async def signed() -> list[str]:
        settings = ExchangeSettings(name="binance", market_type=market_type, sandbox=sandbox)
        client = make_client(
            settings, Credentials(api_key="k", secret="s"), profile=profile, clock=time.time, offset=ClockOffset()
        )
        try:
            if sandbox:
                with pytest.raises(Unsupported, match="no status"):
                    await profile.status(client)
            return [client.sign(path, [api], method, {})["url"] for path, api, method in ASKED[market_type]]
        finally:
            await close_client(client)

    assert all(url.startswith(HOSTS[market_type, sandbox]) for url in asyncio.run(signed()))
