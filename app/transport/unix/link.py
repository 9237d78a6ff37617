"""One connection: what waits to be sent over it, what was sent and not acknowledged, and what we owe the other end.

A message is in one place at a time: in `out` until its frame is begun, in `unacked` until the other end has handed it
to its actor. Both are bounded together, so a peer that takes nothing costs a known amount of memory, and then its
messages are refused. Nothing here waits or knows what time it is; the switchboard does.
"""

from __future__ import annotations

import math
import socket
from collections import deque
from typing import Any, Final

from app.transport.unix.frames import HEADER, LEAVING, FrameReader

MAX_HELD_MESSAGES: Final = 10_000
MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""What may be unacknowledged for one peer."""
BATCH_BYTES: Final = 128 * 1024
"""How much is put into one system call when a peer takes more again."""
NEVER: Final = math.inf


class Parcel:
    """A message on its way.

    Attributes:
        payload: Its pickle; dropped once the frame is begun.
        token: What the sender wants back with the outcome; None when it was told already.
        deadline_s: When the sender stops waiting, on the switchboard's clock.
        size: Of the pickle, in bytes.
    """

    __slots__ = ("deadline_s", "payload", "size", "token")

    def __init__(self, payload: bytes, token: Any, deadline_s: float) -> None:
        self.payload = payload
        self.token = token
        self.deadline_s = deadline_s
        self.size = len(payload)


class Link:
    """A connection, or what becomes one when the other end accepts connections again (`sock` is None until then).

    Attributes:
        peer: Name of the other end; empty until a stranger has said it.
        dialled: Whether we connected.
        greeted: Whether the other end's handshake was right.
        address: Whatever the owner wants to keep beside the name.
        owed: Messages handed to our actor and not acknowledged yet.
        held_bytes: Size of what is in `out` and `unacked`.
        due_s: Not before this must anything in `out` or `unacked` be given up.
        moved_s: When bytes last came or left.
        leaving: We have asked to close; what is sent meanwhile waits for the outcome.
        paused: Nothing is read, because too much was read already.
        polled: What epoll was told to look for.
        broken: Nothing can be sent any more; what was received before the end still counts.
        reading: Frames of this connection are being handled.
        retry_s, give_up_s, wait_s: For the next attempt to connect, the last one, and the time between.
    """

    __slots__ = (
        "address",
        "broken",
        "dialled",
        "due_s",
        "fd",
        "give_up_s",
        "greeted",
        "held_bytes",
        "leaving",
        "moved_s",
        "out",
        "owed",
        "paused",
        "peer",
        "polled",
        "reader",
        "reading",
        "rest",
        "retry_s",
        "sock",
        "unacked",
        "wait_s",
    )

    def __init__(self, peer: str, *, dialled: bool, now_s: float) -> None:
        self.peer = peer
        self.dialled = dialled
        self.sock: socket.socket | None = None
        self.fd = -1
        self.greeted = False
        self.address: Any = None
        self.reader = FrameReader()
        self.out: deque[Parcel] = deque()
        self.rest: memoryview | None = None
        self.unacked: deque[Parcel] = deque()
        self.held_bytes = 0
        self.owed = 0
        self.due_s = NEVER
        self.moved_s = now_s
        self.leaving = False
        self.paused = False
        self.polled = 0
        self.broken = self.reading = False
        self.retry_s = self.give_up_s = self.wait_s = 0.0

    def use(self, sock: socket.socket) -> None:
        """Send and receive by `sock`."""
        self.sock = sock
        self.fd = sock.fileno()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way in either direction."""
        return not (self.out or self.unacked or self.owed or self.rest is not None)

    def takes(self, size: int) -> bool:
        """Whether a message of this size may be posted."""
        held = len(self.out) + len(self.unacked)
        return held < MAX_HELD_MESSAGES and self.held_bytes + size <= MAX_HELD_BYTES

    # ------------------------------------------------------------------------------------------------ sending

    def post(self, parcel: Parcel) -> None:
        """Send, or queue behind what waits already; raises OSError when the connection is gone, the parcel held."""
        self.held_bytes += parcel.size
        if parcel.deadline_s < self.due_s:
            self.due_s = parcel.deadline_s
        if self.rest is not None or self.out or self.leaving or self.sock is None:
            self.out.append(parcel)
            return
        frame = HEADER.pack(parcel.size, self.owed) + parcel.payload
        self.owed = 0
        parcel.payload = b""
        self.unacked.append(parcel)
        self._write(frame)

    def control(self, payload: bytes) -> None:
        """Send a frame that nobody acknowledges, before anything that waits; raises OSError."""
        self._write(HEADER.pack(len(payload), 0) + payload)

    def ask_to_leave(self) -> None:
        """Ask the other end to close; only when idle. Raises OSError."""
        self.leaving = True
        self._write(HEADER.pack(LEAVING, 0))

    def acknowledge(self) -> None:
        """Send what is owed; where something waits to be sent, it goes with that. Raises OSError."""
        if self.owed and self.rest is None and self.sock is not None:
            frame = HEADER.pack(0, self.owed)
            self.owed = 0
            self._write(frame)

    def flush(self) -> bool:
        """Send what waits, as far as the other end takes it; whether any left. Raises OSError."""
        if self.sock is None:
            return False
        sent = False
        while self.rest is not None or self.out or self.owed:
            if self.rest is None:
                if self.leaving:
                    break
                self.rest = memoryview(self._batch())
            before = len(self.rest)
            self._write(self.rest)
            sent = sent or self.rest is None or len(self.rest) < before
            if self.rest is not None:
                break
        return sent

    def _batch(self) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while self.out and size < BATCH_BYTES:
            parcel = self.out.popleft()
            pieces += (HEADER.pack(parcel.size, self.owed), parcel.payload)
            self.owed = 0
            size += parcel.size + HEADER.size
            parcel.payload = b""
            self.unacked.append(parcel)
        if self.owed:
            pieces.append(HEADER.pack(0, self.owed))
            self.owed = 0
        return b"".join(pieces)

    def _write(self, data: bytes | memoryview) -> None:
        assert self.sock is not None
        if self.rest is not None and data is not self.rest:  # a control frame behind a frame that is under way
            self.rest = memoryview(bytes(self.rest) + data)
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        self.rest = None if sent == len(data) else memoryview(data)[sent:]

    # ------------------------------------------------------------------------------------------------ outcomes

    def acknowledged(self, count: int) -> list[Any]:
        """Tokens of the `count` oldest unacknowledged messages; raises ValueError when there are not so many."""
        if count > len(self.unacked):
            raise ValueError(f"{count} messages are acknowledged where {len(self.unacked)} were sent")
        tokens = []
        for _ in range(count):
            parcel = self.unacked.popleft()
            if parcel.token is not None:
                self.held_bytes -= parcel.size
                tokens.append(parcel.token)
        return tokens

    def expired(self, now_s: float) -> list[Any]:
        """Tokens of the messages whose deadline has passed; what was begun may still arrive."""
        if now_s < self.due_s:
            return []
        tokens: list[Any] = []
        self.due_s = NEVER
        for parcel in self.unacked:  # stay in their places, for the acknowledgements that may come
            if parcel.token is not None and parcel.deadline_s <= now_s:
                tokens.append(parcel.token)
                self.held_bytes -= parcel.size
                parcel.token = None
        self.out, waiting = deque(), self.out
        for parcel in waiting:
            if parcel.deadline_s <= now_s:
                tokens.append(parcel.token)
                self.held_bytes -= parcel.size
            else:
                self.out.append(parcel)
        held = [*(each for each in self.unacked if each.token is not None), *self.out]
        self.due_s = min((each.deadline_s for each in held), default=NEVER)
        return tokens

    def give_up(self) -> list[Any]:
        """Tokens of everything that is held, in the order of sending; nothing is held any more."""
        tokens = [each.token for each in (*self.unacked, *self.out) if each.token is not None]
        self.unacked.clear()
        self.out.clear()
        self.rest = None
        self.held_bytes = 0
        self.due_s = NEVER
        return tokens
