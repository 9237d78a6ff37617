"""The actor system base: one admin on 127.0.0.1, started only by the launcher, attached to by everybody else.

Thespian's stock bases start an admin whenever none answers, which forks a daemon out of whatever process asked; and
they let the admin daemonize itself away from its starter. Here `attach` never starts anything, and the admin that
`start_system` forks stays the launcher's own child, so that its death is seen at once and takes the tree with it.
"""

import contextlib
import multiprocessing
import multiprocessing.process
import os
import socket
import sys
import time
from datetime import timedelta
from typing import Any, Final

from thespian.actors import ActorSystem, ThespianGeneration
from thespian.system import multiprocCommon
from thespian.system.messages.admin import QueryAck, QueryExists
from thespian.system.messages.multiproc import EndpointConnected
from thespian.system.systemBase import ExternalOpsToActors
from thespian.system.transport import ExternalInterfaceTransportInit, ReceiveEnvelope
from thespian.system.utilis import thesplog_control

from app.process.guards import CRASH_SIGNALS, die_with_parent
from app.transport.address import LOOPBACK
from app.transport.keyed import close_transport, install

BASE_NAME: Final = "orderRouterTCPBase"
START_TIMEOUT_S: Final = 10.0
ATTACH_TIMEOUT_S: Final = 5.0
STOP_TIMEOUT_S: Final = 5.0
_LOG_WARNING: Final = 30


class NotRunningError(RuntimeError):
    """Nobody answers as an admin on this port with this key."""


class StartFailedError(RuntimeError):
    """The actor system could not be started."""


class OrderRouterBase(multiprocCommon.multiprocessCommon):  # type: ignore[misc]  # Thespian is untyped
    """Thespian's multiprocess base over the keyed loopback transport; made by `start_system` and `attach`.

    Attributes:
        admin: the admin's process where this process started it, else None.
    """

    def __init__(self, admin_port: int, key: bytes) -> None:
        self.capabilities: dict[str, object] = {
            "Admin Port": admin_port,
            "Process Startup Method": "fork",
            "Thespian ActorSystem Name": BASE_NAME,
            "Thespian ActorSystem Version": 1,
            "Thespian Watch Supported": True,
            "Thespian Generation": ThespianGeneration,
            "Thespian Version": str(time.time_ns() // 1_000_000),
            "Python Version": tuple(sys.version_info),
        }
        self.admin: multiprocessing.process.BaseProcess | None = None
        self.mpcontext = multiprocessing.get_context("fork")
        self.transportType = install(key)
        self.transport = self.transportType(ExternalInterfaceTransportInit(), self.capabilities, None, self.mpcontext)
        # Not systemBase.__init__: that one starts an admin wherever none answers, and sets TZ for the whole process.
        ExternalOpsToActors.__init__(self, self.transport.getAdminAddr(self.capabilities))

    def start_admin(self, log_defs: dict[str, Any] | None) -> None:
        """Fork the admin and wait until it serves; raises StartFailedError."""
        port = self.capabilities["Admin Port"]
        if self.transport.probeAdmin(self.adminAddr):
            raise StartFailedError(f"port {port} on {LOOPBACK} is in use, so no actor system can be started there")
        endpoint = self.transport.prepEndpoint(self.adminAddr, self.capabilities)
        admin = self.mpcontext.Process(
            target=_run_admin,
            args=(
                list(self.transport.childResetFileNumList()),
                self.transport.myAddress,
                endpoint,
                self.transportType,
                self.adminAddr,
                self.capabilities,
                log_defs,
            ),
            name="OrderRouterAdmin",
        )
        admin.start()
        self.admin = admin
        multiprocCommon.detach_child(admin)
        response = self.transport.run(None, timedelta(seconds=START_TIMEOUT_S))
        connected = isinstance(response, ReceiveEnvelope) and isinstance(response.message, EndpointConnected)
        if not connected or not self.answers(START_TIMEOUT_S):
            self.kill_admin()
            raise StartFailedError(
                f"the actor system's admin on port {port} did not come up within {START_TIMEOUT_S} s"
            )

    def answers(self, timeout_s: float) -> bool:
        """Whether the admin answers, with our key, and is not on its way down."""
        tried = self._tx_to_admin(QueryExists())
        response = self._run_transport(timedelta(seconds=timeout_s))
        return (
            not tried.failed
            and isinstance(response, ReceiveEnvelope)
            and isinstance(response.message, QueryAck)
            and not response.message.inShutdown
        )

    def kill_admin(self, grace_s: float = 0.0) -> None:
        """Give an admin of ours `grace_s` to end, then kill it, which kills every actor under it; reap it."""
        if self.admin is not None:
            self.admin.join(grace_s)
            if self.admin.is_alive():
                self.admin.kill()
            self.admin.join(STOP_TIMEOUT_S)

    def close(self) -> None:
        """Close this process's endpoint; the system goes on."""
        close_transport(self.transport)


def _run_admin(
    inherited: list[int],
    starter: object,
    endpoint: object,
    transport: type[Any],
    address: object,
    capabilities: object,
    log_defs: object,
) -> None:
    """Run Thespian's admin in this forked process itself; `inherited` are the starter's sockets."""
    multiprocCommon.closeFileNums(inherited)
    real_fork = os.fork

    def stay() -> int:
        os.fork = real_fork
        return 0

    # startAdmin daemonizes by forking once more and exiting, which would orphan the admin and, with it dying together
    # with its parent, kill it at once. Its first call of fork answers "you are the child"; later ones really fork.
    os.fork = stay
    multiprocCommon.startAdmin(
        multiprocCommon.MultiProcAdmin,
        starter,
        endpoint,
        transport,
        address,
        capabilities,
        log_defs,
        multiprocessing.get_context("fork"),
    )


def _quiet_thespian() -> None:
    # By default Thespian appends its own warnings, with texts of messages, to a file of a fixed name in the shared
    # temporary directory; set THESPLOG_FILE to a private path to have them.
    if "THESPLOG_FILE" not in os.environ:
        thesplog_control(_LOG_WARNING, False, 0)


def _as_system(base: OrderRouterBase) -> ActorSystem:
    # transientUnique: ActorSystem() elsewhere in the process, the bot's own for example, is not touched.
    return ActorSystem(base, base.capabilities, transientUnique=True)


def _take_base(system: Any) -> OrderRouterBase | None:
    base, system._systemBase = system._systemBase, None
    return base  # type: ignore[no-any-return]


def start_system(admin_port: int, key: bytes, *, log_defs: dict[str, Any] | None = None) -> ActorSystem:
    """Start an actor system; for the launcher only, in its main thread, before it has others.

    From here on everything this process forks dies with it (`app.process.guards`). `log_defs` configures the process
    that writes the actors' log records (`app.process.logs.log_config`).

    Raises:
        StartFailedError: the port is in use, or the admin did not come up.
        ValueError: the key is too short.
    """
    die_with_parent()
    _quiet_thespian()
    # Thespian would handle these in Python, where a crashed actor spins for ever and its parent is never told.
    for number in CRASH_SIGNALS:
        if number not in multiprocCommon.uncatchable_signals:
            multiprocCommon.uncatchable_signals.append(number)
    base = OrderRouterBase(admin_port, key)
    try:
        base.start_admin(log_defs)
    except BaseException:
        base.kill_admin()
        base.close()
        raise
    return _as_system(base)


def attach(admin_port: int, key: bytes, *, timeout_s: float = ATTACH_TIMEOUT_S) -> ActorSystem:
    """Reach the actor system that runs on `admin_port`; never starts one. End with `detach`.

    Raises:
        NotRunningError: nobody answers there, or not with this key, within `timeout_s`.
        ValueError: the key is too short.
    """
    _quiet_thespian()
    base = OrderRouterBase(admin_port, key)
    if not base.transport.probeAdmin(base.adminAddr):
        base.close()
        raise NotRunningError(f"no OrderRouter daemon listens on {LOOPBACK}:{admin_port}; start it first")
    if not base.answers(timeout_s):
        base.close()
        raise NotRunningError(
            f"what listens on {LOOPBACK}:{admin_port} did not answer to our key within {timeout_s} s; it is another"
            " program, or an OrderRouter daemon that hangs"
        )
    return _as_system(base)


def detach(system: ActorSystem) -> None:
    """Close this process's endpoint of `system`, which goes on without it; safe to call again."""
    base = _take_base(system)
    if base is not None:
        base.close()


def stop_system(system: ActorSystem, *, timeout_s: float = STOP_TIMEOUT_S) -> None:
    """End an actor system that this process started: ask all actors to exit, then kill what is left.

    Blocks for at most Thespian's 10 s of shutting down plus twice `timeout_s`; safe to call again.
    """
    base = _take_base(system)
    if base is not None:
        with contextlib.suppress(OSError):  # an admin that died meanwhile needs no shutdown
            base.shutdown()
        base.kill_admin(timeout_s)


def admin_pid(system: ActorSystem) -> int:
    """Process id of the admin, a child of this process, for the launcher that watches it.

    Raises:
        NotRunningError: this process has only attached, or has stopped the system.
    """
    holder: Any = system
    base: OrderRouterBase | None = holder._systemBase
    if base is None or base.admin is None or base.admin.pid is None:
        raise NotRunningError("this process started no actor system, so it has no admin to watch")
    return base.admin.pid


def free_port() -> int:
    """A TCP port on 127.0.0.1 that is free now; somebody may take it before it is used, so be ready to ask again."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port
