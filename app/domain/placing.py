"""The beginning of a placement: what is turned away before it is committed, and what the journal knows already.

A placement that is granted and committed becomes a `LegTask`, and the connector's machine goes on with it. Whoever does
not come so far is answered here, by what the journal knows under the id: an earlier copy of the request, or an earlier
life, may have placed it, and "not executed" must not be said of an order in doubt.
"""

from __future__ import annotations

from functools import partial

from attrs import define, field

from app.domain import calls as c
from app.domain.changes import Waiting
from app.domain.commit import (
    REUSED,
    AlreadyKnown,
    BodyDiffers,
    Decision,
    Fenced,
    Inadmissible,
    Judge,
    TooLate,
    TooManyUnresolved,
)
from app.domain.connector_settings import ConnectorSettings
from app.domain.controls import Controlled
from app.domain.effects import Answer, Asker, Commit, Effect, TurnAway
from app.domain.elsewhere import Elsewhere
from app.domain.errands import Place, Read
from app.domain.leg_life import UNPROVEN
from app.domain.leg_task import LegTask, place_reply
from app.domain.leg_watch import LegWatch
from app.domain.limiter import Priority
from app.domain.no_room import NO_ROOM
from app.domain.order_life import unproven
from app.domain.pretrade import LimitRefused
from app.domain.pretrade_gate import PretradeGate
from app.domain.rate_gate import RateGate
from app.domain.reduce_across import NothingToReduce
from app.domain.reduce_waits import ReduceWaits
from messages.failover import NotRouted
from messages.market import Symbol
from messages.orders import OrderNotExecuted, OrderPending, OrderRefused, OrderView, PlaceOrder, Purpose

LEAST_TO_GO_S = 0.25
"""Left of a placement's time when it is sent; with less, nobody would hear what became of it."""


@define
class Placing:
    """Placements of one connector from being asked for until they are committed, and how many are under way.

    Attributes:
        under_way: Placements that wait for the rate limiter, for the journal or for the exchange's answer.
        gate: The limits an order is held against; None where none is set.
        waits: Reduce-only orders that wait for what an earlier life left in doubt.
    """

    exchange: str
    settings: ConnectorSettings
    watch: LegWatch
    rate_gate: RateGate
    under_way: int = field(init=False, default=0)
    gate: PretradeGate | None = field(init=False, default=None)
    waits: ReduceWaits = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.waits = ReduceWaits(self.exchange)
        if self.settings.limits.any or self.settings.unknown_max_notional is not None:
            self.gate = PretradeGate(self.exchange, self.settings.limits)

    def ask(self, asker: Asker, request: PlaceOrder, now_s: float, *, new: bool = True) -> TurnAway | None:
        """Queues a placement for the rate limiter, or says why it is turned away; `new` where it may be a new order."""
        exit_ = request.purpose is Purpose.EXIT  # which only reduces: none of our own limits holds it up
        ordinary = request.purpose is Purpose.ORDER
        if self.gate is not None and new and ordinary and (refused := self.gate.at_once(request, now_s)) is not None:
            return TurnAway(asker=asker, request=request, code=refused.code, words=refused.words, by_limit=True)
        unresolved = len(self.watch.unknown)
        if now_s >= request.deadline_s:
            return _too_late(asker, request)
        if not exit_ and self.under_way >= self.settings.max_in_flight:
            code = "busy"
            words = f"{self.under_way} orders are on their way to {self.exchange} already, the limit."
        elif not exit_ and unresolved >= self.settings.max_unresolved:
            code = "too_many_unresolved"
            words = f"{unresolved} orders on {self.exchange} have an unknown outcome, the limit: no more are placed."
        elif not exit_ and self.waits.concern(request.spec):
            self.waits.wait(Place(asker, request), _latest_s(request, now_s))
            self.under_way += 1
            return None
        elif not self.rate_gate.place(Place(asker, request), _latest_s(request, now_s), now_s):
            code, words = "rate_limited", f"The rate limit of {self.exchange} leaves no room before the deadline."
        else:
            self.under_way += 1
            return None
        return TurnAway(asker=asker, request=request, code=code, words=words)

    def known(self, task: LegTask, now_s: float) -> list[Effect]:
        """Something was recorded of a leg: what waited for that goes on to the rate limiter."""
        out: list[Effect] = []
        for place in self.waits.known(task):
            self.under_way -= 1
            turned_away = self.ask(place.asker, place.request, now_s, new=False)
            out += [] if turned_away is None else [turned_away]
        return out

    def late(self, place: Place) -> TurnAway:
        """A placement the rate limiter did not let go before its deadline."""
        self.under_way -= 1
        words = f"The rate limit of {self.exchange} left no room before the deadline."
        return TurnAway(asker=place.asker, request=place.request, code="rate_limited", words=words)

    def not_sent(self, asker: Asker, request: PlaceOrder, now_s: float) -> None:
        """A placement that was granted just now does not go after all."""
        self.under_way -= 1
        self.rate_gate.unused(Place(asker, request), now_s)

    def commit_failed(self, asker: Asker, request: PlaceOrder, words: str, now_s: float) -> TurnAway:
        """The journal could not commit the intent, so nothing is sent."""
        self.not_sent(asker, request, now_s)
        return TurnAway(asker=asker, request=request, code="journal_unavailable", words=words)

    def not_committed(self, asker: Asker, request: PlaceOrder, known: Decision, now_s: float) -> list[Effect] | LegTask:
        """Answers a placement by what the journal knows; a task is to be pursued, and its end answers."""
        correlation_id = request.correlation_id
        match known:
            case Fenced(route=route):
                return [Answer(asker=asker, message=NotRouted(correlation_id=correlation_id, route=route))]
            case BodyDiffers():
                return [_refused(asker, request, REUSED, known.words(request.key.client_order_id))]
            case Inadmissible(words=words):
                return [_refused(asker, request, "invalid_order", words)]
            case TooLate():
                return [_too_late(asker, request)]
            case NothingToReduce(words=words):
                return [_refused(asker, request, "nothing_to_reduce", words)]
            case LimitRefused(code=code, words=words) | Controlled(code=code, words=words):
                return [_refused(asker, request, code, words)]
            case TooManyUnresolved(words=words):
                turned = OrderNotExecuted(correlation_id=correlation_id, code="too_many_unresolved", words=words)
                return [Answer(asker=asker, message=turned)]
            case AlreadyKnown(order=order):
                return self._known(asker, request, order, now_s)
            case _:
                raise AssertionError(f"the journal answered {known!r} without committing")

    def _known(self, asker: Asker, request: PlaceOrder, order: OrderView, now_s: float) -> list[Effect] | LegTask:
        leg = order.leg
        assert leg is not None
        if not unproven(order):
            return [Answer(asker=asker, message=place_reply(order, request.correlation_id))]
        task = self.watch.of(order.order_id, leg.number)
        if leg.exchange != self.exchange or leg.state not in UNPROVEN:
            return [Answer(asker=asker, message=OrderPending(correlation_id=request.correlation_id, order=order))]
        if task is None:
            task = self.watch.take_up(LegTask(order=order))
            self.watch.look_at(task, now_s)
        task.placers = [w for w in task.placers if w.correlation_id != request.correlation_id]
        task.placers.append(Waiting.of(asker, request))
        return task

    # ------------------------------------------------------------------------------------------------ limits

    def judge(self, request: PlaceOrder, now_s: float) -> Judge | None:
        """What a placement is held against in the transaction that would commit it; None where no limit is set."""
        if self.gate is None or not self.settings.limits.any:
            return None
        return partial(self.gate.judge, request, now_s=now_s)

    def elsewhere(self, request: PlaceOrder, now_s: float) -> Elsewhere | None:
        """The owner's leave to place what nobody knows of elsewhere; None where it is held."""
        most = self.settings.unknown_max_notional
        if most is None or self.gate is None:
            return None
        return Elsewhere(max_notional=most, market=self.gate.market(request.spec, now_s))

    def over_limit(self, turned: TurnAway, known: OrderView | None, now_s: float) -> list[Effect]:
        """A limit refuses a new order before it waits for its turn; one known to be absent is judged when it is."""
        if known is None:
            return [_refused(turned.asker, turned.request, turned.code, turned.words)]
        turned_away = self.ask(turned.asker, turned.request, now_s, new=False)
        return [] if turned_away is None else [turned_away]

    def commit(self, place: Place, now_s: float) -> Commit:
        """Asks the journal to commit a placement that was granted."""
        return Commit(asker=place.asker, request=place.request, expiry_s=now_s + self.watch.proof.validity_s)

    def hold(self, asker: Asker, request: PlaceOrder, now_s: float) -> TurnAway | None:
        """A granted placement needs a price of the market first: it waits for it, or is turned away."""
        assert self.gate is not None, "only limits need a price"
        place, symbol = Place(asker, request, now_s), request.spec.symbol
        self.rate_gate.held(place, now_s)
        in_vain = self.gate.why_not(symbol, now_s)
        if in_vain is not None:
            return self._no_price(place, in_vain, now_s)
        if self.gate.hold(place, _latest_s(request, now_s)):
            # What takes longer than a price may be old is of no use when it comes.
            limit_s = min(self.settings.request_timeout_s, self.settings.limits.reference_max_age_s)
            deadline_s = now_s + limit_s
            call = c.TickerCall(symbol=symbol, deadline_s=deadline_s)
            if not self.rate_gate.read(Read(None, None, call), Priority.PLACE, now_s):
                words = f"the rate limit of {self.exchange} leaves no room"
                failed = c.CallFailed(code=NO_ROOM, words=words)
                (effect,) = self.ticker_read(Read(None, None, call), failed, now_s, now_s)
                assert isinstance(effect, TurnAway)
                return effect
        return None

    def ticker_read(self, item: Read, result: c.Result, asked_s: float, now_s: float) -> list[Effect]:
        """A ticker was read, whoever asked for it: what waited for it is committed, or turned away."""
        if self.gate is None or not isinstance(item.call, c.TickerCall):
            return []
        released = self.gate.read(item.call, result, asked_s, now_s, ours=item.request is None)
        if isinstance(result, c.TickerResult):
            # Woken late, one may find the price and the end of its time at once.
            late = [place for place in released if now_s >= place.request.deadline_s]
            released = [place for place in released if now_s < place.request.deadline_s]
            for place in released:
                self.rate_gate.resumed(place, now_s)
            in_vain = [self._no_price(place, "it has not come in time", now_s) for place in late]
            return [*in_vain, *(self.commit(place, now_s) for place in released)]
        words = self.gate.why_not(item.call.symbol, now_s) or ""
        return [self._no_price(place, words, now_s) for place in released]

    def held_too_long(self, now_s: float) -> list[Effect]:
        """Turns away what waits for a price, or for what is in doubt, and cannot wait any longer."""
        late: list[Effect] = list(self.waits.late(now_s))
        self.under_way -= len(late)
        if self.gate is not None:
            late += [self._no_price(place, "it has not come in time", now_s) for place in self.gate.late(now_s)]
        return late

    def next_s(self) -> float | None:
        """When `held_too_long` has something to do; None for never."""
        due = self.waits.next_s(), None if self.gate is None else self.gate.next_s()
        return min([at_s for at_s in due if at_s is not None], default=None)

    def _no_price(self, place: Place, why: str, now_s: float) -> TurnAway:
        self.under_way -= 1
        self.rate_gate.unused(place, now_s)
        symbol: Symbol = place.request.spec.symbol
        words = f"The limits need a price of {symbol} on {self.exchange}, and there is none: {why}. It was not sent."
        return TurnAway(asker=place.asker, request=place.request, code="no_reference_price", words=words)


def _latest_s(request: PlaceOrder, now_s: float) -> float:
    """Until when a placement may wait for its turn: not to its deadline, so that who waits is told and not left."""
    return request.deadline_s - min(LEAST_TO_GO_S, (request.deadline_s - now_s) / 4)


def _too_late(asker: Asker, request: PlaceOrder) -> TurnAway:
    words = "The order's deadline had passed before it could be sent."
    return TurnAway(asker=asker, request=request, code="deadline_passed", words=words)


def _refused(asker: Asker, request: PlaceOrder, code: str, words: str) -> Answer:
    message = OrderRefused(correlation_id=request.correlation_id, code=code, words=words)
    return Answer(asker=asker, message=message)
