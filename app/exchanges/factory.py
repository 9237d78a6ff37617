"""Makes the port of an exchange by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from attrs import evolve

from app.domain.names import canonical_name
from app.exchanges.adapter import CcxtPort
from app.exchanges.handover import Handover
from app.exchanges.profiles.base import Profile
from app.exchanges.profiles.binance import Binance
from app.exchanges.profiles.bybit import Bybit
from app.exchanges.profiles.kraken import Kraken
from app.exchanges.profiles.okx import Okx
from app.exchanges.settings import Credentials, ExchangeSettings

PROFILES: Mapping[str, type[Profile]] = MappingProxyType(
    {profile.name: profile for profile in (Bybit, Okx, Binance, Kraken)}
)
"""By the router's own name."""


def build_port(settings: ExchangeSettings, credentials: Credentials, clock: Callable[[], float]) -> CcxtPort:
    """The port of the exchange that `settings` names, in any spelling.

    Does no I/O and does not import ccxt: the client is made on the event loop that first uses the port.

    Raises:
        app.domain.names.UnknownExchange: There is no such exchange here.
    """
    profile = PROFILES[canonical_name(settings.name)]()
    handover = Handover.of(evolve(settings, name=profile.name))
    return CcxtPort(profile, settings, credentials, clock=clock, handover=handover)
