"""What was taken from a budget, and when it comes back. Pure; the time is an argument.

What is on its way comes back not before it was answered, since the exchange may count it any moment until then: so it
is kept apart from what was (`Meter.sent`, `Meter.landed`).

A meter answers two questions: what is free now, and when so much will be free if nothing else is taken. A `Plan` of it
answers the second one with others ahead: each of them keeps what it will take from now on, and gives it back as if it
had been granted at the time planned for it.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from math import floor, inf, isfinite

from attrs import define, field

from app.domain.kept_limits import COUNTER, HEAD, LINGERS_S, WINDOW, MeterName, Unusable, Values
from app.domain.rates import LONGEST_BAN_S, SPREAD_S, Budget

SLOTS = 32
"""Of a window; what is taken within one slot comes back together, when the last of it may."""
MOST_MARKS = 96
"""That are kept of a window; of very short ones the oldest are kept as one, which comes back with the last of them."""
GRAIN = 1e-9
"""Less than this is a rounding error."""


@define(eq=False)
class Meter:
    """One budget, of one symbol where it is counted so. Plain values only, so that it can be kept.

    Attributes:
        most: As told by the exchange, where it told less than the table.
        closed_until_s: The exchange gives nothing until then.
        pending: Taken for calls on their way: the exchange may not have counted them yet.
        name: Under which it is kept.
    """

    budget: Budget
    name: MeterName = field(init=False, default=("", ""))
    most: float = field(init=False)
    closed_until_s: float = field(init=False, default=0.0)
    pending: float = field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self.most = self.budget.most

    def needed(self, units: float, *, sparing: bool) -> float:
        """What must be free for so many units to go; `sparing` ones leave the reserve."""
        return min(units + self.budget.reserve, self.most) if sparing else min(units, self.most)

    def idle(self, now_s: float) -> bool:
        """Whether it is as good as a new one."""
        return not self.pending and self.most == self.budget.most and self.free(now_s) >= self.most

    def free(self, now_s: float) -> float:
        """What may be taken now."""
        raise NotImplementedError

    def take(self, units: float, now_s: float) -> None:
        """Takes it."""
        raise NotImplementedError

    def give_back(self, units: float, taken_s: float, now_s: float) -> None:
        """Of what was taken at a time, so much was not needed."""
        raise NotImplementedError

    def sent(self, units: float, now_s: float) -> None:
        """What was taken just now is on its way, and comes back no earlier than it lands."""
        raise NotImplementedError

    def landed(self, units: float, sent_s: float, at_s: float, now_s: float) -> None:
        """What was on its way since `sent_s` was counted at `at_s`, or will never be."""
        raise NotImplementedError

    def when(self, needed: float, now_s: float) -> float:
        """From when on so much is free if nothing is taken; infinity for never."""
        raise NotImplementedError

    def observe(self, used: float, most: float | None, reset_s: float | None, now_s: float) -> bool:
        """The exchange tells what it has counted. What that is beyond ours was used by other programs.

        Returns whether there is less than before; there is never more.
        """
        raise NotImplementedError

    def plan(self, now_s: float) -> Plan:
        """To be planned on from now."""
        raise NotImplementedError

    def kept(self) -> Values:
        """All there is to it, for `restore`."""
        raise NotImplementedError

    def restore(self, values: Values, now_s: float) -> None:
        """Goes on, while new, from what an earlier life has kept. Never more is free than would be by then.

        Raises:
            Unusable: They are no such values; the meter is as it was, or as if more had been used.
        """
        if len(values) < HEAD or not all(map(isfinite, values)):
            raise Unusable("they are too few, or not all numbers")
        self.most = min(self.most, max(1.0, values[1]))
        self.closed_until_s = min(values[2], now_s + LONGEST_BAN_S)


class Plan:
    """What is free in the times to come, with those that wait."""

    def when(self, needed: float, now_s: float) -> float:
        """From when on so much is free beside what those planned so far take."""
        raise NotImplementedError

    def take(self, units: float, own_s: float, at_s: float) -> None:
        """Another one is planned for a time; it could have had what it takes of this budget at `own_s`."""
        raise NotImplementedError


@define(eq=False)
class WindowMeter(Meter):
    """Never more than `most` in any window."""

    _marks: deque[tuple[float, float]] = field(init=False, factory=deque)
    """(when so much comes back, units), the earliest first."""
    _used: float = field(init=False, default=0.0)
    _flying: dict[float, float] = field(init=False, factory=dict)
    """Of the marks, so much is on its way."""
    _foreign: float = field(init=False, default=0.0)
    _foreign_until_s: float = field(init=False, default=0.0)
    _slot_s: float = field(init=False)
    _after_s: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        Meter.__attrs_post_init__(self)
        self._slot_s = self.budget.window_s / SLOTS
        self._after_s = self._slot_s + self.budget.window_s + SPREAD_S

    def returns_s(self, at_s: float) -> float:
        """When comes back what is taken at a time."""
        return floor(at_s / self._slot_s) * self._slot_s + self._after_s

    def free(self, now_s: float) -> float:
        """Also forgets what has come back."""
        marks = self._marks
        while marks and marks[0][0] <= now_s:
            back_s, units = marks.popleft()
            self._used -= units
            if flying := self._flying.pop(back_s, 0.0):
                # Sent a window ago and not answered: an exchange that is slow may count it any moment now.
                self._fly(flying, self._take(flying, now_s))
        if not marks:
            self._used = 0.0
        if self._foreign and self._foreign_until_s <= now_s:
            self._foreign = 0.0
        if self.closed_until_s > now_s:
            return -inf
        return self.most - self._used - self._foreign

    def take(self, units: float, now_s: float) -> None:
        """Until `returns_s`."""
        self._take(units, now_s)

    def _take(self, units: float, at_s: float) -> float:
        """Returns when it comes back."""
        back_s = self.returns_s(at_s)
        marks = self._marks
        if marks and marks[-1][0] >= back_s:
            back_s, before = marks.pop()
            marks.append((back_s, before + units))
        else:
            marks.append((back_s, units))
        self._used += units
        return back_s

    def _fly(self, units: float, back_s: float) -> None:
        self._flying[back_s] = self._flying.get(back_s, 0.0) + units

    def give_back(self, units: float, taken_s: float, now_s: float) -> None:
        """Out of its slot, so that what was needed comes back in its own time."""
        self._take_out(self.returns_s(taken_s), units)

    def _take_out(self, back_s: float, units: float) -> None:
        for index, (at_s, taken) in enumerate(self._marks):
            if at_s == back_s:
                given = min(units, taken)
                self._marks[index] = at_s, taken - given
                self._used -= given
                return

    def sent(self, units: float, now_s: float) -> None:
        """It comes back no earlier than a window after it lands."""
        back_s = self.returns_s(now_s)
        if not self._marks or self._marks[-1][0] != back_s:
            back_s = self._take(units, now_s)  # taken some time ago, and counted only from now on
        self._fly(units, back_s)
        self.pending += units

    def landed(self, units: float, sent_s: float, at_s: float, now_s: float) -> None:
        """It comes back a window after it was counted."""
        flying, left = self._flying, units
        back_s = self.returns_s(sent_s)
        if flying.get(back_s, 0.0) < units - GRAIN:
            back_s = min(flying, default=back_s)  # it was on its way for longer than a window
        while left > GRAIN and back_s in flying:
            there = flying.pop(back_s)
            if there > left + GRAIN:
                flying[back_s] = there - left
            if at_s > sent_s:
                self._take_out(back_s, min(left, there))
            left -= there
            back_s = min(flying, default=0.0) if left > GRAIN else 0.0
        self.pending = max(0.0, self.pending - units) if flying else 0.0
        if at_s > sent_s:
            self._take(units, at_s)

    def kept(self) -> Values:
        """What is used, and what of that is on its way."""
        marks = list(self._marks)
        while len(marks) > MOST_MARKS:
            (_, oldest), (back_s, units), *marks = marks
            marks.insert(0, (back_s, oldest + units))
        flat = [value for mark in marks for value in mark]
        flying = [value for mark in self._flying.items() for value in mark]
        return (
            WINDOW,
            self.most,
            self.closed_until_s,
            self._foreign_until_s,
            self._foreign,
            float(len(marks)),
            *flat,
            *flying,
        )

    def restore(self, values: Values, now_s: float) -> None:
        """What was on its way counts from now on; no mark comes back later than what is taken now."""
        Meter.restore(self, values, now_s)
        pairs = list(zip(values[HEAD::2], values[HEAD + 1 :: 2], strict=False))
        count = int(values[5])
        if values[0] != WINDOW or len(values) % 2 or not 0 <= count <= len(pairs) or any(u < 0 for _, u in pairs):
            raise Unusable("they are not those of a window")
        latest_s = self.returns_s(now_s)
        back: dict[float, float] = {}
        flying = dict(pairs[count:])
        for at_s, units in pairs[:count]:
            if at_s > now_s:
                when_s = min(at_s, latest_s)
                back[when_s] = back.get(when_s, 0.0) + max(0.0, units - flying.get(at_s, 0.0))
        away = sum(units for at_s, units in flying.items() if at_s > now_s - LINGERS_S)
        if away:
            back[latest_s] = back.get(latest_s, 0.0) + away
        self._marks.extend(sorted(back.items()))
        self._used = sum(back.values())
        self._foreign = max(0.0, values[4])
        self._foreign_until_s = min(values[3], now_s + self.budget.window_s + SPREAD_S)

    def when(self, needed: float, now_s: float) -> float:
        """By what comes back."""
        return self.plan(now_s).when(needed, now_s)

    def plan(self, now_s: float) -> Plan:
        """With others' use, which comes back too."""
        self.free(now_s)
        held = list(self._marks)
        if self._foreign:
            insort(held, (self._foreign_until_s, self._foreign))
        return _WindowPlan(self, held, self._used + self._foreign)

    def observe(self, used: float, most: float | None, reset_s: float | None, now_s: float) -> bool:
        """Others' use counts until the exchange's window ends, or a whole one of ours."""
        self.free(now_s)
        tighter = most is not None and most < self.most
        if tighter and most is not None:
            self.most = max(1.0, most)
        foreign = used - max(0.0, self._used - self.pending)
        if foreign <= GRAIN or foreign < self._foreign:
            return tighter
        wait_s = self.budget.window_s if reset_s is None else min(max(reset_s, 0.0), self.budget.window_s)
        self._foreign = foreign
        self._foreign_until_s = max(self._foreign_until_s, now_s + wait_s + SPREAD_S)
        return True


@define
class _WindowPlan(Plan):
    meter: WindowMeter
    held: list[tuple[float, float]]
    total: float
    _at: int = field(init=False, default=0)
    _back: float = field(init=False, default=0.0)
    """What comes back by all of `held` before `_at`: those who come later need it no earlier, mostly."""

    def when(self, needed: float, now_s: float) -> float:
        lacking = self.total + needed - self.meter.most
        at_s = max(now_s, self.meter.closed_until_s)
        if lacking <= GRAIN:
            return at_s
        while self._at and self._back - self.held[self._at - 1][1] >= lacking - GRAIN:
            self._at -= 1
            self._back -= self.held[self._at][1]
        while self._back < lacking - GRAIN:
            if self._at == len(self.held):
                return inf
            self._back += self.held[self._at][1]
            self._at += 1
        return max(at_s, self.held[self._at - 1][0])

    def take(self, units: float, own_s: float, at_s: float) -> None:
        back = (self.meter.returns_s(at_s), units)
        if self._at and back < self.held[self._at - 1]:
            self._at, self._back = 0, 0.0
        insort(self.held, back)
        self.total += units


@define(eq=False)
class CounterMeter(Meter):
    """So much at once, and filled up again at a rate."""

    _left: float = field(init=False)
    _at_s: float = field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        Meter.__attrs_post_init__(self)
        self._left = self.most

    def free(self, now_s: float) -> float:
        """Filled up to now."""
        if now_s > self._at_s:
            # What is on its way may not have been counted yet: so much cannot have been filled up again.
            self._left = min(self.most - self.pending, self._left + (now_s - self._at_s) * self.budget.per_s)
            self._at_s = now_s
        return self._left + GRAIN if self.closed_until_s <= now_s else -inf

    def take(self, units: float, now_s: float) -> None:
        """May leave less than nothing where a call costs more than there can be."""
        self.free(now_s)
        self._left -= units

    def give_back(self, units: float, taken_s: float, now_s: float) -> None:
        """Without what has filled up again since."""
        self.free(now_s)
        since = (now_s - taken_s) * self.budget.per_s
        self._left = min(self.most - self.pending, self._left + max(0.0, units - since))

    def sent(self, units: float, now_s: float) -> None:
        """Held back of what fills up, until it lands."""
        self.pending += units

    def landed(self, units: float, sent_s: float, at_s: float, now_s: float) -> None:
        """It has been missing since it was sent, and fills up from when it was counted."""
        self.free(now_s)
        self.pending = max(0.0, self.pending - units)

    def kept(self) -> Values:
        """What is left, and what is on its way."""
        return COUNTER, self.most, self.closed_until_s, self._at_s, self._left, self.pending

    def restore(self, values: Values, now_s: float) -> None:
        """What was on its way counts from now on, and fills up again from now on."""
        Meter.restore(self, values, now_s)
        if values[0] != COUNTER or len(values) != HEAD or values[5] < 0:
            raise Unusable("they are not those of a counter")
        _, _, _, at_s, left, pending = values
        self._left = min(self.most - pending, left + max(0.0, now_s - at_s) * self.budget.per_s)
        self._at_s = now_s

    def when(self, needed: float, now_s: float) -> float:
        """By the rate."""
        self.free(now_s)
        return max(now_s + max(0.0, needed - self._left) / self.budget.per_s, self.closed_until_s)

    def plan(self, now_s: float) -> Plan:
        """On what is left."""
        self.free(now_s)
        return _CounterPlan(self, self._left, now_s)

    def observe(self, used: float, most: float | None, reset_s: float | None, now_s: float) -> bool:
        """Where it tells of less than we thought was left."""
        before = self.most, self.free(now_s)
        if most is not None:
            self.most = min(self.most, max(1.0, most))
            self._left -= before[0] - self.most  # what is used is used, of whatever limit
        self._left = min(self._left, self.most - used - self.pending)
        return (self.most, self._left + GRAIN) != before


@define
class _CounterPlan(Plan):
    meter: CounterMeter
    left: float
    at_s: float
    waiting: float = field(init=False, default=0.0)
    _held_up_until_s: float = field(init=False, default=0.0)
    _last_s: float = field(init=False, default=0.0)

    def when(self, needed: float, now_s: float) -> float:
        meter = self.meter
        rate = meter.budget.per_s
        due_s = max(now_s, self.at_s + max(0.0, self.waiting + needed - self.left) / rate, meter.closed_until_s)
        beyond = self.waiting + needed - meter.most
        if self._held_up_until_s and beyond > 0:
            # While those ahead wait for another budget this one may be full, and gains nothing: it is not ours before
            # it has gained the rest from then on, or from when all of them went.
            due_s = max(due_s, min(self._held_up_until_s + beyond / rate, self._last_s + needed / rate))
        return due_s

    def take(self, units: float, own_s: float, at_s: float) -> None:
        self.waiting += units
        self._last_s = max(self._last_s, at_s)
        if at_s > own_s:
            self._held_up_until_s = max(self._held_up_until_s, at_s)


def meter_of(budget: Budget) -> Meter:
    """The meter of a budget, full."""
    return CounterMeter(budget) if budget.per_s else WindowMeter(budget)
