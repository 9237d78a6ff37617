"""The health monitor: probes every exchange through its connector, and tells the coordinator what the detectors say.

A shell over `app.domain.health` (one detector for each exchange), `health_rounds` (whom to ask, and when), `witnesses`
and `health_news` (what to tell, and when). Monitor and coordinator keep what the other one knows: a coordinator that
starts is told everything, and a monitor that starts is told by the coordinator what the one before it believed, so that
an exchange whose orders fail while its probes are answered is not taken for well by whoever has seen no order fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog
from attrs import frozen

from actors._shell import Shell
from actors.health_log import HealthLog
from actors.witnesses import Asking
from app.domain import health
from app.domain.health_news import HealthNews
from app.domain.health_rounds import COMPARE_S, due, tells_of_others
from app.domain.witnesses import Witnesses
from messages.health import (
    Evidence,
    EvidenceKind,
    EvidenceSeen,
    GetHealth,
    HealthChanged,
    HealthReply,
    HealthState,
    HealthView,
    Isolations,
    KnownHealth,
    Probe,
    ProbeKind,
    ProbeReply,
    Waiting,
)
from messages.market import Symbol
from messages.supervision import Directory, Role, Start

log = structlog.get_logger()

MOST_EARLY = 1000
"""Pieces of evidence that are kept until what an earlier monitor believed is known, as many as a busy exchange gives in
a second; what comes after them is not."""
EARLY_S = 2.0
"""So long at most it is waited for what an earlier monitor believed. Until then the coordinator is told nothing: a view
of someone who knows nothing yet would take the place of what it knows."""
SYMBOL_S = 600.0
"""A symbol that no call named for so long gives way to another one: longer than most strategies pause, since readings
of two symbols do not compare."""
SAME_S = 0.01
"""Within so short a time a view does not change by itself."""


@frozen
class _Sent:
    exchange: str
    kind: ProbeKind
    sent_s: float
    until_s: float


class HealthMonitorActor(Shell):
    """One detector per exchange."""

    role = Role.HEALTH_MONITOR

    def on_start(self, start: Start, now_s: float) -> None:
        """Begins with no opinion of any exchange, until the coordinator tells what was believed before."""
        self._settings = self.environment.health
        self._detectors = {name: health.start(name, now_s) for name in self.environment.connectors}
        self._news = HealthNews(self._settings)
        self._witnesses = Asking(
            Witnesses(self.environment.witnesses, self._settings), self.environment.open_connects()
        )
        self._sent: dict[str, _Sent] = {}
        self._late: dict[str, _Sent] = {}
        self._serial = 0
        self._incarnation = start.incarnation
        self._asked_of: dict[str, tuple[int, int | None]] = {}
        self._symbol: Symbol | None = None
        self._symbol_s = -SYMBOL_S
        self._unheard: list[Evidence | Waiting] | None = []
        self._started_s = now_s
        self._log = HealthLog()
        self._compare_s = now_s + COMPARE_S
        self._pressure: dict[str, float] = {}
        self._made: dict[str, tuple[health.Detector, float, HealthView]] = {}
        self._note_connectors()
        self.on_tick(now_s)

    def on_exit(self) -> None:
        """Closes what connects to witnesses."""
        if hasattr(self, "_witnesses"):
            self._witnesses.connects.close()

    def on_directory(self, directory: Directory, now_s: float) -> None:
        """A new coordinator knows nothing yet: tell it everything. A new connector was never asked."""
        self._note_connectors()
        self._news.forget()
        self._tell(now_s)

    def _note_connectors(self) -> None:
        """Probes died with the connector that was to ask them: that says nothing of the exchange, so ask anew."""
        for exchange, detector in self._detectors.items():
            entry = self.directory.find(Role.CONNECTOR, exchange) if self.directory is not None else None
            who = (entry.incarnation, entry.pid) if entry is not None else (0, None)
            if self._asked_of.get(exchange) != who:
                self._asked_of[exchange] = who
                self._sent = {key: sent for key, sent in self._sent.items() if sent.exchange != exchange}
                self._late = {key: sent for key, sent in self._late.items() if sent.exchange != exchange}
                self._detectors[exchange] = health.forgotten(detector)

    # ------------------------------------------------------------------------------------------------ in

    def on_message(self, message: Any, sender: Any, now_s: float) -> None:
        """Evidence, what a person or an earlier monitor has to say, or a question."""
        match message:
            case ProbeReply():
                known = self._sent.pop(message.correlation_id, None) is not None
                late = self._late.pop(message.correlation_id, None) is not None
                # One that was given up has failed already; that it is answered after all is news.
                if message.evidence is not None and (known or (late and message.evidence.ok)):
                    self._see((message.evidence,), now_s)
            case EvidenceSeen():
                self._pressure[message.exchange] = message.pressure
                self._see((*message.evidence, *message.waiting), now_s)
            case Isolations():
                why = dict(message.exchanges)
                for exchange, detector in self._detectors.items():
                    self._detectors[exchange] = health.isolated(detector, why.get(exchange, ""), now_s)
            case KnownHealth():
                self._resume(message.views, now_s)
            case GetHealth():
                self.send(sender, HealthReply(correlation_id=message.correlation_id, views=self._views(now_s)))
            case _:
                log.warning("health.unexpected_message", message_type=type(message).__name__)
        self._tell(now_s)

    def on_ready(self, now_s: float) -> None:
        """A witness has said something."""
        self._ask_witnesses(now_s)
        self._tell(now_s)

    def on_tick(self, now_s: float) -> None:
        """Sends probes that are due; one that was not answered in time is evidence too."""
        late = {key: sent for key, sent in self._sent.items() if now_s >= sent.until_s}
        gone = [self._sent.pop(key) for key in late]
        forget_s = now_s - 2.0 * self._settings.probe_timeout_s
        self._late = {key: sent for key, sent in (self._late | late).items() if sent.sent_s > forget_s}
        self._see(
            [health.probe_unanswered(each.exchange, each.kind, sent_s=each.sent_s, now_s=now_s) for each in gone], now_s
        )
        if self._unheard is not None and now_s >= self._started_s + EARLY_S:
            self._unheard = None
        if now_s >= self._compare_s:
            self._compare_s = now_s + COMPARE_S
            self._detectors = health.compared(self._detectors, now_s, self._settings)
        views = self._views(now_s)
        for exchange, detector in self._detectors.items():
            kinds, due_s = due(detector, views, self._settings, now_s, self._also())
            if kinds and now_s >= due_s:
                self._detectors[exchange] = health.probes_sent(detector, kinds, now_s, self.environment.jitter())
                self._probe(exchange, kinds, now_s)
        self._ask_witnesses(now_s)
        self._tell(now_s)

    def next_s(self, now_s: float) -> float | None:
        """The next probe, or the next that has gone unanswered for too long, a witness, or news by time alone."""
        views = self._views(now_s)
        moments = [sent.until_s for sent in self._sent.values()]
        moments += [due(each, views, self._settings, now_s, self._also())[1] for each in self._detectors.values()]
        if self._unheard is not None:
            moments.append(self._started_s + EARLY_S)
        by_time = self._witnesses.next_s(views, now_s), self._news.next_s(views, now_s)
        return min((*moments, *(at_s for at_s in by_time if at_s is not None)), default=None)

    # ------------------------------------------------------------------------------------------------ what it knows

    def _views(self, now_s: float) -> tuple[HealthView, ...]:
        return tuple(self._view(detector, now_s) for detector in self._detectors.values())

    def _view(self, detector: health.Detector, now_s: float) -> HealthView:
        """Made once for each message: several ask for it, and it costs more than a piece of evidence does."""
        made = self._made.get(detector.exchange)
        if made is None or made[0] is not detector or now_s - made[1] > SAME_S:
            view = health.view(detector, self._settings, now_s, self._pressure.get(detector.exchange, 0.0))
            made = self._made[detector.exchange] = detector, now_s, view
        return made[2]

    def _also(self) -> tuple[ProbeKind, ...]:
        """What exchanges are asked besides: prices of whatever is traded."""
        return (ProbeKind.STATUS,) if self._symbol is None else (ProbeKind.STATUS, ProbeKind.MARKET)

    def _see(self, seen: Iterable[Evidence | Waiting], now_s: float) -> None:
        for each in seen:
            if each.exchange in self._detectors:
                if self._unheard is not None and len(self._unheard) < MOST_EARLY:
                    self._unheard.append(each)
                self._judge(each, now_s)
                self._news.stir(each.exchange)

    def _judge(self, seen: Evidence | Waiting, now_s: float) -> None:
        before = self._detectors[seen.exchange]
        if isinstance(seen, Waiting):
            after = health.waited(before, seen, self._settings)
        else:
            self._note_symbol(seen, now_s)
            after = health.observe(before, seen, self._settings)
        self._detectors[seen.exchange] = after
        if after.now.state is not before.now.state:
            self._log.look((self._view(after, now_s),), self._news.network, self._witnesses.told)
        if tells_of_others(before, after):
            self._hurry(seen.exchange)

    def _note_symbol(self, seen: Evidence, now_s: float) -> None:
        """Whose price exchanges are asked for: always the same one while it is traded, or readings do not compare."""
        if seen.symbol is None or seen.kind is EvidenceKind.MARKET_PROBE:
            return
        if seen.symbol != self._symbol and now_s < self._symbol_s + SYMBOL_S:
            return
        self._symbol, self._symbol_s = seen.symbol, now_s

    def _hurry(self, but: str) -> None:
        for other, detector in self._detectors.items():
            if other != but:
                self._detectors[other] = health.hurried(detector)

    def _resume(self, views: tuple[HealthView, ...], now_s: float) -> None:
        """Goes on from what an earlier monitor believed, with what this one has seen meanwhile."""
        if self._unheard is None:
            return  # it has an opinion of its own by now
        early, self._unheard = self._unheard, None
        resumed = set[str]()
        for view in views:
            if view.exchange in self._detectors and view.health is not HealthState.STARTING:
                log.info("health.resumed", exchange=view.exchange, state=view.state.value, reason=view.reason)
                isolated = self._detectors[view.exchange].isolated
                detector = health.resumed(view, now_s)
                self._detectors[view.exchange] = health.isolated(detector, isolated, now_s) if isolated else detector
                resumed.add(view.exchange)
        for each in early:
            if each.exchange in resumed:  # the others have judged it already
                self._judge(each, now_s)

    # ------------------------------------------------------------------------------------------------ out

    def _probe(self, exchange: str, kinds: Iterable[ProbeKind], now_s: float) -> None:
        connector = self.directory.find(Role.CONNECTOR, exchange) if self.directory is not None else None
        if connector is None or connector.pid is None:
            return  # it is being started: its silence says nothing of the exchange, and a new directory will tell
        for kind in kinds:
            self._serial += 1
            correlation_id = f"probe-{self._incarnation}-{self._serial}"
            patience_s = health.patience_s(self._detectors[exchange], kind, self._settings)
            self._sent[correlation_id] = _Sent(exchange, kind, now_s, now_s + patience_s)
            symbol = self._symbol if kind is ProbeKind.MARKET else None
            deadline_s = now_s + self._settings.probe_timeout_s
            probe = Probe(correlation_id=correlation_id, deadline_s=deadline_s, kind=kind, symbol=symbol)
            self.send(connector.address, probe)

    def _ask_witnesses(self, now_s: float) -> None:
        self._witnesses.turn(self._views(now_s), now_s)
        self.watch(self._witnesses.connects.fileno())

    def _tell(self, now_s: float) -> None:
        views, witnesses = self._views(now_s), self._witnesses.told
        if (compared := self._news.held_together(self._detectors, views, now_s)) is not None:
            self._detectors = compared
            views = self._views(now_s)
        coordinator = self.directory.find(Role.FAILOVER_COORDINATOR) if self.directory is not None else None
        if coordinator is None or self._unheard is not None:
            return
        for exchange in self._news.due(views, witnesses, now_s):
            view = next(view for view in views if view.exchange == exchange)
            self.send(coordinator.address, HealthChanged(view=view, witnesses=witnesses))
        for exchange, fault in self._news.verdicts:
            self._detectors[exchange] = health.attributed(self._detectors[exchange], fault)
        self._log.look(views, self._news.network, witnesses)
