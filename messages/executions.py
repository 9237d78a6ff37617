"""Executions: what filled, one trade at a time, as an exchange lists it."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from attrs import frozen

from messages.base import Message, Reply, Request
from messages.market import Symbol
from messages.orders import OrderChanged, OrderKey, OrderView, Side


class Cause(StrEnum):
    """Why something was traded that nobody ordered, as an exchange says.

    Attributes:
        DELEVERAGED: Against somebody's position that had to be unwound (auto-deleveraging).
        DELIVERED: The contract was delivered, settled or taken from the market.
        STOP: A take profit or stop loss that was attached to an order or a position.
    """

    LIQUIDATION = "liquidation"
    DELEVERAGED = "deleveraged"
    DELIVERED = "delivered"
    STOP = "stop"


@frozen(kw_only=True)
class Execution:
    """One trade of the account.

    Attributes:
        trade_id: The exchange's, unique within the symbol.
        order_id: The router's id; None where the order is not the router's, or the exchange names it by no id we know.
        key: Of the same order.
        quantity: Base coin.
        fee: In `fee_coin`, below zero for a rebate; None where the exchange does not say.
        maker: Whether it rested; None where the exchange does not say.
        cause: None where it was ordered, or the exchange does not say.
    """

    exchange: str
    symbol: Symbol
    trade_id: str
    exchange_order_id: str
    order_id: str | None
    key: OrderKey | None
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal | None
    fee_coin: str | None
    maker: bool | None
    at_s: float
    cause: Cause | None = None


@frozen(kw_only=True)
class GetExecutions(Request):
    """Asks a connector for the account's trades of a symbol since a time."""

    symbol: Symbol
    since_s: float


@frozen(kw_only=True)
class GetOrderFills(Request):
    """Asks any connector, which reads the journal, for the executions known of an order, on whichever exchanges.

    Attributes:
        order_id: The router's; None where the order is named by its client order id.
    """

    strategy: str
    order_id: str | None
    client_order_id: str | None = None


@frozen(kw_only=True)
class ExecutionsReply(Reply):
    """Answers `GetExecutions` and `GetOrderFills`, the oldest first."""

    executions: tuple[Execution, ...]


@frozen(kw_only=True)
class OrderFilled(Message):
    """Told to the sessions of an order's strategy, once for each trade that filled something of it.

    Attributes:
        sequence: Of the journal's event.
        number: Of what its strategy is told, in one row with `OrderChanged.number`.
        order: As it was known then, this trade included: that so much filled was told by an `OrderChanged` before.
    """

    sequence: int
    number: int
    order: OrderView
    execution: Execution


@frozen(kw_only=True)
class CatchUp(Request):
    """Asks any connector, which reads the journal, for what a strategy was told after a number, the oldest first.

    Attributes:
        after: None for what its hooks have not heard yet, as the journal keeps it by `Heard`; a strategy that asks so
            for the first time begins with what is told from then on.
    """

    strategy: str
    after: int | None
    limit: int = 50


@frozen(kw_only=True)
class CaughtUp(Reply):
    """Answers `CatchUp`.

    Attributes:
        after: The number asked, or found in the journal.
        news: Without a gap behind it; an order is shown as it is known by now.
        latest: The number given last: more is to be asked for while it is above the last of `news`.
    """

    after: int
    news: tuple[OrderChanged | OrderFilled, ...]
    latest: int


@frozen(kw_only=True)
class ToldUpTo(Message):
    """A connector to a session, whenever it subscribes or renews: what its strategy was told last has this number.

    So a session that has heard less knows that something was lost, also where nothing follows.
    """

    strategy: str
    latest: int


@frozen(kw_only=True)
class Heard(Message):
    """A strategy that runs in the daemon to any connector: its hooks have heard everything up to a number."""

    strategy: str
    number: int
