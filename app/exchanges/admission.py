"""Whether an exchange's own rules admit an order: its symbol, size and price, and what it can be asked for."""

from __future__ import annotations

from decimal import Decimal

from app.exchanges.profiles.base import Profile
from app.exchanges.sizes import check_notional, check_price, to_contracts
from app.exchanges.symbols import Market, MarketTable
from messages.orders import OrderSpec, OrderType, TimeInForce


class NotSupported(ValueError):
    """An order this exchange, or any, cannot be asked for; the message is one sentence."""


def admit(profile: Profile, table: MarketTable, spec: OrderSpec, quantity: Decimal) -> tuple[Market, Decimal]:
    """The market for an order, and how many contracts of it.

    Raises:
        NotTradable: The exchange does not trade the symbol now.
        InvalidSize: A size or price is off the market's steps or limits.
        NotSupported: It cannot be asked for.
    """
    market = table.find(spec.symbol)
    unsupported = profile.unsupported(spec)
    if unsupported:
        raise NotSupported(unsupported)
    contracts = to_contracts(quantity, market.rules)
    if spec.order_type is OrderType.LIMIT:
        if spec.price is None:
            raise NotSupported("A limit order needs a price.")
        check_price(spec.price, market.rules)
        if not spec.reduce_only:
            check_notional(quantity, spec.price, market.rules)
    elif spec.time_in_force in (TimeInForce.FOK, TimeInForce.POST_ONLY):
        raise NotSupported(f"A market order cannot be {spec.time_in_force}: leave its time in force out.")
    if spec.take_profit is not None:
        check_price(spec.take_profit, market.rules, "Take profit")
    if spec.stop_loss is not None:
        check_price(spec.stop_loss, market.rules, "Stop loss")
    return market, contracts
