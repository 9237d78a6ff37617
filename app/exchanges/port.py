"""The port: all that the rest of the router knows of an exchange.

One adapter implements it over `ccxt.async_support`; the deterministic harness implements it over simulated exchanges;
the same conformance suite runs against both. Nothing raises for what an exchange does, see `app.domain.calls`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from app.domain.calls import Call, Proof, Result
from app.domain.kept_limits import KeepsLimits
from app.domain.rates import Rates, Usage
from messages.market import Lots, Symbol
from messages.orders import OrderSpec


class ExchangePort(Protocol):
    """One account on one exchange."""

    @property
    def exchange(self) -> str:
        """The router's name of the exchange, e.g. ``"bybit"``."""
        ...

    @property
    def proof(self) -> Proof:
        """What proves absence here."""
        ...

    @property
    def rates(self) -> Rates:
        """What the exchange lets one account ask, and what each call takes of that."""
        ...

    @property
    def limits(self) -> KeepsLimits | None:
        """Where what is used of them is kept for the next life; None for nowhere."""
        ...

    def usage(self) -> Collection[Usage]:
        """What answers have told of the exchange's limits since this was last asked, the newest of each."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the markets are loaded, so that `check` and calls can work."""
        ...

    def live_in(self, symbols: Collection[Symbol]) -> None:
        """Told once, before `open`: orders of ours live in no other markets than these.

        A market whose contract size changed is kept as it was, and not traded on, while orders may live there.
        """
        ...

    async def open(self, deadline_s: float) -> str:
        """Loads the markets. Returns an empty string, or one sentence saying why it could not; may be called again."""
        ...

    async def close(self) -> None:
        """Closes every connection."""
        ...

    def check(self, spec: OrderSpec) -> str:
        """Whether the exchange's own rules admit the order: symbol, step, tick, minimum, what it can attach.

        Returns an empty string, or one sentence saying what is wrong and the nearest valid value. Pure over the markets
        loaded; call it only when `ready`. Thread-safe.
        """
        ...

    def attaches(self, spec: OrderSpec) -> bool:
        """Whether the exchange takes the order's take profit and stop loss along; else they are orders of their own."""
        ...

    def tradable(self, symbol: str) -> str:
        """Whether a unified symbol can be traded here: an empty string, or one sentence saying why not."""
        ...

    def lots(self, symbol: Symbol) -> Lots | None:
        """Which orders a market takes; None where the symbol cannot be traded here, as `tradable` says."""
        ...

    async def perform(self, call: Call) -> Result:
        """Carries out one call, within its deadline."""
        ...
