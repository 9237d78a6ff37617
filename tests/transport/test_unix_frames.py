"""The wire over Unix sockets, without sockets: what is cut in pieces is put together, and nothing else is believed."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thespian.actors import ActorAddress

from app.transport import BadAddressError, address_from_str, address_to_str
from app.transport.unix.address import UnixAddress
from app.transport.unix.frames import (
    HEADER,
    LEAVING,
    MAX_HANDSHAKE_BYTES,
    MAX_PAYLOAD_BYTES,
    BadHandshakeError,
    Frame,
    FrameReader,
    handshake,
    read_handshake,
)

KEY = bytes(range(32))


def wire(frames: list[Frame]) -> bytes:
    """The bytes of these frames."""
    return b"".join(
        HEADER.pack(LEAVING if payload is None else len(payload), acks) + (payload or b"") for acks, payload in frames
    )


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` in pieces that end at `cuts`."""
    ends = sorted({min(each, len(data)) for each in cuts} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.none() | st.binary(max_size=200)), max_size=20),
    st.lists(st.integers(0, 3000), max_size=30),
)
def test_frames_survive_any_cutting(frames: list[Frame], cuts: list[int]) -> None:
    """However a stream arrives, the same frames come out, and nothing is left over."""
    frames = [(0, b"the first is the handshake"), *frames]
    reader = FrameReader()
    got = [frame for piece in cut(wire(frames), cuts) for frame in reader.feed(memoryview(piece))]
    assert got == frames
    assert not reader.wrong
    assert not reader.cut


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=10))
def test_garbage_never_raises_nor_piles_up(pieces: list[bytes]) -> None:
    """Whatever a stranger sends, the reader gives a frame, says what is wrong, or keeps less than a handshake."""
    reader = FrameReader()
    for piece in pieces:
        if reader.feed(memoryview(piece)) or reader.wrong:
            break
        assert len(reader._kept) < HEADER.size + MAX_HANDSHAKE_BYTES


@pytest.mark.parametrize("length", [MAX_HANDSHAKE_BYTES + 1, MAX_PAYLOAD_BYTES, LEAVING - 1])
def test_a_stranger_may_send_a_handshake_and_no_more(length: int) -> None:
    """Before the handshake a frame is small; its length alone is enough to refuse it."""
    reader = FrameReader()
    assert reader.feed(memoryview(HEADER.pack(length, 0))) == []
    assert str(MAX_HANDSHAKE_BYTES) in reader.wrong


def test_no_frame_is_larger_than_allowed() -> None:
    """Also behind a handshake; what came before it in the same piece is still read."""
    reader = FrameReader()
    data = wire([(0, b"handshake"), (1, b"fine")]) + HEADER.pack(MAX_PAYLOAD_BYTES + 1, 0)
    assert reader.feed(memoryview(data)) == [(0, b"handshake"), (1, b"fine")]
    assert str(MAX_PAYLOAD_BYTES) in reader.wrong


def test_a_handshake_is_read_by_whom_it_was_written_for() -> None:
    """Both directions, whether the name is known already or not."""
    hello = handshake(KEY, dialled=True, own="me-1", other="you-2")
    assert len(hello) <= MAX_HANDSHAKE_BYTES
    assert read_handshake(KEY, hello, dialled=True, other=None, own="you-2") == "me-1"
    answer = handshake(KEY, dialled=False, own="you-2", other="me-1")
    assert read_handshake(KEY, answer, dialled=False, other="you-2", own="me-1") == "you-2"


def test_a_handshake_is_of_no_other_use() -> None:
    """Another key, another receiver, another direction, another version, another name: each is refused."""
    hello = handshake(KEY, dialled=True, own="me-1", other="you-2")
    other_key = handshake(bytes(32), dialled=True, own="me-1", other="you-2")
    for payload, dialled, other, own in [
        (other_key, True, None, "you-2"),
        (hello, True, None, "somebody-3"),
        (hello, False, None, "you-2"),
        (hello, True, "not-me", "you-2"),
        (hello.replace(b"actors 1", b"actors 2"), True, None, "you-2"),
        (hello.replace(b"me-1", b"me-2"), True, None, "you-2"),
        (hello.replace(b"me-1", b"/etc"), True, None, "you-2"),
        (hello[:-5], True, None, "you-2"),
        (b"", True, None, "you-2"),
        (pickle.dumps("hello"), True, None, "you-2"),
    ]:
        with pytest.raises(BadHandshakeError):
            read_handshake(KEY, payload, dialled=dialled, other=other, own=own)


@given(st.from_regex(r"[a-z0-9-]{1,48}", fullmatch=True))
def test_addresses_are_small_and_equal_by_name(name: str) -> None:
    """As text, as pickle and as key of a dictionary an address stays the same one, and its pickle is short."""
    address = address_from_str(f"unix://{name}")
    assert address_to_str(address) == f"unix://{name}"
    pickled = pickle.dumps(address, pickle.HIGHEST_PROTOCOL)
    assert len(pickled) < 130 + len(name)
    assert pickle.loads(pickled) == address
    assert {address.addressDetails: 1}[UnixAddress(name)] == 1
    assert address != ActorAddress(UnixAddress(name + "x"))
    assert UnixAddress(name) != name


@pytest.mark.parametrize(
    "text", ["unix://", "unix:///x", "unix://../x", "unix://A", "unix://" + "x" * 49, "unix://a b"]
)
def test_no_path_is_an_address(text: str) -> None:
    """A name cannot lead out of the folder."""
    with pytest.raises(BadAddressError):
        address_from_str(text)


def test_an_address_cannot_be_changed() -> None:
    """It may be a key."""
    with pytest.raises(AttributeError, match="cannot be changed"):
        UnixAddress("a").name = "b"
