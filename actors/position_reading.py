"""The reading half of the position synchronizer: what stands on every exchange, and the book over all of them.

Each connector is asked for its positions, periodically and when somebody wants to know; what it answers is held against
what the journal says (`app.domain.book_watch`). What differs, and is no delay, is weighed by the account's executions,
adopted into the journal, and told; positions that somebody should look at raise an alarm (`app.domain.book_alarms`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import structlog
from attrs import define, field, frozen

from actors.environment import Environment
from actors.position_corrections import Corrections
from app.domain.book import Exposure, Holding, Place, book_lines, net_lines, shared, targets_of
from app.domain.book_alarms import Alarms, Seen
from app.domain.book_evidence import OURS_FIRST, NotYet, told, weigh
from app.domain.book_watch import BookWatch, Effect, Inquire, Read, Standing, standings
from app.journal.store import Journal, JournalError
from messages.base import Failed
from messages.executions import Execution, ExecutionsReply, GetExecutions
from messages.market import MarketType, Symbol
from messages.positions import (
    BookNews,
    BookReply,
    Difference,
    DifferenceKind,
    GetBook,
    GetPositions,
    Position,
    PositionsReply,
)
from messages.supervision import Address, Directory, Role

log = structlog.get_logger()

MAX_ASKERS = 100
TOLD = 20
"""Differences that are told with the book, the newest."""
UNREAD = 3
"""Readings in a row without an answer, after which what stands there is told to be out of sight."""


Held = tuple[Mapping[Place, Holding], tuple[Exposure, ...]]
"""What stands by the journal, by exchange and symbol, and every leg that may still fill."""


@define
class _Asker:
    address: Address
    request: GetBook
    waiting: set[str]
    since_s: float


@frozen
class _Asked:
    exchange: str
    asked_s: float
    before: dict[Symbol, Standing]


def _sizes(positions: Iterable[Position]) -> dict[Symbol, Decimal]:
    return {each.symbol: each.quantity for each in positions if each.quantity}


@define
class PositionReading:
    """Of one life of the synchronizer. What arrives after the words of an earlier life is passed over.

    Attributes:
        send: Sends a message for the actor.
        directory: Who is where, as last told.
    """

    journal: Journal
    environment: Environment
    incarnation: int
    send: Callable[[Address, Any], None] = field(kw_only=True)
    directory: Callable[[], Directory | None] = field(kw_only=True)
    now_s: float = field(kw_only=True)
    watch: BookWatch = field(init=False, factory=BookWatch)
    alarms: Alarms = field(init=False)
    corrections: Corrections = field(init=False)
    _positions: dict[str, tuple[Position, ...]] = field(init=False, factory=dict)
    _read_s: dict[str, float] = field(init=False, factory=dict)
    _asked: dict[str, _Asked] = field(init=False, factory=dict)
    _inquired: dict[str, Place] = field(init=False, factory=dict)
    _askers: list[_Asker] = field(init=False, factory=list)
    _differences: tuple[Difference, ...] = field(init=False, default=())
    _lasting: set[Place] = field(init=False, factory=set)
    _serial: int = field(init=False, default=0)
    _stamp: tuple[int, int] | None = field(init=False, default=None)
    _held: Held = field(init=False, default=({}, ()))
    _sync_s: float = field(init=False)
    _spot: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        settings = self.environment.positions
        self._sync_s = self.now_s
        self._spot = self.environment.market_type == MarketType.SPOT
        self.alarms = Alarms(settings.alarm_liquidation, UNREAD * self.environment.sync_interval_s)
        self._differences = self.journal.adjusted(TOLD)
        self.corrections = Corrections(
            self.journal, self.environment.order_timeout_s, send=self._to_connector, incarnation=self.incarnation
        )
        if settings.correct_differences:
            self.corrections.recover(self._differences, self.now_s)

    # ------------------------------------------------------------------------------------------------ messages

    def on_message(self, message: Any, sender: Any, now_s: float) -> bool:
        """Positions of an exchange, evidence, or a question; False where the message is none of these."""
        match message:
            case PositionsReply():
                asked = self._asked.pop(message.correlation_id, None)
                self._read(message, asked, now_s)
                self._answer(now_s, message.exchange)
            case ExecutionsReply() if message.correlation_id in self._inquired:
                self._weigh(self._inquired.pop(message.correlation_id), message.executions, now_s)
            case Failed() if message.correlation_id in self._asked:
                self._answer(now_s, self._asked.pop(message.correlation_id).exchange)
            case Failed() if message.correlation_id in self._inquired:
                self._weigh(self._inquired.pop(message.correlation_id), None, now_s)
            case GetBook():
                waiting = {name for name in message.refresh if name in self.environment.connectors}
                if len(self._askers) >= MAX_ASKERS:
                    waiting = set()
                self._askers.append(_Asker(sender, message, waiting, now_s))
                for exchange in sorted(waiting):  # as ever in the same order, whatever Python makes of a set
                    self._ask(exchange, message.deadline_s, now_s)
                self._answer(now_s)
            case _:
                return self.corrections.on_message(message, now_s)
        return True

    def on_tick(self, now_s: float) -> None:
        """Reads every exchange when it is time, and answers who cannot wait any longer."""
        if now_s >= self._sync_s:
            self._sync_s = now_s + self.environment.sync_interval_s
            self._asked.clear()
            for exchange in self.environment.connectors:
                self._ask(exchange, self._sync_s, now_s)
            self._look(now_s)
            self._tell(now_s)
        effects, silent = self.watch.tick(now_s)
        self._perform(effects, now_s)
        for place in silent:
            self._inquired = {each: asked for each, asked in self._inquired.items() if asked != place}
            self._weigh(place, None, now_s)
        self.corrections.on_tick(now_s)
        self._answer(now_s)

    @property
    def askers(self) -> int:
        """How many wait for the book."""
        return len(self._askers)

    def next_s(self, now_s: float) -> float | None:
        """The next reading, or the first asker's patience, a little before its deadline."""
        due = [self._sync_s, *(self._patience_s(asker) for asker in self._askers)]
        due += [at_s for at_s in (self.watch.next_s(), self.corrections.next_s()) if at_s is not None]
        return min(due)

    @staticmethod
    def _patience_s(asker: _Asker) -> float:
        return asker.request.deadline_s - 0.2

    # ------------------------------------------------------------------------------------------------ reading

    def _ask(self, exchange: str, deadline_s: float, now_s: float) -> None:
        before = standings(exchange, *self._holdings())
        correlation_id = self._correlation("positions")
        if self._to_connector(exchange, GetPositions(correlation_id=correlation_id, deadline_s=deadline_s)):
            self._asked[correlation_id] = _Asked(exchange, now_s, before)

    def _read(self, reply: PositionsReply, asked: _Asked | None, now_s: float) -> None:
        exchange = reply.exchange
        was, self._positions[exchange] = self._positions.get(exchange, ()), reply.positions
        self._read_s[exchange] = now_s
        if _sizes(was) != _sizes(reply.positions):
            self._tell(now_s)  # at once: who has just moved or closed a position looks at the status
        if asked is not None and not self._spot:
            after = standings(exchange, *self._holdings())
            seen = self.watch.read(exchange, reply.positions, asked.before, after, asked_s=asked.asked_s, now_s=now_s)
            self._perform(seen, now_s)

    def _perform(self, effects: Iterable[Effect], now_s: float) -> None:
        for effect in effects:
            match effect:
                case Read(exchange=exchange):
                    self._ask(exchange, now_s + self.environment.sync_interval_s, now_s)
                case Inquire(exchange=exchange, symbol=symbol):
                    correlation_id = self._correlation("executions")
                    question = GetExecutions(
                        correlation_id=correlation_id,
                        deadline_s=effect.deadline_s,
                        symbol=symbol,
                        since_s=effect.since_s,
                    )
                    self._inquired[correlation_id] = exchange, symbol
                    self._to_connector(exchange, question)

    # ------------------------------------------------------------------------------------------------ differences

    def _weigh(self, place: Place, executions: tuple[Execution, ...] | None, now_s: float) -> None:
        stands = self.watch.inquired(*place)
        if stands is None:
            return
        exchange, symbol = place
        unknown = self.journal.unknown_trades(executions or ())
        verdict = weigh(stands, executions, unknown, self.journal.attached(exchange, symbol))
        if isinstance(verdict, NotYet):
            log.info("book.not_adopted", exchange=exchange, symbol=str(symbol), words=verdict.words)
            self.watch.settled(stands, now_s, adopted=False)
            return
        judged, quantity, kind = stands.standing.holding, stands.quantity, verdict.kind
        ours, _ = shared(judged, quantity, ours_first=kind in OURS_FIRST)
        words = told(exchange, symbol, quantity, kind, verdict.words)
        try:
            found = self.journal.adopt(exchange, symbol, quantity, ours, kind, words, judged=judged, now_s=now_s)
        except JournalError as error:
            log.error("journal.unavailable", words=str(error), exchange=exchange, symbol=str(symbol))
            found = None
        self.watch.settled(stands, now_s, adopted=found is not None)
        if found is not None:
            self._adopted(found, now_s)

    def _adopted(self, found: Difference, now_s: float) -> None:
        facts = {"quantity": format(found.quantity, "f"), "ours": format(found.ours, "f"), "words": found.words}
        log.warning(
            "book.difference", exchange=found.exchange, symbol=str(found.symbol), kind=found.kind.value, **facts
        )
        self._differences = (*self._differences, found)[-TOLD:]
        self._lasting.discard((found.exchange, found.symbol))
        if self.environment.positions.correct_differences:
            self.corrections.take(found, now_s)
        self._tell(now_s)
        self._to_coordinator(BookNews(differences=(found,)))

    def _not_adopted(self, now_s: float) -> list[Difference]:
        """What differs for long and cannot be adopted; the first time it is told in the log as well."""
        out = []
        lasting = self.watch.lasting(now_s)
        self._lasting &= {place for place, _, _ in lasting}
        for place, quantity, since_s in lasting:
            exchange, symbol = place
            kind = DifferenceKind.UNEXPLAINED
            words = told(exchange, symbol, quantity, kind, "orders of ours that are open there may be what it is")
            if place not in self._lasting:
                self._lasting.add(place)
                log.warning("book.differs", exchange=exchange, symbol=str(symbol), words=words)
            out.append(
                Difference(exchange=exchange, symbol=symbol, kind=kind, quantity=quantity, words=words, at_s=since_s)
            )
        return out

    # ------------------------------------------------------------------------------------------------ telling

    def _look(self, now_s: float) -> None:
        """Raises alarms, and says of those that are over that they are."""
        if self._spot:
            return
        holdings, legs = self._holdings()
        unprotected = {
            (name, symbol): orders
            for name in self.environment.connectors
            for symbol, orders in self.journal.unprotected_on(name).items()
        }
        positions = {(name, p.symbol): p for name, held in self._positions.items() for p in held}
        seen = Seen(
            positions=positions, holdings=holdings, legs=legs, unprotected=unprotected, read_s=dict(self._read_s)
        )
        raised, over = self.alarms.look(seen, now_s)
        for alarm in raised:
            facts = {"exchange": alarm.exchange, "symbol": str(alarm.symbol), "code": alarm.code}
            log.error("position.alarm", **facts, words=alarm.words)
        for alarm in over:
            facts = {"exchange": alarm.exchange, "symbol": str(alarm.symbol), "code": alarm.code}
            log.info("position.alarm_over", **facts)
        if raised or over:
            self._to_coordinator(BookNews(raised=tuple(raised), over=tuple(over)))

    def _tell(self, now_s: float) -> None:
        self._to_coordinator(self._book(None, now_s))

    def _answer(self, now_s: float, came: str | None = None) -> None:
        for asker in list(self._askers):
            if came is not None:
                asker.waiting.discard(came)
            if not asker.waiting or now_s >= self._patience_s(asker):
                self._askers.remove(asker)
                self.send(asker.address, self._book(asker, now_s))

    def _book(self, asker: _Asker | None, now_s: float) -> BookReply:
        since_s = now_s - 2 * self.environment.sync_interval_s if asker is None else asker.since_s
        wanted = asker.request.refresh if asker is not None else tuple(self.environment.connectors)
        holdings, may_fill = self._holdings()
        lines = book_lines(
            holdings,
            may_fill,
            self._positions,
            # Spot has balances, not positions: there the book is what our own fills add up to, and tracks no more.
            {} if self._spot else self._read_s,
            self._targets(holdings),
        )
        return BookReply(
            correlation_id=asker.request.correlation_id if asker is not None else "",
            lines=lines,
            positions=tuple(position for held in self._positions.values() for position in held),
            unread=tuple(sorted(name for name in wanted if self._read_s.get(name, -1.0) < since_s)),
            alarms=self.alarms.standing,
            differences=(*self._differences, *self._not_adopted(now_s)),
            net=net_lines(lines),
        )

    def _targets(self, holdings: Mapping[Place, Holding]) -> dict[Place, Any]:
        policy = "track" if self._spot else self.environment.positions.policy.value
        return dict(targets_of(holdings, policy, self.journal.route().exchange))

    # ------------------------------------------------------------------------------------------------ pieces

    def _holdings(self) -> Held:
        """What the journal says, read again only where somebody has written to it."""
        stamp = self.journal.stamp()
        if stamp != self._stamp:
            self._held, self._stamp = self.journal.holdings(), stamp
        return self._held

    def _to_coordinator(self, message: Any) -> None:
        directory = self.directory()
        entry = directory.find(Role.FAILOVER_COORDINATOR) if directory is not None else None
        if entry is not None:
            self.send(entry.address, message)

    def _to_connector(self, exchange: str, message: Any) -> bool:
        directory = self.directory()
        entry = directory.find(Role.CONNECTOR, exchange) if directory is not None else None
        if entry is not None:
            self.send(entry.address, message)
        return entry is not None

    def _correlation(self, what: str) -> str:
        self._serial += 1
        return f"{what}-{self.incarnation}-{self._serial}"
