"""The configuration: one TOML file, checked to the last key before anything starts.

- `shape`      every section and key, its default, limits and meaning
- `bounds`     what a value must be
- `structure`  strict reading of parsed TOML into it
- `checks`     settings judged together; warnings; credentials
- `secrets`    where secrets are; never what they are
- `explain`    a configuration in words
- `files`, `errors`
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

from app.config.checks import check, read_credentials, refusals, require_credentials, warnings
from app.config.errors import ConfigError
from app.config.explain import explain
from app.config.files import is_descriptor, parse_toml, read_bounded
from app.config.secrets import SecretRef, SecretSource
from app.config.shape import Config, Exchange, Strategy
from app.config.structure import from_mapping as _structured

__all__ = [
    "CONFIG_NAME",
    "CONFIG_VARIABLE",
    "Config",
    "ConfigError",
    "Exchange",
    "SecretRef",
    "SecretSource",
    "Strategy",
    "explain",
    "find_config",
    "from_mapping",
    "load",
    "read_credentials",
    "refusals",
    "require_credentials",
    "warnings",
]

CONFIG_VARIABLE = "ORDER_ROUTER_CONFIG"
CONFIG_NAME = "order-router.toml"


def find_config(path: str | None = None) -> Path | None:
    """Which file to read: the argument, `$ORDER_ROUTER_CONFIG`, `./order-router.toml`, the user's configuration folder.

    The first two are taken at their word, whether the file is there or not, so that a wrong name is an error and not
    silently some other configuration. None where there is no file at all.
    """
    named = path or os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named).expanduser()
    for candidate in (Path(CONFIG_NAME), platformdirs.user_config_path("order-router") / CONFIG_NAME):
        if candidate.is_file():
            return candidate
    return None


def load(path: Path | str) -> Config:
    """Reads and checks a file.

    Raises:
        ConfigError: It cannot be read, is not TOML, or says something that cannot be; one sentence, no secret in it.
    """
    path = Path(path).expanduser()
    where = str(path if is_descriptor(path) else path.absolute())
    try:
        content = read_bounded(where)
    except OSError as error:
        raise ConfigError(f"the configuration {where} cannot be read: {error.strerror}") from None
    return from_mapping(parse_toml(content, where), where)


def from_mapping(data: Mapping[str, Any], where: str) -> Config:
    """Checks tables as a TOML file would give them.

    Args:
        where: What to call their origin. Secrets that stand in the tables themselves can be read later only where this
            is the path of a file with the same tables.

    Raises:
        ConfigError: They say something that cannot be.
    """
    config = _structured(data, where)
    check(config)
    return config
