"""The accounts of a configuration, held against a second daemon on the same host. See `app.process.account_lock`."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from app.config.checks import LOOPBACK
from app.config.errors import ConfigError
from app.config.shape import Config
from app.process.account_lock import AccountLock, fingerprint


class AccountLocks:
    """The hold on every account that trading can move to, from before the first fork to the end of the last process.

    For the launcher. It reads each API key, which is no secret by itself, makes a fingerprint of it and keeps neither;
    the secrets that sign are not touched.
    """

    def __init__(self, config: Config) -> None:
        """Takes all of them, or none.

        Raises:
            app.process.account_lock.AccountInUse: Another daemon has one of them.
            app.process.account_lock.AccountLockError: This system gives no such hold.
            ConfigError: An API key is missing or cannot be read.
        """
        self._held: dict[str, AccountLock] = {}
        self._named: frozenset[str] = frozenset()
        self.take(config)

    def take(self, config: Config) -> None:
        """Takes what another configuration names and is not held yet: all of it, or none. Nothing is let go.

        Raises:
            AccountInUse, AccountLockError, ConfigError: As above; what was held stays so.
        """
        names = {account_fingerprint(config, name): name for name in config.routed}
        with ExitStack() as taken:
            new = {
                print_: taken.enter_context(AccountLock(name, print_, config.router.state_dir))
                for print_, name in names.items()
                if print_ not in self._held
            }
            taken.pop_all()
        self._held |= new
        self._named = frozenset(names)

    def keep_named(self) -> None:
        """Lets go of what the configuration that was last taken does not name: its last processes are gone."""
        for print_ in self._held.keys() - self._named:
            self._held.pop(print_).release()

    def release(self) -> None:
        """Lets go, in this process; safe to call again."""
        while self._held:
            self._held.popitem()[1].release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def account_fingerprint(config: Config, name: str) -> str:
    """The fingerprint of the account on the exchange of that name.

    An address on this machine is a simulator's, and the same key on two of those is two accounts; any other address,
    be it a proxy or the exchange's own written out, leads to the one real exchange.

    Raises:
        ConfigError: There is no API key, or it cannot be read.
    """
    exchange = config.exchanges.get(name)
    if exchange is None or exchange.api_key is None:
        raise ConfigError(
            f"{config.where}: {name} has no api_key: set exchanges.{name}.api_key, api_key_env or api_key_file"
        )
    url = urlsplit(exchange.base_url or "")
    return fingerprint(name, exchange.api_key.read(), place=url.netloc if url.hostname in LOOPBACK else "")
