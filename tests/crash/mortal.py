"""`python -m tests.crash.mortal run --config FILE`: the command as it is, with connectors that kill themselves.

Where and when says the plan in the folder that the environment variable `CRASHES` names (`tests.crash.steps`); the
record of the steps a connector passes is written there too. Nothing is replaced by something else: each step is put
before or after what the code does by itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import sys
import time
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any, Final

from aiohttp import client_proto, http_writer
from attrs import evolve

from actors.connector import ConnectorActor
from app.cli.main import main
from app.domain import calls
from app.domain.calls import Proof
from app.exchanges import client
from app.exchanges.adapter import CcxtPort
from app.journal.store import Journal
from messages import orders
from messages.base import Together
from messages.supervision import Start
from tests.crash.steps import BEGUN, KILLED, Passed, Plan
from tests.e2e.hooked import die_with_the_tests

VARIABLE: Final = "CRASHES"
HASTE: Final = "CRASHES_VALIDITY_S"
"""How long a placement is valid, instead of as declared: what proves absence then takes that much less time."""
PLAN: Final = "plan.json"
RECORD: Final = "record"
CALLS: Final = {
    calls.PlaceCall: "place",
    calls.CancelCall: "cancel",
    calls.AmendCall: "amend",
    calls.LookUpCall: "look-up",
}
_WRITES: Final = re.compile(r"(BEGIN|INSERT|UPDATE|DELETE|COMMIT|ROLLBACK)\b(?: IMMEDIATE)?(?: (?:INTO|FROM))? ?(\w*)")

_call: ContextVar[str] = ContextVar("call", default="")
"""What the running task asks of the exchange, where that is about an order."""
_on: dict[int, str] = {}
"""The same by the identity of a connection: answers come without a task. A connection asks before it is answered, so an
identity that was another's is overwritten in time."""
_written = ""
"""What the transaction under way is for; empty where it is about no order."""


class Mortal:
    """A connector's process, under watch."""

    def __init__(self, folder: Path) -> None:
        self._plan_path = folder / PLAN
        self._record = os.open(folder / RECORD, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._version: tuple[int, int] | None = None
        self._plan: Plan | None = None
        self._look()
        self._counts: dict[str, int] | None = {}
        """Steps passed since this life's part of the plan began; None before that. A plan that is there at the start
        began in an earlier life."""

    def _look(self) -> bool:
        """Reads the plan where it is another than before; whether it is."""
        try:
            found = os.stat(self._plan_path)
        except FileNotFoundError:
            return False
        version = found.st_mtime_ns, found.st_ino
        if version == self._version:
            return False
        self._plan, self._version = Plan.read(self._plan_path), version
        return True

    def heard(self, message: Any) -> None:
        """A request is here; that of the plan begins it."""
        if self._look():
            self._counts = None
        names = {getattr(message, "order_id", ""), getattr(getattr(message, "key", None), "client_order_id", "")}
        if self._counts is None and self._plan is not None and names & set(self._plan.about):
            self._counts = {}
            self._write(BEGUN)

    def passes(self, name: str) -> None:
        """A step; it may be the last one."""
        if self.ends(name):
            self.die()

    def ends(self, name: str) -> bool:
        """Whether this step is the last one."""
        if self._look():
            self._counts = None
        self._write(name)
        plan, counts = self._plan, self._counts
        if plan is None or counts is None:
            return False
        counts[name] = counts.get(name, 0) + 1
        if not plan.ends or (plan.ends[0].name, plan.ends[0].nth) != (name, counts[name]):
            return False
        evolve(plan, ends=plan.ends[1:]).written(self._plan_path)
        return True

    def die(self) -> None:
        """As by kill -9; or stands still, as by SIGSTOP."""
        self._write(KILLED)
        stops = self._plan is not None and self._plan.stops
        os.kill(os.getpid(), signal.SIGSTOP if stops else signal.SIGKILL)

    def _write(self, name: str) -> None:
        os.write(self._record, Passed(pid=os.getpid(), at_s=time.monotonic(), name=name).line().encode())


_mortal: Mortal | None = None


def passes(name: str) -> None:
    """A step, where this process is a connector under watch."""
    if _mortal is not None:
        _mortal.passes(name)


class Connection(sqlite3.Connection):
    """The journal's, with a step before each statement that writes, and one after the transaction has ended."""

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        """See the class."""
        found = _WRITES.match(sql) if _mortal is not None and _written else None
        if found is None:
            return super().execute(sql, *arguments)
        statement = " ".join(filter(None, found.groups()[: 1 if found[1] in ("BEGIN", "COMMIT") else 2]))
        passes(f"{_written}: before {statement}")
        cursor = super().execute(sql, *arguments)
        if statement in ("BEGIN", "COMMIT"):
            passes(f"{_written}: after {statement}")
        return cursor


def mortal() -> None:
    """Puts the steps in."""
    _journal()
    _network()
    _actor()


def _journal() -> None:
    real_connect, real_intent, real_record = sqlite3.connect, Journal.commit_intent, Journal.record
    real_mark, real_fills = Journal.mark, Journal.record_fills

    @wraps(real_connect)
    def connect(*arguments: Any, **named: Any) -> Any:
        return real_connect(*arguments, **{"factory": Connection, **named})

    def named(real: Any, name_of: Any) -> Any:
        @wraps(real)
        def write(self: Journal, *arguments: Any, **more: Any) -> Any:
            global _written
            before, _written = _written, f"journal, {name_of(*arguments)}"
            try:
                return real(self, *arguments, **more)
            finally:
                _written = before

        return write

    sqlite3.connect = connect
    Journal.commit_intent = named(real_intent, lambda: "intent")  # type: ignore[method-assign]
    Journal.record = named(real_record, lambda _order, _leg, event: event.value.replace("_", " "))  # type: ignore[method-assign]
    Journal.mark = named(real_mark, lambda *_: "mark")  # type: ignore[method-assign]
    Journal.record_fills = named(real_fills, lambda *_: "fills")  # type: ignore[method-assign]


def _network() -> None:
    real_perform, real_connect = CcxtPort.perform, client._Connector.connect
    real_write, real_lines = http_writer.StreamWriter._write, http_writer.StreamWriter._writelines
    real_received = client_proto.ResponseHandler.data_received

    @wraps(real_perform)
    async def perform(self: CcxtPort, call: calls.Call) -> calls.Result:
        name = CALLS.get(type(call), "")
        if not name:
            return await real_perform(self, call)
        _call.set(name)
        passes(f"{name}: before it is signed")
        result = await real_perform(self, call)
        passes(f"{name}: the answer read")
        return result

    @wraps(real_connect)
    async def connect(self: Any, *arguments: Any, **named: Any) -> Any:
        name = _call.get()
        if name:
            passes(f"{name}: before a connection is had")
        connection = await real_connect(self, *arguments, **named)
        _on[id(connection.protocol)] = name
        if name:
            passes(f"{name}: a connection had")
        return connection

    @wraps(real_write)
    def write(self: Any, chunk: Any) -> None:
        name = _call.get()
        if not name or _mortal is None:
            real_write(self, chunk)
            return
        passes(f"{name}: before the request is written")
        if _mortal.ends(f"{name}: half of the request written"):
            real_write(self, bytes(chunk)[: len(chunk) // 2])
            _mortal.die()
        real_write(self, chunk)
        passes(f"{name}: the whole request written")

    @wraps(real_lines)
    def writelines(self: Any, chunks: Any) -> None:
        if _call.get():
            write(self, b"".join(chunks))
        else:
            real_lines(self, chunks)

    @wraps(real_received)
    def data_received(self: Any, data: bytes) -> None:
        name = _on.get(id(self), "")
        if name and data:
            passes(f"{name}: first bytes of the answer")
        real_received(self, data)

    CcxtPort.perform = perform  # type: ignore[method-assign]
    client._Connector.connect = connect  # type: ignore[method-assign]
    http_writer.StreamWriter._write = write  # type: ignore[method-assign]
    http_writer.StreamWriter._writelines = writelines  # type: ignore[method-assign]
    client_proto.ResponseHandler.data_received = data_received  # type: ignore[method-assign]
    if os.environ.get(HASTE):
        hurry(float(os.environ[HASTE]))


def hurry(validity_s: float) -> None:
    """Has placements expire sooner than declared."""
    real: Any = CcxtPort.proof

    def proof(self: CcxtPort) -> Proof:
        declared: Proof = real.fget(self)
        return evolve(declared, validity_s=validity_s)

    CcxtPort.proof = property(proof)  # type: ignore[assignment,method-assign]


def _actor() -> None:
    real_start, real_messages, real_message = (
        ConnectorActor.on_start,
        ConnectorActor.on_messages,
        ConnectorActor.on_message,
    )
    real_send = ConnectorActor.send

    @wraps(real_start)
    def on_start(self: ConnectorActor, start: Start, now_s: float) -> None:
        global _mortal
        _mortal = Mortal(Path(os.environ[VARIABLE]))
        passes("the connector starts")
        real_start(self, start, now_s)
        passes("the connector has taken up what was left")

    def hears(message: Any) -> None:
        if _mortal is not None and type(message) in (orders.PlaceOrder, orders.CancelOrder, orders.AmendOrder):
            _mortal.heard(message)
            passes(f"{type(message).__name__} heard")

    @wraps(real_messages)
    def on_messages(self: ConnectorActor, messages: tuple[Any, ...], sender: Any, now_s: float) -> None:
        for message in messages:
            if isinstance(message, orders.PlaceOrder):  # the others come one by one
                hears(message)
        real_messages(self, messages, sender, now_s)

    @wraps(real_message)
    def on_message(self: ConnectorActor, message: Any, sender: Any, now_s: float) -> None:
        hears(message)
        real_message(self, message, sender, now_s)

    def send(self: ConnectorActor, address: Any, message: Any) -> None:
        parts = message.messages if isinstance(message, Together) else (message,)
        told = [type(part).__name__ for part in parts if type(part).__module__ == orders.__name__]
        if not told:
            real_send(self, address, message)
            return
        name = " and ".join(dict.fromkeys(told))
        passes(f"before {name} is told")
        real_send(self, address, message)
        passes(f"{name} told")

    ConnectorActor.on_start = on_start  # type: ignore[method-assign]
    ConnectorActor.on_messages = on_messages  # type: ignore[method-assign]
    ConnectorActor.on_message = on_message  # type: ignore[method-assign]
    ConnectorActor.send = send


if __name__ == "__main__":
    die_with_the_tests()
    mortal()
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
