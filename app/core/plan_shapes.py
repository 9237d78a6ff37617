"""Shapes of what verbs answer: what was done, or would be. Re-exported by `app.core.shapes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from app.core.shapes import HistoryEntry, OrderLeft


class Candidate(TypedDict):
    """An exchange that is not in use: `problems` says why trading could not move there, and is empty where it could.

    `time` is when it was asked, empty where it has not answered yet; `notes` say what was found well, and `shortfalls`
    what of all that is open would not follow there.
    """

    exchange: str
    ready: bool
    problems: list[str]
    shortfalls: list[str]
    notes: list[str]
    time: str


class PlannedOrder(TypedDict):
    """An order, and what would become of it; `leavesQty` is what is left of it, `words` why, where that is not plain.

    `price` is its limit, else the price that sets it off, and empty at the market.
    """

    orderId: str
    orderLinkId: str
    strategy: str
    exchange: str
    symbol: str
    side: str
    leavesQty: str
    price: str
    words: str


class PlannedSlice(TypedDict):
    """A step by which a position would move: as much is opened on `to_exchange` as is then closed on `from_exchange`.

    One of the two is None where something is only opened, or only closed. `side` is Buy of a long position. The limits
    are the worst prices at which it would be opened and closed, empty where nothing is.
    """

    symbol: str
    from_exchange: str | None
    to_exchange: str | None
    side: str
    qty: str
    openLimit: str
    closeLimit: str
    notional: str


class PositionStays(TypedDict):
    """What of a position stays where it is, and why; `size` is signed."""

    exchange: str
    symbol: str
    size: str
    words: str


class Plan(TypedDict):
    """What a verb would do.

    `candidates` are the exchanges not in use, in the order trading would try them. Of orders, `carried` would be placed
    at `to_exchange`, `parked` would wait for their owners, `cancelled` would be over, and `stays` stay as they are.
    `notional` is what the carried ones are worth by their own prices, `positions_notional` and `positions_cost` what
    the slices are, and are expected to cost: all in quote coin. `words` say what could not be found out.
    """

    from_exchange: str | None
    to_exchange: str | None
    candidates: list[Candidate]
    carried: list[PlannedOrder]
    parked: list[PlannedOrder]
    cancelled: list[PlannedOrder]
    stays: list[PlannedOrder]
    notional: str
    slices: list[PlannedSlice]
    positions_notional: str
    positions_cost: str
    positions_stay: list[PositionStays]
    words: list[str]


class Steered(TypedDict):
    """What came of a verb.

    `done` is False of a dry run, and where something is left that goes on (`orders_left`, `positions_left`). `plan` is
    there of a dry run, `switch` where trading moved. `controls` is what the router is held to from now on, a sentence
    each; `orders_cancelled` are ids of orders that are proven to be over.
    """

    verb: str
    words: str
    done: bool
    plan: Plan | None
    switch: HistoryEntry | None
    controls: list[str]
    orders_cancelled: list[str]
    orders_left: list[OrderLeft]
    positions_left: list[PositionStays]


class HistoryExport(TypedDict):
    """A history that was written to a file: `hash` is that of its last row, to be kept elsewhere."""

    path: str
    rows: int
    hash: str
    journal_id: str
