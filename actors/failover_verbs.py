"""The failover coordinator's verbs: a shell over `app.domain.steering`, beside the saga's machine.

The two meet in three places. A verb that wants trading moved asks the saga, and hears from it how that ended. What the
router is held to is told to the saga whenever it changes, also where somebody else wrote it into the journal. And both
put their questions to the same connectors, by correlation ids of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog
from attrs import evolve, frozen

from actors.failover_effects import TRADED_S, FailoverHands
from app.domain import steering_effects as v
from app.domain.carry import PLACED_BY_OWNER
from app.domain.controls import NONE, Controls
from app.domain.effects import Answer
from app.domain.leaving import of_choice
from app.domain.saga_asked import BY_SOMEBODY
from app.domain.saga_effects import Want
from app.domain.saga_table import MOVING
from app.domain.steering import Steering
from app.domain.verb_plan import Scene, legs_on
from app.journal.store import JournalError, StaleEpoch
from messages.base import Failed, Reply, Request
from messages.control import Verb
from messages.failover import ManualFailover, PreflightRequest, Readiness, SettleReply, SettleRequest
from messages.health import HealthState
from messages.market import MarketType
from messages.orders import CancelOrder, GetOrder
from messages.positions import MovePositions, PositionPolicy
from messages.supervision import Role

log = structlog.get_logger()

CONTROLS_S = 1.0
"""Between two looks at the controls in the journal, which others may write, too."""
READ_AGAIN_S = 60.0
"""What is traded is also forgotten with time, which nobody writes."""

PREFIX = "verb-"
"""Of the correlation ids of what verbs ask."""


@frozen
class ByVerb:
    """Who asked the saga: a verb, by its token."""

    token: str


class VerbHands(FailoverHands):
    """What the coordinator does for verbs."""

    _steering: Steering
    _controls_s: float
    _stamp: tuple[int, int] | None
    _read: tuple[Controls, tuple[str, ...]]
    _read_s: float

    def _begin_verbs(self, now_s: float) -> None:
        self._steering, self._controls_s = Steering(), now_s + CONTROLS_S
        self._stamp, self._read, self._read_s = None, (NONE, ()), now_s

    # ------------------------------------------------------------------------------------------------ in

    def _takes(self, message: Any) -> bool:
        """Whether a message is a verb's, or answers what one asked."""
        if isinstance(message, Verb):
            return True
        if isinstance(message, ManualFailover):
            return message.dry_run
        return isinstance(message, Reply) and message.correlation_id.startswith(PREFIX)

    def _verb(self, message: Any, sender: Any, now_s: float) -> None:
        if isinstance(message, Verb | ManualFailover):
            if self._unwritten.waits and not message.dry_run:
                words = self._unwritten.words
                failed = Failed(
                    correlation_id=message.correlation_id, code="journal_unavailable", words=words, retryable=True
                )
                self.send(sender, failed)
                return
            self._steer(self._steering.ask(sender, message, self._scene(now_s), now_s), now_s)
            return
        token = message.correlation_id.rpartition("-")[2]
        if isinstance(message, SettleReply) and not self._unwritten.waits:
            self._perform(self.machine.settled(message, now_s), now_s)
        if self._steering.awaits(token):
            self._steer(self._steering.heard(token, message, self._scene(now_s), now_s), now_s)

    def _answer(self, asker: Any, message: Any, now_s: float) -> None:
        """The saga answers somebody: whoever sent a request, or a verb."""
        if isinstance(asker, ByVerb):
            self._steer(self._steering.moved(asker.token, message, self._scene(now_s), now_s), now_s)
        else:
            self.send(asker, message)

    def _tick_verbs(self, now_s: float) -> None:
        try:
            if now_s >= self._controls_s:
                self._controls_s = now_s + CONTROLS_S
                if not self._unwritten.waits:
                    self._read_again(now_s)
                    self._perform(self.machine.controlled(self._read[0], now_s), now_s)
                    self._perform(self.machine.traded(self._read[1], now_s), now_s)
            panic = bool(self.machine.controls.panic)
            self._steer(self._steering.tick(lambda: self._scene(now_s), now_s, panic=panic), now_s)
        except StaleEpoch:
            raise
        except JournalError as error:  # what waits is looked at again: dying of it would not help
            log.error("journal.unavailable", words=str(error), again_s=CONTROLS_S)
            self._controls_s = now_s + CONTROLS_S
            self._steering.not_now(now_s)

    def _read_again(self, now_s: float) -> None:
        """What holds and what is traded; the journal is read only where somebody has written to it."""
        stamp = self.journal.stamp()
        if stamp != self._stamp or now_s >= self._read_s + READ_AGAIN_S:
            self._read = self.journal.controls(), self.journal.symbols(now_s - TRADED_S)
            self._stamp, self._read_s = stamp, now_s

    def _next_verb_s(self) -> float:
        return min(self._controls_s, self._steering.next_s() or self._controls_s)

    # ------------------------------------------------------------------------------------------------ what is so

    def _scene(self, now_s: float) -> Scene:
        machine, settings = self.machine, self.environment.failover
        down = [(n, view.reason) for n, view in machine.health.items() if view.health is HealthState.DOWN]
        attributed, _ = self.journal.book()
        spot = self.environment.market_type == MarketType.SPOT
        best = machine.best_first(machine.others(machine.route.exchange), now_s)
        looks = {each.exchange: each for each in machine.readiness(now_s)}
        past = [*machine.past, *([machine.switch] if machine.switch is not None else [])]
        return Scene(
            route=machine.route,
            exchanges=settings.exchanges,
            controls=machine.controls,
            readiness=tuple(self._ready(looks[name]) for name in best),
            merits=tuple((name, of_choice(machine.candidate(name, now_s), now_s)) for name in best),
            down=tuple(down),
            running=machine.step.value if machine.step in MOVING else "",
            policy=settings.carry,
            positions=PositionPolicy.TRACK if spot else settings.positions,
            held=tuple((name, symbol, held) for (name, symbol), held in attributed.items() if held),
            open=tuple(order for order in self.journal.open_orders() if legs_on(order, None)),
            waiting=(*self.journal.drained(), *self.journal.parked()),
            last=past[-1] if past else None,
            find=self.journal.order,
            spot=spot,
        )

    def _ready(self, look: Readiness) -> Readiness:
        """With why trading would not move there by itself, where its last look found nothing against it."""
        name = look.exchange
        if look.problems or self.machine.usable(name):
            return look
        view = self.machine.health.get(name)
        why = f"{name} was not asked yet." if view is None else f"{name} is {view.state.value}: {view.reason}"
        return evolve(look, problems=(why,))

    # ------------------------------------------------------------------------------------------------ effects

    def _steer(self, effects: Iterable[v.SteeringEffect], now_s: float) -> None:
        for effect in effects:
            try:
                self._steered(effect, now_s)
            except JournalError as error:
                log.error("journal.unavailable", words=str(error), effect=type(effect).__name__)
                if isinstance(effect, v.Write):  # nothing of what follows it holds
                    self._steer(self._steering.failed(effect, str(error)), now_s)
                    return

    def _steered(self, effect: v.SteeringEffect, now_s: float) -> None:
        route = self.machine.route
        match effect:
            case Answer(asker=asker, message=message):
                self.send(asker, message)
            case v.Write(change=change, verb=verb, reason=reason):
                held = self.journal.control(change, verb=verb, reason=reason, now_s=now_s)
                log.warning("router.controlled", verb=verb, reason=reason, controls=held.shown())
                self._perform(self.machine.controlled(held, now_s), now_s)
            case v.Move(token=token, exchange=exchange, deadline_s=deadline_s):
                want = Want(
                    to=(exchange,),
                    reason=effect.reason,
                    asked=True,
                    asker=ByVerb(token),
                    # Kept with the switch, for ever: tokens begin anew with each life, and it must be no older verb's.
                    correlation_id=f"{self._verb_id(token)}@{now_s:.6f}",
                    evidence=(BY_SOMEBODY,),
                )
                self._perform(self.machine.wanted(want, deadline_s, now_s), now_s)
            case v.Unpark(order_id=order_id):
                words = "Its owner has it placed."
                self.journal.unpark(order_id, PLACED_BY_OWNER, words, now_s)
            case _:
                self._question(effect, self._verb_id(effect.token), route.epoch, now_s)

    def _question(
        self,
        effect: v.AskReady | v.AskMoves | v.AskSettle | v.AskCancel | v.AskOrder,
        correlation_id: str,
        epoch: int,
        now_s: float,
    ) -> None:
        asked: dict[str, Any] = {"correlation_id": correlation_id, "deadline_s": effect.deadline_s}
        match effect:
            case v.AskReady(exchange=exchange, orders=orders):
                symbols = self.journal.symbols(now_s - TRADED_S)
                positions = self._would_open()
                ready = PreflightRequest(**asked, symbols=symbols, orders=orders, positions=positions)
                self._to(Role.CONNECTOR, exchange, ready)
            case v.AskMoves(policy=policy, dry_run=dry_run, to_exchange=to):
                moves = MovePositions(**asked, epoch=epoch, policy=policy, dry_run=dry_run, to_exchange=to)
                self._to(Role.POSITION_SYNCHRONIZER, Role.POSITION_SYNCHRONIZER.value, moves)
            case v.AskSettle(exchange=exchange):
                settle = SettleRequest(**asked, policy=self.environment.failover.carry, epoch=epoch)
                self._to(Role.CONNECTOR, exchange, settle)
            case v.AskCancel(exchange=exchange, order=order):
                cancel = CancelOrder(**asked, strategy=order.key.strategy, order_id=order.order_id)
                self._to(Role.CONNECTOR, exchange, cancel)
            case v.AskOrder(exchange=exchange, order=order):
                look = GetOrder(**asked, strategy=order.key.strategy, order_id=order.order_id)
                self._to(Role.CONNECTOR, exchange, look)

    def _to(self, role: Role, name: str, request: Request) -> None:
        entry = self.directory.find(role, name) if self.directory is not None else None
        if entry is not None:
            self.send(entry.address, request)

    def _verb_id(self, token: str) -> str:
        return f"{PREFIX}{self.incarnation}-{token}"
