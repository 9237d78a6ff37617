"""What follows from a fill: attached take profit and stop loss, levels of a position, orders that cancel each other.

Attached levels become reduce-only trigger orders when their order fills. They are as large as what it filled so far
(or, with `Attach.whole_position`, as the position) and grow with it. Of an OCO group one order at most is ever set off:
the others are cancelled in the same step, before anything fills. Levels go with their position. On a spot market they
are plain triggers over the coins received, as there is no position to reduce.
"""

from collections.abc import Mapping
from decimal import Decimal

from attrs import evolve

from app.simulator.matching import Matching
from app.simulator.model import (
    ZERO,
    Attach,
    Fill,
    NewOrder,
    Order,
    OrderType,
    Position,
    PositionSide,
    Role,
    Side,
    Status,
    Trigger,
)
from app.simulator.spec import EngineRules
from app.simulator.venue import Venue


def other(side: Side) -> Side:
    """The opposite side."""
    return Side.SELL if side is Side.BUY else Side.BUY


class Linked(Matching):
    """Orders that the exchange makes of other orders."""

    def __init__(self, venue: Venue, rules: EngineRules, name: str) -> None:
        super().__init__(venue, rules, name)
        self._covered: dict[str, Decimal] = {}
        self._pair: dict[str, list[Order]] = {}
        self._born: list[Order] = []

    # ---- look-ups ---------------------------------------------------------------------------------------------------

    def children(self, order: Order) -> list[Order]:
        """The linked orders made of an order's attached levels, oldest first, closed ones too."""
        return [o for o in self._orders.values() if o.parent_id == order.order_id]

    def levels(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> dict[Role, Order]:
        """The waiting take profit and stop loss of a whole position."""
        return {
            o.role: o
            for o in self._reducing.get(symbol, {}).values()
            if o.whole_position and o.position_side is side and o.is_waiting_trigger
        }

    # ---- books ------------------------------------------------------------------------------------------------------

    def linked_state(self) -> tuple[dict[str, Decimal], dict[str, list[str]]]:
        """By parent's id: what is covered of what it filled, and the ids of its newest pair; of open parents only."""
        parents = [k for k in self._covered if self._orders[k].status.is_open]
        pairs = {k: [o.order_id for o in self._pair[k]] for k in parents}
        return {k: self._covered[k] for k in parents}, pairs

    def restore(
        self, orders: list[Order], fills: list[Fill], covered: Mapping[str, Decimal], pairs: Mapping[str, list[Order]]
    ) -> None:
        """Take over the orders (by number) and fills of an account's books, into an engine that has none."""
        for order in orders:
            self._add(order)
            self._reserve(order, 1)
        for fill in fills:
            self._add_fill(fill)
            fill.order.last_fill = fill
        self._covered.update(covered)
        self._pair.update(pairs)

    # ---- hooks ------------------------------------------------------------------------------------------------------

    def _on_set_off(self, order: Order, now_ms: int) -> None:
        self._cancel_rivals(order, now_ms)

    def _on_fill(self, order: Order, fill: Fill, now_ms: int) -> None:
        self._cancel_rivals(order, now_ms)
        if order.role is not Role.USER or order.reduces or (order.take_profit is None and order.stop_loss is None):
            return
        position = self.ledger.position(order.symbol, order.position_side)
        is_spot = self.markets[order.symbol].is_spot
        if is_spot and order.side is Side.SELL:
            return  # there is nothing of it to protect
        if not is_spot and position.qty * order.side.sign <= 0:
            return  # it only made an opposite position smaller
        if order.attach.whole_position and not is_spot:
            if order.filled == fill.qty:  # the first: later ones find the levels there, and they follow the position
                self._set_levels(position, order.take_profit, order.stop_loss, order.attach, now_ms, order)
            return
        self._grow(order, now_ms)

    def _on_position(self, position: Position, now_ms: int) -> None:
        """Orders that reduce it go when there is nothing left to reduce; levels of the whole follow its size."""
        for order in list(self._reducing[position.symbol].values()):
            if order.position_side is not position.side or not order.status.is_open:
                continue
            gone = position.qty * order.side.sign >= 0
            if order.is_waiting_trigger and order.role is Role.USER and not order.whole_position:
                continue  # a client's own trigger waits on, as on the exchanges
            if gone and order.is_waiting_trigger:
                self._close(order, Status.CANCELLED, now_ms, "position_closed")
            elif gone:
                self._close(order, Status.EXPIRED, now_ms, "reduce_only")
            elif order.whole_position and order.is_waiting_trigger:
                order.qty = abs(position.qty)
                self._note(order)

    # ---- making -----------------------------------------------------------------------------------------------------

    def _cancel_rivals(self, order: Order, now_ms: int) -> None:
        if order.oco is None:
            return
        for rival in [o for o in self._open[order.symbol].values() if o.oco == order.oco and o is not order]:
            self._close(rival, Status.CANCELLED, now_ms, "oco")

    def _grow(self, order: Order, now_ms: int) -> None:
        """Make the linked orders of an order, or enlarge them, to what it filled."""
        market = self.markets[order.symbol]
        received = order.filled
        if market.is_spot and order.fee_coin == market.base:
            received = (received - order.fee) // market.step * market.step
        more = received - self._covered.get(order.order_id, ZERO)
        if more <= 0:
            return
        self._covered[order.order_id] = received
        pair = self._pair.get(order.order_id, [])
        if pair and all(o.status.is_open and o.is_waiting_trigger for o in pair):
            for child in pair:
                child.qty += more
                child.updated_ms = now_ms
                self._note(child)
            return
        attach, group = order.attach, f"{order.order_id}:{self.venue.orders_made}"
        pair = []
        for role, level in ((Role.TAKE_PROFIT, order.take_profit), (Role.STOP_LOSS, order.stop_loss)):
            if level is not None:
                new = self._child(role, order.symbol, other(order.side), more, level, attach, order.position_side)
                pair.append(self._accept(new, now_ms, role=role, parent_id=order.order_id, oco=group))
        self._pair[order.order_id] = pair
        self._born += pair

    def _set_levels(
        self,
        position: Position,
        take_profit: Decimal | None,
        stop_loss: Decimal | None,
        attach: Attach,
        now_ms: int,
        parent: Order | None = None,
    ) -> None:
        """Replace the levels of a whole position; of a level not given the old one stays."""
        old = self.levels(position.symbol, position.side)
        side = Side.SELL if position.qty > 0 else Side.BUY
        group = next((o.oco for o in old.values()), None) or f"{position.symbol}:{self.venue.orders_made}"
        for role, level in ((Role.TAKE_PROFIT, take_profit), (Role.STOP_LOSS, stop_loss)):
            if level is None:
                continue
            if role in old:
                self._close(old[role], Status.CANCELLED, now_ms, "replaced")
            child = self._child(role, position.symbol, side, abs(position.qty), level, attach, position.side)
            parent_id = parent.order_id if parent is not None else None
            made = self._accept(child, now_ms, role=role, parent_id=parent_id, oco=group, whole_position=True)
            self._born.append(made)

    def _child(
        self,
        role: Role,
        symbol: str,
        side: Side,
        qty: Decimal,
        level: Decimal,
        attach: Attach,
        position_side: PositionSide,
    ) -> NewOrder:
        profit = role is Role.TAKE_PROFIT
        limit = attach.take_profit_limit if profit else attach.stop_loss_limit
        by = attach.take_profit_by if profit else attach.stop_loss_by
        return NewOrder(
            symbol=symbol,
            side=side,
            type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            qty=qty,
            price=limit,
            reduce_only=not self.markets[symbol].is_spot,
            client_order_id=attach.take_profit_id if profit else attach.stop_loss_id,
            trigger=Trigger(price=level, rising=profit is (side is Side.SELL), by=by),
            position_side=position_side,
        )

    def _amend_children(self, order: Order, now_ms: int) -> None:
        """New levels of an order that filled in part reach the linked orders that wait."""
        for child in self._pair.get(order.order_id, []):
            level = order.take_profit if child.role is Role.TAKE_PROFIT else order.stop_loss
            if child.status.is_open and child.is_waiting_trigger and child.trigger is not None and level is not None:
                child.trigger, child.updated_ms = evolve(child.trigger, price=level), now_ms
                self._note(child)
                self._born.append(child)

    # ---- setting off ------------------------------------------------------------------------------------------------

    def _is_met(self, order: Order) -> bool:
        trigger = order.trigger
        return (
            trigger is not None
            and order.is_waiting_trigger
            and order.status.is_open
            and trigger.met(self.venue.price_by(order.symbol, trigger.by))
        )

    def _fire_born(self, now_ms: int) -> None:
        """Linked orders whose level the market is past when they come into being go off at once."""
        while self._born:
            child = self._born.pop(0)
            if child.symbol not in self.venue.suspended and self._is_met(child):
                self._set_off(child, now_ms)

    def _follow_price(self, symbol: str, now_ms: int) -> bool:
        """Set triggers off and fill resting orders that the price reached, oldest first; True if any did.

        Called until nothing happens: every call that returns True set an order off or filled one whole.
        """
        acted = False
        reference = self.prices[symbol]
        self._born.clear()  # all orders are looked at here
        for order in list(self._open[symbol].values()):
            if not order.status.is_open:  # closed by what an order before it did
                continue
            if order.is_waiting_trigger:
                if self._is_met(order):
                    self._set_off(order, now_ms)
                    acted = True
            elif order.price is not None and (order.price - reference) * order.side.sign >= 0:
                self._execute(order, order.remaining, order.price, now_ms, is_maker=True)
                acted = True
        return acted
