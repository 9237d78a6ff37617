"""A configuration in words, for `check-config`: every setting, its value, what it means, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from app.config import dead_man
from app.config.secrets import SecretRef
from app.config.shape import Config
from app.config.structure import SECTIONS
from app.domain.health import detection_budget_s
from app.process.redact import redact


def explain(config: Config, limits: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """(setting and value, meaning), in the order of the sections, what follows from them at the end.

    Args:
        limits: By exchange, its limits in words, from whoever knows the exchanges.
    """
    lines = [("read from", config.where)]
    for section in SECTIONS:
        value = getattr(config, section)
        if isinstance(value, Mapping):
            for name, table in value.items():
                lines += _lines(f"{section}.{name}", table)
        else:
            lines += _lines(section, value)
    return [*lines, *_derived(config, limits or {})]


def _lines(prefix: str, table: Any) -> Iterator[tuple[str, str]]:
    for attribute in attrs.fields(type(table)):
        key = attribute.metadata.get("key", attribute.name)
        value = getattr(table, attribute.name)
        if attrs.has(type(value)) and not isinstance(value, SecretRef):
            yield from _lines(f"{prefix}.{key}", value)
        else:
            yield f"{prefix}.{key} = {_shown(value)}", attribute.metadata["means"]


def _shown(value: Any) -> str:
    if value is None:
        return "(not set)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, tuple):
        return "[" + ", ".join(value) + "]"
    if isinstance(value, SecretRef):
        return f"({value})"
    if isinstance(value, Mapping):
        return str(redact(dict(value)))
    return str(value) if isinstance(value, str | int | Path) else repr(value)


def _derived(config: Config, limits: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    settings = config.health_settings
    yield (
        f"detection budget = {detection_budget_s(settings):g} s",
        "the longest until a silent exchange is found down, when no order meets it sooner: health_check_interval x"
        " (1 + jitter) + (max_retry_attempts - 1) x the longer of retry_delay x (1 + jitter) and probe_timeout_s"
        " + 2 x probe_timeout_s",
    )
    policy = config.supervision.restart_policy
    yield (
        f"restart waits = 0 to {policy.backoff_max_s:g} s",
        f"before an actor is started again, {policy.intensity} times within {policy.period_s:g} s at most",
    )
    for name in config.routed:
        table = config.exchanges.get(name)
        if table is None:
            place = f"no table [exchanges.{name}] yet: it needs credentials"
        elif table.base_url is not None:
            place = f"at {table.base_url}"
        else:
            place = "on the exchange's test network" if table.sandbox else "on the exchange itself, with real money"
        if (switch := dead_man.in_words(config, name)) is not None:
            yield switch
        role = "primary" if name == config.router.primary_exchange else "failover"
        own = f"; {limits[name]}" if name in limits else ""
        yield (
            f"{role} {name}: {place}",
            f"at most {config.router.max_in_flight} orders at the same time and {config.router.max_unresolved}"
            f" unresolved, {config.router.max_unresolved_total} with those of the others{own}",
        )
