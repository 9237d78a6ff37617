"""Every connection of one endpoint: made, read, written, watched over and closed, with a bound on all that can grow.

A peer that takes nothing has its own queue, which ends in refusals, and a peer whose backlog is full is tried again by
timer: nobody waits for anybody. Received messages stay in the kernel when too many were read already, so a flood slows
down whoever floods.

A connection is closed by the end that opened it, when it was not used for a while: that end asks, and keeps back what
it has to send until the other end has closed, or has shown by sending something that it did not want to. So no message
is lost, and none overtakes another.

Methods whose names begin with an underscore want the lock held.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final

from app.transport.unix.door import Door
from app.transport.unix.folder import Folder, ForeignPeerError
from app.transport.unix.frames import BadHandshakeError, Frame, handshake, read_handshake
from app.transport.unix.link import NEVER, Link, Parcel
from app.transport.unix.registry import forget_in_children
from app.transport.unix.waiter import READABLE, WRITABLE, Waiter

IDLE_S: Final = 120.0
CONNECT_S: Final = 10.0
"""How long a full backlog is tried."""
MAX_LINKS: Final = 768
MAX_INBOX_MESSAGES: Final = 4_000
MAX_INBOX_BYTES: Final = 48 * 1024 * 1024
READ_BYTES: Final = 128 * 1024


class Outcome(Enum):
    """What became of a message."""

    TAKEN = auto()
    GONE = auto()
    """Nobody listens there any more."""
    FAILED = auto()
    """Its time ran out, or too much waits for this peer already."""


class Connections:
    """The lower half of a `Switchboard`.

    Attributes:
        name: Where others reach it.
        done: Tokens and outcomes that nobody was told yet.
        waiter: Where it waits; an actor's own descriptors are watched there.
        counts: How often what went wrong.
        incidents: The same in words, each once, until somebody clears it.
    """

    def __init__(
        self,
        folder: Folder,
        name: str,
        key: bytes,
        *,
        idle_s: float = IDLE_S,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Listens at once; `folder` is closed with this. Raises OSError."""
        self.name = name
        self.done: deque[tuple[Any, Outcome]] = deque()
        self.counts: Counter[str] = Counter()
        self.incidents: dict[str, str] = {}
        self._folder = folder
        self._key = key
        self._idle_s = idle_s
        self._clock = clock
        self._lock = threading.RLock()
        self._poller = 0
        self._closed = False
        self._links: dict[int, Link] = {}
        self._by_peer: dict[str, Link] = {}
        self._dialling: set[Link] = set()
        self._blocked: set[Link] = set()
        self._paused: set[Link] = set()
        self._owing: dict[Link, None] = {}
        self._ack_s = NEVER
        self._due_s = NEVER
        self._inbox: deque[tuple[Link | None, Any]] = deque()
        self._inbox_bytes = 0
        self._buffer = memoryview(bytearray(READ_BYTES))
        listener = folder.listen(name)
        self.waiter = Waiter()
        self._door = Door(listener, self.waiter, self.note, clock)
        forget_in_children(self)

    def abandon(self) -> None:
        """Close every descriptor and touch nothing that others share, as after a fork, of which only our half ends."""
        self._lock = threading.RLock()  # another thread of the parent may have held it
        if self._closed:
            return
        self._closed = True
        for link in self._links.values():
            if link.sock is not None:
                link.sock.close()
            link.fd = -1
        self._links.clear()
        self._by_peer.clear()
        self._door.close()
        self.waiter.close()
        self._folder.close()

    # ------------------------------------------------------------------------------------------------ to be told

    def note(self, kind: str, words: str) -> None:
        """Count what went wrong, and keep the words for whoever logs."""
        self.counts[kind] += 1
        self.incidents.setdefault(kind, words)

    def held(self) -> bool:
        """Whether anything that was sent is not acknowledged, or not even sent."""
        with self._lock:
            return any(link.unacked or link.out for link in (*self._links.values(), *self._dialling))

    def queued(self) -> list[tuple[str, Any]]:
        """Receiver and token of every message that its peer does not take yet."""
        with self._lock:
            links = (*self._links.values(), *self._dialling)
            return [(link.peer, each.token) for link in links for each in link.out]

    def serves(self, name: str) -> bool:
        """Whether somebody of ours listens as `name`."""
        return self._folder.is_served(name)

    def forget(self, name: str) -> None:
        """Remove the socket of a process that is gone."""
        self._folder.remove(name)

    # ------------------------------------------------------------------------------------------------ connections

    def _forward(self, peer: str, parcel: Parcel) -> None:
        link = self._by_peer.get(peer) or self._dial(peer)
        if isinstance(link, Outcome):
            self.done.append((parcel.token, link))
        elif not link.takes(parcel.size):
            self.note("full", f"a message for {peer} was refused: it takes none, and too many wait already")
            self.done.append((parcel.token, Outcome.FAILED))
        else:
            self._post(link, parcel)

    def _dial(self, peer: str) -> Link | Outcome:
        link = Link(peer, dialled=True, now_s=self._clock())
        if len(self._links) + len(self._dialling) >= MAX_LINKS:
            self.note("crowded", f"no connection to {peer}: there are {MAX_LINKS} already")
            return Outcome.FAILED
        link.give_up_s = link.moved_s + CONNECT_S
        outcome = self._connect(link)
        if outcome is not None:
            return outcome
        self._by_peer[peer] = link
        return link

    def _connect(self, link: Link) -> Outcome | None:
        """Connects, or plans to try again; tells what to make of its messages where there is no hope."""
        try:
            sock = self._folder.connect(link.peer)
        except BlockingIOError:
            now_s = self._clock()
            link.wait_s = min(max(2 * link.wait_s, 0.005), 0.2)
            link.retry_s = now_s + link.wait_s
            if link.retry_s > link.give_up_s:
                self.note("connect", f"no connection to {link.peer} within {CONNECT_S:g} s: it accepts none")
                return Outcome.FAILED
            self._dialling.add(link)
            self._due_s = min(self._due_s, link.retry_s)
            return None
        except (ConnectionRefusedError, FileNotFoundError):
            return Outcome.GONE
        except ForeignPeerError as error:
            self.note("foreign", f"no connection to {link.peer}: {error.strerror}")
            return Outcome.GONE
        except OSError as error:
            self.note("connect", f"no connection to {link.peer}: {error.strerror}")
            return Outcome.FAILED
        self._dialling.discard(link)
        self._open(link, sock)
        self._greet(link)
        return None

    def _accept(self) -> None:
        for sock in self._door.admit(MAX_LINKS - len(self._links)):
            link = Link("", dialled=False, now_s=self._clock())
            self._open(link, sock)
            self._door.expect(link)
        self._due_s = min(self._due_s, self._door.due_s)

    def _open(self, link: Link, sock: socket.socket) -> None:
        link.use(sock)
        self._links[link.fd] = link
        link.polled = READABLE
        self.waiter.add(link.fd)
        self._due_s = min(self._due_s, link.moved_s + self._idle_s)

    def _greet(self, link: Link) -> None:
        hello = handshake(self._key, dialled=link.dialled, own=self.name, other=link.peer)
        self._try(link, lambda link: link.control(hello))

    def _lose(self, link: Link, outcome: Outcome = Outcome.GONE) -> None:
        """The connection is closed: what was not acknowledged has failed, but for what was kept back until then."""
        if link.fd >= 0:
            del self._links[link.fd]
            self.waiter.drop(link.fd)
            assert link.sock is not None
            link.sock.close()
            link.fd = -1
        self._door.forget(link)
        for group in (self._dialling, self._blocked, self._paused):
            group.discard(link)
        self._owing.pop(link, None)
        if self._by_peer.get(link.peer) is link:
            del self._by_peer[link.peer]
        if link.leaving and not link.unacked:
            kept, link.out = link.out, type(link.out)()
            for parcel in kept:
                self._forward(link.peer, parcel)
        self.done.extend((token, outcome) for token in link.give_up())

    def _dismiss(self, stranger: Link) -> None:
        """It has taken too long, unless it was us who did not listen: this process may have been stopped meanwhile."""
        self._read(stranger, to_its_end=False)
        if stranger.fd >= 0 and not stranger.greeted:
            self._refuse(stranger, "it did not say who it is in time")

    def _refuse(self, link: Link, why: str) -> None:
        self.note("malformed", f"closed a connection of {link.peer or 'a process that did not say who it is'}: {why}")
        self._lose(link)

    def _look(self, link: Link) -> None:
        """Tell epoll what the connection waits for."""
        wanted = (0 if link.paused else READABLE) | (WRITABLE if link.rest is not None else 0)
        if wanted != link.polled and link.fd >= 0:
            link.polled = wanted
            self.waiter.change(link.fd, wanted)

    # ------------------------------------------------------------------------------------------------ bytes

    def _try(self, link: Link, act: Callable[[Link], object]) -> None:
        """Do something that sends."""
        try:
            act(link)
        except OSError:
            self._hear_out(link)
            return
        if link.rest is not None and link not in self._blocked:
            self._note_blocked(link)
        elif link.rest is None and link in self._blocked:
            self._blocked.discard(link)
            self._look(link)

    def _note_blocked(self, link: Link) -> None:
        self._blocked.add(link)
        link.moved_s = self._clock()
        self._look(link)

    def _post(self, link: Link, parcel: Parcel) -> None:
        if parcel.deadline_s < self._due_s:
            self._due_s = parcel.deadline_s
        try:
            link.post(parcel)
        except OSError:
            self._hear_out(link)
            return
        if link.rest is not None and link not in self._blocked:
            self._note_blocked(link)

    def _hear_out(self, link: Link) -> None:
        """The other end is gone: its last words may be messages and acknowledgements."""
        link.broken = True
        if link.reading:
            return  # and goes on to the end
        if link.fd >= 0:
            self._read(link, to_its_end=True)
        if link.fd >= 0:
            self._lose(link)

    def _flush(self, link: Link) -> None:
        if link.flush():
            link.moved_s = self._clock()

    def _read(self, link: Link, *, to_its_end: bool) -> None:
        link.reading = True
        while link.sock is not None and link.fd >= 0:
            try:
                size = link.sock.recv_into(self._buffer)
            except BlockingIOError:
                break
            except OSError:
                size = 0
            if size == 0:
                if link.reader.cut:
                    self.note("truncated", f"the connection of {link.peer or 'a stranger'} ended within a frame")
                self._lose(link)
                break
            link.moved_s = self._clock()
            wrong = self._frames(link, link.reader.feed(self._buffer[:size])) or link.reader.wrong
            if wrong:
                self._refuse(link, wrong)
            if not to_its_end and not link.broken:
                break
        link.reading = False
        if len(self._inbox) >= MAX_INBOX_MESSAGES or self._inbox_bytes >= MAX_INBOX_BYTES:
            link.paused = True
            self._paused.add(link)
            self._look(link)

    def _frames(self, link: Link, frames: list[Frame]) -> str:
        """Takes what was received; why the connection is to be closed, where something is wrong with it."""
        for acks, payload in frames:
            if not link.greeted:
                try:
                    self._meet(link, payload or b"")
                except BadHandshakeError as error:
                    return str(error)
                continue
            if acks:
                try:
                    self.done.extend((token, Outcome.TAKEN) for token in link.acknowledged(acks))
                except ValueError as error:
                    return str(error)
            if payload:
                self._inbox.append((link, payload))
                self._inbox_bytes += len(payload)
                if link.leaving:
                    link.leaving = False
                    self._try(link, self._flush)
            elif payload is None and link.idle:  # else what we have sent tells the other end that it asked too late
                self._lose(link)
        return ""

    def _meet(self, link: Link, payload: bytes) -> None:
        name = read_handshake(
            self._key, payload, dialled=not link.dialled, other=link.peer if link.dialled else None, own=self.name
        )
        link.greeted = True
        if not link.dialled:
            self._door.forget(link)
            link.peer = name
            self._by_peer.setdefault(name, link)
            self._greet(link)

    # ------------------------------------------------------------------------------------------------ timers

    def _keep_house(self, now_s: float) -> None:
        """Everything that becomes due by time; sets when to come back."""
        for link in [each for each in self._dialling if each.retry_s <= now_s]:
            self._dialling.discard(link)
            outcome = self._connect(link)
            if outcome is not None:
                self._lose(link, outcome)
            elif link.fd >= 0:
                self._try(link, self._flush)
        for link in self._door.late(now_s):
            self._dismiss(link)
        due_s = self._door.due_s
        for link in [*self._links.values(), *self._dialling]:
            self.done.extend((token, Outcome.FAILED) for token in link.expired(now_s))
            due_s = min(due_s, link.due_s)
            if link.dialled and link.greeted and not link.leaving:
                if link.idle and now_s - link.moved_s >= self._idle_s:
                    self._try(link, Link.ask_to_leave)
                elif link.fd >= 0:
                    due_s = min(due_s, max(link.moved_s + self._idle_s, now_s + self._idle_s / 4))
        for link in self._dialling:
            due_s = min(due_s, link.retry_s)
        self._due_s = due_s
