"""Verbs: what a person, or a program, asks of the whole router, and what it answers.

Each is a request to the coordinator. With `dry_run` nothing is done, and the answer has the plan. Asked again, with the
same correlation id or another, each does the same once.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from attrs import field, frozen

from messages.base import Reply, Request
from messages.failover import OrderLeft, Readiness, Switch
from messages.positions import NotMoved, PositionPlan


@frozen(kw_only=True)
class Verb(Request):
    """What all verbs share.

    Attributes:
        dry_run: Only the plan is told, and nothing is done.
        reason: Why, in the words of whoever asks; kept with what is done.
    """

    dry_run: bool = False
    reason: str = ""


@frozen(kw_only=True)
class Failback(Verb):
    """Moves trading back to the primary exchange."""


@frozen(kw_only=True)
class Isolate(Verb):
    """Keeps an exchange out, until it is released: no candidate, nothing new there; in use, trading moves first."""

    exchange: str


@frozen(kw_only=True)
class Release(Verb):
    """Ends the isolation of an exchange."""

    exchange: str


@frozen(kw_only=True)
class Drain(Verb):
    """Takes orders and positions off an exchange, before its maintenance: trading moves first, then it is isolated."""

    exchange: str


@frozen(kw_only=True)
class Freeze(Verb):
    """Nothing new is placed, and no position is moved; cancels and exits pass."""


@frozen(kw_only=True)
class Unfreeze(Verb):
    """Ends the freeze, also that of a panic; the reduce-only mode and isolations stay."""


@frozen(kw_only=True)
class ReduceOnlyMode(Verb):
    """Only orders that reduce a position are taken; `on` False ends that."""

    on: bool = True


@frozen(kw_only=True)
class Panic(Verb):
    """Freezes, and cancels every order of ours on every exchange; `flatten` closes our positions too."""

    flatten: bool = False


class Resolution(StrEnum):
    """What becomes of an order that is open, in doubt, or waits for its owner.

    Attributes:
        LOOK: Its exchange is asked at once.
        PLACE: A parked one is placed where trading is.
        DROP: One that waits is over; one that is, or may be, live is cancelled.
    """

    LOOK = "look"
    PLACE = "place"
    DROP = "drop"


@frozen(kw_only=True)
class Resolve(Verb):
    """Settles one order that is parked or unknown."""

    order_id: str
    how: Resolution = Resolution.LOOK


@frozen(kw_only=True)
class PlannedOrder:
    """An order, and what a verb would do with it.

    Attributes:
        exchange: Where it is, or was last.
        quantity: What is left of it, base coin.
        price: Its limit, else the price that sets it off; None at the market.
        words: Why, where that is not plain.
    """

    order_id: str
    client_order_id: str
    strategy: str
    exchange: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal | None
    words: str = ""


@frozen(kw_only=True)
class SwitchPlan:
    """What a verb would do.

    Attributes:
        from_exchange: In use now; None where none is.
        to_exchange: Where trading would be; None where it would be nowhere.
        candidates: All that are not in use, in the order they would be tried, each with why not.
        carried: Orders that would be placed at `to_exchange`.
        parked: Orders that would wait for their owners.
        cancelled: Orders that would be over.
        stays: Orders that would stay as they are: what protects a position, what nobody can reach now.
        positions: Slices, notional and expected cost.
        notional: Of the orders that would be placed, in quote coin.
        words: What could not be found out, a sentence each.
        why: What speaks for `to_exchange`.
    """

    from_exchange: str | None
    to_exchange: str | None
    candidates: tuple[Readiness, ...] = ()
    carried: tuple[PlannedOrder, ...] = ()
    parked: tuple[PlannedOrder, ...] = ()
    cancelled: tuple[PlannedOrder, ...] = ()
    stays: tuple[PlannedOrder, ...] = ()
    positions: PositionPlan = field(factory=PositionPlan)
    notional: Decimal = Decimal(0)
    words: tuple[str, ...] = ()
    why: str = ""


@frozen(kw_only=True)
class Steered(Reply):
    """Answers a verb.

    Attributes:
        verb: Which.
        words: What was done, or would be, in a sentence.
        done: Nothing is left to do; False of a dry run, and where `left` or `stays` is not empty by the deadline.
        plan: Of a dry run.
        switch: Where trading moved.
        controls: What the router is held to from now on, a sentence each.
        cancelled: Ids of orders that are proven to be over.
        left: Orders of ours that may still be live; what is to become of them goes on.
        stays: Positions that were to be closed, and are not yet.
    """

    verb: str
    words: str
    done: bool = True
    plan: SwitchPlan | None = None
    switch: Switch | None = None
    controls: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()
    left: tuple[OrderLeft, ...] = ()
    stays: tuple[NotMoved, ...] = ()
