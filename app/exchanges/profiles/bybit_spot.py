"""Bybit V5 spot of a unified account.

Where it differs from swaps: a market order is sized in base coin only because it says so (`marketUnit`); an order that
waits for a trigger is of another kind (`orderFilter`), found by a cancel under that kind only until it is set off; and
nothing says which way its trigger goes off: towards it from where the price is, so that this is looked at before.
There are no positions, no leverage and no margin: nothing is ever borrowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from app.exchanges.client import TRACE, type_client
from app.exchanges.outcomes import Meaning
from app.exchanges.profiles.base import NotSent, Unsupported, WireChange, WireOrder
from app.exchanges.profiles.bybit import BybitV5, acknowledged
from app.exchanges.profiles.rows import OrderRow, PositionRow, listed, price
from app.exchanges.rules import bybit as rules
from app.exchanges.sizes import plain
from app.exchanges.symbols import Market, MarketTable
from messages.orders import OrderSpec, OrderType, Side, TriggerBy

_WAITING = MappingProxyType({"orderFilter": "StopOrder"})
"""The kind of order that waits and takes up nothing until it is set off:
https://bybit-exchange.github.io/docs/v5/order/create-order."""


class BybitSpot(BybitV5):
    """Spot markets."""

    market_type = rules.SPOT.market_type
    category = "spot"
    product = 2
    largest_market_order = ("lotSizeFilter", "maxMarketOrderQty")
    options = MappingProxyType({"fetchMarkets": {"types": ["spot"]}, "defaultType": "spot"})
    proof = rules.SPOT.proof
    look_back_s = rules.SPOT.look_back_s.value

    def unsupported(self, spec: OrderSpec) -> str:
        """What https://bybit-exchange.github.io/docs/v5/order/create-order rules out."""
        exits = spec.take_profit is not None or spec.stop_loss is not None
        if spec.trigger is not None and spec.trigger.by is TriggerBy.MARK:
            return "Spot markets of bybit have no mark price to set an order off: use the last price."
        if exits and (spec.order_type is OrderType.MARKET or spec.trigger is not None):
            return (
                "On spot markets bybit takes take profit and stop loss with limit orders only that go to the book at"
                " once: leave them out."
            )
        if exits and spec.side is Side.SELL:
            return "A sale on a spot market leaves nothing that take profit and stop loss could sell: leave them out."
        return super().unsupported(spec)

    async def place(self, client: type_client, order: WireOrder) -> OrderRow:
        """In base coin. A trigger that the price has passed already is refused, as swaps refuse it."""
        if order.spec.order_type is OrderType.MARKET and not await self._unified(client):
            raise Unsupported(
                "bybit sizes spot market orders of accounts that are not unified in quote coin, and that is not what"
                " was asked: upgrade the account, or use a limit order."
            )
        if order.spec.trigger is not None:
            await self._look(client, order.market, order.spec, order.spec.trigger.price)
        return await super().place(client, order)

    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """One that was placed with a trigger first as one that waits, then as one that was set off."""
        if conditional:
            asked = {**self._asked(market, wire_id), **_WAITING}
            answer = await self._unless_gone(client.privatePostV5OrderCancel(asked))
            if answer is not None:
                acknowledged(answer, "cancel")
                return None
        return await super().cancel(client, market, wire_id, order_id, conditional=conditional)

    async def amend(self, client: type_client, change: WireChange) -> OrderRow | None:
        """In place."""
        spec = change.spec
        if change.contracts is not None and spec.order_type is OrderType.MARKET:
            raise Unsupported(
                "bybit does not say in which coin it counts a new quantity of a spot market order: cancel it and place"
                " another."
            )
        if change.trigger_price is not None:
            await self._look(client, change.market, spec, Decimal(change.trigger_price))
        return await super().amend(client, change)

    def scopes(self, table: MarketTable, market: Market | None) -> list[dict[str, Any]]:
        """Without a market, everything: there are no settlement coins."""
        return [{"category": self.category} if market is None else self._of(market)]

    def filters(self, *, conditional: bool) -> tuple[dict[str, str], ...]:
        """All kinds are listed where none is named, as is documented by now; it was not always so."""
        return ({}, dict(_WAITING)) if conditional else ({},)

    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """None: what one has on spot markets is a balance."""
        return []

    async def _unified(self, client: type_client) -> bool:
        """Whether the account is unified, which is asked once. Raises NotSent where it cannot be had."""
        try:
            return bool((await client.is_unified_enabled())[1])
        except Exception as error:  # answered: nothing was sent, whatever it was
            raise NotSent(
                "Whether the account of bybit is a unified one could not be asked for, which decides in which coin it"
                f" counts a market order ({type(error).__name__}): nothing was sent."
            ) from error

    async def _look(self, client: type_client, market: Market, spec: OrderSpec, trigger: Decimal) -> None:
        """Raises Unsupported where the price has passed the trigger, NotSent where it cannot be had."""
        assert spec.trigger is not None, "asked for orders with a trigger only"
        try:
            ticker = await client.publicGetV5MarketTickers({"category": self.category, "symbol": market.native_id})
            last = price(listed(ticker, "result", "list")[0], "lastPrice")
        except Exception as error:  # answered: nothing was sent, whatever it was
            raise NotSent(
                "The price could not be asked for, which decides on spot markets of bybit which way a trigger goes"
                f" off ({type(error).__name__}): nothing was sent."
            ) from error
        rises = spec.trigger.rises(spec.side)
        if last is None or (last >= trigger if rises else last <= trigger):
            raise Unsupported(
                f"The last price, {'none' if last is None else plain(last)}, has passed the trigger"
                f" {plain(trigger)}, and bybit would wait for it to come back: place the order without a trigger."
            )

    async def _unless_gone(self, asked: Any) -> Mapping[str, Any] | None:
        """The answer to a cancel; None where the exchange says by a code that there is no such order of that kind."""
        try:
            answer: Mapping[str, Any] = await asked
        except Exception:  # whatever it is, it is raised again unless the exchange's own code says that it is not there
            if not self._gone():
                raise
            return None
        return None if self._gone() else answer

    def _gone(self) -> bool:
        trace = TRACE.get()
        said = None if trace is None else self.native_code(trace.answer)
        row = None if said is None else self.row_of(*said)
        return row is not None and row.meaning is Meaning.UNKNOWN_ORDER
