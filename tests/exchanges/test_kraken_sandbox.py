"""`sandbox = true` leads Kraken Futures to the exchange's test network, and spot nowhere, in words."""

import asyncio
import time

import pytest

from app.exchanges.client import close_client, make_client, type_client
from app.exchanges.clock_offset import ClockOffset
from app.exchanges.profiles.base import Profile
from app.exchanges.profiles.kraken import Kraken
from app.exchanges.profiles.kraken_spot import KrakenSpot
from app.exchanges.settings import Credentials, ExchangeSettings

NOBODY = Credentials(api_key="k", secret="c2VjcmV0")


def made(profile: Profile, *, sandbox: bool) -> type_client:
    """A client that has asked nothing."""

    async def make() -> type_client:
        settings = ExchangeSettings(name=profile.name, sandbox=sandbox, market_type=profile.market_type)
        client = make_client(settings, NOBODY, profile=profile, clock=time.time, offset=ClockOffset())
        await close_client(client)
        return client

    return asyncio.run(make())


@pytest.mark.parametrize(
    ("path", "api", "method"),
    [
        ("sendorder", "private", "POST"),
        ("leveragepreferences", "private", "PUT"),
        ("tickers", "public", "GET"),
        ("orders", "history", "GET"),
        ("trade/PF_XBTUSD/1m", "charts", "GET"),
    ],
)
@pytest.mark.parametrize("sandbox", [True, False])
def test_every_address_of_futures_is_the_test_networks(path: str, api: str, method: str, sandbox: bool) -> None:
    """Or none is."""
    signed = made(Kraken(), sandbox=sandbox).sign(path, [api], method, {})
    host = "https://demo-futures.kraken.com/" if sandbox else "https://futures.kraken.com/"
    assert signed["url"].startswith(host)


def test_spot_has_no_test_network() -> None:
    """One sentence, for check-config and for the start."""
    assert "no test network" in KrakenSpot.no_sandbox
    assert Kraken.no_sandbox == ""
    assert (
        made(KrakenSpot(), sandbox=False)
        .sign("Time", ["public"], "GET", {})["url"]
        .startswith("https://api.kraken.com/")
    )
