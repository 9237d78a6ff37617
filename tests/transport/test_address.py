"""Addresses as text: what is written can be read, and nothing else can."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thespian.actors import ActorAddress
from thespian.system.addressManager import ActorAddressManager
from thespian.system.transport.IPBase import TCPv4ActorAddress

from app.transport import BadAddressError, address_from_str, address_to_str
from app.transport.address import LoopbackAddress


@given(st.integers(1, 65535))
def test_what_is_written_can_be_read(port: int) -> None:
    """Text and address mean the same actor, also after a pickle."""
    text = f"tcp://127.0.0.1:{port}"
    address = address_from_str(text)
    assert address_to_str(address) == text
    assert address_to_str(pickle.loads(pickle.dumps(address))) == text


@given(st.text() | st.integers().map(lambda port: f"tcp://127.0.0.1:{port}"))
def test_nothing_else_can_be_read(text: str) -> None:
    """Any other text is refused with a sentence, and never anything worse."""
    try:
        address = address_from_str(text)
    except BadAddressError as error:
        complaint = str(error)
    else:
        complaint = ""
        assert address_to_str(address) == text
    assert complaint == "" or "127.0.0.1" in complaint or "outside 1 to 65535" in complaint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tcp://127.0.0.1",
        "127.0.0.1:80",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:65536",
        "tcp://10.0.0.1:80",
        "tcp://127.0.0.1:\uff18\uff10",
        "tcp://127.0.0.1:80:80",
        "tcp://127.0.0.1:-1",
        "unix:///x",
    ],
)
def test_near_misses_are_refused(text: str) -> None:
    """Other hosts, schemes and ports are no addresses of ours."""
    with pytest.raises(BadAddressError):
        address_from_str(text)


def test_whatever_host_is_asked_for_it_is_loopback() -> None:
    """Both what is bound and what is advertised are 127.0.0.1."""
    for host in (None, "", "0.0.0.0", "192.0.2.1"):
        details = LoopbackAddress(host, 4000, external=True)
        assert details.bindArgs == details.connectArgs == (("127.0.0.1", 4000),)


def test_a_strange_address_is_refused() -> None:
    """An address of another transport cannot be written as one of ours."""
    with pytest.raises(BadAddressError, match="another transport"):
        address_to_str(ActorAddress(TCPv4ActorAddress("127.0.0.1", 4000)))


def test_a_child_is_written_down_once_it_has_reported() -> None:
    """A child's address inside its parent is refused until its port is known, and then written as any other."""
    me, child = address_from_str("tcp://127.0.0.1:4000"), address_from_str("tcp://127.0.0.1:4001")
    manager = ActorAddressManager(me, me)
    local = manager.createLocalAddress()
    with pytest.raises(BadAddressError, match="not started yet"):
        address_to_str(local)
    manager.associateUseableAddress(me, local.addressDetails.addressInstanceNum, child)
    assert address_to_str(local) == "tcp://127.0.0.1:4001"
