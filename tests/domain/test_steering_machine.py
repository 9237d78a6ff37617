"""The verbs' machine along any sequence of verbs, answers and deaths, over a router that does what it is asked, or not.

The model is what a person would write on a board: which controls hold, and why, by the verbs that were taken.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.domain.controls import NONE, Controls
from app.domain.effects import Answer
from app.domain.steering import MAX_CANCELS, MAX_OPEN, OWN, PANIC_AGAIN_S, Steering
from app.domain.steering_effects import AskCancel, AskMoves, AskOrder, AskReady, AskSettle, Move, Unpark, Write
from app.domain.verb_plan import Scene, protects
from app.domain.verb_words import applied
from messages.base import Failed
from messages.control import (
    Drain,
    Failback,
    Freeze,
    Isolate,
    Panic,
    ReduceOnlyMode,
    Release,
    Resolution,
    Resolve,
    Steered,
    Unfreeze,
)
from messages.failover import PreflightReply, Readiness, Route, Switch, SwitchReply, SwitchResult
from messages.orders import LegState, OrderReply, OrderView
from messages.positions import MovesReply, PositionPlan, PositionPolicy
from tests.depth import stateful
from tests.domain.orders import BTC, key, leg, order, spec
from tests.domain.test_steering import STOP
from tests.strategies import EXCHANGES, exchanges

AGAIN_S = 0.25
MAY_FILL = (LegState.OPEN, LegState.UNKNOWN)
WAITING = (LegState.DRAINED, LegState.PARKED)
DOES = (Write, Move, AskCancel, AskSettle, Unpark, AskOrder)
"""What a dry run asks of nobody."""
whys = st.sampled_from(["", "It is late.", "Somebody said so."])


class SteeringMachine(RuleBasedStateMachine):
    """Verbs of all kinds, dry or not, sent twice, while orders come and go, exchanges are silent, the journal cannot be
    written, and the coordinator dies.

    - I2: each verb is answered once, by its deadline, unless the coordinator died of which it was asked; and what is
      told to be done is so.
    - What holds is what the verbs that were taken wrote, each once, with the first reason; a dry run does nothing.
    - A panic asks again and again for whatever may still fill, and for nothing that protects a position until there is
      none; nothing is cancelled without a panic, or a person who wants that one order dropped.
    - I6: so many verbs wait, and so many cancels are asked for at a time.
    - Once everybody answers, nothing that a panic wants gone is left, and no verb waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.machine = Steering()
        self.now_s, self.serial = 100.0, 0
        self.route = Route(epoch=1, exchange="bybit", since_s=0.0)
        self.controls: Controls = NONE
        self.board: dict[str, str] = {}
        self.orders: dict[str, OrderView] = {}
        self.held: dict[str, Decimal] = dict.fromkeys(EXCHANGES, Decimal(0))
        self.silent: set[str] = set()
        self.locked = False
        self.mail: list[Any] = []
        self.sagas: list[Move] = []
        self.open: dict[str, Any] = {}
        self.dropped: set[str] = set()
        self.last: Switch | None = None
        for name, state, what in (
            ("bybit", LegState.OPEN, "stop"),
            ("okx", LegState.OPEN, ""),
            ("binance", LegState.UNKNOWN, ""),
            ("okx", LegState.PARKED, ""),
        ):
            self._order(name, state, what)
        self.held["binance"] = Decimal(0)

    # ------------------------------------------------------------------------------------------------ what is so

    def scene(self) -> Scene:
        others = [name for name in EXCHANGES if name != self.route.exchange]
        ready = [
            Readiness(exchange=name, problems=("It is silent.",) if name in self.silent else (), at_s=1.0)
            for name in others
            if not self.controls.why_isolated(name)
        ]
        return Scene(
            route=self.route,
            exchanges=EXCHANGES,
            controls=self.controls,
            readiness=tuple(ready),
            running="settle" if self.route.exchange is None else "",
            positions=PositionPolicy.MIGRATE,
            held=tuple((name, BTC, held) for name, held in self.held.items() if held),
            open=self._in(*MAY_FILL),
            waiting=self._in(*WAITING),
            last=self.last,
            find=self.orders.get,
        )

    def _in(self, *states: LegState) -> tuple[OrderView, ...]:
        return tuple(each for each in self.orders.values() if each.legs[-1].state in states)

    def _turn(self, order_id: str, state: LegState) -> None:
        found = self.orders[order_id]
        self.orders[order_id] = evolve(found, legs=(evolve(found.legs[-1], state=state),))

    # ------------------------------------------------------------------------------------------------ what is asked

    def _asks(self, verb: Any, within_s: float, **more: Any) -> None:
        self.serial += 1
        named = f"v{self.serial}"
        asked = verb(correlation_id=named, deadline_s=self.now_s + within_s, **more)
        self.open[named] = asked
        before = self.controls
        effects = self.machine.ask(named, asked, self.scene(), self.now_s)
        if asked.dry_run:
            assert not [each for each in effects if isinstance(each, DOES)], "a plan is only told"
        self._perform(effects)
        if asked.dry_run or self.locked:
            assert self.controls == before
        elif named in self.open or isinstance(self.told, Steered):
            self._writes(asked)
        if named in self.open:  # sent again, since the answer takes a while
            assert self.machine.ask(named, asked, self.scene(), self.now_s) == []

    told: Any = None

    def _writes(self, verb: Any) -> None:
        """On the board: what holds already keeps its reason."""
        why = verb.reason or "It was asked for."
        match verb:
            case Freeze():
                names = ["frozen"]
            case Panic(flatten=flatten):
                names = ["frozen", "panic", *(["flatten"] if flatten else [])]
            case ReduceOnlyMode(on=True):
                names = ["reduce_only"]
            case Isolate(exchange=exchange):
                names = [exchange]
            case _:
                names = []
        for name in names:
            self.board.setdefault(name, why)
        gone: list[str] = ["frozen", "panic", "flatten"] if isinstance(verb, Unfreeze) else []
        if isinstance(verb, Release):
            gone = [verb.exchange]
        if isinstance(verb, ReduceOnlyMode) and not verb.on:
            gone = ["reduce_only"]
        for name in gone:
            self.board.pop(name, None)

    @rule(
        verb=st.sampled_from([Freeze, Unfreeze, ReduceOnlyMode, Failback]),
        within_s=st.sampled_from([1.0, 30.0]),
        dry_run=st.sampled_from([False, False, True]),
        why=whys,
    )
    def holds(self, verb: Any, within_s: float, dry_run: bool, why: str) -> None:
        self._asks(verb, within_s, dry_run=dry_run, reason=why)

    @rule(
        verb=st.sampled_from([Isolate, Release, Drain]), name=exchanges, dry_run=st.sampled_from([False, False, True])
    )
    def of_an_exchange(self, verb: Any, name: str, dry_run: bool) -> None:
        self._asks(verb, 20.0, exchange=name, dry_run=dry_run)

    @rule(flatten=st.booleans(), within_s=st.sampled_from([1.0, 30.0]), why=whys)
    def panics(self, flatten: bool, within_s: float, why: str) -> None:
        self._asks(Panic, within_s, flatten=flatten, reason=why)

    @rule()
    def takes_all_again(self) -> None:
        self._asks(ReduceOnlyMode, 5.0, on=False)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), how=st.sampled_from(Resolution))
    def resolves(self, data: st.DataObject, how: Resolution) -> None:
        order_id = data.draw(st.sampled_from(sorted(self.orders)))
        if how is Resolution.DROP:
            self.dropped.add(order_id)
        self._asks(Resolve, 20.0, order_id=order_id, how=how)

    @rule()
    def floods(self) -> None:
        for _ in range(MAX_OPEN + 3):
            self._asks(Isolate, 2.0, exchange=self.route.exchange or "bybit", dry_run=True)
        assert len(self.open) <= MAX_OPEN, "so many wait"

    # ------------------------------------------------------------------------------------------------ what comes of it

    def _perform(self, effects: list[Any]) -> None:
        """As the coordinator does."""
        self.told = None
        cancels = [each for each in effects if isinstance(each, AskCancel)]
        assert len(cancels) <= MAX_CANCELS
        for effect in effects:
            match effect:
                case Write() if self.locked:
                    for each in self.machine.failed(effect, "It is locked."):
                        assert isinstance(each, Answer)
                        self._answered(each.asker, each.message)
                    return
                case Write(change=change):
                    self.controls = applied(self.controls, change)
                    if isinstance(self.open.get(effect.correlation_id), Drain):
                        self.board.setdefault(self.open[effect.correlation_id].exchange, effect.reason)
                case Answer(asker=asker, message=message):
                    self._answered(asker, message)
                case Move():
                    self.sagas.append(effect)
                case Unpark(order_id=order_id):
                    self._turn(order_id, LegState.DRAINED)
                case AskCancel():
                    self._may_cancel(effect.order)
                    self.mail.append(effect)
                case AskMoves():
                    assert effect.dry_run or self.controls.flatten
                    self.mail.append(effect)
                case _:
                    self.mail.append(effect)

    def _may_cancel(self, what: OrderView) -> None:
        if what.order_id in self.dropped:
            return
        assert self.controls.panic, "nobody wants it cancelled"
        assert what.key.strategy != OWN, "what flattens goes on"
        flat = self.controls.flatten and not any(self.held.values())
        assert not protects(what) or flat or what.legs[-1].state in WAITING, "it protects what is still there"
        assert what.legs[-1].cancel_asked_s is None, "it is asked for already"

    def _answered(self, asker: Any, message: Any) -> None:
        verb = self.open.pop(asker)  # KeyError: answered twice
        self.told = message
        assert message.correlation_id == asker
        assert self.now_s <= verb.deadline_s, "too late"
        if not isinstance(message, Steered):
            return
        assert message.controls == self.controls.shown()
        assert (message.plan is not None) == verb.dry_run
        assert not (verb.dry_run and message.done)
        if not message.done:
            return
        left = self._in(*MAY_FILL)
        match verb:
            case Panic() if self.controls.panic:  # and nobody ended it in the meantime
                flatten = bool(self.controls.flatten)
                gone = [each for each in left if each.key.strategy != OWN and (flatten or not protects(each))]
                assert not gone, "it may still fill"
                assert not self._in(*WAITING)
                assert not flatten or not any(self.held.values())
            case Drain(exchange=exchange):
                assert not [each for each in left if each.legs[-1].exchange == exchange and not protects(each)]
                assert not self.held[exchange]
            case Isolate(exchange=exchange):
                assert self.route.exchange != exchange
            case Resolve(how=Resolution.DROP, order_id=order_id):
                assert self.orders[order_id].legs[-1].state not in (*MAY_FILL, *WAITING)

    # ------------------------------------------------------------------------------------------------ who does it

    @rule(
        name=exchanges,
        state=st.sampled_from([*MAY_FILL, LegState.OPEN, *WAITING]),
        what=st.sampled_from(["", "", "stop", "own"]),
    )
    def order(self, name: str, state: LegState, what: str) -> None:
        self._order(name, state, what)

    def _order(self, name: str, state: LegState, what: str) -> None:
        self.serial += 1
        order_id = f"o{self.serial}"
        if what == "own" and state in WAITING:
            state = LegState.OPEN  # what moves a position is never taken off
        made = order(leg(state, exchange=name), what=STOP if what == "stop" else spec())
        named = key(order_id, OWN if what == "own" else "maker")
        self.orders[order_id] = evolve(made, order_id=order_id, key=named)
        if not self.controls.frozen:
            self.held[name] += Decimal(1)

    @precondition(lambda self: self.mail)
    @rule(data=st.data(), lost=st.sampled_from([False, False, False, True]))
    def delivers(self, data: st.DataObject, lost: bool) -> None:
        asked = self.mail.pop(data.draw(st.integers(0, len(self.mail) - 1)))
        if not lost:
            self._deliver(asked)

    @rule()
    def delivers_all(self) -> None:
        while self.mail:
            self._deliver(self.mail.pop(0))

    def _deliver(self, asked: Any) -> None:
        exchange = getattr(asked, "exchange", "")
        match asked:
            case AskCancel(order=what):
                now = self.orders[what.order_id].legs[-1]
                if now.state in WAITING or (now.state in MAY_FILL and exchange not in self.silent):
                    self._turn(what.order_id, LegState.CANCELLED)
                elif now.state in MAY_FILL:  # it stays asked for, for when it is back
                    self.orders[what.order_id] = evolve(what, legs=(evolve(now, cancel_asked_s=self.now_s),))
            case AskSettle() if exchange not in self.silent:
                for each in self._in(*MAY_FILL):
                    if each.legs[-1].exchange == exchange and not protects(each):
                        self._turn(each.order_id, LegState.DRAINED)
            case AskMoves():
                if not asked.dry_run and self.controls.flatten:
                    self.held |= {name: Decimal(0) for name in EXCHANGES if name not in self.silent}
                done = not asked.dry_run and not any(self.held.values())
                self._hear(asked.token, MovesReply(correlation_id="m", plan=PositionPlan(), done=done))
            case AskReady():
                self._hear(asked.token, PreflightReply(correlation_id="p", exchange=exchange, problems=(), at_s=1.0))
            case AskOrder(order=what) if exchange not in self.silent:
                if self.orders[what.order_id].legs[-1].state is LegState.UNKNOWN:
                    self._turn(what.order_id, LegState.OPEN)
                self._hear(asked.token, OrderReply(correlation_id="o", order=self.orders[what.order_id]))

    def _hear(self, token: str, reply: Any) -> None:
        if self.machine.awaits(token):
            self._perform(self.machine.heard(token, reply, self.scene(), self.now_s))

    @precondition(lambda self: self.sagas)
    @rule(well=st.booleans())
    def a_saga_ends(self, well: bool) -> None:
        move, was = self.sagas.pop(0), self.route
        if well and not self.controls.why_isolated(move.exchange):
            self._moves(move.exchange)
            assert self.last is not None
            reply: Any = SwitchReply(correlation_id="s", switch=self.last)
        else:
            reply = Failed(correlation_id="s", code="failover_failed", words=f"Trading stays on {was.exchange}.")
        self._perform(self.machine.moved(move.token, reply, self.scene(), self.now_s))

    def _moves(self, to: str) -> None:
        self.last = Switch(
            from_exchange=self.route.exchange or "",
            to_exchange=to,
            reason="x",
            at_s=self.now_s,
            epoch=self.route.epoch + 1,
            result=SwitchResult.COMPLETED,
            duration_s=0.1,
        )
        self.route = Route(epoch=self.route.epoch + 1, exchange=to, since_s=self.now_s)

    @rule(to=st.none() | exchanges)
    def trading_moves(self, to: str | None) -> None:
        if to is None:
            self.route = Route(epoch=self.route.epoch + 1, exchange=None, since_s=self.now_s)
        else:
            self._moves(to)

    @rule(name=exchanges)
    def turns_silent(self, name: str) -> None:
        self.silent ^= {name}
        self._back()

    def _back(self) -> None:
        """What is asked for already is done by a connector whose exchange answers again."""
        for each in self._in(*MAY_FILL):
            if each.legs[-1].cancel_asked_s is not None and each.legs[-1].exchange not in self.silent:
                self._turn(each.order_id, LegState.CANCELLED)

    @rule(name=exchanges)
    def positions_go(self, name: str) -> None:
        self.held[name] = Decimal(0)

    @rule(locked=st.booleans())
    def locks(self, locked: bool) -> None:
        """The journal cannot be written."""
        self.locked = locked

    @rule()
    def dies(self) -> None:
        """The coordinator: who asked it asks again, or does not."""
        self.machine = Steering()
        self.mail.clear()
        self.sagas.clear()
        self.open.clear()

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 30.0]))
    def wait(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s = min(until_s, self.now_s + 0.05)
            effects = self.machine.tick(self.scene, self.now_s, panic=bool(self.controls.panic))
            self._perform(effects)
        assert (self.machine.next_s() or 0.0) <= self.now_s + PANIC_AGAIN_S, "it looks again"

    @invariant()
    def as_the_board_says(self) -> None:
        held = {name: getattr(self.controls, name) for name in ("frozen", "panic", "flatten", "reduce_only")}
        held |= dict(self.controls.isolated)
        assert {name: why for name, why in held.items() if why} == self.board
        assert set(self.machine._open) == set(self.open)
        assert all(self.now_s <= verb.deadline_s for verb in self.open.values()), "nobody was told"

    def teardown(self) -> None:
        self.locked = False
        self.silent.clear()
        self._back()
        if self.route.exchange is None:
            self._moves("bybit")
        for _ in range(60):
            self.wait(1.0)
            while self.mail:
                self._deliver(self.mail.pop(0))
            for move in self.sagas:
                self._perform(
                    self.machine.moved(
                        move.token, Failed(correlation_id="s", code="x", words="No."), self.scene(), self.now_s
                    )
                )
            self.sagas.clear()
        assert not self.open
        if self.controls.panic:
            left = [each for each in self._in(*MAY_FILL) if each.key.strategy != OWN]
            assert not [each for each in left if self.controls.flatten or not protects(each)], "a panic goes on"
            assert not self._in(*WAITING)
            assert not self.controls.flatten or not any(self.held.values())
        self._asks(Unfreeze, 5.0)
        self._asks(ReduceOnlyMode, 5.0, on=False)
        for name in EXCHANGES:
            self._asks(Release, 5.0, exchange=name)
        assert self.controls == NONE, "a person cannot end it"


TestSteeringMachine = stateful(SteeringMachine, 25, 300, steps=25)
