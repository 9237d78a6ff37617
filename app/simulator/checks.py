"""What a market allows of an order, whatever the account: steps, ticks, bounds, the side of attached levels."""

from decimal import Decimal

from app.simulator.model import MarketSpec, NewOrder, OrderType, Reason, Refusal

MAX_PRICE = Decimal(10) ** 12
"""Above it the remainder by a tick leaves the decimal context, and no market is there anyway."""


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
    for reason, level, sign in (
        (Reason.BAD_TAKE_PROFIT, new.take_profit, new.side.sign),
        (Reason.BAD_STOP_LOSS, new.stop_loss, -new.side.sign),
    ):
        if level is None:
            continue
        if not 0 < level <= MAX_PRICE or (level - reference) * sign <= 0 or level % market.tick:
            raise Refusal(reason, f"{level} is on the wrong side of {reference}, or off tick.", symbol=new.symbol)
