"""Actor addresses that never leave this host, and their form as text: `unix://NAME`, or `tcp://127.0.0.1:PORT`.

They can be written to a file that says where the root supervisor is, without a pickle in it. An address means something
in its own actor system only. Over TCP, stock addresses bind every interface and advertise the one that routes to a
public name server; these know one interface and look nothing up. A port may name another actor after its owner died, so
an address is worth no more than the last word of the supervisor about it: keep it no longer than a route.
"""

from typing import Any

from thespian.actors import ActorAddress
from thespian.system.addressManager import ActorLocalAddress
from thespian.system.transport.IPBase import TCPv4ActorAddress

from app.transport.errors import BadAddressError
from app.transport.unix.address import NAME, UnixAddress

__all__ = ["LOOPBACK", "BadAddressError", "LoopbackAddress", "address_from_str", "address_to_str"]

LOOPBACK = "127.0.0.1"
_TCP = "tcp://"
_UNIX = "unix://"


class LoopbackAddress(TCPv4ActorAddress):  # type: ignore[misc]  # Thespian is untyped
    """The details of an `ActorAddress`: 127.0.0.1 and a port, whatever host was asked for."""

    def __init__(self, _host: object = None, port: int = 0, external: object = False) -> None:
        """The signature is Thespian's; host and `external` are what a stock address would have looked up."""
        super().__init__(LOOPBACK, port, external=False)


def address_to_str(address: ActorAddress) -> str:
    """`address` as text.

    Raises:
        BadAddressError: it is a child of the calling actor that has not reported its address yet, or of another
            transport than ours.
    """
    details: Any = address.addressDetails
    if isinstance(details, ActorLocalAddress):
        known = details.addressManager.exportAddr(address)
        if known is None:
            raise BadAddressError(f"the actor {address} has not started yet, so it has no address to write down")
        details = known.addressDetails
    if isinstance(details, UnixAddress):
        return f"{_UNIX}{details.name}"
    if not isinstance(details, LoopbackAddress):
        raise BadAddressError(f"the address {address} belongs to another transport than this one")
    return f"{_TCP}{LOOPBACK}:{details.sockname[1]}"


def address_from_str(text: str) -> ActorAddress:
    """The address that `address_to_str` wrote as `text`.

    Raises:
        BadAddressError: `text` is not of that form.
    """
    if text.startswith(_UNIX) and NAME.fullmatch(text.removeprefix(_UNIX)):
        return ActorAddress(UnixAddress(text.removeprefix(_UNIX)))
    host, _, port = text.removeprefix(_TCP).partition(":")
    if not text.startswith(_TCP) or host != LOOPBACK or not (port.isascii() and port.isdigit()):
        raise BadAddressError(
            f"{text!r} is no actor's address; it should look like {_UNIX}NAME or {_TCP}{LOOPBACK}:PORT"
        )
    if not 0 < int(port) < 65536:
        raise BadAddressError(f"{text!r} names a port outside 1 to 65535")
    return ActorAddress(LoopbackAddress(port=int(port)))
