"""What a power cut excuses, where nobody promised that acknowledged orders survive one: that, and nothing more.

What the journal promises of a cut is held by `app.fuzz.machine`, in both modes. With `power_safe` nothing at all is
excused: every rule holds as it does for processes that die. Without it a cut takes the newest commits, back to the last
sync. What that may lead to is listed here, each rule with its reason; a rule that is not listed is never excused:

    KNEW_MORE    of orders of which the journal knew more before the cut than after it
    FORGOTTEN    of orders of which it has forgotten a leg that was sent: nobody follows it, and asked again for the
                 order the router sends it again, under the same id
    TWICE        the same, and only if the exchange could not refuse the duplicate: it has ended there, and ids must
                 differ from those of open orders only; or what was sent again went to another exchange
    NUMBERED     of strategies that had been told more than the journal has
    ADOPTED      of exchanges on which something of a leg filled that was forgotten

All other orders, and everything that is asked for the first time after the cut, are judged as ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from types import MappingProxyType

from app.fuzz.checker_book import RULE as ADOPTED
from app.fuzz.checker_book import adopted_on
from app.fuzz.checker_news import Violation
from app.fuzz.sim_orders import Duplicates, SimOrder
from app.fuzz.world import World

TOLD = "what was told of it before the cut is not known any more, until it is learnt again"
KNEW_MORE: Mapping[str, str] = MappingProxyType(
    {
        "model: place": TOLD,
        "model: other": TOLD,
        "model: cancel": TOLD,
        "model: amend": TOLD,
        "model: get": TOLD,
        "model: news": TOLD,
        "trade told twice": "it is learnt again, and told under a number of its own",
        "news of fills differ": "the same of what filled",
    }
)
NOBODYS = "nobody follows the leg, or the next one under its id is all that is known"
FORGOTTEN: Mapping[str, str] = MappingProxyType(
    {
        "I1 another id after absence": "ids are given again from the forgotten leg on",
        "I2 guessed": "it was never sent, as far as the journal goes",
        "I2 order forgotten": "the same",
        "I2 not resolved": NOBODYS,
        "I2 fills differ": NOBODYS,
        "I2 states differ": NOBODYS,
        "fills differ": NOBODYS,
        "trade not told": NOBODYS,
        "model: sent": "of two bodies under one id the other one came first this time; or the cancel is forgotten",
    }
)
TWICE: Mapping[str, str] = MappingProxyType(
    {
        "I1 filled more than asked": "sent again, it executes again",
        "I1 two live legs": "the forgotten leg lives elsewhere",
        "I4 more open than was asked": "sent again, it is open again",
    }
)
NUMBERED: Mapping[str, str] = MappingProxyType(
    {
        "news not told": "more was heard than the journal has",
        "news out of order": "numbers are given again",
        "news changed": "the same",
    }
)


def but_for_losses(world: World, violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """The violations that no power cut excuses."""
    losses = world.machine.losses if world.machine is not None else None
    if losses is None or not losses.orders | losses.strategies:
        return tuple(violations)
    lost = {world.record.serial_of(key) for key in losses.orders}
    forgotten = {world.record.wires.get(wire_id, 0) for _, wire_id in losses.forgotten} - {0}
    strategies = {
        serial: plan.name for plan in world.plan.strategies if plan.name in losses.strategies for serial in plan.orders
    }
    adopted = [
        adopted_on(name)
        for name, exchange in world.exchanges.items()
        if any(order.filled and (name, order.wire_id) in losses.forgotten for order in exchange.orders)
    ]

    def excused(violation: Violation) -> bool:
        rule, serial = violation.rule, violation.serial
        if rule in NUMBERED:
            named = any(violation.words.startswith(f"{name} ") for name in losses.strategies)
            return (named or serial in strategies) and not _untold(violation)
        if rule == ADOPTED:
            return any(words in violation.words for words in adopted)
        if rule in TWICE:
            return serial in forgotten and _could_not_be_refused(world, serial, losses.forgotten)
        return (rule in KNEW_MORE and serial in lost) or (rule in FORGOTTEN and serial in forgotten)

    return tuple(violation for violation in violations if not excused(violation))


def _untold(violation: Violation) -> bool:
    """Whether there are news that a strategy never heard of: a cut takes some, and adds none."""
    if violation.rule != "news not told":
        return False
    heard, given = (int(number) for number in re.findall(r"\d+", violation.words)[-2:])
    return heard < given


def _could_not_be_refused(world: World, serial: int, forgotten: set[tuple[str, str]]) -> bool:
    """Whether no leg but such as came after a forgotten one was taken, and no exchange could have told them apart."""
    taken = sorted(
        (o for exchange in world.exchanges.values() for o in exchange.orders if o.serial == serial and o.executed),
        key=lambda order: order.accepted_s,
    )

    def passes(earlier: SimOrder, later: SimOrder) -> bool:
        if (earlier.exchange, earlier.wire_id) not in forgotten or later.wire_id != earlier.wire_id:
            return False
        if later.exchange != earlier.exchange:
            return True
        open_only = world.exchanges[later.exchange].traits.duplicates is Duplicates.OPEN_ONLY
        return open_only and earlier.ended_s is not None and earlier.ended_s <= later.accepted_s

    return len(taken) > 1 and all(passes(earlier, later) for earlier, later in pairwise(taken))
