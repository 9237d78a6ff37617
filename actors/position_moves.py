"""The moving half of the position synchronizer: what carries positions to the exchange in use.

A position that is to move is a fact of the journal, not of this actor: what our own fills add up to on an exchange that
is not in use. So a life that begins anew finds it there, and goes on. The journal is read whenever something may have
become due, and the machine, `app.domain.mover`, says what is asked of whom.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache, partial
from typing import Any

import structlog
from attrs import define, evolve

from actors.environment import Environment
from app.domain.lots import ZERO
from app.domain.move_exits import pieces_of
from app.domain.move_ground import Ground
from app.domain.mover import Mover, MoveSettings, ToConnector
from app.domain.order_life import OPEN, state_of
from app.domain.position_situation import MoveLimits, Piece
from app.journal.store import Journal, JournalError
from messages.base import Failed, Reply
from messages.market import MarketType, Symbol
from messages.orders import OrderView
from messages.positions import MovePositions, PositionPolicy
from messages.supervision import Address, Directory, Role

log = structlog.get_logger()

MAX_ASKERS = 100
IDLE_S = 1.0
"""Between looks at the journal while nothing moves."""
AFTER_S = 30.0
"""For so long after something moved, exits that protect nothing any more are looked for."""
BEFORE_S = 0.3
"""So long before its deadline whoever waits is told."""
REST_S = 0.005
SWITCHING_S = 0.1
"""The least between two looks by time alone, and while trading is nowhere."""
UNREADABLE_S = 2.0
"""Before a journal that could not be read is read again."""
NEWEST = 200
"""Orders of a strategy and symbol that are looked through for the exits of a position."""


@define
class _Asker:
    address: Address
    request: MovePositions


class _Read:
    """What the journal says, each thing read once: made anew as soon as anybody has written to it."""

    def __init__(self, journal: Journal, orders_of: Callable[[int, Symbol], tuple[OrderView, ...]]) -> None:
        self.route = cache(journal.route)
        self.standing = cache(journal.standing)
        self.controls = cache(journal.controls)
        self.open_orders = cache(journal.open_orders)
        self.last_switch = cache(partial(journal.switches, limit=1))
        self.orders_of = cache(orders_of)
        self.linked = cache(journal.linked)
        self.newest = cache(partial(journal.newest, limit=NEWEST))


class PositionMoves:
    """Of one life of the synchronizer."""

    def __init__(
        self,
        journal: Journal,
        environment: Environment,
        incarnation: int,
        *,
        send: Callable[[Address, Any], None],
        directory: Callable[[], Directory | None],
        now_s: float,
    ) -> None:
        """
        Args:
            send: Sends a message for the actor.
            directory: Who is where, as last told.
        """
        self._journal = journal
        self._send = send
        self._directory = directory
        settings = environment.positions
        spot = environment.market_type == MarketType.SPOT  # which has balances, not positions
        self.machine = Mover(
            MoveSettings(
                exchanges=tuple(environment.connectors),
                policy=PositionPolicy.TRACK if spot else settings.policy,
                limits=MoveLimits(
                    slice_notional=settings.slice_notional,
                    pause_s=settings.slice_pause_s,
                    max_slippage=settings.max_slippage,
                    max_cost=settings.max_cost,
                ),
                leverage=settings.leverage,
                order_timeout_s=min(environment.order_timeout_s, 10.0),
            ),
            incarnation,
        )
        self._spot = spot
        self._askers: list[_Asker] = []
        self._done: dict[tuple[int, Symbol], list[OrderView]] = {}
        self._look_s = now_s
        self._exits_until_s = now_s + AFTER_S
        self._rests_until_s = now_s
        self._stamp: tuple[int, int] | None = None
        self._read = _Read(journal, self._orders_of)
        self._told: tuple[str, ...] = ()
        self._lives: dict[str, int] = {}

    # ------------------------------------------------------------------------------------------------ messages

    def on_message(self, message: Any, sender: Any, now_s: float) -> bool:
        """A request to move, or an answer to what was asked for one; False where the message is neither."""
        if isinstance(message, MovePositions):
            self._asked(sender, message, now_s)
        elif not (isinstance(message, Reply) and self.machine.heard(message, now_s)):
            return False
        self.on_tick(now_s)
        return True

    def _asked(self, sender: Address, request: MovePositions, now_s: float) -> None:
        if len(self._askers) >= MAX_ASKERS:
            words = f"{MAX_ASKERS} wait for positions to be moved already, the limit: ask again later."
            failed = Failed(correlation_id=request.correlation_id, code="busy", words=words, retryable=True)
            self._send(sender, failed)
            return
        self._askers.append(_Asker(sender, request))
        if not request.dry_run:
            self.machine.asked(request.epoch, PositionPolicy.TRACK if self._spot else request.policy)
        self._look_s = now_s

    def on_directory(self, directory: Directory) -> None:
        """Somebody was restarted: what was asked of a connector before is not waited for."""
        for entry in directory.entries:
            if entry.role is Role.CONNECTOR and self._lives.get(entry.name) != entry.incarnation:
                self._lives[entry.name] = entry.incarnation
                self.machine.restarted(entry.name)
                self._look_s = 0.0

    # ------------------------------------------------------------------------------------------------ time

    def on_tick(self, now_s: float) -> None:
        """What is due."""
        due_s = self.machine.next_s()
        if now_s < self._look_s and not self._askers and (due_s is None or now_s < due_s) and self.machine.idle:
            return
        try:
            if not self._rests(due_s, now_s):
                self._work(now_s)
        except JournalError as error:  # looked at again: the level is in the journal, and stays there
            log.error("journal.unavailable", words=str(error), again_s=UNREADABLE_S)
            self._look_s = self._rests_until_s = now_s + UNREADABLE_S
            self._stamp = None  # what was to be read has not been, though nobody may write meanwhile

    def _rests(self, due_s: float | None, now_s: float) -> bool:
        """Whether nothing is to be done, and nothing was written since that was found."""
        stamp = self._journal.stamp()
        quiet = self.machine.idle and not self._askers and now_s >= self._exits_until_s
        if quiet and stamp == self._stamp and (due_s is None or now_s < due_s):
            self._look_s = now_s + IDLE_S
            return True
        if stamp != self._stamp:
            self._stamp, self._read = stamp, _Read(self._journal, self._orders_of)
        return False

    def _work(self, now_s: float) -> None:
        ground = self._ground(now_s)
        self._look_s = now_s + IDLE_S
        # Between the fence and the commit nothing can be done, however much is due.
        self._rests_until_s = now_s + (REST_S if ground.route.exchange is not None else SWITCHING_S)
        self._perform(self.machine.tick(ground, now_s))
        self._tell(ground, now_s)
        stays = tuple(each.words for each in self.machine.stays)
        if stays != self._told:
            self._told = stays
            for each in self.machine.stays:
                log.info(
                    "position.stays",
                    exchange=each.exchange,
                    symbol=str(each.symbol),
                    quantity=str(each.quantity),
                    words=each.words,
                )

    def next_s(self, now_s: float) -> float | None:
        """When `on_tick` has something to do next."""
        due = [self._look_s, self.machine.next_s(), *(a.request.deadline_s - BEFORE_S for a in self._askers)]
        return max(min(at_s for at_s in due if at_s is not None), self._rests_until_s)

    def _perform(self, effects: list[ToConnector]) -> None:
        directory = self._directory()
        for effect in effects:
            entry = directory.find(Role.CONNECTOR, effect.exchange) if directory is not None else None
            if entry is not None:  # else nobody answers, which is an answer too
                self._send(entry.address, effect.request)

    def _tell(self, ground: Ground, now_s: float) -> None:
        for asker in list(self._askers):
            request = asker.request
            late = now_s >= request.deadline_s - BEFORE_S
            stale = request.epoch != ground.route.epoch
            done, seen = self.machine.idle and not stale, ground
            if request.dry_run:
                seen = _as_if(ground, request)
                asks, done = self.machine.look(seen, request.policy, now_s)
                self._perform(asks)
            if done or late or stale:
                self._askers.remove(asker)
                finished = done and not request.dry_run
                self._send(
                    asker.address,
                    self.machine.told(request.correlation_id, seen, request.policy, done=finished),
                )

    # ------------------------------------------------------------------------------------------------ the journal

    def _ground(self, now_s: float) -> Ground:
        """What the journal says now; orders are read only while something moves, or may."""
        read = self._read
        route, rows, controls = read.route(), read.standing(), read.controls()
        flatten = bool(controls.flatten) and not self._spot
        here = "" if flatten else route.exchange
        open_now: dict[Symbol, Decimal] = {}
        for row in rows:
            open_now[row.symbol] = open_now.get(row.symbol, ZERO) + row.moved
        goes = flatten or self.machine.moves(route.epoch)
        concerned = any(goes and row.attributed and row.exchange != here for row in rows) or any(open_now.values())
        asked = any(not asker.request.dry_run for asker in self._askers)
        if concerned or asked or not self.machine.idle:
            self._exits_until_s = now_s + AFTER_S
        reads = now_s < self._exits_until_s or bool(self._askers)
        switches = read.last_switch() if self.machine.mirrors(route.epoch) else ()
        return Ground.of(
            rows,
            route=route,
            opened=read.open_orders() if reads else (),
            done=lambda symbol: read.orders_of(route.epoch, symbol),
            pieces=self._pieces,
            left=(switches[-1].from_exchange or "") if switches else "",
            frozen=f"Trading is frozen: {controls.frozen}" if controls.frozen else "",
            flatten=flatten,
        )

    def _orders_of(self, epoch: int, symbol: Symbol) -> tuple[OrderView, ...]:
        """All orders of moves of an epoch; those that may still fill are read again."""
        for other in [key for key in self._done if key[0] != epoch]:
            del self._done[other]
        known = self._done.setdefault((epoch, symbol), [])
        for at, order in enumerate(known):
            if state_of(order) in OPEN:
                known[at] = self._journal.order(order.order_id) or order
        known += self._journal.moves_after(epoch, symbol, len(known))
        return tuple(known)

    def _pieces(self, exchange: str, symbol: Symbol, quantity: Any) -> tuple[Piece, ...]:
        linked = [each for each in self._read.linked(exchange) if each[0].spec.symbol == symbol]
        return pieces_of(exchange, quantity, self._read.newest(symbol), linked)


def _as_if(ground: Ground, request: MovePositions) -> Ground:
    """What a dry run is planned on: trading where it asks for, and nothing frozen that a flattening passes."""
    if request.to_exchange:
        ground = evolve(ground, route=evolve(ground.route, exchange=request.to_exchange))
    return evolve(ground, frozen="", flatten=True) if request.policy is PositionPolicy.FLATTEN else ground
