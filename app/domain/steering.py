"""The verbs of a person, or a program, that steers the whole router: what each does, and what is answered.

Theory. A verb writes what is to hold from now on into the journal, in one transaction with its line in the history, and
that is the verb: a freeze holds for every connector from that commit on, though whoever wrote it dies in the next
moment. Everything else is brought about by looking, again and again, at what holds and at what is (`Scene`): trading
leaves an exchange that is isolated, orders are cancelled for as long as a panic holds and there are any. So a verb that
is sent again, or whose coordinator died, does the same once, and what an exchange that is down still has is cancelled
when it is back.

    verb          writes                       then, until its deadline, waits for
    failover      (the saga's own)             -
    failback      -                            the saga's answer
    isolate       isolated                     trading being elsewhere, where it was in use
    release       -isolated                    -
    drain         isolated, after the saga     the saga's answer; nothing of ours being left there
    freeze        frozen                       -
    unfreeze      -frozen -panic -flatten      -
    reduce-only   reduce_only                  -
    panic         frozen panic (flatten)       nothing of ours being open; flattened: no position either
    resolve       (the order's own)            its exchange's answer

One saga runs at a time. A verb that only writes controls passes while one runs, and the saga meets what holds by then:
a candidate that is isolated yields to the next, a frozen router commits its route and places nothing. A verb that wants
a saga of its own is refused until the running one has committed, in the saga's words, unless it asks for the same.
A dry run asks everybody the same questions and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, evolve, field

from app.domain import verb_words as words_of
from app.domain.effects import Answer, Asker
from app.domain.leg_life import BETWEEN, UNPROVEN
from app.domain.steering_effects import (
    AskCancel,
    AskMoves,
    AskOrder,
    AskReady,
    AskSettle,
    Move,
    SteeringEffect,
    Unpark,
    Write,
)
from app.domain.verb_plan import (
    Failover,
    Scene,
    held_on,
    leaving,
    legs_on,
    plan_of,
    protects,
    refusal,
    specs,
    target,
    to_carry,
)
from app.domain.verb_words import Change, applied, change
from messages.base import Failed, Reply
from messages.control import Drain, Failback, Isolate, Panic, Resolution, Resolve, Steered, SwitchPlan, Verb
from messages.failover import ManualFailover, OrderLeft, PreflightReply, Switch, SwitchReply
from messages.orders import LegState, OrderAccepted, OrderRefused, OrderReply, OrderView
from messages.positions import MovesReply, NotMoved, PositionPolicy

OWN = "order-router"
"""The strategy of the router's own orders: slices of positions, and what flattens."""
AGAIN_S = 0.25
"""Between two looks at what a verb waits for."""
PANIC_AGAIN_S = 1.0
"""Between two times that what a panic wants is asked for."""
PLAN_S = 4.0
"""At most so long a plan waits for answers: what was not told by then is said not to have been."""
PATIENCE_S = 0.3
"""Before its deadline a verb is answered with what is so by then."""
FLAT, PANIC = "flat", "panic"
"""Tokens of what a panic asks for, whoever began it."""
MAX_CANCELS = 200
"""That a panic asks for at a time; the rest follows at the next."""
MAX_OPEN = 100
"""Verbs that wait at once; one more is refused."""


@define
class _Open:
    """A verb that is not answered yet."""

    asker: Asker
    verb: Verb
    name: str
    began: Scene
    asked_s: float
    waits: set[str] = field(factory=set)
    ready: PreflightReply | None = None
    moves: MovesReply | None = None
    switch: Switch | None = None
    order: OrderView | None = None
    target: str | None = None
    words: str = ""
    stage: str = ""

    @property
    def due_s(self) -> float:
        due_s = self.verb.deadline_s - PATIENCE_S
        return min(due_s, self.asked_s + PLAN_S) if self.verb.dry_run else due_s


@define
class Steering:
    """The machine. Methods take an event, what is so, and the time, and return effects to perform in order."""

    _open: dict[str, _Open] = field(init=False, factory=dict)
    _serial: int = field(init=False, default=0)
    _look_s: float = field(init=False, default=0.0)
    _panic_s: float = field(init=False, default=0.0)
    _flat: MovesReply | None = field(init=False, default=None)

    # ------------------------------------------------------------------------------------------------ in

    def ask(self, asker: Asker, verb: Verb | ManualFailover, scene: Scene, now_s: float) -> list[SteeringEffect]:
        """Somebody wants something done, or the plan of it. A failover that is no dry run is the saga's own."""
        known = self._open.get(verb.correlation_id)
        if known is not None:  # sent again, since the answer takes a while
            known.asker = asker
            return []
        wanted = verb if isinstance(verb, Verb) else Failover.of(verb)
        why_not = refusal(wanted, scene)
        if not why_not and len(self._open) >= MAX_OPEN:
            why_not = f"{MAX_OPEN} verbs wait for their end already: try again."
        if why_not:
            failed = Failed(correlation_id=verb.correlation_id, code="verb_refused", words=why_not)
            return [Answer(asker=asker, message=failed)]
        one = _Open(asker, wanted, words_of.name_of(wanted), scene, now_s)
        self._open[verb.correlation_id] = one
        self._look_s = now_s
        return self._plan(one, now_s) if verb.dry_run else self._begin(one, now_s)

    def moved(self, token: str, reply: Reply, scene: Scene, now_s: float) -> list[SteeringEffect]:
        """The saga says how it ended that a verb wanted."""
        one = self._of(token)
        if one is None:
            return []
        if not isinstance(reply, SwitchReply):
            del self._open[one.verb.correlation_id]
            code, words = (reply.code, reply.words) if isinstance(reply, Failed) else ("failover_failed", str(reply))
            failed = Failed(correlation_id=one.verb.correlation_id, code=code, words=words)
            return [Answer(asker=one.asker, message=failed)]
        one.switch = reply.switch
        if isinstance(one.verb, Drain):
            return self._drained_off(one, scene, now_s)
        return self._answer(one, scene, f"{words_of.moved(reply.switch)}.")

    def awaits(self, token: str) -> bool:
        """Whether an answer is of use: what a panic cancels is seen in the journal, and not by hundreds of answers."""
        return token == FLAT or any(token in one.waits for one in self._open.values())

    def heard(self, token: str, reply: Reply, scene: Scene, now_s: float) -> list[SteeringEffect]:
        """Somebody who was asked answers; whatever comes too late, or to nobody, is dropped."""
        if token == FLAT and isinstance(reply, MovesReply):
            self._flat = reply
            return []
        one = self._of(token)
        if one is None:
            return []
        if isinstance(reply, PreflightReply):
            one.ready = reply
        elif isinstance(reply, MovesReply):
            one.moves = reply
        elif isinstance(reply, OrderReply | OrderAccepted):
            one.order = reply.order
        elif isinstance(reply, Failed | OrderRefused):
            one.words = reply.words
        if one.verb.dry_run:
            return [] if one.waits else self._planned(one, scene)
        return self._looked(one, scene) if isinstance(one.verb, Resolve) else []

    def tick(self, scene: Callable[[], Scene], now_s: float, *, panic: bool) -> list[SteeringEffect]:
        """What waits is looked at, and what a panic wants is asked for, whoever began it.

        Args:
            scene: Read only where there is something to look at.
            panic: Whether one holds.
        """
        if now_s < self._look_s:
            return []
        if not self._open and not panic:
            self._look_s = now_s + PANIC_AGAIN_S
            return []
        self._look_s = now_s + (AGAIN_S if self._open else PANIC_AGAIN_S)
        seen = scene()
        out: list[SteeringEffect] = []
        if seen.controls.panic and now_s >= self._panic_s:
            self._panic_s = now_s + PANIC_AGAIN_S
            out += self._panic(seen, now_s)
        for one in list(self._open.values()):
            out += self._look(one, seen, late=now_s >= one.due_s)
        return out

    def not_now(self, now_s: float) -> None:
        """Nothing could be looked at: later again."""
        self._look_s = now_s + PANIC_AGAIN_S

    def next_s(self) -> float | None:
        """When `tick` has something to do next."""
        return self._look_s

    def failed(self, write: Write, words: str) -> list[SteeringEffect]:
        """What a verb wanted could not be written, and nothing that was to follow was done: who asked may try again.

        Also a verb that would have been answered in the same breath, and waits for nothing any more.
        """
        one = self._open.pop(write.correlation_id, None)
        failed = Failed(correlation_id=write.correlation_id, code="journal_unavailable", words=words, retryable=True)
        return [Answer(asker=write.asker if one is None else one.asker, message=failed)]

    def _of(self, token: str) -> _Open | None:
        for one in self._open.values():
            if token in one.waits:
                one.waits.discard(token)
                return one
        return None

    def _token(self, one: _Open) -> str:
        self._serial += 1
        token = str(self._serial)
        one.waits.add(token)
        return token

    # ------------------------------------------------------------------------------------------------ what is done

    def _begin(self, one: _Open, now_s: float) -> list[SteeringEffect]:
        verb, scene = one.verb, one.began
        match verb:
            case Failback() if scene.route.exchange == scene.exchanges[0]:
                words = f"Trading is on {scene.exchanges[0]}, the primary exchange, already."
                return self._answer(one, scene, words)
            case Failback():
                return self._move(one, scene.exchanges[0], "Failback")
            case Drain(exchange=exchange) if exchange == scene.route.exchange:
                next_best = scene.next_best()
                assert next_best is not None, "refused otherwise"
                return self._move(one, next_best, f"{exchange} is drained")
            case Drain():
                return self._drained_off(one, scene, now_s)
            case Resolve():
                return self._resolve(one)
        done = change(verb, scene.controls)
        out = self._write(one, done)
        one.words = done.words
        now = evolve(scene, controls=applied(scene.controls, done))
        if isinstance(verb, Panic):
            self._flat, self._panic_s = None, now_s + PANIC_AGAIN_S
            return [*out, *self._panic(now, now_s)]
        if isinstance(verb, Isolate) and scene.route.exchange in (verb.exchange, None):
            return out
        return [*out, *self._answer(one, now, done.words)]

    def _write(self, one: _Open, done: Change) -> list[SteeringEffect]:
        if not done.needed:
            return []
        return [
            Write(
                asker=one.asker,
                correlation_id=one.verb.correlation_id,
                change=done,
                verb=one.name,
                reason=words_of.sentence(one.verb.reason),
            )
        ]

    def _move(self, one: _Open, exchange: str, reason: str) -> list[SteeringEffect]:
        one.target = exchange
        return [Move(token=self._token(one), exchange=exchange, deadline_s=one.verb.deadline_s, reason=reason)]

    def _drained_off(self, one: _Open, scene: Scene, now_s: float) -> list[SteeringEffect]:
        """Trading is elsewhere: what is left there is taken off, and nothing new comes."""
        assert isinstance(one.verb, Drain)
        exchange = one.verb.exchange
        out = self._write(one, change(one.verb, scene.controls))
        one.stage = "leaving"
        if any(legs_on(order, exchange) for order in scene.open):
            out.append(AskSettle(token=self._token(one), exchange=exchange, deadline_s=one.due_s))
        return out

    def _panic(self, scene: Scene, now_s: float) -> list[SteeringEffect]:
        """What a panic wants and is not yet asked for."""
        flat = not scene.controls.flatten or (self._flat is not None and self._flat.done)
        out: list[SteeringEffect] = []
        until_s = now_s + 10 * PANIC_AGAIN_S
        for order in scene.waiting:  # any connector can end what is on no exchange
            where = scene.route.exchange or order.legs[-1].exchange
            out.append(AskCancel(token=PANIC, exchange=where, order=order, deadline_s=until_s))
        for order in scene.open:
            if order.key.strategy == OWN or (protects(order) and not (scene.controls.flatten and flat)):
                continue
            for leg in legs_on(order, None):
                if leg.cancel_asked_s is None:  # it stays asked for, though the exchange is down or the connector dies
                    out.append(AskCancel(token=PANIC, exchange=leg.exchange, order=order, deadline_s=until_s))
        del out[MAX_CANCELS:]
        if not flat and scene.route.exchange is not None:
            until_s = now_s + 2 * PANIC_AGAIN_S
            flatten = PositionPolicy.FLATTEN
            out.append(AskMoves(token=FLAT, policy=flatten, dry_run=False, to_exchange="", deadline_s=until_s))
        return out

    # ------------------------------------------------------------------------------------------------ what is awaited

    def _look(self, one: _Open, scene: Scene, *, late: bool) -> list[SteeringEffect]:
        verb = one.verb
        if verb.dry_run:
            return self._planned(one, scene) if late else []
        match verb:
            case Isolate(exchange=exchange):
                there = scene.route.exchange
                if there not in (exchange, None):
                    one.switch = scene.last if scene.last is not None and scene.last.to_exchange == there else None
                    where = f"Trading is on {there}" if one.switch is None else words_of.moved(one.switch)
                    return self._answer(one, scene, f"{one.words} {where}.")
                why = "; ".join(f"{each.exchange}: {' '.join(each.problems)}" for each in scene.candidates(exchange))
                nobody = f"No other exchange could take over yet ({why or 'none is configured'}): nothing is placed."
                return self._answer(one, scene, f"{one.words} {nobody}", done=False) if late else []
            case Drain(exchange=exchange) if one.stage:
                left = tuple(
                    _left(order, exchange) for order in scene.open if legs_on(order, exchange) and not protects(order)
                )
                stays = held_on(scene, exchange)
                goes = stays if scene.positions in (PositionPolicy.MIGRATE, PositionPolicy.FLATTEN) else ()
                if (left or goes) and not late:
                    return []
                words = words_of.drained(exchange, one.switch, left, stays)
                return self._answer(one, scene, words, done=not (left or goes), left=left, stays=stays)
            case Panic():
                return self._panicked(one, scene, late=late)
            case Resolve() if late:
                return self._looked(one, scene)
            case _ if late:
                words = f"{one.name} goes on; what comes of it is in the status and in the history."
                return self._answer(one, scene, words, done=False)
        return []

    def _panicked(self, one: _Open, scene: Scene, *, late: bool) -> list[SteeringEffect]:
        flatten = bool(scene.controls.flatten)
        left = tuple(
            _left(order, None)
            for order in scene.open
            if legs_on(order, None) and (flatten or not protects(order)) and order.key.strategy != OWN
        )
        flat = not flatten or (self._flat is not None and self._flat.done)
        if (left or scene.waiting or not flat) and not late:
            return []
        there = {order.order_id for order in (*scene.open, *scene.waiting)}
        before = [order.order_id for order in (*one.began.open, *one.began.waiting)]
        gone = tuple(order_id for order_id in dict.fromkeys(before) if order_id not in there)
        stays = self._flat.plan.stays if flatten and self._flat is not None else ()
        words = f"Panic: trading is frozen, {words_of.count(gone)} cancelled"
        words += f", {words_of.count(left)} not yet" if left else ""
        if flatten:
            words += ", every position of ours closed" if flat else ", positions not all closed yet"
        more = " It goes on until there is nothing left, or trading is unfrozen." if left or not flat else ""
        words = f"{words}.{more} order-router unfreeze ends it."
        done = not left and flat and not scene.waiting
        return self._answer(one, scene, words, done=done, cancelled=gone, left=left, stays=stays)

    # ------------------------------------------------------------------------------------------------ one order

    def _resolve(self, one: _Open) -> list[SteeringEffect]:
        verb, scene = one.verb, one.began
        assert isinstance(verb, Resolve)
        order = scene.find(verb.order_id)
        assert order is not None, "refused otherwise"
        one.order = order
        newest = order.legs[-1]
        if newest.state in BETWEEN:
            if verb.how is Resolution.DROP:
                where = scene.route.exchange or newest.exchange
                return [AskCancel(token=self._token(one), exchange=where, order=order, deadline_s=one.due_s)]
            if verb.how is Resolution.PLACE and newest.state is LegState.PARKED:
                words = "It is no longer parked, and is placed where trading is as soon as that can be."
                return [Unpark(order_id=order.order_id), *self._answer(one, scene, words)]
            return self._answer(one, scene, words_of.state(order))
        legs = legs_on(order, None)
        if not legs or verb.how is Resolution.PLACE:
            return self._answer(one, scene, words_of.state(order))
        leg = legs[-1]
        token, where = self._token(one), leg.exchange
        if verb.how is Resolution.DROP:
            return [AskCancel(token=token, exchange=where, order=order, deadline_s=one.due_s)]
        return [AskOrder(token=token, exchange=where, order=order, deadline_s=one.due_s)]

    def _looked(self, one: _Open, scene: Scene) -> list[SteeringEffect]:
        assert isinstance(one.verb, Resolve)
        order = scene.find(one.verb.order_id) or one.order
        words = "" if order is None else words_of.state(order)
        if one.words:
            words = f"{words} {one.words}"
        legs = [] if order is None else legs_on(order, None)
        done = all(leg.state not in UNPROVEN and leg.state is not LegState.HELD for leg in legs)
        if one.verb.how is Resolution.DROP:
            done = order is not None and not legs and order.legs[-1].state not in BETWEEN
        return self._answer(one, scene, words, done=done)

    # ------------------------------------------------------------------------------------------------ plans

    def _plan(self, one: _Open, now_s: float) -> list[SteeringEffect]:
        """Asks what a plan needs; nothing of it is done."""
        verb, scene = one.verb, one.began
        left, policy = leaving(verb, scene), None
        one.target = target(verb, scene)
        out: list[SteeringEffect] = []
        if isinstance(verb, Panic):
            policy = PositionPolicy.FLATTEN if verb.flatten else None
            if policy is None:
                return self._planned(one, scene)
        elif left is None:
            return self._planned(one, scene)
        elif one.target is not None and one.target != scene.route.exchange:
            orders = specs(to_carry(scene, left))
            token = self._token(one)
            out.append(AskReady(token=token, exchange=one.target, orders=orders, deadline_s=one.due_s))
        where = one.target or ""
        token = self._token(one)
        asked = AskMoves(token=token, policy=policy, dry_run=True, to_exchange=where, deadline_s=one.due_s)
        return [*out, asked]

    def _planned(self, one: _Open, scene: Scene) -> list[SteeringEffect]:
        plan = plan_of(one.verb, scene, one.target, asked_of=one.began, ready=one.ready, moves=one.moves)
        order = scene.find(one.verb.order_id) if isinstance(one.verb, Resolve) else None
        if isinstance(one.verb, Resolve) and order is not None:
            words = words_of.would_resolve(one.verb, order)
        else:
            words = words_of.planned(one.verb, plan, scene.controls)
        return self._answer(one, scene, words, done=False, plan=plan)

    # ------------------------------------------------------------------------------------------------ out

    def _answer(
        self,
        one: _Open,
        scene: Scene,
        words: str,
        *,
        done: bool = True,
        plan: SwitchPlan | None = None,
        cancelled: tuple[str, ...] = (),
        left: tuple[OrderLeft, ...] = (),
        stays: tuple[NotMoved, ...] = (),
    ) -> list[SteeringEffect]:
        self._open.pop(one.verb.correlation_id, None)
        message = Steered(
            correlation_id=one.verb.correlation_id,
            verb=one.name,
            words=words,
            done=done,
            plan=plan,
            switch=one.switch,
            controls=scene.controls.shown(),
            cancelled=cancelled,
            left=left,
            stays=stays,
        )
        return [Answer(asker=one.asker, message=message)]


def _left(order: OrderView, exchange: str | None) -> OrderLeft:
    leg = legs_on(order, exchange)[-1]
    return OrderLeft(
        order_id=order.order_id,
        client_order_id=order.key.client_order_id,
        symbol=str(order.spec.symbol),
        state=leg.state.value,
        remaining=format(leg.remaining, "f"),
    )
