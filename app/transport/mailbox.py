"""An endpoint for code that is no actor: one thread sends and receives by it, any thread may wake that one.

Thespian's own `tell` from outside blocks until the receiver has taken the message, a minute at worst, and `ask` mixes
up late answers. A mailbox only hands messages over: they leave while `receive` waits, what could not be delivered
comes back as `Undelivered`, and matching answers to questions is the caller's affair.
"""

import contextlib
import threading
import time
from collections import deque
from types import TracebackType
from typing import Any, Final, Self

import attrs
from thespian.actors import ActorAddress, ActorSystem
from thespian.system.transport import SendStatus

from app.transport.carriers import WAKE, Wake, carrier

__all__ = ["MAX_IN_FLIGHT", "TELL_TIMEOUT_S", "WAKE", "Mailbox", "MailboxFullError", "Undelivered", "Wake"]

MAX_IN_FLIGHT: Final = 900
"""Messages handed over and not yet confirmed: the bound on what a mailbox keeps for receivers that do not take it."""
TELL_TIMEOUT_S: Final = 10.0


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
        self._carrier = carrier(context._systemBase.transport, self._settled)
        self._closed = False
        self._owner: int | None = None
        self._returned: deque[Undelivered] = deque()
        self.address: ActorAddress = self._carrier.address
        self.in_flight = 0

    def tell(self, address: ActorAddress, message: object, *, timeout_s: float = TELL_TIMEOUT_S) -> None:
        """Hand `message` over for `address`, without waiting; it leaves now or during the next `receive`.

        What is not confirmed within `timeout_s` comes back from `receive` as `Undelivered`. Messages to one address
        keep their order.

        Raises:
            MailboxFullError: MAX_IN_FLIGHT messages are unconfirmed.
            RuntimeError: the calling thread does not own the mailbox, or it is closed.
            app.transport.errors.BadAddressError: the address is not one of this transport.
            app.transport.errors.FrameTooLargeError: the message is larger than a receiver would take.
        """
        self._check_owner()
        if self.in_flight >= MAX_IN_FLIGHT:
            raise MailboxFullError(f"{self.in_flight} messages are unconfirmed; nothing more is taken until some are")
        self.in_flight += 1
        try:
            self._carrier.send(address, message, timeout_s)
        except BaseException:
            self.in_flight -= 1
            raise

    def receive(self, timeout_s: float) -> object | None:
        """The next message; WAKE after `wake`; an `Undelivered`; or None when `timeout_s` passed without any.

        Raises:
            RuntimeError: the calling thread does not own the mailbox, or it is closed.
        """
        self._check_owner()
        deadline_s = time.monotonic() + timeout_s
        while True:
            self._carrier.settle()
            if self._returned:
                return self._returned.popleft()
            got = self._carrier.receive(max(deadline_s - time.monotonic(), 0.0))
            if got is not None:
                return got
            if not self._returned and time.monotonic() >= deadline_s:
                return None

    def flush(self, timeout_s: float) -> bool:
        """Wait until every message handed over is confirmed or returned; False when `timeout_s` passed first."""
        self._check_owner()
        deadline_s = time.monotonic() + timeout_s
        self._carrier.settle()
        while self.in_flight and (remaining_s := deadline_s - time.monotonic()) > 0:
            self._carrier.work(remaining_s)
        return not self.in_flight

    def wake(self) -> None:
        """Make `receive` return WAKE soon; from any thread. Several calls before one `receive` may give one WAKE."""
        self._carrier.wake()

    def close(self) -> None:
        """Close the endpoint, dropping what is in flight (`flush` first if it matters); safe to call again."""
        self._closed = True
        self._carrier.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_owner(self) -> None:
        if self._closed:
            raise RuntimeError("this mailbox is closed")
        caller = threading.get_ident()
        if self._owner is None:
            self._owner = caller
        elif self._owner != caller:
            raise RuntimeError("a mailbox belongs to the thread that used it first; other threads may only call wake()")

    def _settled(self, address: ActorAddress, message: object, status: object) -> None:
        self.in_flight -= 1
        if status != SendStatus.Sent:
            self._returned.append(Undelivered(address=address, message=message, gone=status == SendStatus.DeadTarget))
