"""Every section and key of the configuration, its default, its limits and what it means: the one place that says so.

Attribute names are the TOML keys (`class_` is `class`). What is checked here concerns one value; what concerns several
is in `checks`.
"""

# ruff: noqa: RUF009  (`setting` makes attrs fields, which ruff cannot see)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import platformdirs
from attrs import Factory, field, frozen

from app.config.bounds import amount, count, fraction, one_of, optional, seconds, setting
from app.config.errors import BadValue, bad_value
from app.config.secrets import SecretRef
from app.config.shape_health import Health as Health
from app.domain.health_settings import HealthSettings
from app.domain.position_settings import PositionSettings
from app.domain.pretrade import PretradeLimits
from app.domain.restart import RestartPolicy
from app.domain.supervision import Timing
from app.exchanges.known import known_name
from app.exchanges.settings import ExchangeSettings
from messages.market import MarketType
from messages.positions import PositionPolicy


def _exchange(name: str, value: str) -> None:
    try:
        known_name(value)
    except ValueError:
        raise bad_value(name, value, f"must be one of {KNOWN_EXCHANGES}") from None


def _exchanges(name: str, value: Sequence[str]) -> None:
    for each in value:
        try:
            known_name(each)
        except ValueError:
            raise BadValue(name, f"holds the text {each!r}", f"must hold only {KNOWN_EXCHANGES}") from None


def _absolute(name: str, value: Path) -> None:
    if not value.is_absolute():
        raise bad_value(name, str(value), "must be an absolute path, or one that starts with ~")


def _class(name: str, value: str) -> None:
    module, _, cls = value.partition(":")
    if not cls.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise bad_value(name, value, 'must be "module:Class", e.g. "bot.strategies:Grid"')


def _canonical(value: str) -> str:
    try:
        return known_name(value)
    except ValueError:
        return value  # the validator says what is wrong


def _canonical_all(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(_canonical(value) for value in values)


KNOWN_EXCHANGES = '"bybit_v5" (or "bybit"), "okx", "binance", "kraken", or another that ccxt has, by ccxt\'s id'
_market_type = one_of(*(kind.value for kind in MarketType))


@frozen(kw_only=True)
class Router:
    """[router]: which exchanges, and how patient orders are. Names are the router's own (`bybit` for `bybit_v5`)."""

    primary_exchange: str = field(
        default="bybit_v5",
        converter=_canonical,
        validator=lambda _owner, attribute, value: _exchange(attribute.name, value),
        metadata={"means": "the exchange that trades while it is well"},
    )
    failover_exchanges: tuple[str, ...] = field(
        default=("okx", "binance"),
        converter=_canonical_all,
        validator=lambda _owner, attribute, value: _exchanges(attribute.name, value),
        metadata={"means": "where trading moves when it is not, in this order"},
    )
    market_type: str = setting("swap", 'the kind of market traded: "swap" (linear perpetuals) or "spot"', _market_type)
    state_dir: Path = setting(
        Factory(lambda: platformdirs.user_state_path("order-router")),
        "where journal, sockets and logs live; private to its user, one daemon at a time",
        _absolute,
    )
    auto_failover: bool = setting(True, "whether trading moves by itself when the exchange in use is down")
    order_timeout_s: float = setting(
        30.0, "seconds after which a caller is answered, at the latest with `unknown`", seconds(above=0)
    )
    request_timeout_s: float = setting(
        10.0, "seconds after which one HTTP request to an exchange is given up", seconds(above=0)
    )
    markets_max_age_s: float = setting(
        86_400.0,
        "seconds for which markets once loaded let a connector start without asking the exchange for them;"
        " 0: it always asks",
        seconds(least=0, most=30 * 86_400.0),
    )
    markets_refresh_s: float = setting(
        3600.0, "seconds between two loadings of an exchange's markets", seconds(least=1.0)
    )
    max_in_flight: int = setting(
        256, "orders a connector handles at the same time; more are refused", count(1, 100_000)
    )
    max_unresolved: int = setting(
        64,
        "orders of unknown outcome on one exchange at which new ones are refused there until some are resolved",
        count(1, 100_000),
    )
    max_unresolved_total: int = setting(
        128,
        "the same over all exchanges together; cancels, and take profits and stop losses of the router's, still pass",
        count(1, 1_000_000),
    )


@frozen(kw_only=True)
class Failover:
    """[failover]: how trading moves."""

    settle_timeout_s: float = setting(
        5.0, "seconds given to the exchange being left to resolve and cancel orders", seconds(least=0)
    )
    preflight_timeout_s: float = setting(
        5.0, "seconds given to a candidate to show that it is ready to trade", seconds(above=0)
    )
    unknown_policy: str = setting(
        "hold",
        "what becomes of an order of which nobody knows on an exchange that was left: it waits there until it is known,"
        ' or is placed where trading is when it is asked for again ("place_elsewhere"), though it may execute twice',
        one_of("hold", "place_elsewhere"),
    )
    unknown_max_notional: Decimal | None = setting(
        None,
        "what such orders may be worth together, in quote coin: the most that may execute twice at a time",
        optional(amount(Decimal(10) ** 15)),
    )
    failback: str = setting(
        "manual",
        "how trading returns to the primary exchange",
        one_of("manual", "auto"),
    )
    hold_down_s: float = setting(
        300.0,
        "seconds for which the primary exchange must have been well before trading returns by itself",
        seconds(least=0),
    )
    preflight_interval_s: float = setting(
        20.0, "seconds between looks at whether each backup could take over", seconds(least=0.5)
    )
    preflight_max_age_s: float = setting(
        60.0, "seconds for which such a look serves when trading has to move", seconds(least=1)
    )
    dwell_s: float = setting(
        60.0,
        "seconds after trading has moved by itself before it moves again for anything less than an exchange being down",
        seconds(least=0),
    )
    return_settle_s: float = setting(
        60.0,
        "seconds for which an exchange that is back is no candidate while something of ours from before is open there",
        seconds(least=0),
    )

    @property
    def placed_elsewhere(self) -> Decimal | None:
        """What orders of which nobody knows may be worth that are placed elsewhere; None where they are held."""
        return self.unknown_max_notional if self.unknown_policy == "place_elsewhere" else None


@frozen(kw_only=True)
class OrderLimits:
    """[orders.limits]: what an order is held against before it is sent. `app.domain.pretrade` has the rules."""

    max_notional: Decimal | None = setting(
        None,
        "the most one order may be worth, in quote coin; reduce-only orders may be worth more",
        optional(amount(Decimal(10) ** 15)),
    )
    max_open: int | None = setting(
        None,
        "orders open or on their way, over all exchanges and strategies, at which new ones are refused;"
        " reduce-only ones are not",
        optional(count(1, 100_000)),
    )
    price_collar: Decimal | None = setting(
        None,
        "how far above the market a buy may be limited, or below it a sell, as a fraction: 0.05 is 5 %",
        optional(fraction),
    )
    per_second: int | None = setting(
        None,
        "new orders within a second, of one exchange, at which more are refused; reduce-only ones are not",
        optional(count(1, 100_000)),
    )
    reference_max_age_s: float = setting(
        5.0, "seconds for which a price of the market serves for max_notional and price_collar", seconds(least=0.1)
    )


@frozen(kw_only=True)
class Orders:
    """[orders]: what becomes of open orders, and what is not sent at all."""

    on_shutdown: str = setting(
        "leave", "whether the router's open orders are left or cancelled when it stops", one_of("leave", "cancel")
    )
    policy: str = setting(
        "replace",
        "what becomes of open orders when trading moves: placed where it goes, parked for their owner, or cancelled",
        one_of("replace", "park", "drop"),
    )
    max_carry_age_s: float = setting(
        3600.0, "seconds after which an order that could not be taken along is parked instead", seconds(least=0)
    )
    limits: OrderLimits = OrderLimits()

    @property
    def pretrade(self) -> PretradeLimits:
        """For the connectors."""
        return PretradeLimits(**attrs.asdict(self.limits))


@frozen(kw_only=True)
class Positions:
    """[positions]: what becomes of positions."""

    policy: str = setting(
        "migrate",
        "what becomes of positions on an exchange that was left: moved slice by slice once both exchanges answer,"
        " tracked and told, closed, or opened a second time",
        one_of("migrate", "track", "flatten", "mirror"),
    )
    slice_notional: Decimal = setting(
        Decimal(1000), "the most of a position that is moved at a time, in quote coin", amount(Decimal(10) ** 15)
    )
    slice_pause_s: float = setting(0.5, "seconds between two slices of a position", seconds(least=0))
    max_slippage: Decimal = setting(
        Decimal("0.002"), "how far from the market a slice may be executed, as a fraction", fraction
    )
    max_cost: Decimal = setting(
        Decimal("0.005"), "what moving a position may cost in all, as a fraction of its worth", fraction
    )
    leverage: Decimal | None = setting(
        None,
        "leverage set where a position is opened; (not set): that of the position",
        optional(amount(Decimal(1000))),
    )
    reduce_only_across_exchanges: bool = setting(
        False,
        "whether a reduce-only order may reduce a position that stands on another exchange, sent without the flag",
    )
    correct_differences: bool = setting(
        False, "whether what others did to our positions is undone, instead of taken over and told"
    )
    alarm_liquidation: Decimal = setting(
        Decimal("0.1"), "how near to its liquidation a position is told, as a fraction of the price", fraction
    )
    sync_interval_s: float = setting(10.0, "seconds between readings of positions", seconds(least=0.1))

    @property
    def settings(self) -> PositionSettings:
        """As the position synchronizer takes them."""
        return PositionSettings(
            policy=PositionPolicy(self.policy),
            slice_notional=self.slice_notional,
            slice_pause_s=self.slice_pause_s,
            max_slippage=self.max_slippage,
            max_cost=self.max_cost,
            leverage=self.leverage,
            correct_differences=self.correct_differences,
            alarm_liquidation=self.alarm_liquidation,
        )


@frozen(kw_only=True)
class Journal:
    """[journal]: what an acknowledged order survives."""

    durability: str = setting(
        "process",
        '"process": the death of any process; "power": of the whole host, at some cost per order',
        one_of("process", "power"),
    )


@frozen(kw_only=True)
class Supervision:
    """[supervision]: how often an actor may end before the daemon gives up (OTP's intensity and period)."""

    intensity: int = setting(5, "restarts of one actor within the period; one more and the daemon ends", count(0, 1000))
    period_s: float = setting(30.0, "seconds of that period", seconds(above=0))

    heartbeat_s: float = setting(0.25, "seconds between asking an actor for a sign of life", seconds(least=0.05))
    heartbeat_timeout_s: float = setting(
        1.5, "seconds without one after which an actor has hung, is killed and started anew", seconds(least=0.2)
    )

    path_check_s: float = setting(
        2.0,
        "seconds between checks that orders get through, of which systemd's watchdog lives; idle, by a dry request",
        seconds(least=0.05),
    )
    path_check_timeout_s: float = setting(5.0, "seconds after which such a check has failed", seconds(least=0.2))

    @property
    def root_policy(self) -> RestartPolicy:
        """The rule for all actors but users' strategies together: three times what one may."""
        return RestartPolicy.within(3 * self.intensity, self.period_s)

    @property
    def timing(self) -> Timing:
        """The supervisor's waits."""
        return Timing(heartbeat_s=self.heartbeat_s, heartbeat_timeout_s=self.heartbeat_timeout_s)

    @property
    def restart_policy(self) -> RestartPolicy:
        """The rule, with waits that fit into the period."""
        return RestartPolicy.within(self.intensity, self.period_s)


@frozen(kw_only=True)
class Logging:
    """[logging]: what is written down."""

    level: str = setting("info", "the least level that is logged", one_of("debug", "info", "warning", "error"))
    file: Path | None = setting(None, "where to log to, besides the terminal or systemd's journal")


@frozen(kw_only=True)
class Transport:
    """[transport]: what the actors of the daemon, and those who attach to it, talk over."""

    base: str = setting(
        "unix",
        '"unix": sockets in the state directory, for this user only; "tcp": 127.0.0.1, slower',
        one_of("unix", "tcp"),
    )


@frozen(kw_only=True)
class Strategy:
    """[strategies.NAME]: a strategy actor, supervised like any child."""

    class_: str = field(
        validator=lambda _owner, _attribute, value: _class("class", value),
        metadata={"means": "the strategy, as module:Class", "key": "class"},
    )
    path: Path | None = setting(None, "a folder to import the module from")
    args: Mapping[str, Any] = setting(Factory(dict), "arguments, as the strategy takes them", shown=False)


@frozen(kw_only=True)
class Exchange:
    """[exchanges.NAME]: where an exchange is, and who we are there. Holds no secret, only where to read it."""

    base_url: str | None = setting(None, "scheme and host instead of the exchange's own, e.g. of a simulator")
    sandbox: bool = setting(False, "whether the exchange's own test network is used")
    api_key: SecretRef | None = setting(None, "the API key: api_key, api_key_env or api_key_file")
    secret: SecretRef | None = setting(None, "its secret: secret, secret_env or secret_file")
    password: SecretRef | None = setting(None, "its passphrase (OKX): password, password_env or password_file")
    market_type: str | None = setting(
        None, "the kind of market traded here; it must be that of router.market_type", optional(_market_type)
    )
    allow_settlement_change: bool = setting(
        False, "whether a symbol may be traded in another settlement coin here (Kraken Futures: USD)"
    )
    rate_limit_per_s: int | None = setting(
        None,
        "requests a second, and at once, for this account, whatever they are, instead of the exchange's own limits;"
        " (not set): those, each call by what it costs there",
        optional(count(1, 100_000)),
    )
    dead_man_switch_s: float | None = setting(
        None,
        "seconds after which the exchange cancels the account's orders unless it hears from us, a person's too;"
        " (not set): off",
        optional(seconds(above=0)),
    )
    options: Mapping[str, Any] = setting(Factory(dict), "further options for ccxt", shown=False)


@frozen(kw_only=True)
class Config:
    """A whole configuration.

    Attributes:
        where: What it was read from, for error messages; a path where it was a file.
        exchanges: By the router's own name, whatever the file calls it.
    """

    router: Router = Router()
    health: Health = Health()
    failover: Failover = Failover()
    orders: Orders = Orders()
    positions: Positions = Positions()
    journal: Journal = Journal()
    supervision: Supervision = Supervision()
    logging: Logging = Logging()
    transport: Transport = Transport()
    strategies: Mapping[str, Strategy] = field(factory=dict)
    exchanges: Mapping[str, Exchange] = field(factory=dict)
    where: str = field(default="the defaults", kw_only=True)

    @property
    def routed(self) -> tuple[str, ...]:
        """Every exchange trading can move to, the primary first."""
        return (self.router.primary_exchange, *self.router.failover_exchanges)

    @property
    def dead_man_switches(self) -> dict[str, float]:
        """Seconds by exchange, of those where it is on."""
        tables = {name: self.exchanges.get(name, Exchange()) for name in self.routed}
        return {n: table.dead_man_switch_s for n, table in tables.items() if table.dead_man_switch_s is not None}

    @property
    def market_type(self) -> MarketType:
        """What is traded, on every exchange alike: books add up over one kind of market."""
        return MarketType(self.router.market_type)

    @property
    def health_settings(self) -> HealthSettings:
        """For the detector."""
        return self.health.settings

    def exchange_settings(self, name: str) -> ExchangeSettings:
        """For the connector of an exchange; the defaults where it has no table."""
        exchange = self.exchanges.get(name, Exchange())
        return ExchangeSettings(
            name=name,
            base_url=exchange.base_url,
            sandbox=exchange.sandbox,
            market_type=self.market_type,
            request_timeout_s=self.router.request_timeout_s,
            options=exchange.options,
            allow_settlement_change=exchange.allow_settlement_change,
            rate_limit_per_s=exchange.rate_limit_per_s,
            handover_dir=self.router.state_dir / "markets",
            markets_max_age_s=self.router.markets_max_age_s,
            markets_refresh_s=self.router.markets_refresh_s,
        )
