"""The failover coordinator: holds the route, moves it, and tells every session. Never on the way of an order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import structlog

from actors._shell import Shell
from app.domain import failover as f
from app.domain.effects import Answer
from app.domain.failover import CoordinatorEffect
from app.domain.health import own_network
from app.domain.unwritten import Unwritten
from app.journal.store import Journal, JournalError, StaleEpoch
from messages.base import Failed, Request
from messages.failover import (
    ActorInfo,
    GetHistory,
    GetStatus,
    HistoryReply,
    ManualFailover,
    PreflightReply,
    PreflightRequest,
    RouteChanged,
    RouterState,
    SettleReply,
    SettleRequest,
    StatusReply,
    Subscribe,
    Switch,
    Unsubscribe,
)
from messages.health import HealthChanged, HealthView
from messages.positions import BookReply, GetBook
from messages.supervision import Address, Role, Start

log = structlog.get_logger()

SUBSCRIPTION_S = 35.0
MAX_SUBSCRIBERS = 1000
PATIENCE_S = 0.3
"""Before its deadline, whoever asked for a switch that cannot be written is told so."""
TRADED_S = 7 * 86_400.0
"""A symbol traded within this time is one that a candidate must have."""


class FailoverCoordinatorActor(Shell):
    """A shell over `app.domain.failover.Coordinator`."""

    role = Role.FAILOVER_COORDINATOR

    journal: Journal

    def on_start(self, start: Start, now_s: float) -> None:
        """Takes the route from the journal and resumes a switch that was running."""
        self.journal = self.environment.open_journal()
        self._subscribers: dict[str, tuple[Address, float]] = {}
        self._book: BookReply | None = None
        self._serial = 0
        self._incarnation = start.incarnation

        self._unwritten = Unwritten()
        self._manual: tuple[Address, ManualFailover] | None = None
        self._asked: tuple[Address, ManualFailover] | None = None

        def own(views: tuple[HealthView, ...], at_s: float) -> bool:
            return own_network(views, at_s, self.environment.health)

        self._own_network = own
        self.machine = f.Coordinator(self.environment.failover, own)
        unfinished = self.journal.switches(unfinished=True)
        self._perform(self.machine.recover(self.journal.route(), unfinished, now_s), now_s)

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

    def next_s(self, now_s: float) -> float | None:
        """The machine's next moment, or when the journal is tried again."""
        if not self._unwritten.waits:
            return self.machine.next_s()
        asked_s = None if self._asked is None else self._asked[1].deadline_s - PATIENCE_S
        return min((at_s for at_s in (self._unwritten.again_s, asked_s) if at_s is not None), default=None)

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
        match message:
            case HealthChanged() if self._unwritten.waits:
                machine.health[message.view.exchange] = message.view
            case SettleReply() | PreflightReply() if self._unwritten.waits:
                pass  # of a step that was given up
            case ManualFailover() if self._unwritten.waits:
                self._asked = sender, message
            case HealthChanged():
                self._perform(machine.health_told(message.view, now_s), now_s)
            case SettleReply():
                self._perform(machine.settled(message, now_s), now_s)
            case PreflightReply():
                self._perform(machine.preflight_done(message, now_s), now_s)
            case BookReply():
                self._book = message
                if message.correlation_id.startswith("switch-") and not self._unwritten.waits:
                    self._perform(machine.book_told(message, now_s), now_s)
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
        if len(self._subscribers) < MAX_SUBSCRIBERS or message.session_id in self._subscribers:
            self._subscribers[message.session_id] = (sender, now_s + SUBSCRIPTION_S)
        machine = self.machine
        self.send(sender, RouteChanged(route=machine.route, state=machine.state, down=machine.down))

    def _status(self, request: GetStatus, now_s: float) -> StatusReply:
        entries = self.directory.entries if self.directory is not None else ()
        oldest_s = self.journal.oldest_unproven_s()
        exchanges = self.environment.failover.exchanges
        trouble = self._unwritten.words or self.journal.trouble() or self._unwritable()
        ready = self.machine.state is RouterState.READY
        return StatusReply(
            correlation_id=request.correlation_id,
            state=RouterState.ERROR if trouble and ready else self.machine.state,
            words=trouble or self.machine.words,
            route=self.machine.route,
            primary_exchange=exchanges[0],
            failover_exchanges=exchanges[1:],
            auto_failover=self.environment.failover.auto_failover,
            health=tuple(self.machine.health.values()),
            actors=tuple(
                ActorInfo(name=f"{e.role.value}:{e.name}", pid=e.pid, restarts=e.incarnation - 1) for e in entries
            ),
            orders=self.journal.counts(),
            unknown_oldest_s=None if oldest_s is None else max(0.0, now_s - oldest_s),
            book=self._book.lines if self._book is not None else (),
            limits=self.environment.connectors[exchanges[0]].limits.shown(),
            unprotected=self.journal.unprotected(),
            excess=self.journal.exceeded(),
            held_notional=self.journal.held_notional(),
            at_s=now_s,
        )

    # ------------------------------------------------------------------------------------------------ effects

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
        health = self.machine.health
        self.machine = f.Coordinator(self.environment.failover, self._own_network)
        self.machine.health |= health
        unfinished = self.journal.switches(unfinished=True)
        self._perform(self.machine.recover(self.journal.route(), unfinished, now_s), now_s)
        if self._asked is not None and not self._unwritten.waits:
            (asker, asked), self._asked = self._asked, None
            self._manual = asker, asked
            self._perform(self.machine.manual(asker, asked, now_s), now_s)
        if not self._unwritten.waits:
            self._unwritten.written()

    def _unwritable(self) -> str:
        try:
            self.journal.dry_commit()
        except JournalError as error:
            return str(error)
        return ""

    def _performed(self, effects: Iterable[CoordinatorEffect], now_s: float) -> None:
        queue = deque(effects)
        while queue:
            effect = queue.popleft()
            match effect:
                case f.SaveSwitch(switch=switch):
                    self.journal.save_switch(switch)
                    self._log(switch)
                case f.Fence():
                    queue.extend(self.machine.fenced(self.journal.fence(now_s), now_s))
                case f.CommitRoute(epoch=epoch, exchange=exchange):
                    queue.extend(self._commit(epoch, exchange, now_s))
                case f.AskSettle(exchange=exchange, deadline_s=deadline_s):
                    self._ask_connector(
                        exchange, SettleRequest(correlation_id=self._correlation(), deadline_s=deadline_s)
                    )
                case f.AskPreflight(exchange=exchange, deadline_s=deadline_s):
                    request = PreflightRequest(
                        correlation_id=self._correlation(),
                        deadline_s=deadline_s,
                        symbols=self.journal.symbols(now_s - TRADED_S),
                    )
                    self._ask_connector(exchange, request)
                case f.AskBook(exchange=exchange, deadline_s=deadline_s):
                    synchronizer = self.directory.find(Role.POSITION_SYNCHRONIZER) if self.directory else None
                    if synchronizer is not None:
                        ask = GetBook(correlation_id=self._correlation(), deadline_s=deadline_s, refresh=(exchange,))
                        self.send(synchronizer.address, ask)
                case f.Announce(route=route, state=state):
                    facts = {"exchange": route.exchange, "epoch": route.epoch, "state": state.value}
                    log.info("route.changed", **facts, **({"down": True} if effect.down else {}))
                    for address, until_s in self._subscribers.values():
                        if until_s >= now_s:
                            self.send(address, RouteChanged(route=route, state=state, down=effect.down))
                case Answer(asker=asker, message=message):
                    self.send(asker, message)

    def _commit(self, epoch: int, exchange: str, now_s: float) -> Iterable[CoordinatorEffect]:
        try:
            route = self.journal.commit_route(epoch, exchange, now_s)
        except StaleEpoch as error:
            # Somebody else moved the route: what the journal says now is true, whatever this saga wanted.
            log.error("route.stale", words=str(error))
            return self.machine.recover(self.journal.route(), self.journal.switches(unfinished=True), now_s)
        return self.machine.committed(route, now_s)

    def _ask_connector(self, exchange: str, request: SettleRequest | PreflightRequest) -> None:
        entry = self.directory.find(Role.CONNECTOR, exchange) if self.directory is not None else None
        if entry is not None:
            self.send(entry.address, request)

    def _correlation(self) -> str:
        self._serial += 1
        return f"switch-{self._incarnation}-{self._serial}"

    def _log(self, switch: Switch) -> None:
        log.info(
            "failover.step",
            epoch=switch.epoch,
            from_exchange=switch.from_exchange,
            to_exchange=switch.to_exchange,
            reason=switch.reason,
            result=switch.result.value,
            step=switch.steps[-1][0] if switch.steps else "begin",
            finished=switch.finished,
        )
