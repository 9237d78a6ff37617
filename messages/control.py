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
from messages.positions import PositionPlan


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
    """Ends the freeze, and the reduce-only mode."""


@frozen(kw_only=True)
class ReduceOnlyMode(Verb):
    """Only orders that reduce a position are taken; `on` False ends that."""

    on: bool = True


@frozen(kw_only=True)
class Panic(Verb):
    """Freezes, and cancels every order of ours on every exchange; `flatten` closes our positions too."""

    flatten: bool = False


class Resolution(StrEnum):
    """What becomes of an order that waits for its owner.

    Attributes:
        LOOK: Its exchange is asked at once.
        PLACE: A parked one is placed where trading is.
        DROP: A parked one is over.
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
class SwitchPlan:
    """What a verb would do.

    Attributes:
        from_exchange: In use now; None where none is.
        to_exchange: Where trading would go; None where it stays.
        candidates: All others, with why not.
        carried: Orders that would be placed at `to_exchange`.
        parked: Orders that would wait for their owners.
        cancelled: Orders that would be over.
        positions: Slices, notional and expected cost.
        notional: Of the orders that would be placed, in quote coin.
    """

    from_exchange: str | None
    to_exchange: str | None
    candidates: tuple[Readiness, ...] = ()
    carried: tuple[OrderLeft, ...] = ()
    parked: tuple[OrderLeft, ...] = ()
    cancelled: tuple[OrderLeft, ...] = ()
    positions: PositionPlan = field(factory=PositionPlan)
    notional: Decimal = Decimal(0)
    words: str = ""


@frozen(kw_only=True)
class Steered(Reply):
    """Answers a verb.

    Attributes:
        words: What was done, or would be, in a sentence.
        plan: Of a dry run.
        switch: Where trading moved.
        controls: What the router is held to from now on, a sentence each.
    """

    words: str
    plan: SwitchPlan | None = None
    switch: Switch | None = None
    controls: tuple[str, ...] = ()
