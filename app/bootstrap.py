"""The composition root: from a configuration to everything the actors are given."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

from attrs import evolve

from actors.environment import Environment, PortRunner, StrategySpec
from app.config import Config, dead_man, read_credentials
from app.config.handover import forget, keep_own
from app.domain.connector_settings import ConnectorSettings
from app.domain.failover import FailoverSettings
from app.exchanges.factory import build_port
from app.exchanges.runner import LoopRunner
from app.journal.checkpoints import Checkpointer
from app.journal.patience import busy_timeout_s
from app.journal.store import Journal
from app.process.connects import TcpConnects
from app.process.logs import configure_actor_logs
from app.process.redact import hide
from messages.carries import CarryPolicy
from messages.market import MarketType
from messages.positions import PositionPolicy
from messages.supervision import Address, Role

JOURNAL_NAME = "journal.db"

MAX_CALLS = 16_384
"""Calls a runner takes; the connector's own limits end long before it."""


def _kill(_key: str, pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _is_gone(pid: int) -> bool:
    try:
        state, parent, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return True
    return state in "ZX" or int(parent) != os.getpid()


def _child_pids() -> frozenset[int]:
    # Of the main thread, which is the one that forks actors.
    pid = os.getpid()
    return frozenset(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def build_environment(config: Config, clock: Callable[[], float], *, log_file: Path | None = None) -> Environment:
    """What the actors of one daemon are given.

    Nothing is opened here: each actor opens its own journal, and a connector reads its own credentials.
    """

    def open_journal() -> Journal:
        return Journal(
            config.router.state_dir / JOURNAL_NAME,
            power_safe=config.journal.durability == "power",
            busy_timeout_s=busy_timeout_s(config.supervision.heartbeat_timeout_s),
            make=False,  # the launcher has: one that was taken away since must not be taken for a new one
        )

    def copy_log() -> None:
        Checkpointer(config.router.state_dir / JOURNAL_NAME).start()

    def open_runner(exchange: str, _owner: Address) -> PortRunner:
        credentials = read_credentials(config, exchange)
        for secret in (credentials.api_key, credentials.secret, credentials.password):
            hide(secret)  # whatever an exception says in here, no line of the log holds them
        port = build_port(config.exchange_settings(exchange), credentials, clock)
        port.take_over()
        forget(config)  # the client has them now, and nobody else in this process needs them
        return LoopRunner(port, clock=clock, limit=MAX_CALLS, open_timeout_s=2 * config.router.request_timeout_s)

    def adopt(role: Role | None, name: str) -> None:
        if role is Role.CONNECTOR:
            keep_own(config, name)
        elif role is not None:
            forget(config)
        # Straight to the file or stderr: what goes through Thespian's logger is lost with the actor, or with it.
        actor = name if role is None or role.value == name else f"{role.value}:{name}"
        configure_actor_logs(level=config.logging.level.upper(), path=log_file, actor=actor)

    router = config.router
    connector = ConnectorSettings(
        request_timeout_s=router.request_timeout_s,
        max_in_flight=router.max_in_flight,
        max_unresolved=router.max_unresolved,
        max_unresolved_total=router.max_unresolved_total,
        unknown_max_notional=config.failover.placed_elsewhere,
        max_carry_age_s=config.orders.max_carry_age_s,
        limits=config.orders.pretrade,
        reduce_across=config.positions.reduce_only_across_exchanges and router.market_type != MarketType.SPOT,
    )
    return Environment(
        clock=clock,
        open_journal=open_journal,
        open_runner=open_runner,
        copy_log=copy_log,
        adopt=adopt,
        connectors={name: evolve(connector, dead_man=dead_man.settings_of(config, name)) for name in config.routed},
        health=config.health_settings,
        failover=FailoverSettings(
            exchanges=config.routed,
            auto_failover=router.auto_failover,
            settle_timeout_s=config.failover.settle_timeout_s,
            preflight_timeout_s=config.failover.preflight_timeout_s,
            dwell_s=config.failover.dwell_s,
            failback_auto=config.failover.failback == "auto",
            hold_down_s=config.failover.hold_down_s,
            preflight_max_age_s=config.failover.preflight_max_age_s,
            preflight_interval_s=config.failover.preflight_interval_s,
            return_settle_s=config.failover.return_settle_s,
            carry=CarryPolicy(config.orders.policy),
            positions=PositionPolicy(config.positions.policy),
        ),
        restarts=config.supervision.restart_policy,
        root_restarts=config.supervision.root_policy,
        timing=config.supervision.timing,
        kill=_kill,
        child_pids=_child_pids,
        is_gone=_is_gone,
        jitter=random.random,
        retry_jitter=random.random,
        witnesses=config.health.witnesses,
        open_connects=TcpConnects,
        positions=config.positions.settings,
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
