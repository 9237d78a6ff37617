"""Who has which secret: the launcher takes them in before it forks, and every actor keeps what is its own.

    launcher      `take_over` before it forks anything, and `forget` once the tree runs
    supervisor    keeps everything: it forks connectors again when they die
    connector     `keep_own`, then `read_credentials`, then `forget`
    other actors  `forget`, before anything of a user's runs there

Thespian's admin and its logger run none of our code, and hold what the launcher held. Secrets that stand in the
configuration itself were parsed with it: of those only the way back, the open descriptor, can be closed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from app.config.files import descriptor_of
from app.config.secrets import CREDENTIALS, SecretRef, SecretSource
from app.config.shape import Config
from app.domain.names import canonical_name
from app.process.secrets_env import take, taken


def take_over(config: Config) -> None:
    """Moves the secrets which a configuration names out of the environment, and keeps its descriptor from programs.

    For the launcher, before it forks and before it has threads. See `app.process.secrets_env.take`.
    """
    take(secret_variables(config))
    fd = descriptor_of(Path(config.where))
    if fd is not None:
        with contextlib.suppress(OSError):
            os.set_inheritable(fd, False)


def keep_own(config: Config, exchange: str) -> None:
    """Forgets, in this process, the variables of every other exchange. For the connector of `exchange`.

    Raises:
        UnknownExchange: There is no such exchange.
    """
    taken().keep_only(secret_variables(config, exchange))


def forget(config: Config) -> None:
    """Forgets every secret in this process, and closes the way back to those in an embedded configuration.

    Once in a process: a descriptor of that number may be another one later.
    """
    taken().drop()
    fd = descriptor_of(Path(config.where))
    if fd is not None:
        with contextlib.suppress(OSError):
            os.close(fd)


def secret_variables(config: Config, exchange: str | None = None) -> frozenset[str]:
    """Names of the environment variables that hold secrets; of one exchange, or of all, also those not routed to.

    Raises:
        UnknownExchange: There is no such exchange.
    """
    tables = config.exchanges if exchange is None else (canonical_name(exchange),)
    return frozenset(
        ref.place for name in tables for ref in _references(config, name) if ref.source is SecretSource.ENV
    )


def _references(config: Config, name: str) -> Iterator[SecretRef]:
    for key in CREDENTIALS:
        ref: SecretRef | None = getattr(config.exchanges.get(name), key, None)
        if ref is not None:
            yield ref
