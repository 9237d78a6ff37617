"""The last word: what the strategy was told, and what the journal says, against the exchanges' own books.

Pure. Orders are matched by wire id, which is a function of journal, strategy, client order id and leg number: it can be
computed for an order that nobody ever answered too, and for legs that nobody admits to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import asdict, frozen

from app.demo.diary import NEVER_SENT, Line
from app.domain.ids import wire_id
from messages.orders import LegState, OrderKey, OrderView, Told

LEGS_SEARCHED = 8
"""Wire ids looked for per order; far more than the router uses."""
LIVE_AT_EXCHANGE = ("open", "partially_filled")
UNPROVEN = (LegState.INTENT.value, LegState.UNKNOWN.value)
ON_EXCHANGE = tuple(
    state.value
    for state in (
        LegState.OPEN,
        LegState.PARTIALLY_FILLED,
        LegState.FILLED,
        LegState.CANCELLED,
        LegState.EXPIRED,
    )
)
"""States that claim: the exchange has, or had, it."""


@frozen(kw_only=True)
class Verdict:
    """Counts of orders.

    Attributes:
        orders_placed: By the strategy, each under an id of its own.
        accepted: Told accepted (or resolved as executed), and found exactly as told in an exchange's book.
        refused: Told refused.
        not_executed: Told not executed, at last.
        unknown: Still unknown at the end.
        resolved: Once told unknown, and known in the end.
        lost: Told accepted and in no exchange's book, or never answered at all.
        duplicated: In the books more than once, or for more than was asked.
        contradicted: Told refused or not executed, and in a book all the same.
        strays: Entries in the books that no order of the strategy explains.
        moves: Orders of the router's own, by which the position followed.
        misstated: Legs whose filled quantity in the journal is not what the exchange's book says.
        by_exchange: Orders of the strategy in each exchange's book.
        bad: The orders behind the counts that should be zero, with why; at most twenty.
    """

    orders_placed: int
    accepted: int
    refused: int
    not_executed: int
    unknown: int
    resolved: int
    lost: int
    duplicated: int
    contradicted: int
    strays: int
    misstated: int
    moves: int
    by_exchange: Mapping[str, int]
    bad: tuple[tuple[str, str], ...]

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled, left unknown or told wrongly, and something was traded at all."""
        wrong = self.lost + self.duplicated + self.unknown + self.contradicted + self.strays + self.misstated
        return wrong == 0 and self.accepted > 0

    def facts(self) -> dict[str, Any]:
        """As a JSON object."""
        found = asdict(self)
        found["bad"] = [{"order": order, "why": why} for order, why in self.bad]
        return found


def judge(
    diary: Iterable[Line],
    journal: Sequence[OrderView],
    truths: Mapping[str, Mapping[str, Any]],
    *,
    journal_id: str,
    strategy: str,
    moves: Sequence[OrderView] = (),
) -> Verdict:
    """Compares the three.

    Args:
        journal: The strategy's orders.
        moves: The router's own, which move its position; a book may have each leg of one once.
        truths: Each exchange's whole book, as its control tells it.
    """
    placed: dict[str, Decimal] = {}
    told: dict[str, list[Line]] = defaultdict(list)
    for line in diary:
        if line["what"] == "placed":
            placed[line["id"]] = Decimal(line["quantity"])
        elif line["what"] == "told" and not line["told"].startswith("question_"):
            told[line["id"]].append(line)

    books: dict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    for exchange, truth in truths.items():
        for entry in truth["orders"]:
            books[entry["client_order_id"]].append((exchange, entry))

    counts: dict[str, int] = defaultdict(int)
    by_exchange: dict[str, int] = dict.fromkeys(truths, 0)
    explained = set[str]()
    bad: list[tuple[str, str]] = []
    for client_order_id, quantity in placed.items():
        key = OrderKey(strategy=strategy, client_order_id=client_order_id)
        wires = [wire_id(journal_id, key, leg) for leg in range(1, LEGS_SEARCHED + 1)]
        explained.update(wires)
        found = [each for wire in wires for each in books.get(wire, ())]
        for exchange in {exchange for exchange, _ in found}:
            by_exchange[exchange] += 1
        outcome = _outcome(told[client_order_id])
        counts["resolved"] += outcome != "unknown" and any(line["told"] == "unknown" for line in told[client_order_id])
        if any(len(books.get(wire, ())) > 1 for wire in wires) or _exposure(found) > quantity:
            counts["duplicated"] += 1
            bad.append((client_order_id, f"stands {len(found)} times in the books"))
        if outcome == "accepted" and not found:
            outcome = "lost"
            bad.append((client_order_id, "was accepted, and stands in no exchange's book"))
        elif outcome == "lost":
            bad.append((client_order_id, "was never answered"))
        elif outcome == "unknown":
            bad.append((client_order_id, "is still unknown"))
        elif outcome in ("refused", "not_executed") and found:
            counts["contradicted"] += 1
            bad.append((client_order_id, f"was told {outcome}, and stands in the book of {found[0][0]}"))
        counts[outcome] += 1
    for move in moves:
        for leg in move.legs:
            explained.add(leg.wire_id)
            if len(books.get(leg.wire_id, ())) > 1:
                counts["duplicated"] += 1
                bad.append((move.key.client_order_id, "stands twice in the books"))
    strays = [entry for wire, entries in books.items() if wire not in explained for entry in entries]
    bad += [(str(entry["client_order_id"]), f"stands in the book of {exchange} unasked") for exchange, entry in strays]
    misstated = list(_misstated([*journal, *moves], books))
    bad += misstated
    return Verdict(
        orders_placed=len(placed),
        accepted=counts["accepted"],
        refused=counts["refused"],
        not_executed=counts["not_executed"],
        unknown=counts["unknown"],
        resolved=counts["resolved"],
        lost=counts["lost"],
        duplicated=counts["duplicated"],
        contradicted=counts["contradicted"],
        strays=len(strays),
        misstated=len(misstated),
        moves=sum(1 for move in moves if move.filled),
        by_exchange=by_exchange,
        bad=tuple(bad[:20]),
    )


def _outcome(told: Sequence[Line]) -> str:
    """What the strategy must believe in the end: accepted, refused, not_executed, unknown; lost if never answered."""
    answers = [line for line in told if line["told"] != Told.CHANGED.value]
    if not answers:
        return "lost"
    first = str(answers[0]["told"])
    if first in (Told.ACCEPTED.value, Told.CANCELLED.value):
        return "accepted"
    # A later word about the order itself outweighs an earlier one.
    states = [line["state"] for line in told if line["state"] is not None]
    last = states[-1] if states else None
    if last in ON_EXCHANGE:
        return "accepted"
    if last in UNPROVEN:
        return "unknown"
    if last == LegState.ABSENT.value or any(line["told"] == NEVER_SENT for line in told):
        return "not_executed"
    if last == LegState.REFUSED.value:
        return "refused"
    return first if first in ("refused", "not_executed") else "unknown"


def _exposure(found: Iterable[tuple[str, Mapping[str, Any]]]) -> Decimal:
    """The most that these entries may fill together."""
    return sum(
        (
            Decimal(entry["qty"]) if entry["status"] in LIVE_AT_EXCHANGE else Decimal(entry["filled"])
            for _, entry in found
        ),
        Decimal(0),
    )


def _misstated(
    journal: Sequence[OrderView], books: Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]]
) -> Iterable[tuple[str, str]]:
    for order in journal:
        for leg in order.legs:
            in_book = sum((Decimal(entry["filled"]) for _, entry in books.get(leg.wire_id, ())), Decimal(0))
            if leg.filled != in_book:
                words = f"filled {in_book} on {leg.exchange}, and the journal says {leg.filled}"
                yield order.key.client_order_id, words
