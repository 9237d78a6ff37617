"""When trading goes back to the primary by itself, where that is configured.

It went elsewhere because the primary failed, and an exchange that failed an hour ago often fails again: so the primary
has to be well, a candidate and ready for the whole hold-down, and each failback that was followed by leaving it again
within a hold-down doubles the next one. Where a person moved trading, it stays where he put it.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.saga_effects import MANUAL, FailoverSettings
from messages.failover import Switch, SwitchResult

MOST_DOUBLINGS = 6
"""Of the hold-down: 64 times, five hours by default, after which a person should look."""


def by_person(switch: Switch) -> bool:
    """Whether somebody asked for it."""
    return switch.asked or switch.reason == MANUAL


def flaps(past: Sequence[Switch], settings: FailoverSettings) -> int:
    """How often in a row, up to now, trading left the primary within a hold-down after it had gone back by itself."""
    count = 0
    back_s: float | None = None
    for switch in past:
        if switch.result is not SwitchResult.COMPLETED:
            continue
        if switch.to_exchange == settings.primary:
            back_s = None if by_person(switch) else switch.at_s + switch.duration_s
        elif switch.from_exchange == settings.primary and not by_person(switch):
            soon = back_s is not None and switch.at_s < back_s + settings.hold_down_s
            count = count + 1 if soon else 0
            back_s = None
    return count


def hold_down_s(past: Sequence[Switch], settings: FailoverSettings) -> float | None:
    """For how long the primary is to be well before trading goes back by itself; None where it does not.

    Args:
        past: The newest switches, oldest first.
    """
    if not settings.failback_auto:
        return None
    moved = [switch for switch in past if switch.result is SwitchResult.COMPLETED]
    if moved and by_person(moved[-1]):
        return None
    return settings.hold_down_s * 2.0 ** min(flaps(past, settings), MOST_DOUBLINGS)
