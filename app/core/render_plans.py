"""From what verbs answer to the shapes a caller sees."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from app.core import plan_shapes as shapes
from app.core.render import Spell, candidate, number, order_left, switch
from messages.control import PlannedOrder, Steered, SwitchPlan
from messages.positions import NotMoved, Slice


def steered(reply: Steered, spell: Spell) -> shapes.Steered:
    """What came of a verb."""
    return shapes.Steered(
        verb=reply.verb,
        words=reply.words,
        done=reply.done,
        plan=None if reply.plan is None else plan(reply.plan, spell),
        switch=None if reply.switch is None else switch(reply.switch, spell),
        controls=list(reply.controls),
        orders_cancelled=list(reply.cancelled),
        orders_left=[order_left(left) for left in reply.left],
        positions_left=_stay(reply.stays, spell),
    )


def plan(view: SwitchPlan, spell: Spell) -> shapes.Plan:
    """What a verb would do."""
    return shapes.Plan(
        from_exchange=spell(view.from_exchange) if view.from_exchange else None,
        to_exchange=spell(view.to_exchange) if view.to_exchange else None,
        candidates=[candidate(each, spell) for each in view.candidates],
        carried=_orders(view.carried, spell),
        parked=_orders(view.parked, spell),
        cancelled=_orders(view.cancelled, spell),
        stays=_orders(view.stays, spell),
        notional=_money(view.notional),
        slices=[_slice(each, spell) for each in view.positions.slices],
        positions_notional=_money(view.positions.notional),
        positions_cost=_money(view.positions.cost),
        positions_stay=_stay(view.positions.stays, spell),
        words=list(view.words),
    )


def _money(value: Decimal) -> str:
    """As it is, without zeros that only a multiplication brought."""
    text = number(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _orders(orders: Iterable[PlannedOrder], spell: Spell) -> list[shapes.PlannedOrder]:
    return [
        shapes.PlannedOrder(
            orderId=each.order_id,
            orderLinkId=each.client_order_id,
            strategy=each.strategy,
            exchange=spell(each.exchange),
            symbol=each.symbol,
            side=each.side.capitalize(),
            leavesQty=number(each.quantity),
            price=number(each.price),
            words=each.words,
        )
        for each in orders
    ]


def _slice(each: Slice, spell: Spell) -> shapes.PlannedSlice:
    return shapes.PlannedSlice(
        symbol=str(each.symbol),
        from_exchange=spell(each.from_exchange) if each.from_exchange else None,
        to_exchange=spell(each.to_exchange) if each.to_exchange else None,
        side="Buy" if each.long else "Sell",
        qty=number(each.quantity),
        openLimit=number(each.open_limit),
        closeLimit=number(each.close_limit),
        notional=_money(each.notional),
    )


def _stay(stays: Iterable[NotMoved], spell: Spell) -> list[shapes.PositionStays]:
    return [
        shapes.PositionStays(
            exchange=spell(each.exchange), symbol=str(each.symbol), size=number(each.quantity), words=each.words
        )
        for each in stays
    ]
