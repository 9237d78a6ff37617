"""Frames and buffers of the keyed transport, without sockets: whatever comes in, nothing but ours comes out."""

import hmac
import pickle
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thespian.system.transport import TCPTransport, streamBuffer

from app.transport.keyed import MAX_FRAME_BYTES, BoundedBuffer, ForgedFrameError, KeyedPickle, install

KEY = b"0123456789abcdef"
OURS = KeyedPickle(KEY)
JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces, cut at the places that lie inside it."""
    edges = sorted({0, len(data), *(place for place in places if place < len(data))})
    return [data[a:b] for a, b in pairwise(edges)]


@given(JSON_LIKE)
def test_what_is_ours_comes_back(message: object) -> None:
    """A tagged message is read as it was written."""
    assert OURS.loads(OURS.dumps(message)) == message


@given(JSON_LIKE, st.data())
def test_any_change_is_a_forgery(message: object, data: st.DataObject) -> None:
    """Changing one bit anywhere, cutting the end off or adding to it makes the frame a stranger's."""
    frame = bytearray(OURS.dumps(message))
    place = data.draw(st.integers(0, len(frame) - 1))
    changed = frame.copy()
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    for forged in (bytes(changed), bytes(frame[:place]), bytes(frame) + b"\0"):
        with pytest.raises(ForgedFrameError):
            OURS.loads(forged)


def test_another_key_is_a_forgery() -> None:
    """The tag depends on the key."""
    with pytest.raises(ForgedFrameError):
        OURS.loads(KeyedPickle(b"another key 1234").dumps("hello"))


@given(JSON_LIKE, st.binary(max_size=50), st.lists(st.integers(0, 400)))
def test_a_frame_in_pieces_is_whole_at_its_end(message: object, after: bytes, places: list[int]) -> None:
    """However the wire cuts a frame, it is done exactly when its last byte is in, and what follows is kept apart."""
    frame = streamBuffer.toSendBuffer(message, OURS.dumps)
    buffer = BoundedBuffer(OURS.loads)
    for piece in cut(frame, places):
        assert not buffer.isDone()
        buffer.addMore(piece)
    assert buffer.isDone()
    assert buffer.completed() == (message, b"")
    buffer.addMore(after)
    assert buffer.completed() == (message, after)


@given(st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 200))
def test_pieces_beyond_the_frame_are_counted_right(first: bytes, after: bytes, place: int) -> None:
    """A piece that ends one frame and begins the next is divided between them, wherever it was cut."""
    stream = streamBuffer.toSendBuffer(first, OURS.dumps) + after
    buffer = BoundedBuffer(OURS.loads)
    for piece in cut(stream, [place]):
        buffer.addMore(piece)
    assert buffer.completed() == (first, after)


@given(st.lists(st.binary(min_size=1, max_size=60) | st.sampled_from([b"5>", b"-1>", b">", b"0>", b"99999999>"])))
def test_noise_never_raises_and_never_yields(pieces: list[bytes]) -> None:
    """A buffer fed with noise asks for a sane number of bytes until it is done, and then holds no message."""
    buffer = BoundedBuffer(OURS.loads)
    for piece in pieces:
        if buffer.isDone():
            break
        assert 0 < buffer.remainingAmount() <= MAX_FRAME_BYTES
        buffer.addMore(piece)
    assert buffer.completed() is None


def test_the_largest_frame_is_the_limit() -> None:
    """A length above the limit is refused on sight; the limit itself is waited for."""
    over, at = BoundedBuffer(OURS.loads), BoundedBuffer(OURS.loads)
    over.addMore(b"%d>" % (MAX_FRAME_BYTES + 1))
    at.addMore(b"%d>" % MAX_FRAME_BYTES)
    assert over.isDone()
    assert not at.isDone()
    assert at.remainingAmount() == MAX_FRAME_BYTES


def test_a_pickle_of_ours_that_fails_is_no_message() -> None:
    """A tag proves the sender, not that the class can be found here."""
    body = b"cno_such_module\nNoSuchClass\n."
    frame = hmac.digest(KEY, body, "sha256") + body
    buffer = BoundedBuffer(OURS.loads)
    buffer.addMore(b"%d>" % len(frame) + frame)
    assert buffer.completed() is None


def test_install_gives_one_class_a_key_and_leaves_the_stock_one() -> None:
    """The same key gives the same class; another key another; Thespian's own module is as it was."""
    first, second, again = install(KEY), install(b"another key 1234"), install(KEY)
    assert first is again
    assert first is not second
    assert TCPTransport.serializer is pickle
    assert TCPTransport.TCPTransport not in (first, second)
    assert TCPTransport.ReceiveBuffer is streamBuffer.ReceiveBuffer


def test_a_short_key_is_refused() -> None:
    """A guessable key is a mistake."""
    with pytest.raises(ValueError, match="has 4 bytes; it needs 16"):
        install(b"1234")
