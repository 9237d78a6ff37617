"""What a router is constructed with: a passed argument wins over the configuration file, the file over the default."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from app.config import Config, ConfigError, find_config, from_mapping, load
from app.config.files import parse_toml, read_bounded
from app.core.errors import InvalidRequest
from app.domain.names import UnknownExchange
from app.exchanges.known import known_name

PLACES = {
    "primary_exchange": ("router", "primary_exchange"),
    "failover_exchanges": ("router", "failover_exchanges"),
    "health_check_interval": ("health", "health_check_interval"),
    "max_retry_attempts": ("health", "max_retry_attempts"),
    "retry_delay": ("health", "retry_delay"),
    "auto_failover": ("router", "auto_failover"),
    "market_type": ("router", "market_type"),
    "state_dir": ("router", "state_dir"),
}
"""Where each argument stands in a configuration."""


@frozen(kw_only=True)
class Settings:
    """A configuration, and what of it was asked for in Python.

    Attributes:
        tables: As a TOML file would give them, secrets included: never logged, never shown.
        given: The arguments passed, by name.
        spelling: The caller's spelling of exchanges, by the router's own name.
    """

    config: Config
    tables: Mapping[str, Any]
    given: Mapping[str, Any]
    spelling: Mapping[str, str]

    def __repr__(self) -> str:
        """Without the tables."""
        return f"Settings(given={dict(self.given)!r})"

    def spell(self, name: str) -> str:
        """The caller's spelling of an exchange."""
        return self.spelling.get(name, name)


def settings(
    config: str | Path | Mapping[str, Any] | None, exchanges: Mapping[str, Mapping[str, Any]] | None, **passed: Any
) -> Settings:
    """Puts together file and arguments.

    Args:
        config: A file, or its tables; None for the file that `app.config.find_config` finds, if any.
        exchanges: Tables `[exchanges.NAME]`, each over the file's of that name.
        passed: Arguments by name; None for what was not passed.

    Raises:
        InvalidRequest: Something cannot be; one sentence.
    """
    given = {name: value for name, value in passed.items() if value is not None}
    tables, where = _base(config)
    for section in tables:
        if not isinstance(tables[section], Mapping):
            # Not quoted: a secret may have slipped in here.
            kind = type(tables[section]).__name__
            raise InvalidRequest(f"{where}: {section} is of type {kind}, and must be a table.")
    for name, value in given.items():
        section, key = PLACES[name]
        tables.setdefault(section, {})[key] = _plain(value)
    if exchanges is not None and not isinstance(exchanges, Mapping):
        raise InvalidRequest("exchanges must be a mapping from an exchange's name to its settings.")
    for name, table in (exchanges or {}).items():
        tables["exchanges"] = _merged(tables.get("exchanges", {}), name, table)
    interval = given.get("health_check_interval")
    health = tables.get("health", {})
    if interval is not None and "probe_timeout_s" in health and _less(interval, health["probe_timeout_s"]):
        health["probe_timeout_s"] = interval  # the file's was meant for the file's interval
    try:
        read = from_mapping(tables, where)
    except ConfigError as error:
        raise InvalidRequest(str(error)) from None
    routed = [tables.get("router", {}).get("primary_exchange") or "bybit_v5"]
    routed += tables.get("router", {}).get("failover_exchanges") or []
    return Settings(config=read, tables=tables, given=given, spelling={known_name(name): name for name in routed})


def _base(config: str | Path | Mapping[str, Any] | None) -> tuple[dict[str, Any], str]:
    if isinstance(config, Mapping):
        return copy.deepcopy(dict(config)), "the configuration given"
    if config is not None and not isinstance(config, str | Path):
        raise InvalidRequest(f"config is {config!r}, and must be the path of a file, or its tables.")
    path = find_config(str(config) if config is not None else None)
    if path is None:
        return {}, "the arguments"
    try:
        load(path)  # for its sentence about a file that is wrong by itself
        return parse_toml(read_bounded(str(path)), str(path)), str(path)
    except ConfigError as error:
        raise InvalidRequest(str(error)) from None
    except OSError as error:
        raise InvalidRequest(f"the configuration {path} cannot be read: {error.strerror}.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return value


def _less(left: object, right: object) -> bool:
    return isinstance(left, int | float) and isinstance(right, int | float) and left < right


def _merged(tables: Mapping[str, Any], name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise InvalidRequest(f"exchanges[{name!r}] must be a mapping from settings to values.")
    out = dict(tables)
    try:
        own = known_name(name)
        known = next((other for other in out if known_name(other) == own), name)
    except UnknownExchange as error:
        raise InvalidRequest(str(error)) from None
    out[known] = {**out.get(known, {}), **dict(table)}
    return out
