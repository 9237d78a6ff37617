"""What the verbs' machine wants done: values its shell performs, in order."""

from __future__ import annotations

from attrs import frozen

from app.domain.effects import Answer, Asker
from app.domain.verb_words import Change
from messages.orders import OrderSpec, OrderView
from messages.positions import PositionPolicy


@frozen(kw_only=True)
class Write:
    """Write controls, and a line of the history, in one transaction that a power cut does not undo.

    Where that cannot be, nothing that follows it is done, and `Steering.failed` has the answer.
    """

    asker: Asker
    correlation_id: str
    change: Change
    verb: str
    reason: str


@frozen(kw_only=True)
class Move:
    """Begin, or join, the saga that moves trading; answer with `Steering.moved`."""

    token: str
    exchange: str
    deadline_s: float
    reason: str = ""


@frozen(kw_only=True)
class AskReady:
    """Ask a connector whether trading could move there with these orders; answer with `Steering.heard`, or never."""

    token: str
    exchange: str
    orders: tuple[OrderSpec, ...]
    deadline_s: float


@frozen(kw_only=True)
class AskMoves:
    """Ask the synchronizer for slices, or to make them; answer with `Steering.heard`, or not at all."""

    token: str
    policy: PositionPolicy | None
    dry_run: bool
    to_exchange: str
    deadline_s: float


@frozen(kw_only=True)
class AskSettle:
    """Ask a connector to take off what rests on its exchange; what it answers is in the journal."""

    token: str
    exchange: str
    deadline_s: float


@frozen(kw_only=True)
class AskCancel:
    """Ask the connector of an exchange to cancel an order for good; what it answers is in the journal."""

    token: str
    exchange: str
    order: OrderView
    deadline_s: float


@frozen(kw_only=True)
class AskOrder:
    """Ask the connector of an exchange what an order is, by the exchange; answer with `Steering.heard`, or never."""

    token: str
    exchange: str
    order: OrderView
    deadline_s: float


@frozen(kw_only=True)
class Unpark:
    """Let a parked order be placed."""

    order_id: str


SteeringEffect = Write | Move | AskReady | AskMoves | AskSettle | AskCancel | AskOrder | Unpark | Answer
