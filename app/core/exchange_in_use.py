"""The router's calls about the exchange in use, in their blocking spelling: the account, the market, the settings.

Errors are those of all calls: `InvalidRequest` for what cannot be asked, or what the exchange has no way to do;
`OrderRouterError` where it did not answer in time; `NotRunning`.
"""

from __future__ import annotations

from app.core import parse, shapes
from app.core.waits import Waits


class ExchangeInUse(Waits):
    """What the exchange in use knows, and how the account is set there."""

    # ------------------------------------------------------------------------------------------------ the account

    def get_account_balance(self, *, timeout_s: float | None = None) -> shapes.AccountBalance:
        """The account on the exchange in use."""
        return self._wait(self._requests.account(timeout_s=timeout_s))

    def get_balances(self, coin: str | None = None, *, timeout_s: float | None = None) -> list[shapes.CoinBalance]:
        """The account's coins, or one of them."""
        return self._wait(self._requests.balances(coin, timeout_s=timeout_s))

    def get_positions(self, *, timeout_s: float | None = None) -> list[shapes.Position]:
        """The positions on the exchange in use; `get_status()["book"]` has those of all. On spot there are none."""
        return self._wait(self._requests.positions(timeout_s=timeout_s))

    def get_fills(
        self,
        symbol: str | None = None,
        since: parse.Moment | None = None,
        *,
        order_id: str | None = None,
        client_order_id: str | None = None,
        timeout_s: float | None = None,
    ) -> list[shapes.Fill]:
        """The account's trades of a symbol on the exchange in use, with their fees, or those of one order.

        Of a symbol, all of the account's: the router's own are those with an `orderId`, where the exchange tells the id
        it was sent. Of an order those that the router has kept, on whichever exchanges it traded: each once, a moment
        after it filled, and still there when its exchange has forgotten it. The oldest first.

        Args:
            order_id: The router's; or `client_order_id`, yours. Then neither `symbol` nor `since`.
            since: Milliseconds since 1970 or a datetime with a timezone; the last 24 hours by default.
        """
        return self._wait(
            self._requests.fills(symbol, since, order_id=order_id, client_order_id=client_order_id, timeout_s=timeout_s)
        )

    # ------------------------------------------------------------------------------------------------ the market

    def get_market_data(self, symbol: str, *, timeout_s: float | None = None) -> shapes.Ticker:
        """The market of a symbol on the exchange in use."""
        return self._wait(self._requests.ticker(symbol, timeout_s=timeout_s))

    def get_order_book(self, symbol: str, depth: int = 25, *, timeout_s: float | None = None) -> shapes.OrderBook:
        """The best prices of a symbol on the exchange in use, at most `depth` (up to 200) of each side."""
        return self._wait(self._requests.order_book(symbol, depth, timeout_s=timeout_s))

    def get_klines(
        self,
        symbol: str,
        interval: str,
        limit: int = 200,
        since: parse.Moment | None = None,
        *,
        timeout_s: float | None = None,
    ) -> list[shapes.Kline]:
        """Bars of a symbol on the exchange in use, the oldest first.

        Args:
            interval: ``"1m"``, ``"5m"``, ``"15m"``, ``"30m"``, ``"1h"``, ``"4h"`` or ``"1d"``; or as Bybit writes them:
                ``"1"``, ``"5"``, ``"15"``, ``"30"``, ``"60"``, ``"240"``, ``"D"``.
            limit: At most so many, up to 1000.
            since: The first ones from then on: milliseconds since 1970 or a datetime with a timezone; otherwise the
                newest. The newest of all is not finished yet.
        """
        return self._wait(self._requests.klines(symbol, interval, limit, since, timeout_s=timeout_s))

    def get_exchange_status(self, *, timeout_s: float | None = None) -> shapes.ExchangeStatus:
        """What the exchange in use says of itself; what the router believes of it is in `get_status()`."""
        return self._wait(self._requests.exchange_status(timeout_s=timeout_s))

    def get_server_time(self, *, timeout_s: float | None = None) -> shapes.ServerTime:
        """What time it is on the exchange in use."""
        return self._wait(self._requests.server_time(timeout_s=timeout_s))

    # ------------------------------------------------------------------------------------------------ settings

    def set_leverage(self, symbol: str, leverage: parse.Number, *, timeout_s: float | None = None) -> shapes.Setting:
        """Sets a symbol's leverage on the exchange in use; repeating it does no harm."""
        return self._wait(self._requests.set_leverage(symbol, leverage, timeout_s=timeout_s))

    def set_margin_mode(self, symbol: str, mode: str, *, timeout_s: float | None = None) -> shapes.Setting:
        """Sets a symbol's margin mode, ``"cross"`` or ``"isolated"``, on the exchange in use."""
        return self._wait(self._requests.set_margin_mode(symbol, mode, timeout_s=timeout_s))

    def set_position_mode(self, mode: str, *, timeout_s: float | None = None) -> shapes.Setting:
        """Sets the account's position mode on the exchange in use: ``"one_way"``.

        ``"hedge"`` is refused: the router's book is net, one number a symbol.
        """
        return self._wait(self._requests.set_position_mode(mode, timeout_s=timeout_s))
