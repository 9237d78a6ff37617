"""`python -m tests.e2e.hooked run --config FILE`: the command as it is, with places where a test makes it hang.

A place acts while a file of its name lies in the folder that the environment variable `HOOKS` names; one that acts only
once removes the file first. So a test decides when, and nothing is replaced by something else.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from functools import wraps
from pathlib import Path
from typing import Any

from thespian.actors import ChildActorExited

from actors.connector import ConnectorActor
from actors.connector_news import Listeners
from app.cli.main import main
from app.domain import calls
from app.exchanges.adapter import CcxtPort
from app.journal.store import Journal
from app.process.guards import PR_SET_PDEATHSIG
from messages.failover import Unsubscribe
from messages.orders import PlaceOrder
from messages.supervision import Start
from supervisor import RootSupervisor

VARIABLE = "HOOKS"
PARENT = "TESTED_BY"
"""Names the process whose end, however it comes about, ends this one too."""
STOP_IN_WRITE = "stop in write"
"""Once: the process stops itself between writing an intent and committing it, so with the write lock in its hands."""
LOOP_IN_HANDLER = "loop in handler"
"""Once: the connector's handler of a placement does not end."""
BLOCK_LOOP = "block loop"
"""Once: the event loop of the exchange's client is blocked by a placement, and with it whoever turns it."""
BLOCK_OPENING = "block opening"
"""Once: the thread that loads the markets is blocked, beside an actor that answers."""
BLOCK_DRY = "block dry"
"""While it lies there: the same by a dry request, until the file is gone."""
DRY_RUNS = "dry runs"
"""Is written to: a byte for each dry request at the exchange's client."""
SLOW = "slow"
"""While it lies there: a connector takes `SLOW_S` for a message that asks nothing of it."""
SLOW_S = 0.01
DEAF = "deaf"
"""Once: the supervisor does not hear that a child has ended."""
DIE_UNTOLD = "die untold"
"""Once: a connector kills itself when something is in the journal, and before anybody is told or answered."""
NEVER_READY = "never ready"
"""While it lies there: no connector starts to serve."""


def take(hook: str) -> bool:
    """Whether to act, once."""
    try:
        (Path(os.environ[VARIABLE]) / hook).unlink()
    except FileNotFoundError:
        return False
    return True


def lies(hook: str) -> bool:
    """Whether to act."""
    return (Path(os.environ[VARIABLE]) / hook).exists()


def hook() -> None:
    """Puts the places in."""
    real_event, real_perform, real_open = Journal._event, CcxtPort.perform, CcxtPort.open
    real_message, real_start = ConnectorActor.on_message, ConnectorActor.on_start

    @wraps(real_event)
    def event(self: Journal, kind: str, now_s: float, **facts: Any) -> int:
        number = real_event(self, kind, now_s, **facts)
        if kind == "intent" and take(STOP_IN_WRITE):
            os.kill(os.getpid(), signal.SIGSTOP)
        return number

    @wraps(real_perform)
    async def perform(self: CcxtPort, call: calls.Call) -> calls.Result:
        if isinstance(call, calls.PlaceCall) and take(BLOCK_LOOP):
            threading.Event().wait()
        if isinstance(call, calls.DryCall):
            with (Path(os.environ[VARIABLE]) / DRY_RUNS).open("ab") as file:
                file.write(b".")
        while isinstance(call, calls.DryCall) and lies(BLOCK_DRY):
            threading.Event().wait(0.02)
        return await real_perform(self, call)

    @wraps(real_open)
    async def opened(self: CcxtPort, deadline_s: float) -> str:
        if take(BLOCK_OPENING):
            threading.Event().wait()
        return await real_open(self, deadline_s)

    @wraps(real_message)
    def on_message(self: ConnectorActor, message: Any, sender: Any, now_s: float) -> None:
        if isinstance(message, PlaceOrder) and take(LOOP_IN_HANDLER):
            while True:
                pass
        if isinstance(message, Unsubscribe) and lies(SLOW):
            threading.Event().wait(SLOW_S)
        real_message(self, message, sender, now_s)

    @wraps(real_start)
    def on_start(self: ConnectorActor, start: Start, now_s: float) -> None:
        while lies(NEVER_READY):
            threading.Event().wait(0.02)
        real_start(self, start, now_s)

    real_tell = Listeners.tell

    @wraps(real_tell)
    def tell(self: Listeners, news: Any, now_s: float) -> None:
        if take(DIE_UNTOLD):
            os.kill(os.getpid(), signal.SIGKILL)
        real_tell(self, news, now_s)

    Listeners.tell = tell  # type: ignore[method-assign]
    real_dispatch = RootSupervisor._dispatch

    @wraps(real_dispatch)
    def dispatch(self: RootSupervisor, message: Any, sender: Any) -> None:
        if not (isinstance(message, ChildActorExited) and take(DEAF)):
            real_dispatch(self, message, sender)

    RootSupervisor._dispatch = dispatch  # type: ignore[method-assign]
    Journal._event = event  # type: ignore[method-assign]
    CcxtPort.perform = perform  # type: ignore[method-assign]
    CcxtPort.open = opened  # type: ignore[method-assign]
    ConnectorActor.on_message = on_message  # type: ignore[method-assign]
    ConnectorActor.on_start = on_start  # type: ignore[method-assign]


def die_with_the_tests() -> None:
    """From now on; a parent that has died already sends nothing any more."""
    parent = os.environ.pop(PARENT, "")
    if parent:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != int(parent):
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    die_with_the_tests()
    hook()
    sys.exit(main())
