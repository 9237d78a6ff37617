"""Thespian's TCP transport with a lock on it: keyed frames on 127.0.0.1.

A frame is `LENGTH>` TAG PICKLE, the tag HMAC-SHA256 over the pickle. It is checked, in constant time, before anything
is unpickled; a frame that is forged, cut, oversized or malformed closes its connection and touches nothing else.
Frames carry no nonce: whoever can record loopback traffic (root) could replay one. Receivers are idempotent anyway.

Each key gets a private copy of Thespian's module `TCPTransport`, because the seams are that module's globals:
patching the shared module would change the wire of a bot's own actor system, and two daemons with two keys could not
be reached from one process. What is replaced in the copy: `serializer`, `ReceiveBuffer`, the two acknowledgement
frames and the address class. Tested against thespian >= 4.0.1, < 4.1, which setup.cfg requires.
"""

import hmac
import importlib.util
import logging
import pickle
import threading
from types import ModuleType
from typing import Any, Final
from weakref import WeakValueDictionary

from thespian.system.transport import streamBuffer
from thespian.system.utilis import thesplog

from app.transport.address import LoopbackAddress
from app.transport.errors import FrameTooLargeError

__all__ = [
    "MAX_FRAME_BYTES",
    "BoundedBuffer",
    "ForgedFrameError",
    "FrameTooLargeError",
    "KeyedPickle",
    "close_transport",
    "install",
]

MIN_KEY_BYTES: Final = 16
TAG_BYTES: Final = 32
MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
"""Largest frame taken or sent; a stranger can make a process hold this much per connection, no more."""
_MAX_HEADER_BYTES: Final = len(str(MAX_FRAME_BYTES)) + 1

_TRANSPORT_MODULE: Final = "thespian.system.transport.TCPTransport"
_lock = threading.Lock()
_installed: WeakValueDictionary[bytes, type[Any]] = WeakValueDictionary()
"""Transport class by key, for as long as a system uses it: a process that restarts daemons makes many keys."""


class ForgedFrameError(Exception):
    """A frame without the tag that our key gives; never unpickled."""


class KeyedPickle:
    """What Thespian calls its serializer: pickles behind a tag."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def dumps(self, message: object) -> bytes:
        """TAG PICKLE of `message`; raises FrameTooLargeError, or what pickling raises."""
        body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        if len(body) + TAG_BYTES > MAX_FRAME_BYTES:
            raise FrameTooLargeError(f"a message takes {len(body)} bytes; it may take {MAX_FRAME_BYTES - TAG_BYTES}")
        return hmac.digest(self._key, body, "sha256") + body

    def loads(self, frame: bytes) -> Any:
        """The message in `frame`; raises ForgedFrameError before unpickling anything that is not ours."""
        tag, body = frame[:TAG_BYTES], frame[TAG_BYTES:]
        if not hmac.compare_digest(tag, hmac.digest(self._key, body, "sha256")):
            raise ForgedFrameError(f"dropped a frame of {len(frame)} bytes without our tag")
        return pickle.loads(body)


class BoundedBuffer(streamBuffer.ReceiveBuffer):  # type: ignore[misc]  # Thespian is untyped
    """A receive buffer that no input can make raise, grow without bound or wait for a negative length.

    Stock code lets exceptions out of the acknowledgement path, which leaks one of twenty send slots each time, and
    out of the reading path, which ends the actor. Here a bad frame is complete and empty instead, and both paths have
    an answer to that: close, or retry within the sender's limit.
    """

    _bad = False

    def addMore(self, buf: bytes) -> None:
        """Take more bytes from the wire."""
        if self._bad or not buf:
            return
        if self._size is None:
            header = (self._buf + buf)[:_MAX_HEADER_BYTES]
            digits, mark, _ = header.partition(b">")
            if mark and not (digits.isdigit() and int(digits) <= MAX_FRAME_BYTES):
                self._refuse("has no proper length")
            elif not mark and (len(header) == _MAX_HEADER_BYTES or not header.isdigit()):
                self._refuse("does not begin with a length")
        if self._bad:
            return
        # Stock code miscounts a piece that reaches beyond the frame; it gets the two parts one by one.
        missing = len(buf) if self._size is None else self._size - self._blen
        super().addMore(buf[:missing] if missing else buf)
        if 0 < missing < len(buf):
            super().addMore(buf[missing:])

    def _refuse(self, why: str) -> None:
        thesplog("dropped a frame that %s", why, level=logging.WARNING)
        self._bad = True
        self._buf = b""

    def remainingAmount(self) -> int:
        """How much to read next, in bytes."""
        return 0 if self._bad else int(super().remainingAmount())

    def isDone(self) -> bool:
        """Whether nothing more is to be read: the frame is whole, or bad."""
        return self._bad or bool(super().isDone())

    def completed(self) -> tuple[Any, bytes] | None:
        """The message and what came after it, or None: not whole, forged, or not to be unpickled here."""
        if self._bad:
            return None
        try:
            whole: Any = super().completed()
        except ForgedFrameError as error:
            thesplog("%s", error, level=logging.WARNING)
        except Exception as error:  # a tagged pickle of ours may still fail in any way its classes like
            thesplog("cannot unpickle a message: %s", error, level=logging.ERROR)
        else:
            return whole  # type: ignore[no-any-return]  # the message and the bytes after it, or None
        self._refuse("cannot be read")
        return None


def install(key: bytes) -> type[Any]:
    """The transport class whose frames carry tags of `key`, for use as a system base's `transportType`.

    Idempotent: one key gives one class for as long as it is in use, and what is forked has it too. Other keys, and
    Thespian's own transport, stay as they were.

    Raises:
        ValueError: the key is shorter than 16 bytes.
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"the transport key has {len(key)} bytes; it needs {MIN_KEY_BYTES} or more, from secrets")
    with _lock:
        transport = _installed.get(key)
        if transport is None:
            transport = _installed[key] = _private_copy(KeyedPickle(key)).TCPTransport
    return transport


def close_transport(transport: Any) -> None:
    """Close a transport's sockets now; Thespian's own `close` leaves them to the garbage collector."""
    sockets = [idle.socket for idle in transport._openSockets.values()]
    sockets += [intent.socket for intent in transport._transmitIntents.values() if hasattr(intent, "socket")]
    sockets.append(transport.socket)
    transport.close()
    for each in sockets:
        each.close()


def _private_copy(serializer: KeyedPickle) -> ModuleType:
    spec = importlib.util.find_spec(_TRANSPORT_MODULE)
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no module {_TRANSPORT_MODULE}; OrderRouter needs thespian >= 4.0.1, < 4.1")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    replaced: dict[str, object] = {
        "serializer": serializer,
        "ReceiveBuffer": BoundedBuffer,
        "ackMsg": streamBuffer.toSendBuffer(streamBuffer.ackPacket, serializer.dumps),
        "ackDataErrMsg": streamBuffer.toSendBuffer(streamBuffer.ackDataErrPacket, serializer.dumps),
        "TCPv4ActorAddress": LoopbackAddress,
    }
    for name, value in replaced.items():
        if not hasattr(module, name):
            raise ImportError(
                f"Thespian's {_TRANSPORT_MODULE} has no {name}; OrderRouter needs thespian >= 4.0.1, < 4.1"
            )
        setattr(module, name, value)
    return module
