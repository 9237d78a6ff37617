"""Thespian's simple system base under virtual time, with every order of events decided by a seed.

A message takes a while to arrive, drawn anew for each; two messages of one sender to one receiver keep their order, as
Thespian promises, and nothing else is promised. Messages are pickled on the way, as between processes. Time jumps from
one event to the next.

Messages are lost only where they can be lost for real: with the mailbox of an actor that was killed, and with what a
killed actor had not yet got out. Requests and replies may arrive twice, as Thespian delivers a message again whose
handler failed, and as whoever hears nothing asks again: receivers have to make nothing of it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import timedelta
from heapq import heappop, heappush
from random import Random
from typing import Any

from thespian.actors import ActorExitRequest, ActorSystem, ActorSystemMessage, ChildActorExited, WakeupMessage
from thespian.system.simpleSystemBase import PendingSend

from actors._shell import Shell
from app.fuzz.secrecy import within
from messages.base import Reply, Request

EXTERNAL = "System:ExternalRequester"
ACTED_ON = (ActorExitRequest, ChildActorExited)
"""Messages that Thespian itself acts on, beside the actor."""

Address = Any


class Killed(BaseException):
    """Raised inside a handler to end its actor there, as kill -9 does. Not an `Exception`: nobody may catch it."""


class Scheduler:
    """The world's clock and post office."""

    def __init__(self, rng: Random, *, start_s: float) -> None:
        self.now_s = start_s
        self.steps = 0
        self.current: Address = None
        self.on_external: Callable[[Any], None] = lambda message: None
        self.on_kill: Callable[[Address], None] = lambda address: None
        self.on_killed: Callable[[Address, str], None] = lambda address, where: None
        self.on_send: Callable[[Address], None] | None = None
        self.on_deliver: Callable[[Address, Address, Any], None] | None = None
        self.lags: dict[str, float] = {}
        self.duplicates = 0.0
        self.leaked: tuple[tuple[float, str], ...] = ()
        self._random = rng.random
        self._events: list[tuple[float, int, Address, Address, Any]] = []
        self._serial = 0
        self._last_s: dict[tuple[str, str], float] = {}
        self._stalled: dict[str, float] = {}
        self._lost: set[int] = set()
        self._pickled: tuple[Any, bytes] = (None, b"")
        self._system = ActorSystem("simpleSystemBase", logDefs=False, transientUnique=True)
        self._base = self._system._systemBase
        self._base._runSends = lambda *_args, **_more: None
        self._base.actor_send = self._send
        self._base.wakeupAfter = self._wake
        self._external = self._base.actorRegistry[EXTERNAL]

    # ------------------------------------------------------------------------------------------------ from outside

    def create(self, actor: type) -> Address:
        """Creates a top level actor."""
        return self._system.createActor(actor)

    def tell(self, to: Address, message: Any) -> None:
        """Sends a message from outside."""
        self._send(self._external.address, to, message)

    def send_from(self, sender: Address, to: Address, message: Any) -> None:
        """Sends a message in the name of an actor."""
        self._send(sender, to, message)

    def call_at(self, at_s: float, function: Callable[[], None]) -> None:
        """Calls a function at a time."""
        self._push(max(at_s, self.now_s), None, None, function)

    def close(self) -> None:
        """Ends the actor system."""
        self._base.shutdown()
        self._system.shutdown()

    def alive(self, address: Address) -> bool:
        """Whether an actor lives."""
        return address is not None and self.instance(address) is not None

    def instance(self, address: Address) -> Any:
        """The actor object at an address; None when it is dead."""
        ref = self._base.actorRegistry.get(address.actorAddressString)
        return None if ref is None else ref.instance

    def wake_ups(self) -> dict[str, list[float]]:
        """Wake-ups that wait, by actor: when each was asked for, the oldest first."""
        asked: dict[str, list[float]] = {}
        for at_s, _, _, to, what in self._events:
            if isinstance(what, WakeupMessage):
                asked.setdefault(to.actorAddressString, []).append(at_s - what.delayPeriod.total_seconds())
        return {name: sorted(times) for name, times in asked.items()}

    # ------------------------------------------------------------------------------------------------ death

    def kill(self, address: Address, where: str = "") -> None:
        """SIGKILL: the actor, its mailbox and its wake-ups are gone, and some of what it had sent; its parent hears."""
        ref = self._base.actorRegistry[address.actorAddressString]
        self.on_kill(address)
        ref._inst = None
        outbox = [event for event in self._events if event[2] is not None and event[2] == address != event[3]]
        # What left the process arrives; what still waited in it does not: for each receiver a suffix is lost.
        suffix: dict[str, float] = {}
        for _, number, _, to, _ in sorted(outbox, key=lambda event: event[1]):
            name = to.actorAddressString
            if name not in suffix:
                suffix[name] = self._random()
            if self._random() > suffix[name]:
                suffix[name] = -1.0
            if suffix[name] < 0:
                self._lost.add(number)
        self._send(self._system.systemAddress, ref.parent, ChildActorExited(address))
        self.on_killed(address, where)

    def stall(self, address: Address, until_s: float) -> None:
        """SIGSTOP until a time: nothing is handled, nothing is lost."""
        name = address.actorAddressString
        self._stalled[name] = max(until_s, self._stalled.get(name, 0.0))

    # ------------------------------------------------------------------------------------------------ time

    def run_until(self, until_s: float, *, max_steps: int = 1_000_000) -> None:
        """Lets everything happen up to a time.

        Raises:
            RuntimeError: More than `max_steps` events: something goes round in circles.
        """
        events = self._events
        while events and events[0][0] <= until_s:
            at_s, number, sender, to, what = heappop(events)
            if number in self._lost:
                self._lost.discard(number)
                continue
            if to is not None and self._stalled:
                stalled_s = self._stalled.get(to.actorAddressString, 0.0)
                if stalled_s > at_s:
                    heappush(events, (stalled_s, number, sender, to, what))
                    continue
            self.now_s = at_s
            self.steps += 1
            if self.steps > max_steps:
                raise RuntimeError(f"{max_steps} events by {at_s:.3f} s: something goes round in circles.")
            if to is None:
                what()
            else:
                self._deliver(sender, to, what)
        self.now_s = max(self.now_s, until_s)

    def _deliver(self, sender: Address, to: Address, what: Any) -> None:
        message = pickle.loads(what) if isinstance(what, bytes) else what
        name = to.actorAddressString
        if name == EXTERNAL:
            self.on_external(message)
            return
        if self.on_deliver is not None:
            self.on_deliver(sender, to, message)
        self.current = to
        ref = self._base.actorRegistry.get(name)
        actor = None if ref is None else ref.instance
        try:
            if isinstance(actor, Shell) and not isinstance(message, ACTED_ON):
                actor.receiveMessage(message, sender)  # as Thespian does, without its way there
            else:
                self._base._runSingleSend(PendingSend(sender, message, to))
        except Killed as killed:
            self.kill(to, str(killed))
        finally:
            self.current = None
        if self._base._pendingSends:
            raise RuntimeError("Thespian queued a message on its own: the seam of the scheduler has moved.")

    # ------------------------------------------------------------------------------------------------ Thespian's seams

    def _send(self, sender: Address, to: Address, message: Any) -> None:
        if self.on_send is not None and sender == self.current:
            self.on_send(sender)
        what = self._as_sent(message)
        draw = self._random()
        # Mostly under a millisecond; a busy machine takes longer now and then, and seldom very long.
        delay_s = 0.0002 + 0.001 * draw if draw < 0.97 else 0.02 * (1 + 20 * self._random())
        if self.lags:
            delay_s += self.lags.get(to.actorAddressString, 0.0) * self._random()
        pair = (sender.actorAddressString, to.actorAddressString)
        at_s = max(self.now_s + delay_s, self._last_s.get(pair, 0.0))
        self._last_s[pair] = at_s
        self._push(at_s, sender, to, what)
        if self.duplicates and isinstance(message, Request | Reply) and self._random() < self.duplicates:
            self._last_s[pair] = at_s = at_s + 2.0 * self._random() ** 4
            self._push(at_s, sender, to, what)

    def _as_sent(self, message: Any) -> Any:
        if isinstance(message, ActorSystemMessage):
            return message
        if self._pickled[0] is not message:
            self._pickled = message, pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
            if within(self._pickled[1]):
                self.leaked += ((self.now_s, type(message).__name__),)
        return self._pickled[1]

    def _wake(self, sender: Address, period: timedelta, payload: Any) -> None:
        late_s = 0.0005 + 0.003 * self._random()
        self._push(self.now_s + period.total_seconds() + late_s, sender, sender, WakeupMessage(period, payload))

    def _push(self, at_s: float, sender: Address, to: Address, what: Any) -> None:
        self._serial += 1
        heappush(self._events, (at_s, self._serial, sender, to, what))
