"""The composition root: from a configuration to everything the actors are given."""

from __future__ import annotations

from collections.abc import Callable

from actors.environment import Environment, PortRunner, StrategySpec
from app.config import Config, read_credentials
from app.domain.connector import ConnectorSettings
from app.domain.failover import FailoverSettings
from app.exchanges.factory import build_port
from app.exchanges.runner import ThreadRunner
from app.journal.store import Journal
from app.process.logs import configure_events
from messages.supervision import Address

JOURNAL_NAME = "journal.db"

MAX_CALLS = 16_384
"""Calls a runner takes; the connector's own limits end long before it."""


def build_environment(config: Config, clock: Callable[[], float]) -> Environment:
    """What the actors of one daemon are given.

    Nothing is opened here: each actor opens its own journal, and a connector reads its own credentials.
    """

    def open_journal() -> Journal:
        return Journal(config.router.state_dir / JOURNAL_NAME, power_safe=config.journal.durability == "power")

    def open_runner(exchange: str, _owner: Address) -> PortRunner:
        port = build_port(config.exchange_settings(exchange), read_credentials(config, exchange), clock)
        return ThreadRunner(port, clock=clock, limit=MAX_CALLS, open_timeout_s=2 * config.router.request_timeout_s)

    def adopt(_name: str) -> None:
        configure_events()

    router = config.router
    connector = ConnectorSettings(
        request_timeout_s=router.request_timeout_s,
        max_in_flight=router.max_in_flight,
        max_unresolved=router.max_unresolved,
    )
    return Environment(
        clock=clock,
        open_journal=open_journal,
        open_runner=open_runner,
        adopt=adopt,
        connectors=dict.fromkeys(config.routed, connector),
        health=config.health_settings,
        failover=FailoverSettings(
            exchanges=config.routed,
            auto_failover=router.auto_failover,
            settle_timeout_s=config.failover.settle_timeout_s,
            preflight_timeout_s=config.failover.preflight_timeout_s,
            # What the exchange in use needs to be found well again, once it is asked.
            own_network_hold_s=(config.health.rise + 1) * config.health.retry_delay + 2 * config.health.probe_timeout_s,
        ),
        restarts=config.supervision.restart_policy,
        sync_interval_s=config.positions.sync_interval_s,
        max_retry_attempts=config.health.max_retry_attempts,
        retry_delay_s=config.health.retry_delay,
        order_timeout_s=router.order_timeout_s,
        market_type=router.market_type,
        strategies=tuple(
            StrategySpec(
                name=name,
                target=strategy.class_,
                path=str(strategy.path) if strategy.path is not None else None,
                arguments=strategy.args,
            )
            for name, strategy in config.strategies.items()
        ),
    )
