"""How actors and the processes around them reach each other: a Thespian system base of our own and an external mailbox.

Stock `multiprocTCPBase` listens on every interface and unpickles what strangers send, which is remote code execution.
Ours is reached through Unix sockets in the state directory, by processes of the same user that know a key; or, where
that is chosen, on 127.0.0.1 only, every frame dropped that has no keyed tag before it is unpickled.
"""

from app.transport.address import BadAddressError, address_from_str, address_to_str
from app.transport.base import (
    NotRunningError,
    StartFailedError,
    admin_pid,
    attach,
    detach,
    free_port,
    start_system,
    stop_system,
)
from app.transport.mailbox import WAKE, Mailbox, Undelivered, Wake

__all__ = [
    "WAKE",
    "BadAddressError",
    "Mailbox",
    "NotRunningError",
    "StartFailedError",
    "Undelivered",
    "Wake",
    "address_from_str",
    "address_to_str",
    "admin_pid",
    "attach",
    "detach",
    "free_port",
    "start_system",
    "stop_system",
]
