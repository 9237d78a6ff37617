"""`[exchanges.NAME] dead_man_switch_s`: whether it can be, and what it would do, in words.

A switch cancels the account's orders when nobody renews it in time. It is renewed after each third of its time, so the
last renewal can be that old when an exchange falls silent; what is left, two thirds, must outlast any hiccup in which
the exchange is not even called down (the detection budget) and one request more. Else it would cancel orders of an
exchange that trading never left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from app.config.shape import Config
from app.domain.dead_man import SHARE, DeadManSettings
from app.domain.health import detection_budget_s
from app.exchanges.rules.base import DeadMan, ExchangeRules
from app.exchanges.rules.tables import TABLES


def least_s(config: Config) -> int:
    """The shortest time, in whole seconds, that no ordinary hiccup uses up."""
    hiccup_s = detection_budget_s(config.health_settings) + config.router.request_timeout_s
    return math.ceil(hiccup_s * SHARE / (SHARE - 1))


def contradictions(config: Config) -> Iterator[str]:
    """Why switches that are configured cannot be."""
    for name, seconds in config.dead_man_switches.items():
        key = f"exchanges.{name}.dead_man_switch_s"
        table = TABLES.get((name, config.market_type))
        if table is None:
            yield f"{key} is set, and cannot be: whether {name} has a dead-man switch is not known to the router"
        elif table.dead_man.value is DeadMan.CONNECTION:
            yield (
                f"{key} is set, and cannot be: {name} cancels when a private websocket is lost (its disconnection"
                " protection), and no request can arm that; leave it out"
            )
        elif table.dead_man.value is DeadMan.NONE:
            yield f"{key} is set, and cannot be: {name} has no dead-man switch for {config.market_type} markets"
        else:
            yield from _bounds(config, key, seconds, table)


def _bounds(config: Config, key: str, seconds: float, table: ExchangeRules) -> Iterator[str]:
    shortest_s, longest_s = table.dead_man_counts.value
    if seconds != int(seconds) or not shortest_s <= seconds <= longest_s:
        yield (
            f"{key} is {seconds:g}, and must be a whole number of seconds from {shortest_s} to {longest_s}, as"
            f" {table.exchange} counts"
        )
    elif seconds < least_s(config):
        budget_s = detection_budget_s(config.health_settings)
        remedy = f"use {least_s(config)} or more"
        if least_s(config) > longest_s:
            remedy = f"{table.exchange} counts down from {longest_s} at most: make health.* quicker"
        yield (
            f"{key} is {seconds:g}, and would cancel orders during a hiccup in which {table.exchange} is not even found"
            f" down: two thirds of it must outlast {budget_s:g} s (health.*) and a request of"
            f" {config.router.request_timeout_s:g} s; {remedy}"
        )


def settings_of(config: Config, name: str) -> DeadManSettings | None:
    """For the connector of an exchange; None where it is off."""
    seconds, table = config.dead_man_switches.get(name), TABLES.get((name, config.market_type))
    if seconds is None or table is None:
        return None
    return DeadManSettings(
        timeout_s=seconds,
        triggers=table.dead_man_triggers.value,
        by_market=table.dead_man_by_market.value,
        marks=config.orders.policy != "drop",
    )


def in_words(config: Config, name: str) -> tuple[str, str] | None:
    """(setting, what it does) for people; None where it is off."""
    settings, table = settings_of(config, name), TABLES.get((name, config.market_type))
    if settings is None or table is None:
        return None
    stay = "" if settings.triggers else "; stop losses and take profits that wait for their trigger stay"
    after = {
        "replace": "what is left of ours is placed where trading is, once it is known how much filled",
        "park": "what is left of ours is parked, once it is known how much filled",
        "drop": "ours are over then",
    }[config.orders.policy]
    return (
        f"dead-man switch of {name} = {settings.timeout_s:g} s",
        f"cancelled where {name} hears nothing of us for so long: {table.dead_man_scope.value}, a person's orders too,"
        f" of every kind{stay}. It is renewed every {settings.again_s:g} s, and a stop in order ends that; {after}",
    )
