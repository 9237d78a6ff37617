"""The errors a caller of the router may see. All are `OrderRouterError`; each says in one sentence what and why."""

from __future__ import annotations


class OrderRouterError(Exception):
    """Base of every error the router raises on purpose."""


class InvalidRequest(OrderRouterError):
    """What was asked cannot be right: an unknown symbol, a price off tick, a number that is none. Nothing was sent."""


class NotRunning(OrderRouterError):
    """The router is not initialized, was closed, or its daemon has ended."""


class NoExchangeAvailable(OrderRouterError):
    """No exchange could take the order before its deadline. It is proven not to have executed."""


class OrderRefused(OrderRouterError):
    """The exchange said no, for good; nothing executed.

    Attributes:
        code: The exchange's own code, or the router's where the exchange gave none.
        words: What it said.
    """

    def __init__(self, code: str, words: str) -> None:
        super().__init__(f"{words} ({code})" if code else words)
        self.code = code
        self.words = words


class OrderOutcomeUnknown(OrderRouterError):
    """Nobody can know yet what became of the order. It is being resolved: ask `get_order(error.order_id)`.

    Where that raises `InvalidRequest`, since no such order is known, it never reached the journal and so no exchange.
    Placing again with the same `client_order_id` is safe: it never places twice.

    Attributes:
        order_id: The router's id.
    """

    def __init__(self, order_id: str, words: str) -> None:
        super().__init__(words)
        self.order_id = order_id
