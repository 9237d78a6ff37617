"""What becomes known of a switch after it is over: it is appended to the history, and kept with the switch.

The steps after the commit wait only for the first pass. An order that was in doubt on a dead exchange is resolved when
that one is back, minutes or days later: then it is taken off there, placed where trading is by then, and told here.
"""

from __future__ import annotations

from attrs import define, evolve

from app.domain.saga_effects import AskBook, CoordinatorEffect, Line, SaveSwitch
from app.domain.saga_state import PAST, SagaState
from messages.carries import CarryReply
from messages.failover import PositionLeft, SettleReply, Switch, SwitchResult
from messages.positions import BookReply, MovesReply

MOST_KEPT = 1000
"""Orders kept with one switch, so that it can be written and shown as one; each is a row of the history besides."""


def with_left(switch: Switch, reply: BookReply) -> Switch:
    """The switch with what stands on the exchange that it left."""
    old = switch.from_exchange
    left = tuple(
        PositionLeft(symbol=str(position.symbol), quantity=format(position.quantity, "f"))
        for position in reply.positions
        if position.exchange == old and position.quantity != 0
    )
    return evolve(switch, positions_left=left, positions_read=old not in reply.unread)


@define
class SagaLate(SagaState):
    """What comes late."""

    def _remember(self, switch: Switch) -> None:
        self.past = [*(each for each in self.past if each.epoch != switch.epoch), switch][-PAST:]

    def _with_carried(self, switch: Switch, reply: CarryReply) -> Switch:
        """The switch with what was placed and parked; the rows that say so were written by whoever did it."""
        carried = {(each.order_id, each.to_exchange): each for each in switch.orders_carried}
        parked = {each.order_id: each for each in switch.orders_parked}
        news = [each for each in reply.carried if carried.get((each.order_id, each.to_exchange)) != each]
        kept = [each for each in reply.parked if parked.get(each.order_id) != each]
        if not news and not kept:
            return switch
        carried |= {(each.order_id, each.to_exchange): each for each in news}
        parked = {name: each for name, each in parked.items() if name not in {one.order_id for one in news}}
        parked |= {each.order_id: each for each in kept}
        gone = {each.order_id for each in news} | {each.order_id for each in kept}
        changed = evolve(
            switch,
            orders_carried=tuple(carried.values())[-MOST_KEPT:],
            orders_parked=tuple(parked.values())[-MOST_KEPT:],
            orders_left=tuple(each for each in switch.orders_left if each.order_id not in gone),
        )
        return changed

    def _with_moved(self, switch: Switch, reply: MovesReply) -> tuple[Switch, Line | None]:
        """The switch with what was moved of positions, and the row that says so; None where that is no news."""
        moved = tuple(
            PositionLeft(symbol=str(each.symbol), quantity=format(each.quantity if each.long else -each.quantity, "f"))
            for each in reply.moved
        )[-MOST_KEPT:]
        if not moved or moved == switch.positions_moved:
            return switch, None
        stays = [[each.exchange, str(each.symbol), format(each.quantity, "f"), each.words] for each in reply.plan.stays]
        detail = {
            "moved": [[each.symbol, each.quantity] for each in moved[len(switch.positions_moved) :]],
            "slices_left": len(reply.plan.slices),
            "stays": stays,
            "words": reply.words,
        }
        changed = evolve(switch, positions_moved=moved)
        return changed, Line(step="moved", epoch=self.route.epoch, detail=detail)

    def _append(self, told: CarryReply | MovesReply, now_s: float) -> list[CoordinatorEffect]:
        done = [each for each in self.past if each.result is SwitchResult.COMPLETED]
        if not done:
            return []
        newest = done[-1]
        if isinstance(told, CarryReply):
            changed = self._with_carried(newest, told)
            return [] if changed is newest else self._again(changed)
        changed, line = self._with_moved(newest, told)
        if line is None:
            return []
        old, deadline_s = newest.from_exchange, now_s + self.settings.preflight_timeout_s
        ask = [AskBook(exchange=old, deadline_s=deadline_s)] if old not in (None, self.route.exchange) and old else []
        return [*self._again(changed, line), *ask]

    def _stands_since(self, reply: BookReply, exchange: str) -> list[CoordinatorEffect]:
        """What stands on an exchange that was left is read once more, after more of it has moved."""
        newest = next((each for each in reversed(self.past) if each.result is SwitchResult.COMPLETED), None)
        if self.switch is not None or newest is None or newest.from_exchange != exchange:
            return []
        changed = with_left(newest, reply)
        if not changed.positions_read or changed == newest:
            return []
        detail = {"exchange": exchange, "positions_left": len(changed.positions_left)}
        return self._again(changed, Line(step="read_late", epoch=newest.epoch, detail=detail))

    def _left_since(self, reply: SettleReply) -> list[CoordinatorEffect]:
        """An exchange that was left says what it took off: of the newest switch that left it."""
        newest = next((each for each in reversed(self.past) if each.from_exchange == reply.exchange), None)
        if newest is None or newest.result is not SwitchResult.COMPLETED:
            return []
        cancelled = tuple(dict.fromkeys(newest.orders_cancelled + reply.cancelled))
        if (cancelled, reply.left) == (newest.orders_cancelled, newest.orders_left):
            return []
        changed = evolve(newest, orders_cancelled=cancelled, orders_left=reply.left)
        detail = {"exchange": reply.exchange, "taken_off": len(reply.cancelled), "left": len(reply.left)}
        return self._again(changed, Line(step="settled_late", epoch=newest.epoch, detail=detail))

    def _again(self, switch: Switch, *lines: Line) -> list[CoordinatorEffect]:
        at = next(n for n, each in enumerate(self.past) if each.epoch == switch.epoch)
        self.past[at] = switch
        return [SaveSwitch(switch=switch, lines=lines)]
