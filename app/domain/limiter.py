"""A rate limiter with priorities over several budgets, as a pure machine.

ccxt's own is one queue: a cancel behind 40 orders waits two seconds. Here what protects goes before what trades:
cancels first, then probes, then look-ups, then placements, then reads; first come first served within one. Each errand
takes from one budget or several (`app.domain.rates`), and of each a reserve is never given to placements and reads, so
that what protects does not wait behind them.

Who waits for one budget holds up nobody who needs another: later ones pass. But what those who wait will take of any
budget is kept for them, so nobody who comes later, and ranks no higher, delays them. So the moment an errand will be
granted is known when it is asked for, and what cannot be granted before its deadline is turned away at once. When an
exchange says "wait", nothing is granted until then, of all budgets or of one. The queue is bounded.

Where nothing waits, to ask costs a comparison per budget. Behind others it costs planning them anew, once after each
change: a few microseconds for each that waits.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from enum import IntEnum
from math import inf
from typing import Generic, TypeVar

from attrs import define, field, frozen
from attrs.setters import NO_OP

from app.domain.kept_limits import KeptLimits, MeterName, Unusable, Values
from app.domain.meters import Meter, Plan, meter_of
from app.domain.rates import LONGEST_BAN_S, SPREAD_S, Budget, Cost, RateLimit, Rates, Usage, rates_of
from messages.market import Symbol

T = TypeVar("T")

MAX_PURSES = 1024
"""Kinds of errands by what they cost, and of which symbol; beyond it those that are idle are forgotten."""


class Priority(IntEnum):
    """Which goes first; the smaller number."""

    CANCEL = 0
    PROBE = 1
    LOOK_UP = 2
    PLACE = 3
    READ = 4


Needs = tuple[tuple[Meter, float], ...]


@define(eq=False)
class _Purse:
    """Errands that cost the same: of each meter so many units."""

    units: Needs
    waiting: int = field(init=False, default=0)
    _needs: tuple[Needs, Needs] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.recount()

    def recount(self) -> None:
        """What there can be of a budget may have changed."""
        frank, sparing = (
            tuple((meter, meter.needed(amount, sparing=sparing)) for meter, amount in self.units)
            for sparing in (False, True)
        )
        self._needs = frank, sparing

    def needs(self, priority: Priority) -> Needs:
        """What must be free of each meter for it to go."""
        return self._needs[priority >= Priority.PLACE]


@frozen
class _Entry(Generic[T]):
    item: T
    purse: _Purse
    deadline_s: float


@define(on_setattr=NO_OP)  # else every assignment would look for the converter of `limit`
class Limiter(Generic[T]):
    """Grants in order of priority; first come first served within one."""

    limit: Rates = field(converter=rates_of)
    max_queued: int = 1024
    _budgets: dict[str, Budget] = field(init=False)
    _by_symbol: bool = field(init=False)
    _meters: dict[tuple[str, Symbol | None], Meter] = field(init=False, factory=dict)
    _purses: dict[tuple[Cost, Symbol | None], _Purse] = field(init=False, factory=dict)
    _closed_until_s: float = field(init=False, default=0.0)
    _queues: dict[Priority, deque[_Entry[T]]] = field(init=False)
    _queued: int = field(init=False, default=0)
    _due_s: float = field(init=False, default=inf)
    _planned: tuple[Priority, dict[Meter, Plan]] | None = field(init=False, default=None)
    """The plan for all who wait, down to a priority, while nothing has changed."""
    _changed: set[Meter] = field(init=False, factory=set)
    _kept: dict[MeterName, Values] = field(init=False, factory=dict)
    _restored_s: float = field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self._by_symbol = any(budget.per_symbol for budget in self.limit.budgets)
        self._budgets = {budget.name: budget for budget in self.limit.budgets}
        self._queues = {priority: deque() for priority in Priority}

    def queued(self) -> int:
        """How many wait."""
        return self._queued

    # ---- in ----------------------------------------------------------------------------------------------------------

    def ask(
        self,
        item: T,
        priority: Priority,
        deadline_s: float,
        now_s: float,
        cost: Cost | None = None,
        symbol: Symbol | None = None,
    ) -> bool:
        """Queues an item. Returns False, and keeps nothing, when it would not be granted before its deadline.

        Args:
            cost: What it takes; None for what any call takes.
            symbol: For budgets that are counted for each symbol.
        """
        if self._queued >= self.max_queued or now_s >= deadline_s:
            return False
        purse = self._purse(self.limit.otherwise if cost is None else cost, symbol, now_s)
        at_s = self._expected_s(purse, priority, deadline_s, now_s)
        if at_s >= deadline_s:
            return False
        self._queues[priority].append(_Entry(item, purse, deadline_s))
        purse.waiting += 1
        self._queued += 1
        self._due_s = min(self._due_s, at_s, deadline_s)
        return True

    def _expected_s(self, purse: _Purse, priority: Priority, deadline_s: float, now_s: float) -> float:
        """When it would be granted. Where that is before its deadline, it is in the plan from now on."""
        at_s = max(now_s, self._closed_until_s)
        needs = purse.needs(priority)
        if not self._queued or not any(self._queues[level] for level in Priority if level <= priority):
            for meter, needed in needs:
                if meter.free(now_s) < needed:
                    at_s = max(at_s, meter.when(needed, now_s))
            self._planned = None
            return at_s
        plans = self._plans(priority, now_s)
        at_s, own = self._planned_for(plans, purse, needs, now_s)
        if at_s < deadline_s:
            for (meter, units), own_s in zip(purse.units, own, strict=True):
                plans[meter].take(units, own_s, at_s)
        return at_s

    def _plans(self, priority: Priority, now_s: float) -> dict[Meter, Plan]:
        """Everybody who waits and goes before a newcomer of this priority, planned."""
        if self._planned is not None and self._planned[0] == priority:
            return self._planned[1]
        plans: dict[Meter, Plan] = {}
        for level, queue in self._queues.items():
            if level > priority:
                break
            for entry in queue:
                purse = entry.purse
                at_s, own = self._planned_for(plans, purse, purse.needs(level), now_s)
                for (meter, units), own_s in zip(purse.units, own, strict=True):
                    plans[meter].take(units, own_s, at_s)
        self._planned = priority, plans
        return plans

    def _planned_for(
        self, plans: dict[Meter, Plan], purse: _Purse, needs: Needs, now_s: float
    ) -> tuple[float, list[float]]:
        own: list[float] = []
        for meter, needed in needs:
            plan = plans.get(meter)
            if plan is None:
                plan = plans[meter] = meter.plan(now_s)
            own.append(plan.when(needed, now_s))
        return max([now_s, self._closed_until_s, *own]), own

    def _purse(self, cost: Cost, symbol: Symbol | None, now_s: float) -> _Purse:
        key = cost, symbol if self._by_symbol else None
        purse = self._purses.get(key)
        if purse is None:
            if len(self._purses) >= MAX_PURSES:
                self._forget_idle(now_s)
            units = tuple((self._meter(name, symbol), amount) for name, amount in cost if amount > 0)
            purse = self._purses[key] = _Purse(units)
        return purse

    def _meter(self, name: str, symbol: Symbol | None) -> Meter:
        budget = self._budgets[name]
        key = name, symbol if budget.per_symbol else None
        meter = self._meters.get(key)
        if meter is None:
            meter = self._meters[key] = meter_of(budget)
            name_of_it = name, str(key[1] or "")
            if name_of_it in self._kept:
                self._restore(meter, self._kept.pop(name_of_it))
            meter.name = name_of_it
        return meter

    def _forget_idle(self, now_s: float) -> None:
        self._purses = {key: purse for key, purse in self._purses.items() if purse.waiting}
        used = {meter for purse in self._purses.values() for meter, _ in purse.units}
        idle = [key for key, meter in self._meters.items() if meter not in used and meter.idle(now_s)]
        for key in idle:
            del self._meters[key]

    # ---- out ---------------------------------------------------------------------------------------------------------

    def granted(self, now_s: float) -> tuple[list[T], list[T]]:
        """What may go now, and what waited past its deadline and is turned away."""
        go: list[T] = []
        late: list[T] = []
        if now_s < self._due_s:
            return go, late
        due_s = inf
        closed = now_s < self._closed_until_s
        kept: dict[Meter, float] = {}
        stopped: set[_Purse] = set()  # of those before, none of the same kind could go: the next one cannot either
        for priority, queue in self._queues.items():
            for _ in range(len(queue)):
                entry = queue.popleft()
                purse = entry.purse
                if entry.deadline_s <= now_s:
                    late.append(entry.item)
                elif not closed and purse not in stopped and self._takes(purse, priority, kept, now_s):
                    go.append(entry.item)
                else:
                    if not closed and purse not in stopped:
                        stopped.add(purse)
                        due_s = min(due_s, self._next_s(purse, priority, kept, now_s))
                    for meter, units in purse.units:
                        kept[meter] = kept.get(meter, 0.0) + units
                    due_s = min(due_s, entry.deadline_s)
                    queue.append(entry)
                    continue
                purse.waiting -= 1
                self._queued -= 1
        if go or late:
            self._planned = None
        self._due_s = min(due_s, self._closed_until_s) if closed and self._queued else due_s
        return go, late

    @staticmethod
    def _takes(purse: _Purse, priority: Priority, kept: dict[Meter, float], now_s: float) -> bool:
        for meter, needed in purse.needs(priority):
            if meter.free(now_s) - kept.get(meter, 0.0) < needed:
                return False
        for meter, units in purse.units:
            meter.take(units, now_s)
        return True

    @staticmethod
    def _next_s(purse: _Purse, priority: Priority, kept: dict[Meter, float], now_s: float) -> float:
        """When it could go if nobody who waits did before: infinity where it has to wait for them."""
        at_s = now_s
        for meter, needed in purse.needs(priority):
            at_s = max(at_s, meter.when(needed + kept.get(meter, 0.0), now_s))
        return at_s

    def next_s(self, now_s: float) -> float | None:
        """When something may be granted, or is to be turned away, next; None when nothing waits."""
        return self._due_s if self._queued else None

    # ---- what the exchange says --------------------------------------------------------------------------------------

    def close_until(self, at_s: float) -> None:
        """The exchange asked for silence until then."""
        if at_s <= self._closed_until_s:
            return
        self._closed_until_s = at_s
        self._planned = None
        if self._queued:
            self._due_s = min(at_s, *(entry.deadline_s for queue in self._queues.values() for entry in queue))

    def close_budgets(self, cost: Cost, symbol: Symbol | None, at_s: float, now_s: float) -> None:
        """The exchange gives nothing until then of the budgets a cost takes from."""
        for meter, _ in self._purse(cost, symbol, now_s).units:
            meter.closed_until_s = max(meter.closed_until_s, at_s)
            self._changed.add(meter)
        self._planned = None

    def observe(self, usage: Usage, now_s: float) -> None:
        """The exchange told what it has counted: there may be less than we thought, never more."""
        if usage.budget not in self._budgets:
            return
        meter = self._meter(usage.budget, usage.symbol)
        before = meter.most
        if meter.observe(usage.used, usage.most, usage.reset_s, now_s):
            self._planned = None
            self._changed.add(meter)
            if meter.most != before:
                for purse in self._purses.values():
                    purse.recount()

    # ---- what became of a grant --------------------------------------------------------------------------------------

    def sent(self, cost: Cost, symbol: Symbol | None, now_s: float) -> None:
        """A call that took so much just now is on its way, or held back for a while: until `answered` or `unsent`."""
        for meter, units in self._purse(cost, symbol, now_s).units:
            meter.sent(units, now_s)
            self._changed.add(meter)

    def answered(self, cost: Cost, symbol: Symbol | None, sent_s: float, now_s: float) -> float:
        """It came back: what it took was counted by the exchange some time since it was sent, or never will be.

        Returns as of when it counts here.
        """
        at_s = now_s if now_s - sent_s > SPREAD_S else sent_s
        self._landed(cost, symbol, sent_s, at_s, now_s)
        return at_s

    def unsent(self, cost: Cost, symbol: Symbol | None, held_s: float, now_s: float) -> None:
        """What was held back since then is not any more: it counts as taken just now."""
        self._landed(cost, symbol, held_s, now_s, now_s)

    def _landed(self, cost: Cost, symbol: Symbol | None, sent_s: float, at_s: float, now_s: float) -> None:
        for meter, units in self._purse(cost, symbol, now_s).units:
            meter.landed(units, sent_s, at_s, now_s)
        if at_s > sent_s:
            self._planned = None

    def give_back(self, cost: Cost, symbol: Symbol | None, taken_s: float, now_s: float) -> None:
        """Of what was granted at a time, so much was not needed."""
        for meter, units in self._purse(cost, symbol, now_s).units:
            meter.give_back(units, taken_s, now_s)
        self._planned = None
        self._due_s = min(self._due_s, now_s)

    def used(self, now_s: float) -> float:
        """The share that is used of the budget that is fullest, or 1 where the exchange asked for silence."""
        if now_s < self._closed_until_s:
            return 1.0
        shares = (1.0 - meter.free(now_s) / meter.most for meter in self._meters.values())
        return min(1.0, max(shares, default=0.0))

    # ---- kept --------------------------------------------------------------------------------------------------------

    def restore(self, kept: KeptLimits, now_s: float) -> None:
        """Goes on, while new, from what an earlier life has left; each meter when it is first needed."""
        self._kept, self._restored_s = dict(kept.meters), now_s
        self.close_until(min(kept.closed_until_s, now_s + LONGEST_BAN_S))

    def _restore(self, meter: Meter, values: Values) -> None:
        with suppress(Unusable):  # of nobody: it counts for nothing
            meter.restore(values, self._restored_s)

    @property
    def closed_until_s(self) -> float:
        """Until when the exchange asked for silence."""
        return self._closed_until_s

    def changed(self) -> dict[MeterName, Values]:
        """What is to be kept of it now, since the last time."""
        if not self._changed:
            return {}
        changed = {meter.name: meter.kept() for meter in self._changed}
        self._changed.clear()
        return changed


__all__ = ["Limiter", "Priority", "RateLimit"]
