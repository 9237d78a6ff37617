"""The beginning of a placement: what is turned away before it is committed, and what the journal knows already.

A placement that is granted and committed becomes a `LegTask`, and the connector's machine goes on with it. Whoever does
not come so far is answered here, by what the journal knows under the id: an earlier copy of the request, or an earlier
life, may have placed it, and "not executed" must not be said of an order in doubt.
"""

from __future__ import annotations

from attrs import define, field

from app.domain.commit import AlreadyKnown, BodyDiffers, Decision, Fenced, Inadmissible
from app.domain.connector_settings import ConnectorSettings
from app.domain.effects import Answer, Asker, Effect, TurnAway
from app.domain.errands import Place
from app.domain.gate import Gate
from app.domain.leg_life import UNPROVEN
from app.domain.leg_task import LegTask, Waiting, place_reply
from app.domain.leg_watch import LegWatch
from messages.failover import NotRouted
from messages.orders import OrderPending, OrderRefused, OrderView, PlaceOrder

LEAST_TO_GO_S = 0.25
"""Left of a placement's time when it is sent; with less, nobody would hear what became of it."""


@define
class Placing:
    """Placements of one connector from being asked for until they are committed, and how many are under way.

    Attributes:
        under_way: Placements that wait for the rate limiter, for the journal or for the exchange's answer.
    """

    exchange: str
    settings: ConnectorSettings
    watch: LegWatch
    gate: Gate
    under_way: int = field(init=False, default=0)

    def ask(self, asker: Asker, request: PlaceOrder, now_s: float) -> TurnAway | None:
        """Queues a placement for the rate limiter, or says why it is turned away."""
        unresolved = len(self.watch.unknown)
        if now_s >= request.deadline_s:
            code, words = "deadline_passed", "The order's deadline had passed before it could be sent."
        elif self.under_way >= self.settings.max_in_flight:
            code = "busy"
            words = f"{self.under_way} orders are on their way to {self.exchange} already, the limit."
        elif unresolved >= self.settings.max_unresolved:
            code = "too_many_unresolved"
            words = f"{unresolved} orders on {self.exchange} have an unknown outcome, the limit: no more are placed."
        elif not self.gate.place(Place(asker, request), _latest_s(request, now_s), now_s):
            code, words = "rate_limited", f"The rate limit of {self.exchange} leaves no room before the deadline."
        else:
            self.under_way += 1
            return None
        return TurnAway(asker=asker, request=request, code=code, words=words)

    def late(self, place: Place) -> TurnAway:
        """A placement the rate limiter did not let go before its deadline."""
        self.under_way -= 1
        words = f"The rate limit of {self.exchange} left no room before the deadline."
        return TurnAway(asker=place.asker, request=place.request, code="rate_limited", words=words)

    def commit_failed(self, asker: Asker, request: PlaceOrder, words: str) -> TurnAway:
        """The journal could not commit the intent, so nothing is sent."""
        self.under_way -= 1
        return TurnAway(asker=asker, request=request, code="journal_unavailable", words=words)

    def not_committed(self, asker: Asker, request: PlaceOrder, known: Decision, now_s: float) -> list[Effect] | LegTask:
        """Answers a placement by what the journal knows; a task is to be pursued, and its end answers."""
        correlation_id = request.correlation_id
        match known:
            case Fenced(route=route):
                return [Answer(asker=asker, message=NotRouted(correlation_id=correlation_id, route=route))]
            case BodyDiffers():
                words = (
                    f"client_order_id {request.key.client_order_id!r} was used before with {known.field} "
                    f"{known.known}, now {known.asked}: use a new id for a new order."
                )
                return [_refused(asker, request, "client_order_id_reused", words)]
            case Inadmissible(words=words):
                return [_refused(asker, request, "invalid_order", words)]
            case AlreadyKnown(order=order):
                return self._known(asker, request, order, now_s)
            case _:
                raise AssertionError(f"the journal answered {known!r} without committing")

    def _known(self, asker: Asker, request: PlaceOrder, order: OrderView, now_s: float) -> list[Effect] | LegTask:
        leg = order.leg
        assert leg is not None
        if leg.state not in UNPROVEN:
            return [Answer(asker=asker, message=place_reply(order, request.correlation_id))]
        task = self.watch.tasks.get(order.order_id)
        if leg.exchange != self.exchange:
            return [Answer(asker=asker, message=OrderPending(correlation_id=request.correlation_id, order=order))]
        if task is None:
            task = self.watch.take_up(LegTask(order=order))
            self.watch.look_at(task, now_s)
        task.placers = [w for w in task.placers if w.correlation_id != request.correlation_id]
        task.placers.append(Waiting.of(asker, request))
        return task


def _latest_s(request: PlaceOrder, now_s: float) -> float:
    """Until when a placement may wait for its turn: not to its deadline, so that who waits is told and not left."""
    return request.deadline_s - min(LEAST_TO_GO_S, (request.deadline_s - now_s) / 4)


def _refused(asker: Asker, request: PlaceOrder, code: str, words: str) -> Answer:
    message = OrderRefused(correlation_id=request.correlation_id, code=code, words=words)
    return Answer(asker=asker, message=message)
