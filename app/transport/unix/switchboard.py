"""The sockets of one endpoint as its owner uses them: send, wait, take, acknowledge.

One thread polls and takes; any thread may send. `send` writes at once where the connection is free, and never waits. An
acknowledgement says that a message was handed to the actor. It rides on the next message to the same peer; else it is
sent after ACK_DELAY_S, or as soon as `acknowledge` is called. When a connection closes, what was not acknowledged has
failed: it may have been handled all the same, but what was acknowledged certainly was. What happens on the connections
is in `connections`.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from app.transport.unix.connections import MAX_INBOX_BYTES, MAX_INBOX_MESSAGES, Connections, Outcome
from app.transport.unix.link import NEVER, Link, Parcel
from app.transport.unix.waiter import GONE, READABLE, WRITABLE

__all__ = ["ACK_DELAY_S", "STALL_S", "Outcome", "Switchboard"]

ACK_DELAY_S: Final = 0.005
STALL_S: Final = 1.0
"""A peer that took nothing for so long is not waited for any more."""


class Switchboard(Connections):
    """The sockets of one actor, or of one endpoint outside."""

    # ------------------------------------------------------------------------------------------------ any thread

    def send(self, peer: str, payload: bytes, token: Any, deadline_s: float) -> None:
        """Send a message without waiting; `token` comes back through `done`, by `deadline_s` at the latest."""
        with self._lock:
            if self._closed:
                self.done.append((token, Outcome.FAILED))
                return
            self._forward(peer, Parcel(payload, token, deadline_s))
            if self._poller and self._poller != threading.get_ident():
                self.ring()  # there may be an outcome, or a deadline before the one it waits for

    def put(self, item: Any, token: Any = None) -> None:
        """Put what `take` shall give, as it is, behind what was received; a `token` comes back through `done`."""
        with self._lock:
            full = len(self._inbox) >= 2 * MAX_INBOX_MESSAGES
            if full:
                self.note("full", "a message of this actor to itself was refused: too many wait already")
            else:
                self._inbox.append((None, item))
            if token is not None:
                self.done.append((token, Outcome.FAILED if full else Outcome.TAKEN))
            if self._poller and self._poller != threading.get_ident():
                self.ring()

    def ring(self) -> None:
        """Make `poll` return soon; also from a signal handler."""
        with self._lock:  # so that nothing is written into a stranger's file once this is closed
            if not self._closed:
                self.waiter.ring()

    # ------------------------------------------------------------------------------------------------ the owner

    def take(self) -> tuple[Link | None, Any] | None:
        """The next message as (connection, pickle), or (None, item); it counts as handed over."""
        if not self._inbox:
            return None
        with self._lock:
            link, payload = item = self._inbox.popleft()
            if link is None:
                return item
            self._inbox_bytes -= len(payload)
            link.owed += 1
            if link.owed == 1:
                if not self._owing:
                    self._ack_s = self._clock() + ACK_DELAY_S
                self._owing[link] = None
            if self._paused and len(self._inbox) < MAX_INBOX_MESSAGES // 2 and self._inbox_bytes < MAX_INBOX_BYTES // 2:
                for each in self._paused:
                    each.paused = False
                    self._look(each)
                self._paused.clear()
        return item

    @property
    def waiting(self) -> int:
        """Messages that `take` would give."""
        return len(self._inbox)

    def acknowledge(self) -> None:
        """Send every acknowledgement that is owed."""
        with self._lock:
            owing, self._owing = self._owing, {}
            self._ack_s = NEVER
            for link in owing:
                if link.fd >= 0:
                    self._try(link, Link.acknowledge)

    def unsent(self) -> int:
        """Peers that something waits to be sent to, without those that have been stuck for STALL_S."""
        if not self._blocked and not self._dialling:
            return 0
        with self._lock:
            late_s = self._clock() - STALL_S
            return sum(each.moved_s > late_s for each in (*self._blocked, *self._dialling))

    def poll(self, timeout_s: float, *, sending_only: bool = False) -> None:
        """Wait for something to happen, at most `timeout_s`, and deal with it; not while there is something to take.

        Args:
            sending_only: Wait even though there is something to take.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("this endpoint is closed")
            now_s = self._clock()
            if now_s >= self._ack_s:
                self.acknowledge()
            elif self._owing and not any(link.owed for link in self._owing):  # it went with something else
                self._owing.clear()
                self._ack_s = NEVER
            if now_s >= self._due_s:
                self._keep_house(now_s)
            if self.done or (self._inbox and not sending_only):
                timeout_s = 0.0
            timeout_s = min(timeout_s, self._ack_s - now_s, self._due_s - now_s)
            self._poller = threading.get_ident()
        try:
            happened = self.waiter.wait(timeout_s)
        finally:
            self._poller = 0
        with self._lock:
            for fd, mask in happened:
                link = self._links.get(fd)
                if link is not None:
                    if mask & WRITABLE:
                        self._try(link, self._flush)
                    if mask & (READABLE | GONE) and link.fd == fd:
                        self._read(link, to_its_end=bool(mask & GONE))
                elif fd == self._door.fd:
                    self._accept()

    def sweep(self) -> None:
        """Remove the sockets of processes that are gone."""
        self._folder.sweep()

    def close(self) -> None:
        """Acknowledge, and close everything; what is under way is dropped. Safe to call again."""
        with self._lock:
            if not self._closed:
                self.acknowledge()
                self._folder.remove(self.name)
                self.abandon()
