"""Where secrets are, never what they are: a configuration carries references, and only a connector reads them.

So a `Config` can be logged, shown by `check-config` and handed to any process. A key stands in the file itself
(`api_key = …`), in an environment variable (`api_key_env`) or in a file of its own (`api_key_file`).

Under systemd, `LoadCredential=okx-key:/etc/…` puts a file into `$CREDENTIALS_DIRECTORY`, closed to everything else. So
a bare name, such as `api_key_file = "okx-key"`, is looked for there first, and beside the configuration second.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import frozen

from app.config.errors import ConfigError
from app.config.files import is_descriptor, parse_toml, read_bounded
from app.process.secrets_env import env_secret, has_env_secret

CREDENTIALS = ("api_key", "secret", "password")
SPELLINGS = tuple(f"{key}{suffix}" for key in CREDENTIALS for suffix in ("", "_env", "_file"))
NEEDS_PASSWORD = frozenset({"okx"})
MAX_SECRET_BYTES = 64 * 1024
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"


class SecretSource(StrEnum):
    """Where a secret stands."""

    CONFIG = "config"
    ENV = "env"
    FILE = "file"


@frozen(kw_only=True)
class SecretRef:
    """Where to read one secret.

    Attributes:
        place: Path of the configuration, name of the variable, or path of the file.
        table: The exchange's table as the configuration spells it.
        key: ``"api_key"``, ``"secret"`` or ``"password"``.
    """

    source: SecretSource
    place: str
    table: str
    key: str

    @property
    def dotted(self) -> str:
        """The setting that says where."""
        suffix = "" if self.source is SecretSource.CONFIG else f"_{self.source.value}"
        return f"exchanges.{self.table}.{self.key}{suffix}"

    def __str__(self) -> str:
        """For people: ``from the environment variable OKX_KEY``."""
        if self.source is SecretSource.ENV:
            return f"from the environment variable {self.place}"
        return f"from the file {self.place}" if self.source is SecretSource.FILE else f"in {self.place} itself"

    def problem(self) -> str:
        """Why it cannot be there, in one sentence; empty when it seems it can. Does not look at the secret itself."""
        if self.source is SecretSource.ENV and not has_env_secret(self.place):
            return f"{self.dotted} names the environment variable {self.place}, which is not set or empty"
        if self.source is SecretSource.FILE:
            try:
                found = os.stat(self.place)
                empty = found.st_size == 0 and not is_descriptor(Path(self.place))
            except OSError as error:
                return f"{self.dotted} names the file {self.place}, which cannot be read: {error.strerror}"
            if not stat.S_ISREG(found.st_mode):
                return f"{self.dotted} names the file {self.place}, which is no regular file"
            if empty:
                return f"{self.dotted} names the file {self.place}, which is empty"
            if not os.access(self.place, os.R_OK):
                return f"{self.dotted} names the file {self.place}, which cannot be read: Permission denied"
        return ""

    def read(self) -> str:
        """The secret.

        Raises:
            ConfigError: It is not there, is empty or cannot be read; the sentence names the place, never the value.
        """
        problem = self.problem()
        if problem:
            raise ConfigError(problem)
        if self.source is SecretSource.ENV:
            value = env_secret(self.place) or ""
        elif self.source is SecretSource.FILE:
            try:
                value = read_bounded(self.place, MAX_SECRET_BYTES).decode()
            except UnicodeDecodeError:
                raise ConfigError(f"{self.dotted} names the file {self.place}, which is not text in UTF-8") from None
            except OSError as error:
                raise ConfigError(
                    f"{self.dotted} names the file {self.place}, which cannot be read: {error.strerror}"
                ) from None
        else:
            value = self._read_config()
        value = value.strip()
        if not value:
            raise ConfigError(f"{self.dotted} is empty in {self.place}")
        return value

    def _read_config(self) -> str:
        try:
            content = read_bounded(self.place)
        except OSError as error:
            raise ConfigError(
                f"{self.dotted} cannot be read again from {self.place}: {error.strerror};"
                f" use {self.key}_env or {self.key}_file instead"
            ) from None
        value: Any = parse_toml(content, self.place)
        for part in ("exchanges", self.table, self.key):
            value = value.get(part) if isinstance(value, Mapping) else None
        if not isinstance(value, str):
            raise ConfigError(f"{self.dotted} is no longer in {self.place}: it was changed since it was first read")
        return value


def take_secrets(table: Mapping[str, Any], name: str, where: str, folder: Path) -> dict[str, Any]:
    """An exchange's table with references in place of secrets.

    Args:
        table: As parsed; not changed.
        name: Of the table, as spelled.
        where: Path of the configuration.
        folder: What relative paths of files start from.

    Raises:
        ConfigError: A secret is no text, is empty, or is given twice.
    """
    rest = {key: value for key, value in table.items() if key not in SPELLINGS}
    for key in CREDENTIALS:
        given = [f"{key}{suffix}" for suffix in ("", "_env", "_file") if f"{key}{suffix}" in table]
        if not given:
            continue
        dotted = f"exchanges.{name}.{given[0]}"
        if len(given) > 1:
            names = " and ".join(f"exchanges.{name}.{spelling}" for spelling in given)
            raise ConfigError(f"{where}: {names} are both set, and only one of them may be")
        value = table[given[0]]
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f"{where}: {dotted} must be a text, and not an empty one")
        if given[0] == key:
            rest[key] = SecretRef(source=SecretSource.CONFIG, place=where, table=name, key=key)
        elif given[0].endswith("_env"):
            rest[key] = SecretRef(source=SecretSource.ENV, place=value, table=name, key=key)
        else:
            path = Path(value).expanduser()
            place = str(path) if is_descriptor(path) else str(_credential(path) or folder / path)
            rest[key] = SecretRef(source=SecretSource.FILE, place=place, table=name, key=key)
    return rest


def credentials_directory() -> Path | None:
    """Where systemd put this service's credentials; None where it gave none. See systemd.exec(5), LoadCredential."""
    named = os.environ.get(CREDENTIALS_VARIABLE, "")
    return Path(named) if named.startswith("/") else None


def _credential(path: Path) -> Path | None:
    """The credential of that name, where there is one. A path with folders, or an absolute one, names none."""
    directory = credentials_directory()
    if directory is None or path.is_absolute() or len(path.parts) != 1 or path.name in ("", ".."):
        return None
    found = directory / path
    return found if found.is_file() else None
