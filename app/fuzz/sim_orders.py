"""What a simulated exchange is like, and an order on it: the truth, as its engine keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

from attrs import define, field, frozen

from app.domain import calls as c
from app.domain.kept_limits import KeptLimits, MeterName, Values
from app.domain.limiter import RateLimit
from messages.market import Symbol
from messages.orders import LegState, OrderSpec, Side


class Memory:
    """What a connector has used of the exchange's limits: it outlives it, as the file does."""

    def __init__(self) -> None:
        self._kept = KeptLimits()

    def take_over(self) -> KeptLimits:
        """As it was left."""
        return self._kept

    def keep(self, meters: Mapping[MeterName, Values], closed_until_s: float, banned_until_s: float) -> None:
        """See `KeepsLimits`."""
        self._kept = KeptLimits(
            meters={**self._kept.meters, **meters}, closed_until_s=closed_until_s, banned_until_s=banned_until_s
        )

    def close(self) -> None:
        """It stays."""


LIVE = (LegState.OPEN, LegState.PARTIALLY_FILLED)
MARKET = Decimal(25_000)
"""Every market's price, always."""


class Duplicates(StrEnum):
    """Which orders a client order id must differ from."""

    ALL_ORDERS = "all orders"
    OPEN_ONLY = "open orders only"


@frozen(kw_only=True)
class Traits:
    """The character of one exchange.

    Attributes:
        clock_s: The exchange's clock minus ours, within `proof.clock_error_s`.
        acknowledges: A placement is answered when it is accepted for processing, before the engine has it, and the
            answer does not say what filled.
        final_cancels: A cancel is answered when it is done, with the final state; else it is acknowledged before.
    """

    name: str
    proof: c.Proof
    rate_limit: RateLimit
    duplicates: Duplicates
    clock_s: float
    acknowledges: bool
    final_cancels: bool


@frozen(kw_only=True)
class SimTrade:
    """One execution.

    Attributes:
        listed_s: From when on it is listed: later than the order shows it, now and then.
    """

    trade_id: str
    at_s: float
    listed_s: float
    quantity: Decimal
    price: Decimal


@define(kw_only=True)
class SimOrder:
    """One order on the exchange.

    Attributes:
        serial: Which order of which strategy it is a leg of; below zero for one of the router's own.
        accepted_s: When the engine took it.
        ended_s: When it could no longer fill; None while it can.
        switched: The exchange's dead-man switch cancelled it.
        fired: An exit that it took along has closed what it opened.
        history: (when, state, filled), oldest first.
        trades: What filled, the oldest first.
    """

    exchange: str
    serial: int
    wire_id: str
    exchange_order_id: str
    symbol: Symbol
    side: Side
    quantity: Decimal
    accepted_s: float
    expiry_s: float
    spec: OrderSpec
    ended_s: float | None = None
    fired: bool = False
    switched: bool = False
    history: list[tuple[float, LegState, Decimal]] = field(factory=list)
    trades: list[SimTrade] = field(factory=list)

    @property
    def state(self) -> LegState:
        """Now."""
        return self.history[-1][1]

    @property
    def filled(self) -> Decimal:
        """Now."""
        return self.history[-1][2]

    def filled_by(self, at_s: float) -> Decimal:
        """Filled up to a time."""
        for when_s, _, filled in reversed(self.history):
            if when_s <= at_s:
                return filled
        return Decimal(0)

    def live_at(self, at_s: float) -> bool:
        """Whether it could still fill at a time."""
        return self.accepted_s <= at_s and (self.ended_s is None or at_s < self.ended_s)

    @property
    def reduce_only(self) -> bool:
        """Whether it was sent to reduce a position only."""
        return self.spec.reduce_only

    def signed(self, quantity: Decimal) -> Decimal:
        """A quantity of it as it changes the position."""
        return quantity if self.side is Side.BUY else -quantity

    @property
    def executed(self) -> bool:
        """The engine took it; an order it refused executed nothing."""
        return self.state is not LegState.REFUSED

    def change(self, at_s: float, state: LegState, filled: Decimal) -> None:
        """The engine did something."""
        self.history.append((at_s, state, filled))
        if state not in LIVE:
            self.ended_s = at_s
