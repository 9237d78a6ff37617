"""Which legs of one exchange still lack executions, and when the exchange is asked for them.

That something filled is learned from reports of orders, at once. Which trades made it up, at which price and fee, is
asked for here, after the fact and beside everything else: by a share of the rate limit, behind all that waits in it,
one call at a time. The legs of a symbol are asked for together, as exchanges list; one by itself where it is old (the
list since then would be long), where the list did not have it, or where it waited for a trigger, since what it became
may have another id.

What is missing is in the journal (`legs.listed` beside `legs.filled`), so a restart goes on where this life ends. An
exchange that answered `MAX_VAIN` times without what is missing does not list it: that is told once, and it is asked
again when more fills, or at the next start. Nothing waits for any of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import inf

from attrs import define, evolve, field, frozen

from app.domain import calls as c
from app.domain.effects import NotListed, RecordFills
from app.domain.leg_task import LegTask
from app.domain.rates import Rates
from messages.market import Symbol
from messages.orders import LegView, OrderView, Side

SHARE = 0.25
"""Of the exchange's rate that these calls may take."""

FIRST_S = 0.3
"""After something filled: by then it is listed, and what filled beside it is asked for by the same call."""

AGAIN_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0)
"""Between calls about one leg while nothing new of it is listed, or nobody answers."""

MAX_VAIN = len(AGAIN_S)
"""Answers without what is missing, in a row, over nine minutes: then the exchange does not list it."""

ALONE_AFTER = 2
"""Vain answers for all of its symbol, after which a leg is asked for by itself."""

TOO_LONG_AFTER = 4
"""Failed calls, after which the same: a list may be longer than what is read of it."""

YOUNG_S = 3600.0
"""Legs as young as this are asked for together."""

SLACK_S = 60.0
"""So much before a leg was committed a list begins: the clocks differ."""

MAX_FOLLOWED = 10_000
MAX_REMEMBERED = 20_000
"""Executions known to be in the journal, so that they are not written to it in vain; forgetting one costs a look."""

LegKey = tuple[str, int]
_Trade = tuple[Symbol, str, Side]


@define
class _Followed:
    """A leg of which more filled than is listed.

    Attributes:
        next_s: When to ask.
        vain: Answers without anything new of it, in a row.
        failures: Calls without an answer, in a row.
    """

    order: OrderView
    number: int
    next_s: float
    vain: int = 0
    failures: int = 0

    @property
    def leg(self) -> LegView:
        """The leg."""
        return self.order.legs[self.number - 1]

    @property
    def conditional(self) -> bool:
        """It was placed with a trigger."""
        return self.order.spec.trigger is not None

    def alone(self, now_s: float) -> bool:
        """Whether it is asked for by itself."""
        in_vain = self.vain >= ALONE_AFTER or self.failures >= TOO_LONG_AFTER
        return self.conditional or in_vain or now_s - self.leg.created_s > YOUNG_S


@frozen
class _Asked:
    call: c.FillsCall
    legs: tuple[LegKey, ...]


@define
class FillWatch:
    """Of one connector.

    Attributes:
        timeout_s: How long a call may take.
    """

    exchange: str
    rates: Rates
    timeout_s: float
    _legs: dict[LegKey, _Followed] = field(init=False, factory=dict)
    _asked: _Asked | None = field(init=False, default=None)
    _free_s: float = field(init=False, default=0.0)
    _soonest_s: float = field(init=False, default=inf)
    """No leg is to be asked for before."""
    _given_up: dict[LegKey, Decimal] = field(init=False, factory=dict)
    _known: dict[_Trade, None] = field(init=False, factory=dict)
    _unsupported: bool = field(init=False, default=False)

    def __len__(self) -> int:
        """How many legs lack executions."""
        return len(self._legs)

    def recover(self, orders: Iterable[OrderView], now_s: float) -> None:
        """After a start: orders with a leg here that lacks some."""
        for order in orders:
            self.changed(order, now_s)

    def changed(self, order: OrderView, now_s: float) -> None:
        """Something of an order was recorded."""
        for leg in order.legs:
            if leg.exchange != self.exchange:
                continue
            key = order.order_id, leg.number
            known = self._legs.get(key)
            if leg.filled == leg.listed:
                self._legs.pop(key, None)
            elif known is not None:
                if known.leg.filled != leg.filled or known.leg.listed != leg.listed:
                    known.vain, known.next_s = 0, min(known.next_s, now_s + FIRST_S)
                    self._soonest_s = min(self._soonest_s, known.next_s)
                known.order = order
            elif not self._unsupported and self._given_up.get(key) != leg.filled and len(self._legs) < MAX_FOLLOWED:
                self._legs[key] = _Followed(order, leg.number, now_s + FIRST_S)
                self._soonest_s = min(self._soonest_s, now_s + FIRST_S)

    # ------------------------------------------------------------------------------------------------ asking

    def call(self, now_s: float) -> c.FillsCall | None:
        """What is to be asked now; `returned` says what came of it. None while nothing is due, or one is on its way."""
        if self._asked is not None or now_s < max(self._free_s, self._soonest_s) or not self._legs:
            return None
        first_key, first = min(self._legs.items(), key=lambda each: each[1].next_s)
        self._soonest_s = first.next_s
        if first.next_s > now_s:
            return None
        symbol = first.order.spec.symbol
        call = c.FillsCall(symbol=symbol, since_s=first.leg.created_s - SLACK_S, deadline_s=now_s + self.timeout_s)
        if first.alone(now_s):
            call = evolve(
                call,
                wire_id=first.leg.wire_id,
                exchange_order_id=first.leg.exchange_order_id,
                conditional=first.conditional,
            )
            keys: tuple[LegKey, ...] = (first_key,)
        else:
            beside = {
                key: each
                for key, each in self._legs.items()
                if each.order.spec.symbol == symbol and not each.alone(now_s)
            }
            since_s = min(each.leg.created_s for each in beside.values()) - SLACK_S
            call = evolve(call, since_s=since_s)
            keys = tuple(key for key, each in beside.items() if each.next_s <= now_s)
        self._asked = _Asked(call, keys)
        self._free_s = now_s + 1.0 / (SHARE * self.rates.times_per_s(self.rates.cost_of(call)))
        return call

    def next_s(self) -> float | None:
        """When there is something to ask next; None while there is nothing, or one is on its way."""
        if self._asked is not None or not self._legs:
            return None
        return max(self._free_s, self._soonest_s)

    # ------------------------------------------------------------------------------------------------ back

    def returned(self, result: c.Result, tasks: Mapping[str, LegTask], now_s: float) -> list[RecordFills | NotListed]:
        """What came of the call that was asked for.

        Args:
            tasks: Legs that are live or unproven: what filled of them may be listed before it is reported.
        """
        asked, self._asked = self._asked, None
        out: list[RecordFills | NotListed] = []
        if asked is None:
            return out
        followed = [(key, self._legs[key]) for key in asked.legs if key in self._legs]
        unsupported = isinstance(result, c.CallFailed) and result.code == c.UNSUPPORTED
        if unsupported and asked.call.wire_id is None:  # it lists none at all: that is said once, not of each leg
            self._unsupported = True
            out += [self._give_up(key, each) for key, each in followed[:1]]
            self._legs.clear()
            return out
        if not isinstance(result, c.Fills) and not unsupported:
            for _, each in followed:
                each.next_s = now_s + AGAIN_S[min(each.failures, len(AGAIN_S) - 1)]
                each.failures += 1
            return []
        found = self._fresh(asked, result.fills, tasks) if isinstance(result, c.Fills) else {}
        out += [
            RecordFills(order_id=order_id, number=number, fills=tuple(fills))
            for (order_id, number), fills in found.items()
        ]
        for key, each in followed:
            each.failures = 0
            each.next_s = now_s + AGAIN_S[min(each.vain, len(AGAIN_S) - 1)]
            if key in found:
                continue  # what is recorded of it says whether that was all
            each.vain += 1
            if each.vain >= MAX_VAIN:
                out.append(self._give_up(key, each))
        return out

    def recorded(self, effect: RecordFills, order: OrderView, now_s: float) -> None:
        """The journal has them."""
        for fill in effect.fills:
            self._known[order.spec.symbol, fill.trade_id, fill.side] = None
        while len(self._known) > MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
        self.changed(order, now_s)

    # ------------------------------------------------------------------------------------------------ pieces

    def _fresh(
        self, asked: _Asked, fills: Iterable[c.FillReport], tasks: Mapping[str, LegTask]
    ) -> dict[LegKey, list[c.FillReport]]:
        """Executions that the journal is not known to have, by the leg they are of."""
        owners = self._owners(asked, tasks)
        only = asked.legs[0] if asked.call.wire_id is not None else None
        found: dict[LegKey, list[c.FillReport]] = {}
        for fill in fills:
            if (asked.call.symbol, fill.trade_id, fill.side) in self._known:
                continue
            if only is not None:
                key, side = only, self._legs[only].order.spec.side if only in self._legs else fill.side
            else:
                named = owners.get(fill.wire_id or "") or owners.get(fill.exchange_order_id)
                if named is None:
                    continue  # another program's, a person's, or of an order that has all of its own
                key, side = named
            if fill.side is side:
                found.setdefault(key, []).append(fill)
        return found

    def _owners(self, asked: _Asked, tasks: Mapping[str, LegTask]) -> dict[str, tuple[LegKey, Side]]:
        """Legs of the symbol by wire id, and by the exchange's own."""
        legs = [(each.order, each.leg) for each in self._legs.values()]
        legs += [(task.order, task.leg) for task in tasks.values() if task.leg.exchange == self.exchange]
        owners: dict[str, tuple[LegKey, Side]] = {}
        for order, leg in legs:
            if order.spec.symbol == asked.call.symbol:
                owner = (order.order_id, leg.number), order.spec.side
                owners[leg.wire_id] = owner
                if (
                    leg.exchange_order_id and order.spec.trigger is None
                ):  # one that waits may have a number of another's
                    owners[leg.exchange_order_id] = owner
        return owners

    def _give_up(self, key: LegKey, each: _Followed) -> NotListed:
        del self._legs[key]
        leg = each.leg
        self._given_up[key] = leg.filled
        if len(self._given_up) > MAX_FOLLOWED:
            del self._given_up[next(iter(self._given_up))]
        return NotListed(order=each.order, number=each.number, missing=leg.filled - leg.listed)
