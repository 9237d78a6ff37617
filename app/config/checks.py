"""Settings judged together: contradictions, which are refused, and doubts, which are told."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from app.config import checks_health, dead_man
from app.config.errors import ConfigError
from app.config.files import is_descriptor
from app.config.secrets import CREDENTIALS, NEEDS_PASSWORD, SecretRef, SecretSource, credentials_directory
from app.config.shape import Config, Exchange
from app.domain.names import UnknownExchange, canonical_name
from app.exchanges.factory import NoSuchMarkets, profile_of
from app.exchanges.profiles.generic import Generic
from app.exchanges.profiles.generic_limits import limits, unfit
from app.exchanges.settings import Credentials

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def check(config: Config) -> None:
    """Refuses what cannot work together.

    Raises:
        ConfigError: With the first contradiction, in one sentence that gives both sides.
    """
    for sentence in _contradictions(config):
        raise ConfigError(f"{config.where}: {sentence}")


def _contradictions(config: Config) -> Iterator[str]:
    router = config.router
    if router.primary_exchange in router.failover_exchanges:
        yield (
            f"router.primary_exchange is {router.primary_exchange}, and router.failover_exchanges"
            f" ({', '.join(router.failover_exchanges)}) must not name it again"
        )
    if len(set(router.failover_exchanges)) != len(router.failover_exchanges):
        yield (
            f"router.failover_exchanges is {', '.join(router.failover_exchanges)},"
            " and must name each exchange only once"
        )
    if router.order_timeout_s <= router.request_timeout_s:
        yield (
            f"router.order_timeout_s is {router.order_timeout_s:g}, and must be above router.request_timeout_s,"
            f" which is {router.request_timeout_s:g}: an order takes at least one request"
        )
    if 0 < router.markets_max_age_s < router.markets_refresh_s:
        yield (
            f"router.markets_max_age_s is {router.markets_max_age_s:g}, and must be 0, or at least"
            f" router.markets_refresh_s, which is {router.markets_refresh_s:g}: markets would be too old to start from"
            " before they are loaded anew"
        )
    yield from checks_health.contradictions(config)
    if config.failover.unknown_policy == "place_elsewhere" and config.failover.unknown_max_notional is None:
        yield (
            'failover.unknown_policy is "place_elsewhere", and failover.unknown_max_notional must say what the orders'
            " that may so execute twice may be worth together, in quote coin"
        )
    for name in config.routed:
        try:
            profile_of(name, config.market_type)
        except NoSuchMarkets as error:
            yield f'router.market_type is "{config.market_type}": {str(error)[0].lower()}{str(error)[1:].rstrip(".")}'
    yield from dead_man.contradictions(config)
    for name, exchange in config.exchanges.items():
        if exchange.market_type not in (None, config.market_type):
            yield (
                f'exchanges.{name}.market_type is "{exchange.market_type}", and router.market_type is'
                f' "{config.market_type}": both must be the same, since one router trades one kind of market'
            )
        yield from _exchange_contradictions(name, exchange)
        if exchange.sandbox:
            with contextlib.suppress(UnknownExchange, NoSuchMarkets):  # said above
                words = profile_of(name, config.market_type).no_sandbox
                if words:
                    yield f"exchanges.{name}.sandbox is set, and cannot be: {words.rstrip('.')}"


def _exchange_contradictions(name: str, exchange: Exchange) -> Iterator[str]:
    if exchange.base_url is None:
        return
    url = _parsed(exchange.base_url)
    if url is None:
        yield f'exchanges.{name}.base_url must be an http or https address, e.g. "http://127.0.0.1:8080"'
    elif url.username is not None or url.password is not None or url.query:
        # Not quoted: it may hold a password.
        yield f"exchanges.{name}.base_url must hold a scheme, a host and a path only, no user, password or query"
    elif exchange.sandbox:
        yield f"exchanges.{name}.base_url and exchanges.{name}.sandbox are both set, and only one of them may be"


def _parsed(base_url: str) -> SplitResult | None:
    try:
        url = urlsplit(base_url)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        return None
    return url if usable else None


def warnings(config: Config) -> list[str]:
    """What is allowed, and probably not meant: one sentence each."""
    return list(_doubts(config))


def refusals(config: Config) -> list[str]:
    """Why exchanges that have no adapter of their own cannot be traded on: one sentence each.

    Imports ccxt where there are such exchanges, so that this is asked when somebody checks a configuration, and again
    when the exchange's port is opened.
    """
    return [words for profile in _generic(config) if (words := unfit(profile))]


def _generic(config: Config) -> Iterator[type[Generic]]:
    for name in config.routed:
        profile = profile_of(name, config.market_type)
        if issubclass(profile, Generic):
            yield profile


def _doubts(config: Config) -> Iterator[str]:
    router = config.router
    yield from checks_health.doubts(config)
    if router.auto_failover and not router.failover_exchanges:
        yield "router.failover_exchanges is empty: trading has nowhere to move"
    if "kraken" in config.routed and not config.exchanges.get("kraken", Exchange()).allow_settlement_change:
        yield (
            "kraken settles perpetual swaps in USD: symbols settled in USDT can move there only with"
            " exchanges.kraken.allow_settlement_change = true"
        )
    for name, exchange in config.exchanges.items():
        url = urlsplit(exchange.base_url or "")
        if url.scheme == "http" and url.hostname not in LOOPBACK:
            yield f"exchanges.{name}.base_url is not encrypted: anybody on the way to {url.hostname} can read orders"
    yield from _readable_secrets(config)
    for profile in _generic(config):
        yield from limits(profile)


def _readable_secrets(config: Config) -> Iterator[str]:
    told = set[str]()
    for exchange in config.exchanges.values():
        for ref in (exchange.api_key, exchange.secret, exchange.password):
            if ref is None or ref.source is SecretSource.ENV or ref.place in told or is_descriptor(Path(ref.place)):
                continue
            told.add(ref.place)
            if Path(ref.place).parent == credentials_directory():
                continue  # whoever made that directory closed it; access lists let the modes in it look open
            try:
                mode = os.stat(ref.place).st_mode
            except OSError:
                continue
            if stat.S_ISREG(mode) and mode & 0o077:
                yield (
                    f"{ref.place} holds secrets and has mode {stat.S_IMODE(mode):04o}, open to other users;"
                    f" make it private with: chmod 600 {ref.place}"
                )


def require_credentials(config: Config) -> None:
    """Refuses a configuration in which an exchange that may trade has no credentials. Reads none of them.

    Raises:
        ConfigError: Naming the exchange and the key.
    """
    for name in config.routed:
        _references(config, name)


def read_credentials(config: Config, exchange: str) -> Credentials:
    """Who we are on an exchange. For its connector alone, which keeps it to itself.

    Raises:
        ConfigError: Something is missing or cannot be read; the sentence names the key, never a value.
        UnknownExchange: There is no such exchange.
    """
    references = _references(config, canonical_name(exchange))
    return Credentials(**{key: ref.read() for key, ref in references.items()})


def _references(config: Config, name: str) -> dict[str, SecretRef]:
    table = config.exchanges.get(name)
    if table is None:
        raise ConfigError(
            f"{config.where}: {name} has no credentials: there is no table [exchanges.{name}]"
            " with api_key and secret, api_key_env and secret_env, or api_key_file and secret_file"
        )
    references = dict[str, SecretRef]()
    for key in CREDENTIALS:
        ref: SecretRef | None = getattr(table, key)
        if ref is not None:
            problem = ref.problem()
            if problem:
                raise ConfigError(f"{config.where}: {problem}")
            references[key] = ref
        elif key != "password" or name in NEEDS_PASSWORD:
            raise ConfigError(
                f"{config.where}: {name} has no {key}: set exchanges.{name}.{key}, {key}_env or {key}_file"
            )
    return references
