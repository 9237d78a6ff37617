"""The reading half of the position synchronizer: what stands on every exchange, and the book over all of them.

Each connector is asked for its positions, periodically and when somebody wants to know; what it answers is put beside
what the journal says our own fills add up to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define

from actors.environment import Environment
from app.domain.book import book_lines
from app.journal.store import Journal
from messages.base import Failed
from messages.market import MarketType
from messages.positions import BookReply, GetBook, GetPositions, Position, PositionsReply
from messages.supervision import Address, Directory, Role

MAX_ASKERS = 100


@define
class _Asker:
    address: Address
    request: GetBook
    waiting: set[str]
    since_s: float


class PositionReading:
    """Of one life of the synchronizer. What arrives after the words of an earlier life is passed over."""

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
        self._environment = environment
        self._incarnation = incarnation
        self._send = send
        self._directory = directory
        self._positions: dict[str, tuple[Position, ...]] = {}
        self._read_s: dict[str, float] = {}
        self._asked: dict[str, str] = {}
        self._askers: list[_Asker] = []
        self._serial = 0
        self._sync_s = now_s
        self._spot = environment.market_type == MarketType.SPOT

    def on_message(self, message: Any, sender: Any, now_s: float) -> bool:
        """Positions of an exchange, or a question; False where the message is neither."""
        match message:
            case PositionsReply():
                self._asked.pop(message.correlation_id, None)
                self._positions[message.exchange] = message.positions
                self._read_s[message.exchange] = now_s
                self._answer(now_s, message.exchange)
            case Failed() if message.correlation_id in self._asked:
                self._answer(now_s, self._asked.pop(message.correlation_id))
            case GetBook():
                waiting = {name for name in message.refresh if name in self._environment.connectors}
                if len(self._askers) >= MAX_ASKERS:
                    waiting = set()
                self._askers.append(_Asker(sender, message, waiting, now_s))
                for exchange in waiting:
                    self._read(exchange, message.deadline_s)
                self._answer(now_s)
            case _:
                return False
        return True

    def on_tick(self, now_s: float) -> None:
        """Reads every exchange when it is time, and answers who cannot wait any longer."""
        if now_s >= self._sync_s:
            self._sync_s = now_s + self._environment.sync_interval_s
            self._asked.clear()
            for exchange in self._environment.connectors:
                self._read(exchange, now_s + self._environment.sync_interval_s)
            directory = self._directory()
            coordinator = directory.find(Role.FAILOVER_COORDINATOR) if directory is not None else None
            if coordinator is not None:
                self._send(coordinator.address, self._book(None, now_s))
        self._answer(now_s)

    @property
    def askers(self) -> int:
        """How many wait for the book."""
        return len(self._askers)

    def next_s(self, now_s: float) -> float | None:
        """The next reading, or the first asker's patience, a little before its deadline."""
        return min([self._sync_s, *(self._patience_s(asker) for asker in self._askers)])

    @staticmethod
    def _patience_s(asker: _Asker) -> float:
        return asker.request.deadline_s - 0.2

    def _read(self, exchange: str, deadline_s: float) -> None:
        directory = self._directory()
        entry = directory.find(Role.CONNECTOR, exchange) if directory is not None else None
        if entry is not None:
            self._serial += 1
            correlation_id = f"positions-{self._incarnation}-{self._serial}"
            self._asked[correlation_id] = exchange
            self._send(entry.address, GetPositions(correlation_id=correlation_id, deadline_s=deadline_s))

    def _answer(self, now_s: float, came: str | None = None) -> None:
        for asker in list(self._askers):
            if came is not None:
                asker.waiting.discard(came)
            if not asker.waiting or now_s >= self._patience_s(asker):
                self._askers.remove(asker)
                self._send(asker.address, self._book(asker, now_s))

    def _book(self, asker: _Asker | None, now_s: float) -> BookReply:
        since_s = now_s - 2 * self._environment.sync_interval_s if asker is None else asker.since_s
        wanted = asker.request.refresh if asker is not None else tuple(self._environment.connectors)
        holdings, may_fill = self._journal.holdings()
        return BookReply(
            correlation_id=asker.request.correlation_id if asker is not None else "",
            # Spot has balances, not positions: there the book is what our own fills add up to, and tracks no more.
            lines=book_lines(holdings, may_fill, self._positions, {} if self._spot else self._read_s),
            positions=tuple(position for held in self._positions.values() for position in held),
            unread=tuple(sorted(name for name in wanted if self._read_s.get(name, -1.0) < since_s)),
        )
