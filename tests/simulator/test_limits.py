"""Rate limits and bans: counted in windows, told in headers, refused in the exchange's own words."""

import contextlib
from typing import Any

import ccxt.async_support as ccxt
import pytest

from app.simulator.calls import Call
from app.simulator.dialects import DIALECTS, dialect_class
from app.simulator.limits import Limit, LimitRules, RateLimits
from app.simulator.thread import SimulatorThread
from tests.simulator.real_clients import BTC, trade

NOW_MS = 1_800_000_000_000
"""A minute's beginning, at which a clock may stand still."""
RULES = LimitRules(
    limits=(
        Limit(name="weight", window_ms=1000, most=10, weights={Call.BALANCE: 5}),
        Limit(name="orders", window_ms=10_000, most=3, per_key=True, calls=frozenset({Call.PLACE})),
    ),
    ban_after=2,
    ban_ms=60_000,
    longest_ban_ms=100_000,
)


def test_weights_windows_and_keys() -> None:
    """Weights add up, a new window is empty, keys have counters of their own."""
    limits = RateLimits(RULES)
    assert [limits.take(Call.BALANCE, "a", 1000).refused for _ in range(3)] == [False, False, True]
    assert not limits.take(Call.BALANCE, "a", 2000).refused
    limits = RateLimits(RULES)
    assert [limits.take(Call.PLACE, "a", 2000 + n).used["orders"] for n in range(3)] == [1, 2, 3]
    assert limits.take(Call.PLACE, "b", 2003).used == {"weight": 4, "orders": 1}
    refused = limits.take(Call.PLACE, "a", 2004)
    assert (refused.refused, refused.until_ms, refused.retry_after_s(2004)) == (True, 10_000, 8)
    assert limits.take(Call.PLACE, "a", 10_000).used == {"weight": 1, "orders": 1}


def test_going_on_is_a_ban_that_grows() -> None:
    """Two refusals within a window ban; the next ban is twice as long, up to the longest."""
    limits = RateLimits(RULES, scale=0.1)
    now_ms, lasted = 0, []
    for _ in range(3):
        assert not limits.take(Call.TICKER, "", now_ms).refused
        assert limits.take(Call.TICKER, "", now_ms).refused
        ban = limits.take(Call.TICKER, "", now_ms)
        assert ban.banned
        lasted.append(ban.until_ms - now_ms)
        assert limits.take(Call.TICKER, "", ban.until_ms - 1).banned
        now_ms = ban.until_ms
    assert lasted == [60_000, 100_000, 100_000]
    limits.ban(0)
    assert not limits.take(Call.TICKER, "", now_ms - 1).banned


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_every_exchange_declares_its_limits_and_enforces_them_when_told(name: str) -> None:
    """Off unless switched on; then a client is refused with the class that ccxt knows for it."""
    assert dialect_class(name).limits is not None

    async def act(client: Any, scale: float | None = None) -> tuple[int, BaseException | None]:
        if scale is not None:
            sim.control.ask("POST", "/limits", {"on": True, "scale": scale})
        for n in range(40):
            try:
                await client.fetch_balance()
            except ccxt.BaseError as error:
                return n, error
        return 40, None

    with SimulatorThread([name]) as sims:
        sim = sims[name]
        assert trade(sim, act) == (40, None)
        passed, error = trade(sim, lambda client: act(client, 0.02))
        assert sim.control.ask("GET", "/limits")["scale"] == 0.02
        assert passed < 40
        assert isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection), error
        assert sim.control.ask("POST", "/limits", {"on": False}) is None
        assert trade(sim, act) == (40, None)


def test_a_ban_says_until_when_and_the_headers_count() -> None:
    """Binance: weight in a header, 429 with Retry-After, then 418 with the end of the ban in words and header."""
    answers: list[tuple[int, Any, Any]] = []

    async def act(client: Any) -> None:
        def heard(code: int, reason: str, url: str, method: str, headers: Any, body: str, *rest: Any) -> str:
            answers.append((code, {k.lower(): v for k, v in headers.items()}, body))
            return body

        client.on_rest_response = heard
        client.nonce = lambda: NOW_MS
        for _ in range(60):
            with contextlib.suppress(ccxt.BaseError):
                await client.fapiPrivateV3GetBalance()

    with SimulatorThread(["binance"], clock=lambda: NOW_MS) as sims:
        sim = sims["binance"]

        async def limited(client: Any) -> None:
            sim.control.ask("POST", "/limits", {"on": True, "scale": 0.05})
            await act(client)

        trade(sim, limited)
        codes = [code for code, _, _ in answers]
        weights = [headers.get("x-mbx-used-weight-1m") for code, headers, _ in answers if code == 200]
        assert weights == [str(5 * n) for n in range(1, len(weights) + 1)]
        assert len(weights) == 24
        assert codes[24:33] == [429] * 9
        assert set(codes[33:]) == {418}
        assert answers[24][1]["retry-after"] == "60"
        assert int(answers[33][1]["retry-after"]) == 120
        assert sim.control.ask("GET", "/limits")["banned_until_ms"] == NOW_MS + 480_000, "26 more were asked during it"
        assert f"banned until {NOW_MS + 120_000}" in answers[33][2]


def test_bad_limits_are_refused() -> None:
    """In a sentence."""
    with SimulatorThread(["bybit"]) as sims:
        control = sims["bybit"].control
        for body, words in (
            ({"on": "yes"}, "true or false"),
            ({"on": True, "scale": 0}, "above 0"),
            ({"on": True, "ban_s": -1}, "seconds"),
        ):
            with pytest.raises(Exception, match=words):
                control.ask("POST", "/limits", body)
        control.ask("POST", "/limits", {"on": True, "ban_s": 60})

        async def act(client: Any) -> None:
            with pytest.raises(ccxt.RateLimitExceeded):
                await client.fetch_balance()

        async def unbanned(client: Any) -> None:
            control.ask("POST", "/limits", {"on": True, "ban_s": 60})
            await act(client)
            control.ask("POST", "/limits", {"on": False})
            assert await client.fetch_ticker(BTC)

        control.ask("POST", "/limits", {"on": False})
        trade(sims["bybit"], unbanned)
