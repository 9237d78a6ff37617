"""What a market allows of an order, whatever the account: steps, ticks, bounds, the side of attached levels."""

from decimal import Decimal

from app.simulator.model import NewOrder, OrderType, Reason, Refusal
from app.simulator.spec import MarketSpec
from app.simulator.venue import MAX_PRICE


def check_order(new: NewOrder, market: MarketSpec, reference: Decimal) -> None:
    """Refuse quantities, prices and attached levels that the market does not allow.

    `reference` is the order's price, or of a market order the price at which it would fill.
    """
    if not new.qty.is_finite() or new.qty <= 0:
        raise Refusal(Reason.BAD_QTY, f"Quantity {new.qty} is not positive.", symbol=new.symbol)
    if new.qty < market.min_qty:
        raise Refusal(Reason.QTY_TOO_SMALL, f"Quantity {new.qty} is below {market.min_qty}.", symbol=new.symbol)
    if new.qty > market.max_qty:
        raise Refusal(Reason.QTY_TOO_LARGE, f"Quantity {new.qty} is above {market.max_qty}.", symbol=new.symbol)
    if new.qty % market.step:
        raise Refusal(Reason.QTY_OFF_STEP, f"Quantity {new.qty} is no multiple of {market.step}.", symbol=new.symbol)
    if new.type is OrderType.LIMIT:
        if new.price is None or not new.price.is_finite() or not 0 < new.price <= MAX_PRICE:
            raise Refusal(Reason.BAD_PRICE, "A limit order needs a positive, sane price.", symbol=new.symbol)
        if new.price % market.tick:
            raise Refusal(
                Reason.PRICE_OFF_TICK, f"Price {new.price} is no multiple of {market.tick}.", symbol=new.symbol
            )
    if not new.reduce_only and new.qty * reference < market.min_notional:
        raise Refusal(Reason.NOTIONAL_TOO_SMALL, f"Notional is below {market.min_notional}.", symbol=new.symbol)
    if new.trigger is not None and (not 0 < new.trigger.price <= MAX_PRICE or new.trigger.price % market.tick):
        raise Refusal(Reason.BAD_TRIGGER, f"Trigger {new.trigger.price} is off tick or no price.", symbol=new.symbol)
    for limit in (new.attach.take_profit_limit, new.attach.stop_loss_limit):
        if limit is not None and (not 0 < limit <= MAX_PRICE or limit % market.tick):
            raise Refusal(Reason.PRICE_OFF_TICK, f"{limit} is off tick or no price.", symbol=new.symbol)
    for reason, level, sign in (
        (Reason.BAD_TAKE_PROFIT, new.take_profit, new.side.sign),
        (Reason.BAD_STOP_LOSS, new.stop_loss, -new.side.sign),
    ):
        if level is None:
            continue
        if not 0 < level <= MAX_PRICE or (level - reference) * sign <= 0 or level % market.tick:
            raise Refusal(reason, f"{level} is on the wrong side of {reference}, or off tick.", symbol=new.symbol)


def bought(cost: Decimal, price: Decimal, market: MarketSpec) -> Decimal:
    """The quantity, in whole steps, that `cost` of the quote coin is worth at `price`; too much is refused."""
    if abs(cost) > market.max_qty * price:
        words = f"{cost} is more than {market.max_qty} at {price}."
        raise Refusal(Reason.QTY_TOO_LARGE, words, symbol=market.symbol)
    return cost / price // market.step * market.step
