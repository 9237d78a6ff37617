"""What goes over a connection: a handshake in each direction, then messages and acknowledgements.

A frame is `length, acks` (two little-endian 32-bit numbers) and `length` bytes of pickle. `acks` says how many more
messages of the other end were handed to our actor: it rides on whatever is sent anyway, and a frame of length 0 carries
nothing else. A frame of length LEAVING asks the other end to close a connection that nobody has used for a while.

The first frame of each end is its handshake: the version, the sender's name, and a proof that it knows the system's
key, bound to both names and to the direction, so that it is of no use on another connection or sent back. Nothing is
unpickled before it; up to it a stranger can make us keep MAX_HANDSHAKE_BYTES and no more.
"""

from __future__ import annotations

import hmac
import struct
from typing import Final

from app.transport.unix.address import NAME

HEADER: Final = struct.Struct("<II")
LEAVING: Final = 0xFFFF_FFFF
MAX_PAYLOAD_BYTES: Final = 16 * 1024 * 1024
"""The largest pickle taken or sent."""
MAX_HANDSHAKE_BYTES: Final = 128
MAGIC: Final = b"order-router actors 1\0"
"""Its number changes whenever the frames do: a process of another version is refused instead of misread."""
PROOF_BYTES: Final = 32

Frame = tuple[int, bytes | None]
"""Acknowledged messages, and the pickle: empty when there is none, None when the other end asks to close."""


class BadHandshakeError(Exception):
    """The other end is not of our system, or not of our version."""


def handshake(key: bytes, *, dialled: bool, own: str, other: str) -> bytes:
    """The payload of the first frame from `own` to `other`; `dialled` says which of them connected."""
    return MAGIC + _proof(key, dialled, own, other) + own.encode()


def read_handshake(key: bytes, payload: bytes, *, dialled: bool, other: str | None, own: str) -> str:
    """The name of who sent `payload` to `own`: `other`, where that is known already; raises BadHandshakeError.

    `dialled` says whether the sender connected.
    """
    if not payload.startswith(MAGIC):
        raise BadHandshakeError("it is another program or another version")
    proof, name = payload[len(MAGIC) :][:PROOF_BYTES], payload[len(MAGIC) + PROOF_BYTES :].decode("ascii", "replace")
    if not NAME.fullmatch(name) or (other is not None and name != other):
        raise BadHandshakeError("it does not say a proper name")
    if not hmac.compare_digest(proof, _proof(key, dialled, name, own)):
        raise BadHandshakeError("it does not know the key of this actor system")
    return name


def _proof(key: bytes, dialled: bool, sender: str, receiver: str) -> bytes:
    return hmac.digest(key, b"\0".join((MAGIC, b"%d" % dialled, sender.encode(), receiver.encode())), "sha256")


class FrameReader:
    """Cuts a stream of bytes into frames, however it arrives in pieces.

    Attributes:
        wrong: Why nothing more can be read from this stream; empty while all is well.
    """

    __slots__ = ("_kept", "_limit", "wrong")

    def __init__(self) -> None:
        self._kept = bytearray()
        self._limit = MAX_HANDSHAKE_BYTES
        self.wrong = ""

    @property
    def cut(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._kept)

    def feed(self, data: memoryview) -> list[Frame]:
        """The frames that `data` completes, with what came before; never raises."""
        frames: list[Frame] = []
        if self._kept:
            self._kept += data
            data = memoryview(self._kept)
        start, end = 0, len(data)
        while end - start >= 8 and not self.wrong:
            length, acks = HEADER.unpack_from(data, start)
            if length == LEAVING:
                length, payload = 0, None
            elif length > self._limit:
                self.wrong = f"a frame says it has {length} bytes, and may have {self._limit}"
                break
            elif end - start - 8 < length:
                break
            else:
                payload = bytes(data[start + 8 : start + 8 + length])
            frames.append((acks, payload))
            self._limit = MAX_PAYLOAD_BYTES  # behind the handshake; whoever reads that drops what follows a bad one
            start += 8 + length
        if self._kept:
            data.release()
            del self._kept[:start]
        elif start < end:
            self._kept += data[start:]
        return frames
