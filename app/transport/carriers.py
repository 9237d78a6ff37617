"""What a mailbox needs of a transport, once for each: hand over without waiting, receive, be woken, hear what became.

Over TCP, Thespian's own queues have to be worked around: it has twenty places for all receivers together, so a carrier
gives it one message at a time for each; what fails at once is told only after the next thing happens on a socket. Our
transport over Unix sockets does the right thing by itself.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from enum import Enum, auto
from typing import Any, Final, Protocol

from thespian.actors import ActorAddress, WatchMessage
from thespian.system import isInternalActorSystemMessage
from thespian.system.transport import ReceiveEnvelope, SendStatus, TransmitIntent, TransmitOnly

from app.transport.address import address_to_str
from app.transport.keyed import close_transport
from app.transport.unix.transport import UnixTransport

_SHORTEST_POLL_S: Final = 0.001
"""Thespian does not even look at its sockets when given no time at all."""


class Wake(Enum):
    """What `receive` returns when another thread called `wake`."""

    WAKE = auto()


WAKE: Final = Wake.WAKE

Settled = Callable[[ActorAddress, object, Any], None]
"""Told once for each message: its receiver, itself, and Thespian's status: Sent, DeadTarget, or another that failed."""


class Carrier(Protocol):
    """An endpoint for one thread; others may only `wake`.

    Attributes:
        address: Where it is reached.
    """

    address: ActorAddress

    def send(self, address: ActorAddress, message: object, timeout_s: float) -> None:
        """Hand over without waiting; raises BadAddressError or FrameTooLargeError."""

    def receive(self, timeout_s: float) -> object | None:
        """A message, WAKE, or None: the time is up, or something has settled."""

    def settle(self) -> None:
        """Tell what is known already about what was sent."""

    def work(self, timeout_s: float) -> None:
        """Send and settle, without receiving, until something happens or the time is up."""

    def wake(self) -> None:
        """Make `receive` return; from any thread, also when closed."""

    def close(self) -> None:
        """Close, dropping what is under way; safe to call again."""


def carrier(transport: Any, settled: Settled) -> Carrier:
    """The carrier for an endpoint of either transport, which it owns from now on."""
    return UnixCarrier(transport, settled) if isinstance(transport, UnixTransport) else TcpCarrier(transport, settled)


class UnixCarrier:
    """Over `app.transport.unix`."""

    def __init__(self, transport: UnixTransport, settled: Settled) -> None:
        self._transport = transport
        self._settled = settled
        self.address: ActorAddress = transport.myAddress

    def send(self, address: ActorAddress, message: object, timeout_s: float) -> None:
        """See `Carrier`."""
        period = timedelta(seconds=timeout_s)
        intent = TransmitIntent(address, message, onSuccess=self._done, onError=self._failed, maxPeriod=period)
        self._transport.scheduleTransmit(None, intent)

    def _done(self, status: object, intent: TransmitIntent) -> None:
        self._settled(intent.targetAddr, intent.message, status)

    def _failed(self, status: object, intent: TransmitIntent) -> None:
        self._settled(intent.targetAddr, intent.message, status)
        self._transport.abort_run()

    def receive(self, timeout_s: float) -> object | None:
        """See `Carrier`."""
        if self._transport.take_wake():
            return WAKE
        got = self._transport.run(None, timeout_s)
        if isinstance(got, ReceiveEnvelope):
            return None if isInternalActorSystemMessage(got.message) else got.message
        return WAKE if self._transport.take_wake() else None

    def settle(self) -> None:
        """See `Carrier`."""
        self._transport.finish()

    def work(self, timeout_s: float) -> None:
        """See `Carrier`."""
        self._transport.work(timeout_s)

    def wake(self) -> None:
        """See `Carrier`."""
        self._transport.wake()

    def close(self) -> None:
        """See `Carrier`."""
        self._transport.close()


class TcpCarrier:
    """Over Thespian's TCP transport, `keyed` or not."""

    def __init__(self, transport: Any, settled: Settled) -> None:
        self._transport = transport
        self._settled = settled
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._bell_lock = threading.Lock()
        self._waiting: dict[str, deque[TransmitIntent]] = {}  # a key for each receiver with a message under way
        transport.set_watch([self._bell])
        self.address: ActorAddress = transport.myAddress

    def send(self, address: ActorAddress, message: object, timeout_s: float) -> None:
        """See `Carrier`."""
        target = address_to_str(address)
        intent = TransmitIntent(
            address,
            message,
            onSuccess=lambda status, sent: self._confirmed(target, status, sent),
            onError=lambda status, failed: self._failed(target, status, failed),
            maxPeriod=timedelta(seconds=timeout_s),
        )
        intent.serMsg = self._transport.serializer(intent)
        # One at a time for each receiver: a hung one would else take all of Thespian's twenty places from the others.
        waiting = self._waiting.get(target)
        if waiting is None:
            self._waiting[target] = deque()
            self._transport._schedulePreparedIntent(intent)
        else:
            waiting.append(intent)

    def _confirmed(self, target: str, status: object, intent: TransmitIntent) -> None:
        self._settled(intent.targetAddr, intent.message, status)
        self._send_next(target)

    def _failed(self, target: str, status: object, intent: TransmitIntent) -> None:
        self._settled(intent.targetAddr, intent.message, status)
        while status == SendStatus.DeadTarget and self._waiting[target]:
            behind = self._waiting[target].popleft()
            self._settled(behind.targetAddr, behind.message, status)
        self._send_next(target)
        self._transport.abort_run()

    def _send_next(self, target: str) -> None:
        waiting = self._waiting[target]
        while waiting:
            intent = waiting.popleft()
            if not intent.expired():
                self._transport._schedulePreparedIntent(intent)
                return
            self._settled(intent.targetAddr, intent.message, SendStatus.Expired)
        del self._waiting[target]

    def receive(self, timeout_s: float) -> object | None:
        """See `Carrier`."""
        got = self._transport.run(None, timedelta(seconds=max(timeout_s, _SHORTEST_POLL_S)))
        if isinstance(got, ReceiveEnvelope):
            if isinstance(got.message, WatchMessage):
                return WAKE if self._bell_rang() else None
            if not isInternalActorSystemMessage(got.message):
                return got.message  # type: ignore[no-any-return]  # Thespian is untyped
        return None

    def _bell_rang(self) -> bool:
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            return False  # answered already
        return True

    def settle(self) -> None:
        """See `Carrier`."""
        finished, self._transport._finished_intents = self._transport._finished_intents, []
        for intent, status in finished:
            intent.tx_done(status)

    def work(self, timeout_s: float) -> None:
        """See `Carrier`."""
        self._transport.set_watch([])  # while only sending, a bell nobody answers would keep select from waiting
        try:
            self._transport.run(TransmitOnly, timedelta(seconds=timeout_s))
            self.settle()
        finally:
            self._transport.set_watch([self._bell])

    def wake(self) -> None:
        """See `Carrier`."""
        with self._bell_lock:  # so that a mailbox closed meanwhile does not write into a stranger's file
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """See `Carrier`."""
        with self._bell_lock:
            bell, self._bell = self._bell, -1
        if bell >= 0:
            os.close(bell)
            for waiting in self._waiting.values():
                waiting.clear()  # what is under way fails now, and must not send what waits behind it
            close_transport(self._transport)
