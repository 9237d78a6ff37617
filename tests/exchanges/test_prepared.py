"""Clients are copies of one that was made before the forks: the same as if ccxt's constructor had made each of them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from app.exchanges.client import close_client, make_client, prepare, type_client
from app.exchanges.clock_offset import ClockOffset
from app.exchanges.factory import PROFILES, profile_of
from app.exchanges.settings import Credentials, ExchangeSettings
from messages.market import MarketType

OWN = {"throttler", "options", "origin", "session", "router_offset", "router_profile"}
"""What differs between any two clients, and `options`, by which the slow road is taken here."""


def made(name: str, **settings: Any) -> type_client:
    """A client of an exchange."""
    return make_client(
        ExchangeSettings(name=name, **settings),
        Credentials(api_key="key", secret="secret", password="word"),
        profile=profile_of(name, MarketType.SWAP)(),
        clock=time.time,
        offset=ClockOffset(),
    )


@pytest.mark.parametrize("name", sorted({name for name, _ in PROFILES}))
def test_a_copy_is_what_the_constructor_makes(name: str) -> None:
    async def compare() -> None:
        ours, theirs = made(name), made(name, options={"further": 1})
        try:
            assert set(vars(ours)) == set(vars(theirs))
            assert {key for key in vars(ours) if vars(ours)[key] != vars(theirs)[key]} <= OWN
            assert {**ours.options, "further": 1} == theirs.options
            assert (ours.apiKey, ours.secret, ours.password) == ("key", "secret", "word")
            assert ours.session is not theirs.session
        finally:
            await close_client(ours)
            await close_client(theirs)

    asyncio.run(compare())


@pytest.mark.parametrize("name", sorted({name for name, _ in PROFILES}))
def test_what_one_client_learns_no_other_knows(name: str) -> None:
    async def compare() -> None:
        first = made(name, base_url="http://127.0.0.1:9")
        first.options["learned"] = {"a": 1}
        first.has["learned"] = True
        first.balance["BTC"] = 1
        first.set_markets([])
        template = prepare(profile_of(name, MarketType.SWAP))
        second = made(name)
        try:
            for client in (template, second):
                assert "learned" not in client.options
                assert "learned" not in client.has
                assert not client.balance
                assert not client.markets
                assert "127.0.0.1" not in str(client.urls)
            assert not any((template.apiKey, template.secret, template.password))
            assert template.session is None
        finally:
            await close_client(first)
            await close_client(second)

    asyncio.run(compare())
