"""The actor system base: one admin on this host, started only by the launcher, attached to by everybody else.

Thespian's stock bases start an admin whenever none answers, which forks a daemon out of whatever process asked; and
they let the admin daemonize itself away from its starter. Here `attach` never starts anything, and the admin that
`start_system` forks stays the launcher's own child, so that its death is seen at once and takes the tree with it.

There are two transports below it. "unix" is ours (`app.transport.unix`): sockets in the state directory, for one host.
"tcp" is Thespian's, confined to 127.0.0.1 and keyed (`keyed`): found by its admin's port, and slower.
"""

import contextlib
import multiprocessing
import multiprocessing.process
import os
import socket
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

from thespian.actors import ActorSystem, ActorSystemFailure, ThespianGeneration
from thespian.system import multiprocCommon
from thespian.system.messages.admin import QueryAck, QueryExists, SystemShutdown, SystemShutdownCompleted
from thespian.system.messages.multiproc import EndpointConnected
from thespian.system.systemBase import ExternalOpsToActors
from thespian.system.transport import ExternalInterfaceTransportInit, ReceiveEnvelope
from thespian.system.utilis import thesplog_control

from app.process.guards import CRASH_SIGNALS, die_with_parent
from app.transport.address import LOOPBACK
from app.transport.children import tell_every_end
from app.transport.creating import WhileAdminLives
from app.transport.keyed import MIN_KEY_BYTES, close_transport, install
from app.transport.unix.endpoint import Outside
from app.transport.unix.folder import FOLDER_NAME, Folder, FolderError
from app.transport.unix.transport import UnixTransport

Base = Literal["unix", "tcp"]
BASE_NAMES: Final[dict[Base, str]] = {"unix": "orderRouterUnixBase", "tcp": "orderRouterTCPBase"}
START_TIMEOUT_S: Final = 10.0
ATTACH_TIMEOUT_S: Final = 5.0
STOP_TIMEOUT_S: Final = 5.0
_LOG_WARNING: Final = 30
_GLANCE_S: Final = 0.001


class NotRunningError(RuntimeError):
    """Nobody answers as an admin there with this key."""


class StartFailedError(RuntimeError):
    """The actor system could not be started."""


class Admin(multiprocCommon.MultiProcAdmin):  # type: ignore[misc]  # Thespian is untyped
    """Thespian's admin, which starts another logger when that dies.

    It reads how logs are configured from itself, where 4.0.1 never puts it: without this, the admin ends with the
    logger, and the tree with the admin.
    """

    def __init__(self, transport: Any, address: Any, capabilities: Any, log_defs: Any, context: Any) -> None:
        super().__init__(transport, address, capabilities, log_defs, context)
        self.logDefs = log_defs

    def childDied(self) -> Any:
        """Thespian's own; and the socket that a dead logger leaves is nobody's to remove."""
        result = super().childDied()
        if isinstance(self.transport, UnixTransport):
            self.transport.board.sweep()
        return result


class OrderRouterBase(multiprocCommon.multiprocessCommon):  # type: ignore[misc]  # Thespian is untyped
    """Thespian's multiprocess base over one of our transports; made by `start_system` and `attach`.

    Attributes:
        admin: the admin's process where this process started it, else None.
        where, place: where it is found, and what it takes there.
    """

    def __init__(self, base: Base, admin_port: int, key: bytes, state_dir: Path | None) -> None:
        """Opens an endpoint of this process.

        Raises:
            ValueError: the key is too short, or there is no `state_dir` for "unix".
            FileNotFoundError: the sockets' folder is not there.
            FolderError: the sockets' folder cannot be used.
        """
        self.capabilities: dict[str, object] = {
            "Admin Port": admin_port,
            "Process Startup Method": "fork",
            "Thespian ActorSystem Name": BASE_NAMES[base],
            "Thespian ActorSystem Version": 1,
            "Thespian Watch Supported": True,
            "Thespian Generation": ThespianGeneration,
            "Thespian Version": str(time.time_ns() // 1_000_000),
            "Python Version": tuple(sys.version_info),
        }
        self.admin: multiprocessing.process.BaseProcess | None = None
        self.mpcontext = multiprocessing.get_context("fork")
        self.where, self.place = f"{LOOPBACK}:{admin_port}", f"port {admin_port} on {LOOPBACK}"
        self.transport: Any
        if base == "tcp":
            start = ExternalInterfaceTransportInit()
            self.transport = install(key)(start, self.capabilities, None, self.mpcontext)
        else:
            folder = sockets_folder(state_dir)
            if len(key) < MIN_KEY_BYTES:
                raise ValueError(f"the transport key has {len(key)} bytes; it needs {MIN_KEY_BYTES} or more")
            self.where, self.place = str(folder), f"the folder {folder}"
            self.transport = UnixTransport(Outside(folder, key))
        # Not systemBase.__init__: that one starts an admin wherever none answers, and sets TZ for the whole process.
        ExternalOpsToActors.__init__(self, self.transport.getAdminAddr(self.capabilities))

    def start_admin(self, log_defs: dict[str, Any] | None) -> None:
        """Fork the admin and wait until it serves; raises StartFailedError."""
        if self.transport.probeAdmin(self.adminAddr):
            raise StartFailedError(f"{self.place} is in use, so no actor system can be started there")
        endpoint = self.transport.prepEndpoint(self.adminAddr, self.capabilities)
        admin = self.mpcontext.Process(
            target=_run_admin,
            args=(
                list(self.transport.childResetFileNumList()),
                self.transport.myAddress,
                endpoint,
                type(self.transport),
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
                f"the actor system's admin at {self.where} did not come up within {START_TIMEOUT_S} s"
            )

    def newPrimaryActor(self, *positional: Any, **named: Any) -> Any:
        """Thespian's own, which asks the admin for an actor; ActorSystemFailure once an admin of ours has ended."""
        if self.admin is None or self.admin.pid is None:
            return super().newPrimaryActor(*positional, **named)
        try:
            admin_fd = os.pidfd_open(self.admin.pid)
        except ProcessLookupError:
            raise ActorSystemFailure("The actor system's admin has ended.") from None
        # Only what asks has the transport that looks at the admin: other threads go on with this one meanwhile.
        asking = ExternalOpsToActors(self.adminAddr, WhileAdminLives(self.transport, admin_fd))
        self._numPrimaries += 1
        asking._numPrimaries = self._numPrimaries - 1
        try:
            return asking.newPrimaryActor(*positional, **named)
        finally:
            os.close(admin_fd)

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

    def ask_admin(self) -> None:
        """Ask the admin for a sign of life, without waiting; `admin_was_heard` tells of the answer."""
        self._tx_to_admin(QueryExists())

    def admin_was_heard(self) -> bool:
        """Whether the admin has answered since the last time; looks for a moment only."""
        response = self._run_transport(timedelta(seconds=_GLANCE_S))
        return isinstance(response, ReceiveEnvelope) and isinstance(response.message, QueryAck)

    def end_actors(self, timeout_s: float) -> None:
        """Ask the admin to end itself and every actor, for at most `timeout_s`; Thespian's own way waits 10 s."""
        asked = self._tx_to_admin(SystemShutdown())
        until_s = time.monotonic() + timeout_s
        while (left_s := until_s - time.monotonic()) > 0 and not asked.failed:
            response = self._run_transport(timedelta(seconds=left_s))
            if not isinstance(response, ReceiveEnvelope) or isinstance(response.message, SystemShutdownCompleted):
                break
        self.close()

    def kill_admin(self, grace_s: float = 0.0, reap_s: float = STOP_TIMEOUT_S) -> None:
        """Give an admin of ours `grace_s` to end, then kill it, which kills every actor under it; reap it.

        `reap_s` is for the kernel, which ends at once what was killed, unless that is in an uninterruptible wait.
        """
        if self.admin is not None:
            self.admin.join(grace_s)
            if self.admin.is_alive():
                self.admin.kill()
            self.admin.join(reap_s)

    def close(self) -> None:
        """Close this process's endpoint; the system goes on."""
        if isinstance(self.transport, UnixTransport):
            self.transport.close()
        else:
            close_transport(self.transport)


def sockets_folder(state_dir: Path | None) -> Path:
    """Where "unix" has its sockets; raises ValueError without a `state_dir`."""
    if state_dir is None:
        raise ValueError('the transport "unix" needs the state directory: its sockets are there')
    return state_dir.absolute() / FOLDER_NAME


def sweep_sockets(state_dir: Path) -> None:
    """Remove the sockets of processes that are gone, for whoever has seen the last of them end.

    An actor's socket is its parent's to remove, and an end in order may kill the two of them in one moment.
    """
    with contextlib.suppress(FileNotFoundError, FolderError), Folder(sockets_folder(state_dir)) as folder:
        folder.sweep()


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
    tell_every_end()
    real_fork = os.fork

    def stay() -> int:
        os.fork = real_fork
        return 0

    # startAdmin daemonizes by forking once more and exiting, which would orphan the admin and, with it dying together
    # with its parent, kill it at once. Its first call of fork answers "you are the child"; later ones really fork.
    os.fork = stay
    multiprocCommon.startAdmin(
        Admin,
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


def start_system(
    admin_port: int,
    key: bytes,
    *,
    log_defs: dict[str, Any] | None = None,
    base: Base = "tcp",
    state_dir: Path | None = None,
) -> ActorSystem:
    """Start an actor system; for the launcher only, in its main thread, before it has others.

    From here on everything this process forks dies with it (`app.process.guards`). `log_defs` configures the process
    that writes the actors' log records (`app.process.logs.log_config`). `admin_port` is for "tcp", `state_dir`, which
    must be there, for "unix".

    Raises:
        StartFailedError: the port or folder is in use or cannot be used, or the admin did not come up.
        ValueError: the key is too short, or "unix" has no state directory.
    """
    die_with_parent()
    _quiet_thespian()
    # Thespian would handle these in Python, where a crashed actor spins for ever and its parent is never told.
    for number in CRASH_SIGNALS:
        if number not in multiprocCommon.uncatchable_signals:
            multiprocCommon.uncatchable_signals.append(number)
    try:
        if base == "unix":
            Folder(sockets_folder(state_dir), create=True).close()
        system = OrderRouterBase(base, admin_port, key, state_dir)
    except (FolderError, FileNotFoundError) as error:
        raise StartFailedError(f"the actor system cannot be started: {error}") from error
    try:
        system.start_admin(log_defs)
    except BaseException:
        system.kill_admin()
        system.close()
        raise
    return _as_system(system)


def attach(
    admin_port: int,
    key: bytes,
    *,
    timeout_s: float = ATTACH_TIMEOUT_S,
    base: Base = "tcp",
    state_dir: Path | None = None,
) -> ActorSystem:
    """Reach the actor system that runs on `admin_port` or `state_dir`; never starts one. End with `detach`.

    `base` is what it was started with; the daemon's presence file says so.

    Raises:
        NotRunningError: nobody answers there, or not with this key, within `timeout_s`.
        ValueError: the key is too short, or "unix" has no state directory.
    """
    _quiet_thespian()
    try:
        system = OrderRouterBase(base, admin_port, key, state_dir)
    except FileNotFoundError:
        raise NotRunningError(f"no OrderRouter daemon serves in {sockets_folder(state_dir)}; start it first") from None
    except FolderError as error:
        raise NotRunningError(f"the OrderRouter daemon cannot be reached: {error}") from error
    if not system.transport.probeAdmin(system.adminAddr):
        system.close()
        raise NotRunningError(f"no OrderRouter daemon listens on {system.where}; start it first")
    if not system.answers(timeout_s):
        system.close()
        raise NotRunningError(
            f"what listens on {system.where} did not answer to our key within {timeout_s} s; it is another"
            " program, or an OrderRouter daemon that hangs"
        )
    return _as_system(system)


def detach(system: ActorSystem) -> None:
    """Close this process's endpoint of `system`, which goes on without it; safe to call again."""
    base = _take_base(system)
    if base is not None:
        base.close()


def stop_system(system: ActorSystem, *, timeout_s: float = STOP_TIMEOUT_S) -> None:
    """End an actor system that this process started: ask all actors to exit, then kill what is left.

    Blocks for at most `timeout_s`, and as long again where the kernel cannot end the admin; safe to call again.
    """
    base = _take_base(system)
    if base is not None:
        until_s = time.monotonic() + timeout_s
        with contextlib.suppress(OSError):  # an admin that died meanwhile needs no shutdown
            base.end_actors(timeout_s)
        base.kill_admin(max(0.0, until_s - time.monotonic()), timeout_s)


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


def ask_admin(system: ActorSystem) -> None:
    """Ask the admin for a sign of life, for the launcher that watches it: without waiting."""
    _started_base(system).ask_admin()


def admin_was_heard(system: ActorSystem) -> bool:
    """Whether the admin has answered since the last time; within a millisecond."""
    return _started_base(system).admin_was_heard()


def _started_base(system: ActorSystem) -> OrderRouterBase:
    holder: Any = system
    base: OrderRouterBase | None = holder._systemBase
    if base is None:
        raise NotRunningError("this actor system was stopped, or left, so it has no admin to ask")
    return base


def free_port() -> int:
    """A TCP port on 127.0.0.1 that is free now; somebody may take it before it is used, so be ready to ask again."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port
