"""Cancelling all open orders of a strategy: which they are, one cancel for each, and what came of it.

By the router, one by one, and never by an exchange's own cancel-all: that would take a person's orders and those of
other strategies along, Kraken's even those of every symbol. So it costs a request an order, ahead of anything placed.
Take profit and stop loss that the router placed apart are left: they close what has filled, as those do that an
exchange attached, which no cancelling of orders touches. Who wants one gone cancels it by its id.
"""

from __future__ import annotations

from collections.abc import Callable

from app.core import shapes
from app.core.calls import Call
from app.core.errors import OrderOutcomeUnknown, OrderRouterError
from app.core.requests import Requests


class CancelAll:
    """One call of `cancel_all_orders`, whoever waits and however.

    Attributes:
        first: Asks for the orders that are open, by the journal: no exchange has to answer for that.
    """

    def __init__(self, requests: Requests, symbol: str | None, timeout_s: float | None) -> None:
        self._requests = requests
        self.first = requests.open_orders(symbol, fresh=False, timeout_s=timeout_s)
        self._orders: list[shapes.Order] = []
        self._cancelled: list[shapes.Order] = []
        self._failed: list[shapes.NotCancelled] = []

    def calls(self, orders: list[shapes.Order]) -> list[Call[shapes.Order]]:
        """The cancels, by the deadline of the whole; what came of each is to be told to `heard`, in this order."""
        self._orders = [order for order in orders if not order["parentOrderId"]]
        deadline_s = self.first.request.deadline_s
        return [self._requests.cancel_known(order["orderId"], deadline_s) for order in self._orders]

    def heard(self, outcome: Callable[[], shapes.Order] | shapes.Order | BaseException) -> None:
        """What came of the next: the order, its error, or what returns or raises them.

        Raises:
            BaseException: What was heard, where it is no error of the router's.
        """
        order = self._orders[len(self._cancelled) + len(self._failed)]
        try:
            if callable(outcome):
                outcome = outcome()
            elif isinstance(outcome, BaseException):
                raise outcome
        except OrderRouterError as error:
            self._failed.append(
                shapes.NotCancelled(
                    orderId=order["orderId"],
                    orderLinkId=order["orderLinkId"],
                    symbol=order["symbol"],
                    unknown=isinstance(error, OrderOutcomeUnknown),
                    words=str(error),
                )
            )
        else:
            self._cancelled.append(outcome)

    def result(self) -> shapes.CancelledAll:
        """What became of all."""
        return shapes.CancelledAll(cancelled=self._cancelled, not_cancelled=self._failed)
