"""The failover coordinator's hands: performs what its machine wants done, and asks whom it wants asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import structlog
from attrs import evolve

from actors._shell import Shell
from app.domain import saga_effects as f
from app.domain.calls import MAX_SYMBOLS
from app.domain.carry_told import told
from app.domain.effects import Answer
from app.domain.exits import parent_of
from app.domain.failover import Coordinator
from app.domain.leg_life import LIVE
from app.domain.saga_effects import CoordinatorEffect
from app.domain.saga_state import PAST
from app.domain.unwritten import Unwritten
from app.journal.store import Journal, JournalError, StaleEpoch
from messages.account import AccountView, GetAccount
from messages.carries import CarryOrders, CarryPolicy, CarryReply
from messages.failover import ManualFailover, PreflightRequest, Route, RouteChanged, SettleRequest, Switch
from messages.market import Symbol
from messages.orders import OrderSpec
from messages.positions import BookReply, GetBook, MovePositions, PositionPolicy
from messages.supervision import Address, Role

log = structlog.get_logger()

TRADED_S = 7 * 86_400.0
"""A symbol traded within this time is one that a candidate must have."""
MAX_SHOWN = 200
"""Resting orders that a candidate is asked about: what it cannot take of more is parked there, with a reason."""
SOURCE_S = 60.0
"""Between two questions for the account in use."""
MAX_ASKED = 64
"""Questions to the synchronizer that are remembered; older ones are answered to nobody."""


class FailoverHands(Shell):
    """What the coordinator does."""

    journal: Journal
    machine: Coordinator
    _subscribers: dict[str, tuple[Address, float]]
    _book: BookReply | None
    _books_asked: dict[str, str]
    _accounts: dict[str, AccountView]
    _source_s: float
    _serial: int
    _unwritten: Unwritten
    _manual: tuple[Address, ManualFailover] | None
    _asked: tuple[Address, ManualFailover] | None

    def _perform(self, effects: Iterable[CoordinatorEffect], now_s: float) -> None:
        try:
            self._performed(effects, now_s)
        except StaleEpoch:
            raise
        except JournalError as error:
            if self._unwritten.failed(str(error), now_s):
                log.error("journal.unavailable", words=str(error), again_s=self._unwritten.again_s)
            if self.machine.asker is not None:  # who asked for a switch waits with it
                self.machine.asker, self._asked = None, self._manual

    def _anew(self, now_s: float) -> None:
        """Takes the journal's word, as after a start: what could not be written is tried again by it."""
        health = dict(self.machine.health)
        try:
            effects = self._take_up(now_s)
        except JournalError as error:
            self._unwritten.failed(str(error), now_s)
            return
        self._perform(effects, now_s)
        for view in health.values():
            if not self._unwritten.waits:
                self._perform(self.machine.health_told(view, now_s), now_s)
        if self._asked is not None and not self._unwritten.waits:
            (asker, asked), self._asked = self._asked, None
            self._manual = asker, asked
            self._perform(self.machine.manual(asker, asked, now_s), now_s)
        if not self._unwritten.waits:
            self._unwritten.written()

    def _take_up(self, now_s: float) -> Iterable[CoordinatorEffect]:
        """A new machine, with what the journal says."""
        raise NotImplementedError

    def _past(self) -> tuple[Switch, ...]:
        unfinished = {switch.epoch: switch for switch in self.journal.switches(unfinished=True)}
        newest = {switch.epoch: switch for switch in self.journal.switches(limit=PAST)}
        return tuple(switch for _, switch in sorted((unfinished | newest).items()))

    def _taken_up(self, route: Route) -> CarryReply:
        return told(self.journal.history_since(route.epoch), route.exchange or "")

    def _stranded(self) -> frozenset[str]:
        return frozenset(leg.exchange for leg in self.journal.exposures())

    def _performed(self, effects: Iterable[CoordinatorEffect], now_s: float) -> None:
        queue = deque(effects)
        while queue:
            effect = queue.popleft()
            match effect:
                case f.SaveSwitch(switch=switch, lines=lines):
                    self.journal.save_switch(switch, lines, now_s)
                    for line in lines:
                        self._log(line, switch)
                case f.Tell(line=line):
                    self.journal.history_add(line.step, line.epoch, line.detail, now_s)
                    self._log(line, None)
                case f.Fence():
                    queue.extend(self.machine.fenced(self.journal.fence(now_s), now_s))
                case f.CommitRoute(epoch=epoch, exchange=exchange):
                    queue.extend(self._commit(epoch, exchange, now_s))
                case f.AskCarry(exchange=exchange, epoch=epoch, deadline_s=deadline_s):
                    queue.extend(self._carry(exchange, epoch, deadline_s, now_s))
                case f.Announce(route=route, state=state):
                    facts = {"exchange": route.exchange, "epoch": route.epoch, "state": state.value}
                    log.info("route.changed", **facts, **({"down": True} if effect.down else {}))
                    for address, until_s in self._subscribers.values():
                        if until_s >= now_s:
                            self.send(address, RouteChanged(route=route, state=state, down=effect.down))
                case Answer(asker=asker, message=message):
                    self._answer(asker, message, now_s)
                case _:
                    self._ask(effect, now_s)

    def _answer(self, asker: Any, message: Any, now_s: float) -> None:
        """Tells whoever asked for a switch how it went."""
        self.send(asker, message)

    def _ask(self, effect: f.AskSettle | f.AskPreflight | f.AskMoves | f.AskBook, now_s: float) -> None:
        correlation_id, deadline_s = self._correlation(), effect.deadline_s
        match effect:
            case f.AskSettle(exchange=exchange, epoch=epoch):
                policy = self.environment.failover.carry
                settle = SettleRequest(correlation_id=correlation_id, deadline_s=deadline_s, policy=policy, epoch=epoch)
                self._to_connector(exchange, settle)
            case f.AskPreflight(exchange=exchange, urgent=urgent):
                self._ask_source(now_s)
                ready = PreflightRequest(
                    correlation_id=correlation_id,
                    deadline_s=deadline_s,
                    symbols=self.journal.symbols(now_s - TRADED_S),
                    orders=self._would_carry(),
                    positions=self._would_open(),
                    leverage=self.environment.positions.leverage,
                    source=self._accounts.get(self._leaving() or ""),
                    urgent=urgent,
                )
                self._to_connector(exchange, ready)
            case f.AskMoves(epoch=epoch):
                if self.environment.failover.positions is not PositionPolicy.TRACK:
                    moves = MovePositions(correlation_id=correlation_id, deadline_s=deadline_s, epoch=epoch)
                    self._to_synchronizer(moves)
            case f.AskBook(exchange=exchange):
                self._books_asked[correlation_id] = exchange
                while len(self._books_asked) > MAX_ASKED:
                    self._books_asked.pop(next(iter(self._books_asked)))
                book = GetBook(correlation_id=correlation_id, deadline_s=deadline_s, refresh=(exchange,))
                self._to_synchronizer(book)

    def _commit(self, epoch: int, exchange: str, now_s: float) -> Iterable[CoordinatorEffect]:
        try:
            route = self.journal.commit_route(epoch, exchange, now_s)
        except StaleEpoch as error:
            # Somebody else moved the route: what the journal says now is true, whatever this saga wanted.
            log.error("route.stale", words=str(error))
            route = self.journal.route()
            return self.machine.route_moved(route, self._past(), now_s, stranded=self._stranded())
        return self.machine.committed(route, now_s)

    def _carry(self, exchange: str, epoch: int, deadline_s: float, now_s: float) -> Iterable[CoordinatorEffect]:
        if not self.journal.between():
            nothing = CarryReply(correlation_id="", exchange=exchange, carried=(), parked=(), waiting=0)
            return self.machine.carried(nothing, now_s)
        policy = self.environment.failover.carry
        request = CarryOrders(correlation_id=self._correlation(), deadline_s=deadline_s, epoch=epoch, policy=policy)
        self._to_connector(exchange, request)
        return ()

    # ------------------------------------------------------------------------------------------------ what would move

    def _leaving(self) -> str | None:
        """Where trading is, or was until the fence."""
        switch = self.machine.switch
        return self.machine.route.exchange or (None if switch is None else switch.from_exchange)

    def _ask_source(self, now_s: float) -> None:
        """What the account in use is like is asked for now and then: once its exchange is dead it cannot be."""
        exchange = self.machine.route.exchange
        if exchange is None or now_s < self._source_s + SOURCE_S:
            return
        self._source_s = now_s
        symbols = tuple(symbol for symbol, _ in self._would_open())[:MAX_SYMBOLS]
        deadline_s = now_s + self.environment.failover.preflight_timeout_s
        asked = GetAccount(correlation_id=self._correlation(), deadline_s=deadline_s, symbols=symbols)
        self._to_connector(exchange, asked)

    def _would_carry(self) -> tuple[OrderSpec, ...]:
        """Orders that rest where trading is, each with what is left of it: exits stay with their positions."""
        exchange = self._leaving()
        if exchange is None or self.environment.failover.carry is not CarryPolicy.REPLACE:
            return ()
        out = []
        for order in self.journal.open_orders(exchange=exchange):
            leg = order.leg
            if leg is not None and leg.state in LIVE and leg.remaining > 0 and not parent_of(order.key):
                out.append(evolve(order.spec, quantity=leg.remaining))
        return tuple(out[:MAX_SHOWN])

    def _would_open(self) -> tuple[tuple[Symbol, Decimal], ...]:
        """Positions of ours that would be opened where trading goes."""
        if self.environment.failover.positions not in (PositionPolicy.MIGRATE, PositionPolicy.MIRROR):
            return ()
        attributed, _ = self.journal.book()
        exchange = self._leaving()
        return tuple((symbol, held) for (name, symbol), held in attributed.items() if name == exchange and held)

    # ------------------------------------------------------------------------------------------------ whom to ask

    def _to_connector(
        self, exchange: str, request: SettleRequest | PreflightRequest | CarryOrders | GetAccount
    ) -> None:
        entry = self.directory.find(Role.CONNECTOR, exchange) if self.directory is not None else None
        if entry is not None:
            self.send(entry.address, request)

    def _to_synchronizer(self, request: GetBook | MovePositions) -> None:
        entry = self.directory.find(Role.POSITION_SYNCHRONIZER) if self.directory is not None else None
        if entry is not None:
            self.send(entry.address, request)

    def _correlation(self) -> str:
        self._serial += 1
        return f"switch-{self.incarnation}-{self._serial}"

    @staticmethod
    def _log(line: f.Line, switch: Switch | None) -> None:
        facts = {} if switch is None else {"from_exchange": switch.from_exchange, "to_exchange": switch.to_exchange}
        log.info("failover.step", epoch=line.epoch, step=line.step, **facts, detail=dict(line.detail))
