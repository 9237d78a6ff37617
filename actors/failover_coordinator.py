"""The failover coordinator: holds the route, moves it, and tells every session. Never on the way of an order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog

from actors.failover_effects import SOURCE_S
from actors.failover_verbs import VerbHands
from app.domain import failover as f
from app.domain.failover import CoordinatorEffect
from app.domain.health_alarms import Alarms
from app.domain.network import judge
from app.domain.saga_asked import PATIENCE_S
from app.domain.unwritten import Unwritten
from app.journal.store import JournalError, StaleEpoch
from messages.account import AccountReply, AccountView, DeadManTold, DeadManView
from messages.base import Failed, Request
from messages.carries import CarryReply
from messages.failover import (
    ActorInfo,
    GetHistory,
    GetStatus,
    HistoryReply,
    ManualFailover,
    PreflightReply,
    RouteChanged,
    RouterState,
    SettleReply,
    StatusReply,
    Subscribe,
    Unsubscribe,
)
from messages.health import HealthAlarms, HealthChanged, HealthView, Isolations, KnownHealth, Network, Witness
from messages.positions import BookNews, BookReply, MovesReply
from messages.supervision import Address, Directory, Role, Start

log = structlog.get_logger()

Views = tuple[HealthView, ...]
SUBSCRIPTION_S = 35.0
MAX_SUBSCRIBERS = 1000


class FailoverCoordinatorActor(VerbHands):
    """A shell over `app.domain.failover.Coordinator`."""

    role = Role.FAILOVER_COORDINATOR

    def on_start(self, start: Start, now_s: float) -> None:
        """Takes the route from the journal and resumes a switch that was running."""
        self.journal = self.environment.open_journal()
        self._subscribers: dict[str, tuple[Address, float]] = {}
        self._book: BookReply | None = None
        self._books_asked: dict[str, str] = {}
        self._accounts: dict[str, AccountView] = {}
        self._dead_man: dict[str, DeadManView] = {}
        self._source_s = -SOURCE_S
        self._serial = 0
        self._unwritten = Unwritten()
        self._alarms = Alarms()
        self._begin_verbs(now_s)
        self._manual: tuple[Address, ManualFailover] | None = None
        self._asked: tuple[Address, ManualFailover] | None = None

        self._monitor: tuple[int, int] | None = None
        self._kept_out: tuple[tuple[str, str], ...] = ()

        self._perform(self._take_up(now_s), now_s)
        self._greet_monitor()

    def _take_up(self, now_s: float) -> Iterable[CoordinatorEffect]:
        settings = self.environment.health
        witnesses = self.machine.witnesses if hasattr(self, "machine") else ()

        def own_network(views: Views, heard: tuple[Witness, ...], at_s: float, exchange: str) -> Network:
            return judge(views, heard, at_s, settings, exchange)

        self.machine = f.Coordinator(self.environment.failover, own_network)
        self.machine.witnesses = witnesses
        self.machine.controls = self.journal.controls()
        route = self.journal.route()
        stranded, carried = self._stranded(), self._taken_up(route)
        return self.machine.recover(route, self._past(), now_s, stranded=stranded, carried=carried)

    def on_directory(self, directory: Directory, now_s: float) -> None:
        """There may be a new health monitor."""
        self._greet_monitor()

    def _greet_monitor(self) -> None:
        """Tells a health monitor that has started what the one before it believed, and any whom a person keeps out."""
        entry = self.directory.find(Role.HEALTH_MONITOR) if self.directory is not None else None
        if entry is None or entry.pid is None:
            return
        who, kept_out = (entry.incarnation, entry.pid), self.machine.controls.isolated
        if who != self._monitor:
            self.send(entry.address, KnownHealth(views=tuple(self.machine.health.values())))
        if who != self._monitor or kept_out != self._kept_out:
            self.send(entry.address, Isolations(exchanges=kept_out))
        self._monitor, self._kept_out = who, kept_out

    def on_exit(self) -> None:
        """Closes the journal."""
        if hasattr(self, "journal"):
            self.journal.close()

    def on_tick(self, now_s: float) -> None:
        """A step may have gone unanswered, or is to be tried again."""
        if self._unwritten.due(now_s):
            self._anew(now_s)
        if self._asked is not None and now_s >= self._asked[1].deadline_s - PATIENCE_S:
            (asker, asked), self._asked = self._asked, None
            words = self._unwritten.words
            failed = Failed(
                correlation_id=asked.correlation_id, code="journal_unavailable", words=words, retryable=True
            )
            self.send(asker, failed)
        if not self._unwritten.waits:
            self._perform(self.machine.tick(now_s), now_s)
        self._look_for_alarms(now_s)
        self._tick_verbs(now_s)
        self._greet_monitor()

    def next_s(self, now_s: float) -> float | None:
        """The machine's next moment, or when the journal is tried again."""
        verb_s = self._next_verb_s()
        if not self._unwritten.waits:
            return min(verb_s, self.machine.next_s() or verb_s)
        asked_s = None if self._asked is None else self._asked[1].deadline_s - PATIENCE_S
        due = self._unwritten.again_s, asked_s, verb_s
        return min(at_s for at_s in due if at_s is not None)

    def on_message(self, message: Any, sender: Any, now_s: float) -> None:
        """Health, answers to what a switch asked, verbs, questions."""
        try:
            self._on_message(message, sender, now_s)
        except StaleEpoch:
            raise
        except JournalError as error:  # a question that the journal cannot answer now
            log.error("journal.unavailable", words=str(error), message_type=type(message).__name__)
            if isinstance(message, Request):
                failed = Failed(correlation_id=message.correlation_id, code="journal_unavailable", words=str(error))
                self.send(sender, failed)

    def _on_message(self, message: Any, sender: Any, now_s: float) -> None:
        machine = self.machine
        if self._takes(message):
            self._verb(message, sender, now_s)
            self._greet_monitor()
            return
        match message:
            case HealthChanged() if self._unwritten.waits:
                machine.health[message.view.exchange] = message.view
            case DeadManTold():
                self._dead_man[message.view.exchange] = message.view
            case AccountReply():
                self._accounts[message.account.exchange] = message.account
            case SettleReply() | PreflightReply() | CarryReply() | MovesReply() if self._unwritten.waits:
                pass  # of a step that was given up
            case ManualFailover() if self._unwritten.waits:
                self._asked = sender, message
            case HealthChanged():
                self._perform(machine.health_told(message.view, now_s, message.witnesses), now_s)
                self._look_for_alarms(now_s)
            case SettleReply():
                self._perform(machine.settled(message, now_s), now_s)
            case PreflightReply():
                if message.account is not None:
                    self._accounts[message.exchange] = message.account
                self._perform(machine.preflight_done(message, now_s), now_s)
            case BookReply():
                self._book = message
                exchange = self._books_asked.pop(message.correlation_id, None)
                if exchange is not None and not self._unwritten.waits:
                    self._perform(machine.book_told(message, exchange, now_s), now_s)
            case BookNews():
                self._tell_sessions(message, now_s)
            case CarryReply():
                self._perform(machine.carried(message, now_s), now_s)
            case MovesReply():
                self._perform(machine.moved(message, now_s), now_s)
            case Failed():
                pass  # of a question that is asked again
            case ManualFailover():
                self._manual = sender, message
                self._perform(machine.manual(sender, message, now_s), now_s)
            case GetStatus():
                self.send(sender, self._status(message, now_s))
            case GetHistory():
                history = self.journal.switches()
                self.send(sender, HistoryReply(correlation_id=message.correlation_id, switches=history))
            case Subscribe():
                self._subscribe(message, sender, now_s)
            case Unsubscribe():
                self._subscribers.pop(message.session_id, None)
            case _:
                log.warning("failover.unexpected_message", message_type=type(message).__name__)

    def _subscribe(self, message: Subscribe, sender: Address, now_s: float) -> None:
        for session in [s for s, (_, until_s) in self._subscribers.items() if until_s < now_s]:
            del self._subscribers[session]
        known = message.session_id in self._subscribers
        if len(self._subscribers) < MAX_SUBSCRIBERS or known:
            self._subscribers[message.session_id] = (sender, now_s + SUBSCRIPTION_S)
        machine = self.machine
        self.send(sender, RouteChanged(route=machine.route, state=machine.state, down=machine.down))
        if not known and self._alarms.standing:
            self.send(sender, HealthAlarms(raised=self._alarms.standing))

    def _tell_sessions(self, news: BookNews | HealthAlarms, now_s: float) -> None:
        for address, until_s in self._subscribers.values():
            if until_s >= now_s:
                self.send(address, news)

    def _look_for_alarms(self, now_s: float) -> None:
        if (news := self._alarms.look(self.machine.health.values(), self._network(now_s), now_s)) is not None:
            self._tell_sessions(news, now_s)

    def _network(self, now_s: float) -> Network:
        return judge(tuple(self.machine.health.values()), self.machine.witnesses, now_s, self.environment.health)

    def _status(self, request: GetStatus, now_s: float) -> StatusReply:
        entries = self.directory.entries if self.directory is not None else ()
        oldest_s = self.journal.oldest_unproven_s()
        exchanges = self.environment.failover.exchanges
        trouble = self._unwritten.words or self.journal.trouble() or self._unwritable()
        ready = self.machine.state is RouterState.READY
        return StatusReply(
            correlation_id=request.correlation_id,
            state=RouterState.ERROR if trouble and ready else self.machine.state,
            words=trouble or self.machine.words or self.machine.advice,
            route=self.machine.route,
            primary_exchange=exchanges[0],
            failover_exchanges=exchanges[1:],
            auto_failover=self.environment.failover.auto_failover,
            health=tuple(self.machine.health.values()),
            network=self._network(now_s),
            witnesses=self.machine.witnesses,
            actors=tuple(
                ActorInfo(name=f"{e.role.value}:{e.name}", pid=e.pid, restarts=e.incarnation - 1) for e in entries
            ),
            orders=self.journal.counts(),
            unknown_oldest_s=None if oldest_s is None else max(0.0, now_s - oldest_s),
            book=self._book.lines if self._book is not None else (),
            net=self._book.net if self._book is not None else (),
            alarms=self._book.alarms if self._book is not None else (),
            differences=self._book.differences if self._book is not None else (),
            limits=self.environment.connectors[exchanges[0]].limits.shown(),
            unprotected=self.journal.unprotected(),
            excess=self.journal.exceeded(),
            held_notional=self.journal.held_notional(),
            readiness=self.machine.readiness(now_s),
            controls=self.machine.controls.shown(),
            dead_man=tuple(self._dead_man.values()),
            at_s=now_s,
        )

    def _unwritable(self) -> str:
        try:
            self.journal.dry_commit()
        except JournalError as error:
            return str(error)
        return ""
