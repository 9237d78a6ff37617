"""Reduce-only orders that wait, after a start, until it is known what an earlier life left in doubt on their symbol.

What a reduce-only order does depends on the position it meets, and a leg in doubt may have made or closed one. Sent
before that is known, it may be refused for good since there is nothing to reduce, while what it was to close executes a
moment later; or it closes what another, in doubt, was sent to close, and that one is refused. So it waits for the
look-ups, which begin with the start, within its own deadline: proven, it goes its way; not proven in time, it is
answered as not executed, and was never sent. Whatever is not reduce-only proceeds at once, and so do cancels.

Take profit and stop loss that the router places itself do not wait. They are for what is proven to have filled, which
would stand unprotected meanwhile; their exchange cuts them to the position, and one it refuses is planned again
(`app.domain.exits`). Legs in doubt on other exchanges do not count either: an exchange reduces only what stands there.
Nor do those that get into doubt later: their owner knows of them, since they were answered to be unknown.
"""

from __future__ import annotations

from attrs import define, field

from app.domain.effects import TurnAway
from app.domain.errands import Place
from app.domain.leg_task import LegTask
from messages.market import Symbol
from messages.orders import OrderSpec


@define
class ReduceWaits:
    """Of one connector."""

    exchange: str
    _doubted: dict[Symbol, set[str]] = field(init=False, factory=dict)
    _waiting: list[tuple[Place, float]] = field(init=False, factory=list)

    def doubted(self, task: LegTask) -> None:
        """An earlier life left a leg in doubt."""
        self._doubted.setdefault(task.order.spec.symbol, set()).add(task.leg.wire_id)

    def concern(self, spec: OrderSpec) -> bool:
        """Whether an order has to wait."""
        return spec.reduce_only and spec.symbol in self._doubted

    def wait(self, place: Place, until_s: float) -> None:
        """It waits."""
        self._waiting.append((place, until_s))

    def known(self, task: LegTask) -> list[Place]:
        """Something was recorded of a leg: the orders that need not wait any longer."""
        symbol = task.order.spec.symbol
        legs = self._doubted.get(symbol)
        if legs is None or task.unproven or task.leg.wire_id not in legs:
            return []
        legs.discard(task.leg.wire_id)
        if legs:
            return []
        del self._doubted[symbol]
        free = [place for place, _ in self._waiting if place.request.spec.symbol == symbol]
        self._waiting = [each for each in self._waiting if each[0].request.spec.symbol != symbol]
        return free

    def late(self, now_s: float) -> list[TurnAway]:
        """Those that cannot wait any longer, turned away in words."""
        late = [place for place, until_s in self._waiting if until_s <= now_s]
        if late:
            self._waiting = [each for each in self._waiting if each[1] > now_s]
        return [self._turned_away(place) for place in late]

    def next_s(self) -> float | None:
        """When the first of them cannot wait any longer; None when none waits."""
        return min([until_s for _, until_s in self._waiting], default=None)

    def _turned_away(self, place: Place) -> TurnAway:
        symbol = place.request.spec.symbol
        number = len(self._doubted.get(symbol, ()))
        orders = f"{number} order{'s' if number != 1 else ''} of {symbol}"
        words = (
            f"{orders} on {self.exchange} from before the router's restart may have executed, and it could not be found"
            " out before the deadline: the reduce-only order was not sent."
        )
        return TurnAway(asker=place.asker, request=place.request, code="symbol_in_doubt", words=words)
