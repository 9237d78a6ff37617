"""Bugs to be planted where orders and positions go with trading, one at a time, for the checker to find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from attrs import evolve

from app.domain import carrying, leg_life, position_plan
from app.domain.carry import Carry
from app.domain.controls import Controls
from app.domain.move_ground import Ground
from app.journal import carries
from app.journal.controls import ControlsKept
from app.journal.moves import Moves
from messages.carries import CarryPolicy
from messages.orders import LegState
from tests.fuzz.planted import Bug, acknowledged_cancel_taken_for_done, swapped

ZERO = Decimal(0)


@contextmanager
def carried_whole() -> Iterator[None]:
    """What had filled before is placed once more: all that was asked for is carried, not what is left."""
    decide = carrying.__dict__["decide"]

    def whole(order: Any, facts: Any, now_s: float) -> Any:
        decision = decide(order, facts, now_s)
        return evolve(decision, quantity=order.quantity) if isinstance(decision, Carry) else decision

    with swapped(carrying, "decide", whole):
        yield


@contextmanager
def drained_taken_up_by_nobody() -> Iterator[None]:
    """What was taken off an exchange is never looked at again."""
    with swapped(carries.Carries, "to_carry", lambda self, exchange: ()):
        yield


@contextmanager
def taken_off_for_good() -> Iterator[None]:
    """The cancel that begins to carry an order is taken for its owner's."""
    with swapped(leg_life, "_off", lambda leg, filled, *, behind: LegState.CANCELLED):
        yield


@contextmanager
def price_given_away() -> Iterator[None]:
    """What is carried is placed at a worse price, where a rounding goes the wrong way by more than a tick."""
    decide = carrying.__dict__["decide"]

    def worse(order: Any, facts: Any, now_s: float) -> Any:
        decision = decide(order, facts, now_s)
        if isinstance(decision, Carry) and order.now.price is not None:
            return evolve(decision, price=order.now.price + (1 if order.spec.side == "buy" else -1))
        return decision

    with swapped(carrying, "decide", worse):
        yield


@contextmanager
def policy_forgotten() -> Iterator[None]:
    """What is to be parked is placed."""
    decide = carrying.__dict__["decide"]

    def eager(order: Any, facts: Any, now_s: float) -> Any:
        return decide(order, evolve(facts, policy=CarryPolicy.REPLACE), now_s)

    with swapped(carrying, "decide", eager):
        yield


@contextmanager
def slices_without_bound() -> Iterator[None]:
    """A position is moved in one piece, whatever a slice may be worth."""
    with swapped(position_plan, "slice_bound", lambda limits, step, minimum, price: Decimal(1_000_000)):
        yield


@contextmanager
def opened_and_not_closed() -> Iterator[None]:
    """Nobody remembers what was opened, so that the next slice is opened too."""
    with swapped(Ground, "imbalance", lambda self, symbol: ZERO):
        yield


@contextmanager
def slices_in_doubt_not_counted() -> Iterator[None]:
    """A slice of which nobody knows is taken for one that did not execute, and the next one is placed."""
    with swapped(Ground, "moving", lambda self, symbol: ()):
        yield


@contextmanager
def own_orders_not_looked_at() -> Iterator[None]:
    """Slices are priced as if nothing of ours rested there."""
    alone = lambda self, exchange, spec: ""  # noqa: E731  # in the transaction that commits one
    with swapped(Ground, "own_prices", lambda self, place: (None, None)), swapped(Moves, "_meets_own", alone):
        yield


@contextmanager
def persons_not_listened_to() -> Iterator[None]:
    """Orders are committed whatever a person holds the router to."""
    with swapped(ControlsKept, "_controls_now", lambda self: Controls()):
        yield


LEFT = ("carry left",)
PLANTED_BOOKS: Mapping[str, Bug] = MappingProxyType(
    {
        "acknowledged cancel taken for done": Bug(
            acknowledged_cancel_taken_for_done, "moving", ("I1", "carried wrongly", "I2 fills differ"), 1
        ),
        "carried whole": Bug(carried_whole, "moving", ("I1 filled more", "carried wrongly")),
        "drained taken up by nobody": Bug(drained_taken_up_by_nobody, "moving", LEFT),
        "taken off for good": Bug(taken_off_for_good, "moving", ("order lost", *LEFT)),
        "price given away": Bug(price_given_away, "moving", ("carried wrongly",)),
        "policy forgotten": Bug(policy_forgotten, "moving", ("placed against the policy",), 9),
        "slices without bound": Bug(slices_without_bound, "moving", ("I4 more than a slice",)),
        "opened and not closed": Bug(opened_and_not_closed, "moving", ("I4 more than a slice", "position left"), 2),
        "slices in doubt not counted": Bug(slices_in_doubt_not_counted, "moving", ("I4 more than a slice",)),
        "own orders not looked at": Bug(own_orders_not_looked_at, "moving", ("trades with ourselves",), 594),
        "persons not listened to": Bug(persons_not_listened_to, "steering", ("sent in spite of a person",), 195),
    }
)
