"""What kinds of orders there are: which way they trade, how priced, how long they rest, what sets them off, what for.

Everybody takes these from `messages.orders`, where orders are.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from attrs import frozen


class Side(StrEnum):
    """Which way the order trades."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """How the price is found."""

    LIMIT = "limit"
    MARKET = "market"


class TimeInForce(StrEnum):
    """How long an order may rest: until cancelled, not at all, all-or-nothing now, or only if it rests."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    POST_ONLY = "PostOnly"


class TriggerKind(StrEnum):
    """Which way the price has to move for a trigger order to be set off.

    Attributes:
        STOP: Against the order's side: a buy is set off by a price at or above the trigger, a sell by one at or below.
        TAKE_PROFIT: With it: a buy is set off at or below, a sell at or above.
    """

    STOP = "stop"
    TAKE_PROFIT = "take_profit"


class TriggerBy(StrEnum):
    """Which price sets a trigger order off: that of the last trade, or the mark price."""

    LAST = "last"
    MARK = "mark"


@frozen(kw_only=True)
class Trigger:
    """What sets an order off that waits until then, invisible to the book.

    Attributes:
        price: In quote coin.
    """

    kind: TriggerKind
    price: Decimal
    by: TriggerBy = TriggerBy.LAST

    def rises(self, side: Side) -> bool:
        """Whether it is set off by a rising price, for an order of that side."""
        return (side is Side.BUY) is (self.kind is TriggerKind.STOP)


class Purpose(StrEnum):
    """What an order is for, which decides where it may be committed.

    Attributes:
        ORDER: A strategy's: it goes where trading is, under the route its asker holds.
        EXIT: A take profit or stop loss placed by the router: it goes to the exchange of its leg, whatever the route.
        MOVE: A slice of a position that is moved or closed by the router: it goes to the exchange it names, as long as
            the epoch is the committed one.
    """

    ORDER = "order"
    EXIT = "exit"
    MOVE = "move"
