"""The exits one connector looks after: which legs have some, what was asked for them, and when to look again.

What is to be done is `app.domain.exits.plan`; here is only what a plan is made of, kept up to date by whatever is
committed and recorded, and what became of asking. All of it is in the journal too: a life begins with what that says.

An order that trading took along has legs on several exchanges, and what filled of each stays there until its position
is moved. So what is followed here is each row of legs on this exchange (`app.domain.renewal.rows_on`), by the number of
its first, whatever newer legs there are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from attrs import define, field

from app.domain.effects import Mark
from app.domain.exits import AGAIN_S, Exit, Known, plan
from app.domain.leg_life import LIVE, UNPROVEN
from app.domain.renewal import rows_on
from messages.base import Reply
from messages.orders import (
    LegState,
    Linked,
    OrderAccepted,
    OrderNotExecuted,
    OrderPending,
    OrderRefused,
    OrderSpec,
    OrderView,
    PlaceOrder,
    Purpose,
)

NOT_READY_S = 1.0
"""Before a plan is made again while the markets are not loaded, or the journal does not take a mark."""

FOLLOWED = frozenset({Linked.OPEN, Linked.UNPROTECTED})


@define
class _Followed:
    """A leg whose exits are not over.

    Attributes:
        asked: Placements on their way to the journal: how much, and until when one may be.
        marking: What is being marked, by order id.
        again_s: When to make a plan though nothing has changed.
        held_s: Nothing is placed before: one was turned away before it came to the journal.
        failures: Of those, in a row.
    """

    parent: OrderView
    exits: dict[Exit, OrderView] = field(factory=dict)
    asked: dict[Exit, tuple[Decimal, float]] = field(factory=dict)
    marking: dict[str, Linked] = field(factory=dict)
    again_s: float | None = None
    held_s: float = 0.0
    failures: int = 0
    words: str = ""


@define
class ExitWatch:
    """Of one connector. Methods return what is to be placed and marked, in order.

    Attributes:
        admits: Whether the market takes an order: empty, or why not, in words.
        ready: Whether the markets are known, so that `admits` can say.
        timeout_s: How long a placement may take.
    """

    exchange: str
    timeout_s: float
    admits: Callable[[OrderSpec], str]
    ready: Callable[[], bool]
    _legs: dict[tuple[str, int], _Followed] = field(init=False, factory=dict)
    _serial: int = field(init=False, default=0)

    def __len__(self) -> int:
        """How many legs are followed."""
        return len(self._legs)

    def recover(self, linked: Iterable[tuple[OrderView, Iterable[OrderView]]]) -> None:
        """After a start: the orders whose exits are not over, each with all that were placed; `tick` goes on.

        What of an order filled elsewhere is not ours.
        """
        for parent, exits in linked:
            named = [(Exit.named(order.key.client_order_id), order) for order in exits]
            for number, row in rows_on(parent, self.exchange):
                if row.leg is None or row.leg.linked not in FOLLOWED:
                    continue
                known = {name: order for name, order in named if name is not None and name.leg == number}
                self._legs[parent.order_id, number] = _Followed(parent=row, exits=known, again_s=0.0)

    def changed(self, order: OrderView, now_s: float) -> list[PlaceOrder | Mark]:
        """An order was committed, or something was learned of it."""
        name = Exit.named(order.key.client_order_id)
        if name is not None:
            followed = self._legs.get((name.parent_id, name.leg))
            if followed is None or order.leg is None:
                return []
            followed.exits[name] = order
            if order.leg.state in LIVE or order.leg.state in UNPROVEN:
                followed.asked.pop(name, None)
            if order.leg.state in LIVE:
                followed.failures, followed.held_s, followed.words = 0, 0.0, ""
            return self._plan(followed, now_s)
        if all(leg.linked is None for leg in order.legs):
            return []
        return [each for number, row in rows_on(order, self.exchange) for each in self._row(number, row, now_s)]

    def _row(self, number: int, row: OrderView, now_s: float) -> list[PlaceOrder | Mark]:
        leg = row.leg
        assert leg is not None, "a row has legs"
        if leg.linked is None:
            return []
        absent = leg.state is LegState.ABSENT and leg.filled == 0  # until it is committed again
        if leg.linked not in FOLLOWED or absent:
            self._legs.pop((row.order_id, number), None)
            return []
        followed = self._legs.setdefault((row.order_id, number), _Followed(parent=row))
        followed.parent = row
        return self._plan(followed, now_s)

    def answered(self, reply: Reply, now_s: float) -> list[PlaceOrder | Mark]:
        """The answer to a placement that was asked for."""
        name = Exit.named(reply.correlation_id.rpartition("#")[0])
        followed = self._legs.get((name.parent_id, name.leg)) if name is not None else None
        if followed is None or name is None:
            return []
        followed.asked.pop(name, None)
        if (
            isinstance(reply, OrderAccepted | OrderPending | OrderRefused | OrderNotExecuted)
            and reply.order is not None
        ):
            return self.changed(reply.order, now_s)
        followed.failures += 1
        followed.held_s = now_s + AGAIN_S[min(followed.failures, len(AGAIN_S)) - 1]
        followed.words = getattr(reply, "words", type(reply).__name__)
        return self._plan(followed, now_s)

    def not_marked(self, order_id: str, now_s: float) -> None:
        """The journal did not take a mark: it is asked again."""
        for followed in self._legs.values():
            if followed.marking.pop(order_id, None) is not None:
                followed.again_s = now_s + NOT_READY_S

    def marked(self, order: OrderView, now_s: float) -> list[PlaceOrder | Mark]:
        """The journal took a mark."""
        for followed in self._legs.values():
            followed.marking.pop(order.order_id, None)
        return self.changed(order, now_s)

    # ------------------------------------------------------------------------------------------------ time

    def tick(self, now_s: float) -> list[PlaceOrder | Mark]:
        """Makes the plans that are due."""
        out: list[PlaceOrder | Mark] = []
        for followed in list(self._legs.values()):
            late = [name for name, (_, until_s) in followed.asked.items() if now_s >= until_s]
            for name in late:
                del followed.asked[name]
            if late or (followed.again_s is not None and now_s >= followed.again_s):
                out += self._plan(followed, now_s)
        return out

    def next_s(self) -> float | None:
        """When `tick` has something to do next; None while there is nothing."""
        if not self._legs:
            return None
        due = [followed.again_s for followed in self._legs.values() if followed.again_s is not None]
        due += [until_s for followed in self._legs.values() for _, until_s in followed.asked.values()]
        return min(due, default=None)

    # ------------------------------------------------------------------------------------------------ pieces

    def _plan(self, followed: _Followed, now_s: float) -> list[PlaceOrder | Mark]:
        parent, leg = followed.parent, followed.parent.leg
        assert leg is not None
        followed.again_s = None
        if not self.ready():
            followed.again_s = now_s + NOT_READY_S
            return []
        asked = {name: quantity for name, (quantity, _) in followed.asked.items()}
        made = plan(Known(parent=parent, exits=followed.exits, asked=asked, admits=self.admits), now_s)
        followed.again_s = made.again_s
        out: list[PlaceOrder | Mark] = []
        held = bool(made.place) and now_s < followed.held_s
        if held:
            followed.again_s = min(followed.held_s, made.again_s or followed.held_s)
        for name, spec in () if held else made.place:
            self._serial += 1
            deadline_s = now_s + self.timeout_s
            followed.asked[name] = spec.quantity, deadline_s + NOT_READY_S
            out.append(
                PlaceOrder(
                    correlation_id=f"{name.client_order_id}#{self._serial}",
                    deadline_s=deadline_s,
                    epoch=leg.epoch,
                    key=name.key(parent),
                    purpose=Purpose.EXIT,
                    spec=spec,
                )
            )
        exits = {order.order_id: order for order in followed.exits.values()}
        for order_id in made.take_back:
            if order_id not in followed.marking:
                followed.marking[order_id] = Linked.RESIZED
                exit_leg = exits[order_id].leg
                assert exit_leg is not None
                out.append(Mark(order_id=order_id, number=exit_leg.number, linked=Linked.RESIZED))
        state, words = made.state, made.words
        if held and state is Linked.OPEN:
            state, words = Linked.UNPROTECTED, f"its exits could not be placed yet: {followed.words}"
        if state is not leg.linked and followed.marking.get(parent.order_id) is not state:
            followed.marking[parent.order_id] = state
            out.append(Mark(order_id=parent.order_id, number=leg.number, linked=state, words=words))
        return out
