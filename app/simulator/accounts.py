"""API keys: whose they are, what they may do, and where from. Pure."""

from collections.abc import Iterable
from enum import StrEnum

from attrs import field, frozen

from app.simulator.calls import READS, Call, Trouble
from app.simulator.engine import MAIN

MAX_KEYS = 1_000


class Permission(StrEnum):
    """What a key may do. Withdrawing is simulated nowhere, and so allowed nowhere."""

    READ = "read"
    TRADE = "trade"


EVERYTHING = frozenset(Permission)
_READING = READS | {Call.MARKETS, Call.TIME, Call.STATUS, Call.OTHER}


@frozen(kw_only=True)
class Key:
    """An API key. `ips`: addresses it may come from; empty: from everywhere. `revoked`: it is known no more."""

    api_key: str
    secret: str = field(repr=False)
    password: str = field(default="", repr=False)
    account: str = MAIN
    permissions: frozenset[Permission] = EVERYTHING
    ips: frozenset[str] = frozenset()
    revoked: bool = False

    def trouble(self, call: Call, method: str, ip: str) -> Trouble | None:
        """Why the gateway turns a signed request away, or None.

        A request of an account setting that only looks (GET) needs no permission to trade.
        """
        if self.revoked:
            return Trouble.AUTH
        if self.ips and ip not in self.ips:
            return Trouble.IP_NOT_ALLOWED
        reads = call in _READING or (method == "GET" and call in (Call.ACCOUNT, Call.LEVERAGE, Call.DEAD_MAN))
        if (Permission.READ if reads else Permission.TRADE) not in self.permissions:
            return Trouble.NO_PERMISSION
        return None


def permissions(names: Iterable[str]) -> frozenset[Permission]:
    """Permissions by name. Raises ValueError that lists them."""
    try:
        return frozenset(Permission(name) for name in names)
    except ValueError as error:
        raise ValueError(f"{error}; there are {', '.join(Permission)}.") from error
