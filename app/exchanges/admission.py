"""Whether an exchange's own rules admit an order: its symbol, size and price, and what it can be asked for."""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve

from app.domain.calls import AmendCall
from app.domain.exits import wants_exits
from app.exchanges.profiles.base import Profile
from app.exchanges.sizes import InvalidSize, SizeRules, check_notional, check_price, to_contracts
from app.exchanges.symbols import Market, MarketTable
from messages.market import MarketType
from messages.orders import OrderSpec, OrderType, Side, TimeInForce


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
    if spec.reduce_only and profile.market_type is MarketType.SPOT:
        raise NotSupported("Spot markets have no positions, so no order there can be reduce-only: leave it out.")
    if spec.trigger is not None:
        check_price(spec.trigger.price, market.rules, "Trigger price")
    carries = carried(profile, spec)
    unsupported = profile.unsupported(carries) or ("" if carries is spec else _not_linkable(profile, spec))
    if unsupported:
        raise NotSupported(unsupported)
    contracts = to_contracts(quantity, _rules(market, spec))
    if carries is not spec:
        _closable(quantity, market)
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


def carried(profile: Profile, spec: OrderSpec) -> OrderSpec:
    """What of an order goes to the exchange with it: without exits that are placed as orders of their own."""
    if not wants_exits(spec) or profile.attaches(spec):
        return spec
    return evolve(spec, take_profit=None, stop_loss=None)


def _not_linkable(profile: Profile, spec: OrderSpec) -> str:
    """One sentence where exits of an order cannot be orders of their own; otherwise an empty string."""
    if not profile.takes_triggers:
        return f"{profile.name} takes no orders that wait for a trigger, which take profit and stop loss are."
    if spec.reduce_only:
        return "A reduce-only order opens nothing that take profit or stop loss could close: leave them out."
    unlinkable = profile.unlinkable(spec)
    if unlinkable:
        return unlinkable
    if profile.market_type is MarketType.SPOT:
        if spec.side is Side.SELL:
            return "A sale on a spot market leaves nothing that take profit or stop loss could sell: leave them out."
        if spec.take_profit is not None and spec.stop_loss is not None:
            return (
                f"On spot markets of {profile.name} take profit and stop loss are sales of their own, and would need"
                " what was bought twice: leave one of them out."
            )
    if spec.price is None or spec.order_type is not OrderType.LIMIT:
        return ""
    buys = spec.side is Side.BUY
    for price, name, above in ((spec.stop_loss, "Stop loss", not buys), (spec.take_profit, "Take profit", buys)):
        if price is not None and (price <= spec.price if above else price >= spec.price):
            right = "above" if above else "below"
            return f"{name} {price} of an order to {spec.side.value} at {spec.price} must be {right} that price."
    return ""


def admit_change(profile: Profile, table: MarketTable, call: AmendCall) -> tuple[Market, Decimal | None]:
    """The market of a resting order, and how many contracts it is to be for; None where that stays.

    Raises:
        NotTradable: The exchange has no such market.
        InvalidSize: A size or price is off the market's steps or limits.
        NotSupported: It cannot be asked for.
    """
    spec, market = call.spec, table.known(call.spec.symbol)
    if call.quantity is None and call.price is None and call.trigger_price is None:
        raise NotSupported("Nothing is to be changed: name a quantity, a price or a trigger price.")
    if call.price is not None:
        if spec.order_type is not OrderType.LIMIT:
            raise NotSupported("A market order has no price that could be changed.")
        check_price(call.price, market.rules)
        moved = evolve(spec, price=call.price)
        if carried(profile, moved) is not moved and (words := _not_linkable(profile, moved)):
            raise NotSupported(words)
    if call.trigger_price is not None:
        if spec.trigger is None:
            raise NotSupported("The order waits for no trigger whose price could be changed.")
        check_price(call.trigger_price, market.rules, "Trigger price")
    contracts = None if call.quantity is None else to_contracts(call.quantity, _rules(market, spec))
    if call.quantity is not None and carried(profile, spec) is not spec:
        _closable(call.quantity, market)
    price = call.price if call.price is not None else spec.price
    if price is not None and not spec.reduce_only:
        check_notional(call.quantity if call.quantity is not None else spec.quantity, price, market.rules)
    return market, contracts


def _closable(quantity: Decimal, market: Market) -> None:
    """Whether exits of their own can close as much: an order that fills at once has no smaller ones."""
    try:
        to_contracts(quantity, market.rules.of_market_orders)
    except InvalidSize as error:
        raise InvalidSize(f"Take profit and stop loss would be market orders of that size: {error}") from None


def _rules(market: Market, spec: OrderSpec) -> SizeRules:
    return market.rules.of_market_orders if spec.order_type is OrderType.MARKET else market.rules
