"""What happened in a run, as facts in order: what the checker judges and what a story tells."""

from __future__ import annotations

from decimal import Decimal

from attrs import define, field, frozen

from messages.orders import LegState, OrderKey, Told


@frozen
class Asked:
    """A strategy asked.

    Attributes:
        life: Counts the strategy's lives.
        kind: place, cancel, amend or get; "other" is to place under an id that has another body.
        quantity: What was asked for, where it was; likewise `price`.
    """

    at_s: float
    strategy: str
    life: int
    request: str
    kind: str
    serial: int
    deadline_s: float
    quantity: Decimal | None = None
    price: Decimal | None = None


@frozen
class Heard:
    """A strategy was told of an order.

    Attributes:
        request: What this answers; None for news.
        state: Of the newest leg, as the journal's view said; None where there was none, likewise `filled`.
        number: Of what the strategy is told; 0 for an answer.
        reason: Why its newest leg is as it is, as the journal has it; empty where it does not say.
    """

    at_s: float
    strategy: str
    life: int
    request: str | None
    kind: str | None
    told: Told
    serial: int
    state: LegState | None
    filled: Decimal | None
    words: str
    number: int = 0
    reason: str = ""


@frozen
class FillHeard:
    """A strategy was told of a fill; `total` of the order so far, `number` of what the strategy is told."""

    at_s: float
    serial: int
    quantity: Decimal
    total: Decimal
    number: int


@frozen
class TradeHeard:
    """A strategy was told of an execution; `number` of what it is told."""

    at_s: float
    strategy: str
    life: int
    serial: int
    exchange: str
    trade_id: str
    number: int


@frozen
class Sent:
    """A connector gave a placement to its port; `serial` below zero for one of the router's own."""

    at_s: float
    exchange: str
    serial: int
    wire_id: str
    quantity: Decimal
    committed_s: float
    expiry_s: float


@frozen
class Routed:
    """The journal's route changed; `exchange` is None from a fence on."""

    at_s: float
    epoch: int
    exchange: str | None


@frozen
class Died:
    """An actor died; `why` says how."""

    at_s: float
    actor: str
    why: str


@frozen
class Note:
    """Anything else, for people."""

    at_s: float
    who: str
    words: str


@frozen
class Trouble:
    """Something that must never happen, seen by the harness itself: an actor that raised, a contradiction, a leak."""

    at_s: float
    rule: str
    words: str


Fact = Asked | Heard | FillHeard | TradeHeard | Sent | Routed | Died | Note | Trouble


MOVES = "order-router", "move/"
"""Whose orders move positions: the router's own strategy, and how their ids begin."""


@define
class Record:
    """The facts of one run, oldest first.

    Attributes:
        own: Orders that no strategy asked for: exits, and slices of positions; by key, each with a number below zero.
        wires: Which order was sent by which wire id.
    """

    facts: list[Fact] = field(factory=list)
    own: dict[OrderKey, int] = field(factory=dict)
    wires: dict[str, int] = field(factory=dict)

    def serial_of(self, key: OrderKey) -> int:
        """By which an order is told apart: its owner's own number, or one below zero."""
        if key.client_order_id.startswith("o"):
            return int(key.client_order_id[1:])
        return self.own.setdefault(key, -len(self.own) - 1)

    def moves(self) -> frozenset[int]:
        """The serials of orders that move positions."""
        strategy, prefix = MOVES
        own = self.own.items()
        return frozenset(n for key, n in own if key.strategy == strategy and key.client_order_id.startswith(prefix))

    def untold(self) -> frozenset[int]:
        """The serials of orders of which no strategy is told: such as move positions, and their exits."""
        return frozenset(n for key, n in self.own.items() if key.strategy == MOVES[0])

    def add(self, fact: Fact) -> None:
        """One more."""
        self.facts.append(fact)
        if isinstance(fact, Sent):
            self.wires[fact.wire_id] = fact.serial
