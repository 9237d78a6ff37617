"""Unix sockets as Thespian sees them: what its managers and its external interface ask of a transport.

Thespian gives `TransmitIntent`s, to be told what became of them, and calls `run` to have messages handed to it; who
sent a message is known from the connection, so only the message itself is pickled. Everything about sockets is in
`switchboard`. Acknowledged means handed to the actor; an intent whose connection closes before that is a DeadTarget,
from which Thespian makes a DeadEnvelope: not confirmed, though it may have been handled.

A transport belongs to the thread that runs it. Others may schedule transmissions (an actor's threads log through it)
and wake it, no more.
"""

from __future__ import annotations

import heapq
import itertools
import pickle
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.util import Finalize
from typing import Any, Final
from weakref import ref

from thespian.actors import ActorAddress, ActorExitRequest, WakeupMessage, WatchMessage
from thespian.system import isInternalActorSystemMessage
from thespian.system.addressManager import ActorLocalAddress, CannotPickleAddress
from thespian.system.messages.multiproc import ChildMayHaveDied
from thespian.system.timing import ExpirationTimer
from thespian.system.transport import (
    SendStatus,
    Thespian__Run_HandlerResult,
    Thespian__Run_Terminated,
    Thespian__UpdateWork,
    TransmitOnly,
)

from app.process.logs import get_logger
from app.transport.errors import BadAddressError, FrameTooLargeError
from app.transport.unix.address import UnixAddress
from app.transport.unix.endpoint import Envelope, Inside, Outside
from app.transport.unix.folder import Folder, is_orphan
from app.transport.unix.frames import MAX_PAYLOAD_BYTES
from app.transport.unix.link import NEVER
from app.transport.unix.seams import ease_actor_process
from app.transport.unix.switchboard import STALL_S, Outcome, Switchboard

DRAIN_S: Final = 5.0
"""How long an ending actor waits for its peers to take what it has sent."""
ACK_WAIT_S: Final = 0.25
"""And then, for them to acknowledge it."""
LOG_EVERY_S: Final = 1.0
TURN: Final = 32
"""Messages handled between two looks at everything else."""
_STATUS: Final = {
    Outcome.TAKEN: SendStatus.Sent,
    Outcome.GONE: SendStatus.DeadTarget,
    Outcome.FAILED: SendStatus.Failed,
}


class UnixTransport:
    """The endpoint of one actor, or of a process outside.

    Attributes:
        myAddress: Where it is reached.
        board: Its sockets.
    """

    myAddress: ActorAddress

    def __init__(self, start: Outside, *_unused: object) -> None:
        """Listens at once.

        Args:
            start: `Inside` in the process of an actor, else `Outside`.

        Raises:
            FileNotFoundError, FolderError: The folder is not there, or not private.
            OSError: No socket could be made.
        """
        self._start = start
        folder = Folder(start.folder)
        name = folder.new_name()
        if isinstance(start, Inside):
            ease_actor_process()
        try:
            if isinstance(start, Inside) and start.addrInst is None:
                name = start.admin
                folder.claim(name)
            elif not isinstance(start, Inside):
                folder.sweep()  # an actor's socket is its parent's to remove; of outsiders that were killed it is ours
            self.board = Switchboard(folder, name, start.key)
        except BaseException:
            folder.close()
            raise
        if isinstance(start, Inside) and threading.current_thread() is threading.main_thread():
            self.board.waiter.watch_signals()
        self.myAddress = ActorAddress(UnixAddress(name))
        self._name = name
        self._clock = time.perf_counter  # Thespian's
        self._abort: bool | None = None
        self._woken = self._exit_asked = self._child_died = False
        self._wakeups: list[tuple[float, int, ExpirationTimer, object]] = []
        self._numbers = itertools.count()
        self._after_wakeup = False
        self._logged_s = -LOG_EVERY_S
        # What is owed is acknowledged when the process ends; a child of multiprocessing runs no other exit handlers.
        self._finalizer = Finalize(self.board, _close_at_exit, (ref(self.board),), exitpriority=10)

    # ------------------------------------------------------------------------------------------------ life cycle

    def close(self) -> None:
        """Acknowledge, close the sockets, drop what is under way; safe to call again."""
        self.board.close()
        self._finalizer.cancel()

    def external_transport_clone(self) -> UnixTransport:
        """Another endpoint outside, of the same system."""
        return type(self)(Outside(self._start.folder, self._start.key, self._start.admin))

    def prepEndpoint(self, address: ActorAddress, _capabilities: object) -> Inside:
        """What the process of a new actor is given; `address` is Thespian's placeholder, or the admin's."""
        details = address.addressDetails
        return Inside(self._start, details.addressInstanceNum if isinstance(details, ActorLocalAddress) else None)

    def connectEndpoint(self, _endpoint: object) -> None:
        """Nothing is to be done: the new actor connects to us."""

    def childResetFileNumList(self) -> list[int]:
        """None: `registry` closes them in every forked child."""
        return []

    def protectedFileNumList(self) -> list[int]:
        """None."""
        return []

    def setAddressManager(self, manager: object) -> None:
        """Not needed: it comes with each intent."""

    def enableRXPauseFlowControl(self, _enable: bool = True) -> None:
        """Nothing to switch: sending never waits, so it never stops receiving."""

    def lostRemote(self, _address: object) -> None:
        """There are no remote hosts."""

    def getAdminAddr(self, _capabilities: object = None) -> ActorAddress:
        """The admin's address."""
        return ActorAddress(UnixAddress(self._start.admin))

    def probeAdmin(self, address: ActorAddress) -> bool:
        """Whether somebody serves there."""
        return self.board.serves(address.addressDetails.name)

    def deadAddress(self, _manager: object, child: ActorAddress) -> None:
        """An actor is gone: so is its socket, where it had no time to remove it."""
        details = child.addressDetails
        if isinstance(details, UnixAddress) and is_orphan(details.name):
            self.board.forget(details.name)

    def _updateStatusResponse(self, response: Any) -> None:
        response.addWakeups([(self.myAddress, timer) for _, _, timer, _ in sorted(self._wakeups)])
        for kind, count in self.board.counts.items():
            response.addKeyVal(f"transport.{kind}", count)
        for peer, intent in self.board.queued():
            response.addPendingMessage(self.myAddress, ActorAddress(UnixAddress(peer)), str(intent.message))

    # ------------------------------------------------------------------------------------------------ sending

    @staticmethod
    def serializer(intent: Any) -> bytes:
        """The pickle of the intent's message.

        Raises:
            FrameTooLargeError: It is larger than any receiver would take.
            CannotPickleAddress: It holds the address of a child that has none yet; Thespian tries again when it has.
        """
        payload = pickle.dumps(intent.message, pickle.HIGHEST_PROTOCOL)
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise FrameTooLargeError(f"a message takes {len(payload)} bytes; it may take {MAX_PAYLOAD_BYTES}")
        return payload

    def scheduleTransmit(self, manager: Any, intent: Any, has_exclusive_flag: bool = False) -> None:
        """Send the intent's message, now if its peer takes it, without waiting; from any thread.

        Raises:
            CannotPickleAddress: The receiver, or an address in the message, is a child that has not started yet.
            BadAddressError: The receiver is of another transport.
            FrameTooLargeError: See `serializer`.
            Exception: Whatever pickling raises.
        """
        if manager is not None:
            target, message = manager.prepMessageSend(intent.targetAddr, intent.message)
            if message is SendStatus.DeadTarget:  # a DeadEnvelope to somebody who is dead: not worth another one
                intent.tx_done(SendStatus.Sent)
                return
            if target is None:
                raise CannotPickleAddress(intent.targetAddr)
            intent.changeTargetAddr(target)
            intent.changeMessage(message)
        if isinstance(intent.message, Thespian__UpdateWork):  # only to have `run` look again
            intent.tx_done(SendStatus.Sent)
            return
        details = intent.targetAddr.addressDetails
        if not isinstance(details, UnixAddress):
            if isinstance(details, ActorLocalAddress):
                raise CannotPickleAddress(intent.targetAddr)
            raise BadAddressError(f"the address {intent.targetAddr} belongs to another transport than this one")
        payload = self.serializer(intent)
        if details.name == self._name:
            self.board.put(Envelope(intent.targetAddr, intent.message), intent)
        else:
            until_s = intent.expiration()._time_to_quit
            self.board.send(details.name, payload, intent, NEVER if until_s is None else until_s)

    def finish(self) -> None:
        """Tell those who sent what became of it; here, where nothing else is under way."""
        done = self.board.done
        while done:
            intent, outcome = done.popleft()
            intent.tx_done(_STATUS[outcome])
        if self.board.incidents:
            self._report()

    def _report(self) -> None:
        now_s = self._clock()
        if now_s - self._logged_s >= LOG_EVERY_S:
            self._logged_s = now_s
            incidents, self.board.incidents = self.board.incidents, {}
            for kind, words in incidents.items():
                get_logger(__name__).warning(f"transport.{kind}", words=words, times=self.board.counts[kind])

    # ------------------------------------------------------------------------------------------------ running

    def addWakeup(self, period: timedelta | float, payload: object) -> None:
        """Have a WakeupMessage delivered after `period`; those due together come in the order of their times."""
        timer = ExpirationTimer(period)
        heapq.heappush(self._wakeups, (timer._time_to_quit or 0.0, next(self._numbers), timer, payload))

    def set_watch(self, fds: list[int]) -> None:
        """Have a WatchMessage delivered while any of these descriptors, and of no others, is readable."""
        self.board.waiter.watch(fds)

    def interrupt_wait(self, signal_shutdown: bool = False, check_children: bool = False) -> None:
        """From a signal handler: an actor shall end, or look after its children."""
        self._exit_asked = self._exit_asked or signal_shutdown
        self._child_died = self._child_died or check_children
        self.board.ring()

    def abort_run(self, drain: bool = False) -> None:
        """Have `run` return soon; `drain` lets peers take first what was sent, for DRAIN_S at the most."""
        self._abort = drain

    def wake(self) -> None:
        """Have `receive` return, the one under way or the next; from any thread."""
        self._woken = True
        self.board.ring()

    def take_wake(self) -> bool:
        """Whether `wake` was called since this was asked last."""
        woken, self._woken = self._woken, False
        return woken

    def run(self, handler: Any, maximumDuration: timedelta | float | None = None) -> Any:
        """Thespian's main loop, for at most this long.

        Args:
            handler: Is called with each envelope until it returns something false. None: the first envelope is
                returned. TransmitOnly: nothing is received, and the number of peers that do not take is returned as
                soon as it is 0.
        """
        if isinstance(maximumDuration, timedelta):
            maximumDuration = maximumDuration.total_seconds()
        end_s = NEVER if maximumDuration is None else self._clock() + maximumDuration
        self._abort = None
        if handler is TransmitOnly or isinstance(handler, TransmitOnly):
            return self._transmit(end_s)
        return self._receive(handler, end_s)

    def work(self, timeout_s: float) -> None:
        """One turn without receiving: wait for something to happen, and tell those whom it concerns."""
        self.finish()
        self.board.poll(timeout_s, sending_only=True)
        self.finish()

    def _receive(self, handler: Callable[[Any], Any] | None, end_s: float) -> Any:
        board, polled, handled = self.board, False, 0
        while True:
            if board.done or board.incidents:
                self.finish()
            if self._abort is not None:
                return self._stop(self._abort)
            if handler is None and self._woken:
                return None
            envelope = self._next()
            if envelope is not None:
                if handler is None:
                    if isInternalActorSystemMessage(envelope.message):
                        board.acknowledge()  # its sender may be waiting for that, and the caller may not come back
                    return envelope
                result = handler(envelope)
                if not result:
                    self._stop(bool(self._abort))
                    return Thespian__Run_HandlerResult(result)
                handled += 1
                if handled % TURN == 0:
                    self._poll(0.0)
                continue
            now_s = self._clock()
            if now_s >= end_s and polled:
                return None
            wake_s = self._wakeups[0][0] if self._wakeups else NEVER
            self._poll(min(end_s, wake_s) - now_s)
            polled = True

    def _transmit(self, end_s: float) -> Any:
        while True:
            self.finish()
            if self._abort is not None:
                return self._stop(False)
            unsent = self.board.unsent()
            now_s = self._clock()
            if not unsent or now_s >= end_s:
                self.board.poll(0.0)
                self.finish()
                return unsent
            self.board.poll(min(end_s - now_s, STALL_S / 2), sending_only=True)

    def _stop(self, drain: bool) -> Thespian__Run_Terminated:
        self.board.acknowledge()
        end_s = self._clock() + (DRAIN_S if drain else 0.0)
        acks_s = end_s
        while drain and (left_s := min(end_s, acks_s) - self._clock()) > 0 and (self.board.held() or self.board.done):
            if not self.board.unsent():
                acks_s = min(acks_s, self._clock() + ACK_WAIT_S)
            self.board.poll(min(left_s, STALL_S / 2), sending_only=True)
            self.finish()  # which may send more: the admin says its last word when the logger has got its own
            self.board.acknowledge()
        return Thespian__Run_Terminated()

    def _poll(self, timeout_s: float) -> None:
        self.board.poll(timeout_s)
        if self.board.waiter.ready:
            ready = self.board.waiter.ready
            self.board.waiter.ready = []
            self.board.put(Envelope(self.myAddress, WatchMessage(ready)))

    def _next(self) -> Any:
        """The next envelope: of a signal, of a wake-up that is due, or what was received; those two in turns."""
        if self._child_died:
            self._child_died = False
            return Envelope(self.myAddress, ChildMayHaveDied())
        if self._exit_asked:
            self._exit_asked = False
            return Envelope(self.myAddress, ActorExitRequest())
        if self._wakeups and not self._after_wakeup and self._wakeups[0][0] <= self._clock():
            self._after_wakeup = True
            _, _, timer, payload = heapq.heappop(self._wakeups)
            return Envelope(self.myAddress, WakeupMessage(timer.duration, payload))
        self._after_wakeup = False
        while (item := self.board.take()) is not None:
            link, payload = item
            if link is None:
                return payload
            if link.address is None:
                link.address = ActorAddress(UnixAddress(link.peer))
            try:
                return Envelope(link.address, pickle.loads(payload))
            except Exception as error:  # its classes may raise anything; its sender is told nothing, others go on
                self.board.note("unreadable", f"a message of {link.peer} cannot be unpickled: {error!r}")
        return None


def _close_at_exit(board: Callable[[], Switchboard | None]) -> None:
    open_board = board()
    if open_board is not None:
        open_board.close()
