"""What a power cut excuses, where nobody promised that acknowledged orders survive one: that, and nothing more.

What the journal promises of a cut is held by `app.fuzz.machine`, in both modes. With `power_safe` nothing at all is
excused: every rule holds as it does for processes that die. Without it a cut takes the newest commits, back to the last
sync. Then, and only of orders of which the journal knew more before the cut than after it:

    what was told of them, or is asked about them, may be otherwise; sent again under an id of which the journal has
    forgotten the leg, they may execute twice, where the exchange does not refuse the duplicate
    their legs on an exchange may be nobody's: no task follows them, and what they fill is adopted as a difference
    their strategies may hear numbers again

All other orders, and everything that is asked for the first time after the cut, are judged as ever; so are routes,
fences, expiries, rate limits, liveness, what is left over, and that no actor raises.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.fuzz.checker_book import RULE as ADOPTED
from app.fuzz.checker_news import Violation
from app.fuzz.world import World

ALWAYS = ("I3", "I5", "I6", "actors do not raise", "left over", "liveness")
"""Rules of which nothing is excused, whatever they are about, by how they begin."""

NUMBERED = ("news not told", "news out of order", "news changed")


def but_for_losses(world: World, violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """The violations that no power cut excuses."""
    losses = world.machine.losses if world.machine is not None else None
    if losses is None or not losses.orders | losses.strategies:
        return tuple(violations)
    lost = {world.record.serial_of(key) for key in losses.orders}
    strategies = {
        serial: plan.name for plan in world.plan.strategies if plan.name in losses.strategies for serial in plan.orders
    }

    def excused(violation: Violation) -> bool:
        if violation.rule.startswith(ALWAYS):
            return False
        if violation.rule.startswith(NUMBERED):
            named = any(violation.words.startswith(name) for name in losses.strategies)
            return named or violation.serial in strategies
        return violation.serial in lost or (violation.rule == ADOPTED and bool(losses.forgotten))

    return tuple(violation for violation in violations if not excused(violation))
