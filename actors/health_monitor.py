"""The health monitor: probes every exchange through its connector, and tells the coordinator what the detectors say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog
from attrs import frozen

from actors._shell import Shell
from app.domain import health
from messages.health import (
    Evidence,
    EvidenceSeen,
    GetHealth,
    HealthChanged,
    HealthReply,
    HealthState,
    Probe,
    ProbeKind,
    ProbeReply,
)
from messages.supervision import Directory, Role, Start

log = structlog.get_logger()


@frozen
class _Sent:
    exchange: str
    kind: ProbeKind
    sent_s: float


class HealthMonitorActor(Shell):
    """One detector per exchange."""

    role = Role.HEALTH_MONITOR

    def on_start(self, start: Start, now_s: float) -> None:
        """Begins with no opinion of any exchange."""
        self._settings = self.environment.health
        self._detectors = {name: health.start(name, now_s) for name in self.environment.connectors}
        self._sent: dict[str, _Sent] = {}
        self._serial = 0
        self._incarnation = start.incarnation
        self._asked_of: dict[str, tuple[int, int | None]] = {}
        self._note_connectors()
        self.on_tick(now_s)

    def on_directory(self, directory: Directory, now_s: float) -> None:
        """A new coordinator knows nothing yet: tell it everything. A new connector was never asked."""
        self._note_connectors()
        for exchange in self._detectors:
            self._tell(exchange, now_s)

    def _note_connectors(self) -> None:
        """Probes died with the connector that was to ask them: that says nothing of the exchange, so ask anew."""
        for exchange, detector in self._detectors.items():
            entry = self.directory.find(Role.CONNECTOR, exchange) if self.directory is not None else None
            who = (entry.incarnation, entry.pid) if entry is not None else (0, None)
            if self._asked_of.get(exchange) != who:
                self._asked_of[exchange] = who
                self._sent = {key: sent for key, sent in self._sent.items() if sent.exchange != exchange}
                self._detectors[exchange] = health.forgotten(detector)

    def on_message(self, message: Any, sender: Any, now_s: float) -> None:
        """Evidence, or a question."""
        match message:
            case ProbeReply():
                if self._sent.pop(message.correlation_id, None) is not None and message.evidence is not None:
                    self._observe(now_s, message.evidence)
            case EvidenceSeen():
                self._observe(now_s, *message.evidence)
            case GetHealth():
                views = tuple(health.view(detector, self._settings, now_s) for detector in self._detectors.values())
                self.send(sender, HealthReply(correlation_id=message.correlation_id, views=views))
            case _:
                log.warning("health.unexpected_message", message_type=type(message).__name__)

    def on_tick(self, now_s: float) -> None:
        """Sends probes that are due; one that was not answered in time is evidence too."""
        late = [key for key, sent in self._sent.items() if now_s >= sent.sent_s + self._settings.probe_timeout_s]
        for key in late:
            sent = self._sent.pop(key)
            self._observe(now_s, health.probe_unanswered(sent.exchange, sent.kind, sent_s=sent.sent_s, now_s=now_s))
        for exchange, detector in self._detectors.items():
            kinds, due_s = health.next_probes(detector, self._settings, now_s)
            if kinds and now_s >= due_s:
                self._detectors[exchange] = health.probes_sent(detector, kinds, now_s, self.environment.jitter())
                self._probe(exchange, kinds, now_s)

    def next_s(self, now_s: float) -> float | None:
        """The next probe, or the next that has gone unanswered for too long."""
        due = [sent.sent_s + self._settings.probe_timeout_s for sent in self._sent.values()]
        for detector in self._detectors.values():
            kinds, due_s = health.next_probes(detector, self._settings, now_s)
            if kinds:
                due.append(due_s)
        return min(due, default=None)

    def _probe(self, exchange: str, kinds: Iterable[ProbeKind], now_s: float) -> None:
        connector = self.directory.find(Role.CONNECTOR, exchange) if self.directory is not None else None
        if connector is None or connector.pid is None:
            return  # it is being started: its silence says nothing of the exchange, and a new directory will tell
        for kind in kinds:
            self._serial += 1
            correlation_id = f"probe-{self._incarnation}-{self._serial}"
            self._sent[correlation_id] = _Sent(exchange, kind, now_s)
            deadline_s = now_s + self._settings.probe_timeout_s
            self.send(connector.address, Probe(correlation_id=correlation_id, deadline_s=deadline_s, kind=kind))

    def _observe(self, now_s: float, *seen: Evidence) -> None:
        """Judges each piece, and tells of each exchange once, as it looks after all of them."""
        for evidence in seen:
            if evidence.exchange in self._detectors:
                self._judge(evidence, now_s)
        for exchange in dict.fromkeys(evidence.exchange for evidence in seen):
            if exchange in self._detectors:
                self._tell(exchange, now_s)

    def _judge(self, evidence: Evidence, now_s: float) -> None:
        before = self._detectors[evidence.exchange]
        after = self._detectors[evidence.exchange] = health.observe(before, evidence, self._settings)
        if after.state is not before.state:
            view = health.view(after, self._settings, now_s)
            log.info(
                "health.changed",
                exchange=view.exchange,
                state=view.state.value,
                before=before.state.value,
                reason=view.reason,
            )
            if after.state is HealthState.SUSPECT:
                # Soon known, then, whether all fail together, which would be our own network.
                self._hurry(evidence.exchange)
        elif evidence.ok and before.state is HealthState.DOWN and _silent(before):
            # When one is heard of again, the others may be as well: if our own network is back, all come back together.
            self._hurry(evidence.exchange)

    def _hurry(self, but: str) -> None:
        for other, detector in self._detectors.items():
            if other != but:
                self._detectors[other] = health.hurried(detector)

    def _tell(self, exchange: str, now_s: float) -> None:
        coordinator = self.directory.find(Role.FAILOVER_COORDINATOR) if self.directory is not None else None
        if coordinator is not None:
            self.send(
                coordinator.address, HealthChanged(view=health.view(self._detectors[exchange], self._settings, now_s))
            )


def _silent(detector: health.Detector) -> bool:
    """Whether an exchange that is DOWN has answered nothing since it became so."""
    last_ok_s = detector.now.last_ok_s
    return last_ok_s is None or last_ok_s <= detector.now.since_s
