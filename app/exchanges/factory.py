"""Makes the port of an exchange by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from attrs import evolve

from app.domain.names import EXCHANGES
from app.exchanges.adapter import CcxtPort
from app.exchanges.handover import Handover
from app.exchanges.known import known_name
from app.exchanges.profiles.base import Profile
from app.exchanges.profiles.binance import Binance
from app.exchanges.profiles.binance_spot import BinanceSpot
from app.exchanges.profiles.bybit import Bybit
from app.exchanges.profiles.bybit_spot import BybitSpot
from app.exchanges.profiles.generic import generic
from app.exchanges.profiles.kraken import Kraken
from app.exchanges.profiles.kraken_spot import KrakenSpot
from app.exchanges.profiles.okx import Okx, OkxSpot
from app.exchanges.settings import Credentials, ExchangeSettings
from messages.market import MarketType

_ALL: tuple[type[Profile], ...] = (Bybit, BybitSpot, Okx, OkxSpot, Binance, BinanceSpot, Kraken, KrakenSpot)
PROFILES: Mapping[tuple[str, MarketType], type[Profile]] = MappingProxyType(
    {(profile.name, profile.market_type): profile for profile in _ALL}
)
"""By the router's own name, and what is traded there."""


class NoSuchMarkets(ValueError):
    """The router does not trade such markets there; the message is one sentence."""


def profile_of(name: str, market_type: MarketType) -> type[Profile]:
    """The profile of an exchange in any spelling.

    Raises:
        app.domain.names.UnknownExchange: There is no such exchange here.
        NoSuchMarkets: There is, but such markets are not traded there.
    """
    known = known_name(name)
    found = PROFILES.get((known, market_type))
    if found is None and known not in EXCHANGES:
        return generic(known, market_type)
    if found is None:
        raise NoSuchMarkets(f"{market_type.value.capitalize()} markets of {name} are not traded.")
    return found


def build_port(settings: ExchangeSettings, credentials: Credentials, clock: Callable[[], float]) -> CcxtPort:
    """The port of the exchange that `settings` names, in any spelling.

    Does no I/O and does not import ccxt: the client is made on the event loop that first uses the port.

    Raises:
        app.domain.names.UnknownExchange: There is no such exchange here.
        NoSuchMarkets: There is, but such markets are not traded there.
    """
    profile = profile_of(settings.name, settings.market_type)()
    handover = Handover.of(evolve(settings, name=profile.name))
    return CcxtPort(profile, settings, credentials, clock=clock, handover=handover)
