"""Actor addresses that never leave this host, and their form as text.

Stock addresses bind every interface and advertise the interface that routes to a public name server. These know one
interface, look nothing up, and can be written to a file that says where the root supervisor is, without a pickle in it.

A port may name another actor after its owner died, so an address is worth no more than the last word of the supervisor
about it: keep it no longer than a route.
"""

from typing import Any

from thespian.actors import ActorAddress
from thespian.system.addressManager import ActorLocalAddress
from thespian.system.transport.IPBase import TCPv4ActorAddress

LOOPBACK = "127.0.0.1"
_SCHEME = "tcp://"


class BadAddressError(ValueError):
    """A text that names no actor of this host, or an address that cannot be written as text yet."""


class LoopbackAddress(TCPv4ActorAddress):  # type: ignore[misc]  # Thespian is untyped
    """The details of an `ActorAddress`: 127.0.0.1 and a port, whatever host was asked for."""

    def __init__(self, _host: object = None, port: int = 0, external: object = False) -> None:
        """The signature is Thespian's; host and `external` are what a stock address would have looked up."""
        super().__init__(LOOPBACK, port, external=False)


def address_to_str(address: ActorAddress) -> str:
    """`address` as `tcp://127.0.0.1:PORT`.

    Raises:
        BadAddressError: it is a child of the calling actor that has not reported its port yet, or of another transport.
    """
    details: Any = address.addressDetails
    if isinstance(details, ActorLocalAddress):
        known = details.addressManager.exportAddr(address)
        if known is None:
            raise BadAddressError(f"the actor {address} has not started yet, so it has no address to write down")
        details = known.addressDetails
    if not isinstance(details, LoopbackAddress):
        raise BadAddressError(f"the address {address} belongs to another transport than this one")
    return f"{_SCHEME}{LOOPBACK}:{details.sockname[1]}"


def address_from_str(text: str) -> ActorAddress:
    """The address that `address_to_str` wrote as `text`.

    Raises:
        BadAddressError: `text` is not of that form.
    """
    host, _, port = text.removeprefix(_SCHEME).partition(":")
    if not text.startswith(_SCHEME) or host != LOOPBACK or not (port.isascii() and port.isdigit()):
        raise BadAddressError(f"{text!r} is no actor's address; it should look like {_SCHEME}{LOOPBACK}:PORT")
    if not 0 < int(port) < 65536:
        raise BadAddressError(f"{text!r} names a port outside 1 to 65535")
    return ActorAddress(LoopbackAddress(port=int(port)))
