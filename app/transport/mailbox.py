"""An endpoint for code that is no actor: one thread sends and receives by it, any thread may wake that one.

Thespian's own `tell` from outside blocks until the receiver has taken the message, a minute at worst, and `ask` mixes
up late answers. A mailbox only hands messages over: they leave while `receive` waits, what could not be delivered
comes back as `Undelivered`, and matching answers to questions is the caller's affair.
"""

import contextlib
import os
import threading
import time
from collections import deque
from datetime import timedelta
from enum import Enum, auto
from types import TracebackType
from typing import Any, Final, Self

import attrs
from thespian.actors import ActorAddress, ActorSystem, WatchMessage
from thespian.system import isInternalActorSystemMessage
from thespian.system.transport import ReceiveEnvelope, SendStatus, TransmitIntent, TransmitOnly

from app.transport.address import address_to_str
from app.transport.keyed import close_transport

MAX_IN_FLIGHT: Final = 900
"""Messages handed over and not yet confirmed: the bound on what a mailbox keeps for receivers that do not take it."""
TELL_TIMEOUT_S: Final = 10.0
_SHORTEST_POLL_S: Final = 0.001
"""Thespian does not even look at its sockets when given no time at all."""


class Wake(Enum):
    """What `receive` returns when another thread called `wake`."""

    WAKE = auto()


WAKE: Final = Wake.WAKE


@attrs.frozen(kw_only=True)
class Undelivered:
    """A message that its receiver did not confirm; it may have been handled all the same.

    Attributes:
        address: the actor it was sent to.
        message: the message.
        gone: True when nobody listens at the address any more, False when time ran out.
    """

    address: ActorAddress
    message: object
    gone: bool


class MailboxFullError(RuntimeError):
    """Too many messages are unconfirmed: their receivers are stuck or gone."""


class Mailbox:
    """An external endpoint of an actor system, owned by the first thread that uses it. A context manager.

    Attributes:
        address: where actors answer to.
        in_flight: messages handed over and not yet confirmed.
    """

    def __init__(self, system: ActorSystem) -> None:
        """Opens a private endpoint of `system`, which must stay open for longer than this."""
        self._closing = contextlib.ExitStack()
        context: Any = self._closing.enter_context(system.private())
        self._transport: Any = context._systemBase.transport
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._bell_lock = threading.Lock()
        self._owner: int | None = None
        self._returned: deque[Undelivered] = deque()
        self._waiting: dict[str, deque[TransmitIntent]] = {}  # a key for each receiver with a message under way
        self._transport.set_watch([self._bell])
        self.address: ActorAddress = self._transport.myAddress
        self.in_flight = 0

    def tell(self, address: ActorAddress, message: object, *, timeout_s: float = TELL_TIMEOUT_S) -> None:
        """Hand `message` over for `address`, without waiting; it leaves now or during the next `receive`.

        What is not confirmed within `timeout_s` comes back from `receive` as `Undelivered`. Messages to one address
        keep their order.

        Raises:
            MailboxFullError: MAX_IN_FLIGHT messages are unconfirmed.
            RuntimeError: the calling thread does not own the mailbox, or it is closed.
            app.transport.address.BadAddressError: the address is not one of this transport.
            app.transport.keyed.FrameTooLargeError: the message is larger than a receiver would take.
        """
        self._check_owner()
        if self.in_flight >= MAX_IN_FLIGHT:
            raise MailboxFullError(f"{self.in_flight} messages are unconfirmed; nothing more is taken until some are")
        target = address_to_str(address)
        intent = TransmitIntent(
            address,
            message,
            onSuccess=lambda _status, _intent: self._confirmed(target),
            onError=lambda status, failed: self._failed(target, status, failed),
            maxPeriod=timedelta(seconds=timeout_s),
        )
        intent.serMsg = self._transport.serializer(intent)
        self.in_flight += 1
        # One at a time for each receiver: a hung one would else take all of Thespian's twenty places from the others.
        waiting = self._waiting.get(target)
        if waiting is None:
            self._waiting[target] = deque()
            self._transport._schedulePreparedIntent(intent)
        else:
            waiting.append(intent)

    def receive(self, timeout_s: float) -> object | None:
        """The next message; WAKE after `wake`; an `Undelivered`; or None when `timeout_s` passed without any.

        Raises:
            RuntimeError: the calling thread does not own the mailbox, or it is closed.
        """
        self._check_owner()
        deadline_s = time.monotonic() + timeout_s
        while True:
            self._settle()
            if self._returned:
                return self._returned.popleft()
            remaining_s = max(deadline_s - time.monotonic(), _SHORTEST_POLL_S)
            got = self._transport.run(None, timedelta(seconds=remaining_s))
            if isinstance(got, ReceiveEnvelope):
                if isinstance(got.message, WatchMessage):
                    if self._bell_rang():
                        return WAKE
                elif not isInternalActorSystemMessage(got.message):
                    return got.message  # type: ignore[no-any-return]  # Thespian is untyped
            if not self._returned and time.monotonic() >= deadline_s:
                return None

    def flush(self, timeout_s: float) -> bool:
        """Wait until every message handed over is confirmed or returned; False when `timeout_s` passed first."""
        self._check_owner()
        deadline_s = time.monotonic() + timeout_s
        self._transport.set_watch([])  # while only sending, a bell nobody answers would keep select from waiting
        try:
            self._settle()
            while self.in_flight and (remaining_s := deadline_s - time.monotonic()) > 0:
                self._transport.run(TransmitOnly, timedelta(seconds=remaining_s))
                self._settle()
        finally:
            self._transport.set_watch([self._bell])
        return not self.in_flight

    def wake(self) -> None:
        """Make `receive` return WAKE soon; from any thread. Several calls before one `receive` may give one WAKE."""
        with self._bell_lock:  # so that a mailbox closed meanwhile does not write into a stranger's file
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """Close the endpoint, dropping what is in flight (`flush` first if it matters); safe to call again."""
        with self._bell_lock:
            bell, self._bell = self._bell, -1
        if bell >= 0:
            os.close(bell)
            for waiting in self._waiting.values():
                waiting.clear()  # what is under way fails now, and must not send what waits behind it
            close_transport(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_owner(self) -> None:
        if self._bell < 0:
            raise RuntimeError("this mailbox is closed")
        caller = threading.get_ident()
        if self._owner is None:
            self._owner = caller
        elif self._owner != caller:
            raise RuntimeError("a mailbox belongs to the thread that used it first; other threads may only call wake()")

    def _bell_rang(self) -> bool:
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            return False  # answered already
        return True

    def _settle(self) -> None:
        """Complete what failed at once: Thespian would do so only after the next thing happens on a socket."""
        finished, self._transport._finished_intents = self._transport._finished_intents, []
        for intent, status in finished:
            intent.tx_done(status)

    def _confirmed(self, target: str) -> None:
        self.in_flight -= 1
        self._send_next(target)

    def _failed(self, target: str, status: object, intent: TransmitIntent) -> None:
        gone = status == SendStatus.DeadTarget
        self._give_back(intent, gone)
        while gone and self._waiting[target]:
            self._give_back(self._waiting[target].popleft(), gone)
        self._send_next(target)
        self._transport.abort_run()

    def _give_back(self, intent: TransmitIntent, gone: bool) -> None:
        self.in_flight -= 1
        self._returned.append(Undelivered(address=intent.targetAddr, message=intent.message, gone=gone))

    def _send_next(self, target: str) -> None:
        waiting = self._waiting[target]
        while waiting:
            intent = waiting.popleft()
            if not intent.expired():
                self._transport._schedulePreparedIntent(intent)
                return
            self._give_back(intent, gone=False)
        del self._waiting[target]
