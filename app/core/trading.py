"""The router's calls about orders, in their blocking spelling."""

from __future__ import annotations

from app.core import parse, shapes
from app.core.cancel_all import CancelAll
from app.core.waits import Waits


class Trading(Waits):
    """Placing, cancelling, and what is known of orders."""

    def place_order(
        self,
        symbol: str,
        side: str,
        order_type: str,
        qty: parse.Number,
        price: parse.Number | None = None,
        time_in_force: str = "GoodTillCancel",
        reduce_only: bool = False,
        take_profit: parse.Number | None = None,
        stop_loss: parse.Number | None = None,
        *,
        trigger_price: parse.Number | None = None,
        trigger: str | None = None,
        trigger_by: str | None = None,
        client_order_id: str | None = None,
        timeout_s: float | None = None,
    ) -> shapes.Order:
        """Places an order, on the exchange in use or, when that is proven not to have executed it, on the next.

        Args:
            qty: In base coin.
            trigger_price: The order waits, invisible to the book, until the price has come to this; then it is a limit
                order at `price`, or a market order.
            trigger: Which way the price has to come: ``"Stop"`` (a buy at or above the trigger, a sell at or below) or
                ``"TakeProfit"`` (the other way). Needed with `trigger_price`: a guess could set the order off at once.
            trigger_by: Which price: ``"LastPrice"`` (of the last trade, the default) or ``"MarkPrice"``.
            client_order_id: The caller's id (`orderLinkId`). Placing again with it gives the same order and never
                places twice; with another body it is refused. Made up where not given.
            timeout_s: Answered by then, at the latest with `OrderOutcomeUnknown`; `order_timeout_s` by default.

        Raises:
            InvalidRequest: The order cannot be; nothing was sent.
            OrderRefused: The exchange said no, or one of `[orders] limits` did (its code begins with `limit_`).
            NoExchangeAvailable: No exchange could take it in time; proven not to have executed.
            OrderOutcomeUnknown: Nobody can know yet; ask `get_order(error.order_id)`.
            NotRunning: The router is not initialized, or its daemon has ended.
        """
        return self._wait(self._requests.place(
                symbol, side, order_type, qty, price, time_in_force, reduce_only, take_profit, stop_loss,
                trigger_price=trigger_price, trigger=trigger, trigger_by=trigger_by,
                client_order_id=client_order_id, timeout_s=timeout_s,
            )
        )  # fmt: skip

    def cancel_order(
        self,
        symbol: str,
        order_id: str | None = None,
        *,
        client_order_id: str | None = None,
        timeout_s: float | None = None,
    ) -> shapes.Order:
        """Cancels an order by the router's id or the caller's, wherever it lives. Returns it when it is proven over.

        Raises:
            InvalidRequest: There is no such order, or it can no longer be cancelled; the sentence says what it is.
            OrderOutcomeUnknown: Nobody can know yet whether it is cancelled.
        """
        return self._wait(self._requests.cancel(symbol, order_id, client_order_id=client_order_id, timeout_s=timeout_s))

    def cancel_all_orders(self, symbol: str | None = None, *, timeout_s: float | None = None) -> shapes.CancelledAll:
        """Cancels the open orders of this strategy, or of a symbol of it, on whichever exchange each lives.

        Nothing wider: an exchange's own cancel-all would take a person's orders, and other strategies', along. Each
        order is cancelled by itself and ahead of anything that places; orders placed meanwhile are not touched, nor
        take profit and stop loss of what has filled (with a `parentOrderId`): those are cancelled one at a time.

        Returns:
            Which orders are proven to be over, and for each of the others why not, in words, or that it is unknown.

        Raises:
            OrderRouterError: Nobody could say which orders are open; nothing was cancelled.
        """
        plan = CancelAll(self._requests, symbol, timeout_s)
        waits = [self._begin(call) for call in plan.calls(self._wait(plan.first))]
        for finish in waits:
            plan.heard(finish)
        return plan.result()

    def amend_order(
        self,
        symbol: str,
        order_id: str,
        *,
        qty: parse.Number | None = None,
        price: parse.Number | None = None,
        trigger_price: parse.Number | None = None,
        replace: bool = True,
        timeout_s: float | None = None,
    ) -> shapes.Order:
        """Changes an open order, wherever it lives; what is not named stays. Returns it as it is then.

        In place, by the exchange's own change of orders, where that can. Where it cannot (Binance's triggers, and on
        its spot markets all but making an order smaller), the order is cancelled and, once that is proven with all
        that had filled, placed anew for what is left, as the same order under the same ids: it never rests twice, and
        never fills beyond the larger of old and new. Its place in the queue is a new one.
        Asking for the same change again is harmless.

        Args:
            qty: Of the whole order in base coin, what has filled of it included.
            trigger_price: Of an order that waits for its trigger.
            replace: False for in place or not at all.
            timeout_s: Answered by then, at the latest with `OrderOutcomeUnknown`; `order_timeout_s` by default.

        Raises:
            InvalidRequest: Nothing is to be changed, or to what cannot be; there is no such order, or it is no longer
                open, and the sentence says what it is.
            OrderRefused: The exchange said no, one of `[orders] limits` did, or it was not sent: the order rests as it
                was. Code `unsupported` where the exchange cannot change such an order in place, and `replace` is
                False. Where it was cancelled to be replaced and could not be, it is over, and the sentence says so.
            OrderOutcomeUnknown: Nobody can know yet whether it was changed; `get_order` tells what it is, and an event
                what came of it.
        """
        return self._wait(
            self._requests.amend(
                symbol,
                order_id,
                qty=qty,
                price=price,
                trigger_price=trigger_price,
                replace=replace,
                timeout_s=timeout_s,
            )
        )

    def get_order(
        self, order_id: str | None = None, *, client_order_id: str | None = None, timeout_s: float | None = None
    ) -> shapes.Order:
        """One order by the router's id or the caller's, as its exchange reports it where that answers, else as known.

        Raises:
            InvalidRequest: No such order was ever sent.
        """
        return self._wait(self._requests.get_order(order_id, client_order_id=client_order_id, timeout_s=timeout_s))

    def get_open_orders(
        self, symbol: str | None = None, *, all_strategies: bool = False, timeout_s: float | None = None
    ) -> list[shapes.Order]:
        """This strategy's orders, or every strategy's, that are, or may be, live on any exchange."""
        return self._wait(self._requests.open_orders(symbol, all_strategies=all_strategies, timeout_s=timeout_s))

    def get_closed_orders(
        self, symbol: str | None = None, limit: int = 50, *, timeout_s: float | None = None
    ) -> list[shapes.Order]:
        """This strategy's orders that are over, on any exchange, the newest first, as the router's journal knows them.

        Those that are proven never to have executed are among them (`NotExecuted`).

        Args:
            limit: At most so many, up to 1000.
        """
        return self._wait(self._requests.closed_orders(symbol, limit, timeout_s=timeout_s))
