"""The judge: what callers were told of each order, held against what the exchanges say they executed. Pure.

The exchanges' books are the truth. An order is found in them by its wire ids, which are functions of the journal and
the caller's own id, so nothing that the router says of itself is needed to find it.

    lost         told to be on an exchange, and no exchange has it; or never answered, or never resolved
    doubled      executed, or able to execute, more than once over all exchanges, or there twice under one wire id
    denied       told never to have been executed, and an exchange executed it
    unexplained  on an exchange under a wire id of this daemon, and nobody asked for it
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

from attrs import define, field, frozen

from app.domain import ids
from messages.orders import OrderKey

MAX_LEGS = 10
"""Of one order, looked for. Nothing here gives an order so many."""
MAY_FILL = frozenset({"open", "partially_filled", "filled"})


class Answer(StrEnum):
    """What a caller knows of an order in the end."""

    NONE = "none"
    """Nothing: the call has not returned."""
    ACCEPTED = "accepted"
    REFUSED = "refused"
    """By an exchange, or for what it says; either way with proof that nothing was executed."""
    NOT_EXECUTED = "not executed"
    """No exchange could take it in time, or no daemon was there to be asked."""
    UNKNOWN = "unknown"


@define(kw_only=True)
class Sent:
    """One order of the load, and what came of it.

    Attributes:
        sent_s, answered_s: By the monotonic clock of the process that asked.
        told: The first answer; `answer` is what it came to, once an unknown one was resolved.
        words: Of an error.
    """

    client_order_id: str
    order_id: str
    qty: Decimal
    sent_s: float
    answered_s: float | None = None
    told: Answer = Answer.NONE
    answer: Answer = Answer.NONE
    status: str = ""
    words: str = ""


@frozen(kw_only=True)
class Verdict:
    """One sentence for each order that is not as it was told.

    Attributes:
        orders: How many were judged; `told` says what their callers heard at first.
        executed: How many are on an exchange.
    """

    orders: int
    executed: int
    told: Mapping[str, int]
    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether all is as it was told."""
        return not (self.lost or self.doubled or self.denied or self.unexplained)


Books = Mapping[str, Iterable[Mapping[str, Any]]]
"""By exchange: every order it ever had, as its control interface tells the truth."""


@define
class _Case:
    lost: list[str] = field(factory=list)
    doubled: list[str] = field(factory=list)
    denied: list[str] = field(factory=list)
    unexplained: list[str] = field(factory=list)


def judge(sent: Collection[Sent], books: Books, *, journal_id: str, strategy: str) -> Verdict:
    """Holds what was told against the books.

    Args:
        sent: Every order that was asked for, of this strategy and on this journal.
    """
    held: dict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    for exchange, orders in books.items():
        for order in orders:
            if ids.is_ours(order["client_order_id"], journal_id):
                held[order["client_order_id"]].append((exchange, order))
    case, executed = _Case(), 0
    for each in sent:
        key = OrderKey(strategy=strategy, client_order_id=each.client_order_id)
        wire_ids = [ids.wire_id(journal_id, key, leg) for leg in range(1, MAX_LEGS)]
        found = [entry for wire_id in wire_ids for entry in held.pop(wire_id, ())]
        executed += bool(found)
        _judge_one(each, found, case)
    for wire_id, found in held.items():
        where = ", ".join(exchange for exchange, _ in found)
        case.unexplained.append(f"{wire_id} is on {where}, and nobody asked for it.")
    told: dict[str, int] = defaultdict(int)
    for each in sent:
        told[each.told.value] += 1
    return Verdict(
        orders=len(sent),
        executed=executed,
        told=dict(told),
        lost=tuple(case.lost),
        doubled=tuple(case.doubled),
        denied=tuple(case.denied),
        unexplained=tuple(case.unexplained),
    )


def _judge_one(each: Sent, found: list[tuple[str, Mapping[str, Any]]], case: _Case) -> None:
    name, where = each.client_order_id, ", ".join(exchange for exchange, _ in found)
    wire_ids = [order["client_order_id"] for _, order in found]
    filled = sum((Decimal(order["filled"]) for _, order in found), Decimal(0))
    # What was cancelled keeps what it had filled; what is live may still fill whole.
    may_fill = sum((Decimal(o["qty"] if o["status"] in MAY_FILL else o["filled"]) for _, o in found), Decimal(0))
    if filled > each.qty:
        case.doubled.append(f"{name}: {each.qty} were asked for, and {filled} executed, on {where}.")
    elif may_fill > each.qty or len(set(wire_ids)) < len(wire_ids):
        case.doubled.append(f"{name} is {len(found)} times on {where}, and may execute {may_fill} of {each.qty}.")
    match each.answer:
        case Answer.NONE:
            case.lost.append(f"{name} was never answered.")
        case Answer.UNKNOWN:
            case.lost.append(f"{name} was told to be unknown, and was never resolved: {each.words}")
        case Answer.ACCEPTED if not found:
            case.lost.append(f"{name} was told to be {each.status or 'accepted'}, and no exchange has it.")
        case Answer.ACCEPTED if each.status == "Filled" and filled < each.qty:
            case.lost.append(f"{name} was told to be filled, and {filled} of {each.qty} are, on {where}.")
        case Answer.REFUSED | Answer.NOT_EXECUTED if may_fill > 0:
            case.denied.append(f"{name} was told to be {each.answer}, and is on {where}: {each.words}")
