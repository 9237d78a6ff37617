"""Whether everything arrived: the strategy's orders and positions at a stop, by the exchanges' own books. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import frozen

from app.domain import ids
from benchmarks.switching.curve import ZERO, base_of
from messages.orders import OrderKey

MAX_LEGS = 250
LIVE = frozenset({"open", "partially_filled"})

Truths = Mapping[str, Mapping[str, Any]]
"""What the control interface of each exchange says."""


@frozen(kw_only=True)
class Intent:
    """An order that the strategy wants to rest, wherever trading is.

    Attributes:
        kind: For people.
        qty: Asked for, base coin.
    """

    client_order_id: str
    base: str
    side: str
    kind: str
    qty: Decimal

    @property
    def sign(self) -> int:
        """1 of a buy, -1 of a sell."""
        return 1 if self.side == "Buy" else -1


class Ledger:
    """What the strategy wants, and where its orders are found in the books."""

    def __init__(self, intents: Sequence[Intent], *, journal_id: str, strategy: str) -> None:
        self.intents = list(intents)
        self._wires = {
            intent.client_order_id: tuple(
                ids.wire_id(journal_id, OrderKey(strategy=strategy, client_order_id=intent.client_order_id), leg)
                for leg in range(1, MAX_LEGS)
            )
            for intent in intents
        }
        self.of_wire = {wire: name for name, wires in self._wires.items() for wire in wires}

    def legs(self, truths: Truths) -> dict[str, list[tuple[str, Mapping[str, Any]]]]:
        """By order, its legs as (exchange, order of its book)."""
        found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {intent.client_order_id: [] for intent in self.intents}
        for exchange, truth in truths.items():
            for order in truth["orders"]:
                name = self.of_wire.get(order["client_order_id"] or "")
                if name is not None:
                    found[name].append((exchange, order))
        return found


def live_leg(
    legs: Sequence[tuple[str, Mapping[str, Any]]],
) -> tuple[str, Mapping[str, Any]] | None:
    """Where an order rests; None where it does not."""
    return next((leg for leg in legs if leg[1]["status"] in LIVE), None)


def wrong(
    ledger: Ledger,
    truths: Truths,
    *,
    where: str,
    executed: Mapping[str, Decimal],
    positions: Mapping[str, Decimal],
) -> Iterator[str]:
    """What is not as it should be with everything at `where`, a sentence each.

    Args:
        executed: By order, what the market took of it so far, base coin.
        positions: By base coin, what should stand at `where`; elsewhere nothing should.
    """
    for intent in ledger.intents:
        yield from _wrong_order(intent, ledger.legs(truths)[intent.client_order_id], where, executed)
    for exchange, truth in truths.items():
        there = {base_of(symbol): Decimal(quantity) for symbol, quantity in truth["positions"].items()}
        for base in sorted({*there, *positions}):
            wanted = positions.get(base, ZERO) if exchange == where else ZERO
            if there.get(base, ZERO) != wanted:
                yield f"{exchange} holds {there.get(base, ZERO)} {base} instead of {wanted}."


def _wrong_order(
    intent: Intent, legs: Sequence[tuple[str, Mapping[str, Any]]], where: str, executed: Mapping[str, Decimal]
) -> Iterator[str]:
    name = intent.client_order_id
    filled = sum((Decimal(order["filled"]) for _, order in legs), ZERO)
    wanted = executed.get(name, ZERO)
    if filled != wanted:
        yield f"{name} filled {filled}, and the market took {wanted} of it."
    live = [(exchange, order) for exchange, order in legs if order["status"] in LIVE]
    if len(live) > 1:
        yield f"{name} rests {len(live)} times: {', '.join(exchange for exchange, _ in live)}."
    if not live:
        if filled < intent.qty:
            yield f"{name} rests nowhere, with {intent.qty - filled} left."
        return
    exchange, order = live[0]
    if exchange != where:
        yield f"{name} rests on {exchange}, not on {where}."
    rests = Decimal(order["qty"]) - Decimal(order["filled"])
    if rests != intent.qty - filled:
        yield f"{name} rests with {rests}, and {intent.qty} asked less {filled} filled is {intent.qty - filled}."
