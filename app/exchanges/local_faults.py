"""Which failures to reach an exchange are on our side of the network, by what the operating system says.

A name that is not resolved and a network without a way to the exchange look, in ccxt's words, like an exchange that is
not available. The reasons below them are kept by Python (`__cause__`, `__context__`) and by aiohttp (`os_error`).

An exchange whose own name servers are dead, or whose border router refuses us, looks the same from here: so these are
"on our side, as far as can be told", and it is other evidence that decides (`app.domain.network`).
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

import aiohttp

from app.domain.evidence import NAME_NOT_RESOLVED, NETWORK_UNREACHABLE

_LOCAL = frozenset(
    {
        errno.ENETUNREACH,  # no route, which is what a host without a network has
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,  # no address or port of ours to connect from
        errno.EACCES,  # a firewall of ours
        errno.EPERM,
        errno.EMFILE,  # no descriptor to connect with
        errno.ENFILE,
        errno.ENOBUFS,
    }
)
_DEPTH = 8
"""Of reasons below each other; the real ones are three deep."""


def local_fault(error: BaseException) -> str:
    """`NAME_NOT_RESOLVED`, `NETWORK_UNREACHABLE`, or empty where the failure is not known to be on our side."""
    for reason in _reasons(error):
        if isinstance(reason, ssl.SSLError | aiohttp.ClientSSLError):
            return ""  # whoever answered, somebody did; and its numbers are not the operating system's
        if isinstance(reason, socket.gaierror | aiohttp.ClientConnectorDNSError):
            return NAME_NOT_RESOLVED
        if isinstance(reason, OSError) and reason.errno in _LOCAL:
            return NETWORK_UNREACHABLE
    return ""


def _reasons(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_DEPTH):
        if error is None:
            return
        yield error
        below = getattr(error, "os_error", None)
        if isinstance(below, OSError):
            yield below
        error = error.__cause__ or error.__context__
