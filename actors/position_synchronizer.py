"""The position synchronizer: reads what stands on every exchange, and keeps the book over all of them."""

from __future__ import annotations

from typing import Any

import structlog
from attrs import define

from actors._shell import Shell
from app.domain.book import book_lines
from app.journal.store import Journal
from messages.base import Failed
from messages.market import MarketType
from messages.positions import BookReply, GetBook, GetPositions, Position, PositionsReply
from messages.supervision import Address, Role, Start

log = structlog.get_logger()

MAX_ASKERS = 100


@define
class _Asker:
    address: Address
    request: GetBook
    waiting: set[str]
    since_s: float


class PositionSynchronizerActor(Shell):
    """Asks each connector for its positions, periodically and when somebody wants to know."""

    role = Role.POSITION_SYNCHRONIZER

    journal: Journal

    def on_start(self, start: Start, now_s: float) -> None:
        """Begins with an empty book."""
        self.journal = self.environment.open_journal()
        self.environment.copy_log()  # here, since no order waits for this actor, and it forks nobody
        self._positions: dict[str, tuple[Position, ...]] = {}
        self._read_s: dict[str, float] = {}
        self._asked: dict[str, str] = {}
        self._askers: list[_Asker] = []
        self._serial = 0
        self._incarnation = start.incarnation
        self._sync_s = now_s
        self._spot = self.environment.market_type == MarketType.SPOT

    def on_exit(self) -> None:
        """Closes the journal."""
        if hasattr(self, "journal"):
            self.journal.close()

    def on_message(self, message: Any, sender: Any, now_s: float) -> None:
        """Positions of an exchange, or a question."""
        match message:
            case PositionsReply():
                self._asked.pop(message.correlation_id, None)
                self._positions[message.exchange] = message.positions
                self._read_s[message.exchange] = now_s
                self._answer(now_s, message.exchange)
            case Failed():
                exchange = self._asked.pop(message.correlation_id, None)
                if exchange is not None:
                    self._answer(now_s, exchange)
            case GetBook():
                waiting = {name for name in message.refresh if name in self.environment.connectors}
                if len(self._askers) >= MAX_ASKERS:
                    waiting = set()
                self._askers.append(_Asker(sender, message, waiting, now_s))
                for exchange in waiting:
                    self._read(exchange, message.deadline_s)
                self._answer(now_s)
            case _:
                log.warning("positions.unexpected_message", message_type=type(message).__name__)

    def on_tick(self, now_s: float) -> None:
        """Reads every exchange when it is time, and answers who cannot wait any longer."""
        if now_s >= self._sync_s:
            self._sync_s = now_s + self.environment.sync_interval_s
            self._asked.clear()
            for exchange in self.environment.connectors:
                self._read(exchange, now_s + self.environment.sync_interval_s)
            coordinator = self.directory.find(Role.FAILOVER_COORDINATOR) if self.directory is not None else None
            if coordinator is not None:
                self.send(coordinator.address, self._book(None))
        self._answer(now_s)

    def next_s(self, now_s: float) -> float | None:
        """The next reading, or the first asker's patience, a little before its deadline."""
        return min([self._sync_s, *(self._patience_s(asker) for asker in self._askers)])

    @staticmethod
    def _patience_s(asker: _Asker) -> float:
        return asker.request.deadline_s - 0.2

    def _read(self, exchange: str, deadline_s: float) -> None:
        entry = self.directory.find(Role.CONNECTOR, exchange) if self.directory is not None else None
        if entry is not None:
            self._serial += 1
            correlation_id = f"positions-{self._incarnation}-{self._serial}"
            self._asked[correlation_id] = exchange
            self.send(entry.address, GetPositions(correlation_id=correlation_id, deadline_s=deadline_s))

    def _answer(self, now_s: float, came: str | None = None) -> None:
        for asker in list(self._askers):
            if came is not None:
                asker.waiting.discard(came)
            if not asker.waiting or now_s >= self._patience_s(asker):
                self._askers.remove(asker)
                self.send(asker.address, self._book(asker))

    def _book(self, asker: _Asker | None) -> BookReply:
        since_s = self.now_s() - 2 * self.environment.sync_interval_s if asker is None else asker.since_s
        wanted = asker.request.refresh if asker is not None else tuple(self.environment.connectors)
        attributed, may_fill = self.journal.book()
        return BookReply(
            correlation_id=asker.request.correlation_id if asker is not None else "",
            # Spot has balances, not positions: there the book is what our own fills add up to, and tracks no more.
            lines=book_lines(attributed, may_fill, self._positions, {} if self._spot else self._read_s),
            positions=tuple(position for held in self._positions.values() for position in held),
            unread=tuple(sorted(name for name in wanted if self._read_s.get(name, -1.0) < since_s)),
        )
