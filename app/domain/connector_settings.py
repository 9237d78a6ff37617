"""The limits of a connector: how long it waits, and how much it takes on."""

from __future__ import annotations

from decimal import Decimal

from attrs import field, frozen

from app.domain.dead_man import DeadManSettings
from app.domain.pretrade import PretradeLimits


@frozen(kw_only=True)
class ConnectorSettings:
    """Limits of one connector.

    Attributes:
        request_timeout_s: How long one call to the exchange may take.
        max_in_flight: Placements waiting or in flight; beyond it new ones are turned away.
        max_unresolved: Legs of this exchange whose outcome nobody knows; beyond it placing stops.
        max_unresolved_total: The same over all exchanges; None for no limit.
        unknown_max_notional: What legs that are set aside may be worth together, in quote coin
            (`app.domain.elsewhere`); None where an order of which nobody knows is held.
        poll_s: Between polls of open orders while any rests.
        max_carry_age_s: An order that trading left behind longer ago is parked instead of being placed elsewhere.
        limits: What an order is held against before it is committed.
        reduce_across: A reduce-only order may reduce what stands on another exchange (`app.domain.reduce_across`).
        dead_man: The exchange's dead-man switch; None where it is off.
    """

    request_timeout_s: float = 10.0
    max_in_flight: int = 256
    max_unresolved: int = 64
    max_unresolved_total: int | None = None
    unknown_max_notional: Decimal | None = None
    poll_s: float = 2.0
    max_carry_age_s: float = 3600.0
    limits: PretradeLimits = field(factory=PretradeLimits)
    reduce_across: bool = False
    dead_man: DeadManSettings | None = None
