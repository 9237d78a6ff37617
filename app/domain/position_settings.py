"""What is configured about positions: what becomes of them when trading moves, and what is told of them."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from messages.positions import PositionPolicy


@frozen(kw_only=True)
class PositionSettings:
    """As [positions] of the configuration has it.

    Attributes:
        slice_notional: The most of a position that is moved at a time, in quote coin.
        max_slippage: How far from the market a slice may be executed, as a fraction.
        max_cost: What moving a position may cost in all, as a fraction of its worth.
        leverage: Set where a position is opened; None for that of the position.
        correct_differences: What others did to the router's own position is undone, once it is adopted and told.
        alarm_liquidation: Distance from its liquidation at which a position is told, as a fraction of the mark price.
    """

    policy: PositionPolicy = PositionPolicy.TRACK
    slice_notional: Decimal = Decimal(1000)
    slice_pause_s: float = 0.5
    max_slippage: Decimal = Decimal("0.002")
    max_cost: Decimal = Decimal("0.005")
    leverage: Decimal | None = None
    correct_differences: bool = False
    alarm_liquidation: Decimal = Decimal("0.1")
