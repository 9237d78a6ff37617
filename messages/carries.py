"""Orders that go with trading to another exchange: what is asked of its connector, and what became of them."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from messages.base import Reply, Request


class CarryPolicy(StrEnum):
    """What becomes of orders that rest on an exchange that is left.

    Attributes:
        REPLACE: Taken off, and what is left of each is placed where trading is.
        PARK: Taken off, and what is left of each waits for its owner.
        DROP: Cancelled.
    """

    REPLACE = "replace"
    PARK = "park"
    DROP = "drop"


@frozen(kw_only=True)
class OrderCarried:
    """An order that lives on another exchange now; numbers are decimal texts, in base and quote coin.

    Attributes:
        filled: Before it moved, over all its legs.
        quantity: Of the new leg.
        price: Of the new leg, rounded to the exchange's tick, never worse; empty for a market order.
    """

    order_id: str
    client_order_id: str
    from_exchange: str
    to_exchange: str
    filled: str
    quantity: str
    price: str = ""


@frozen(kw_only=True)
class OrderParked:
    """An order of which nothing is on any exchange, and which waits for its owner.

    Attributes:
        code: Why, as a stable identifier; `words` says it in a sentence.
        quantity: What is left of it, base coin.
    """

    order_id: str
    client_order_id: str
    from_exchange: str
    quantity: str
    code: str
    words: str


@frozen(kw_only=True)
class CarryOrders(Request):
    """Asks the connector in use to place what was taken off other exchanges; asked again it places nothing twice.

    Attributes:
        epoch: Of the committed route.
        policy: PARK parks them all; REPLACE what cannot be placed.
    """

    epoch: int
    policy: CarryPolicy = CarryPolicy.REPLACE


@frozen(kw_only=True)
class CarryReply(Reply):
    """Answers `CarryOrders`, at the latest at its deadline, with what is true by then.

    Attributes:
        waiting: Orders that are still to be placed.
    """

    exchange: str
    carried: tuple[OrderCarried, ...]
    parked: tuple[OrderParked, ...]
    waiting: int
