"""Lives of a port, one after the other, over one folder: what the tests of what is handed over share."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.domain.calls import (
    Call,
    PlaceCall,
    Result,
)
from app.exchanges import shared_json
from app.exchanges.adapter import CcxtPort
from app.exchanges.factory import build_port
from app.exchanges.settings import Credentials, ExchangeSettings
from app.simulator.thread import Simulated
from tests.exchanges.desk import Clock, spec, until, wire_id

PATIENCE_S = 10.0
NOWHERE = "http://127.0.0.1:9"
"""The discard port, where nobody listens."""


class Life:
    """One life of a port, on a thread with a loop that always turns; a context manager."""

    def __init__(self, sim: Simulated, folder: Path, *, base_url: str | None = None, **settings: Any) -> None:
        self.clock = Clock()
        self.port: CcxtPort = build_port(
            ExchangeSettings(
                name=sim.name,
                base_url=base_url or sim.base_url,
                request_timeout_s=2.0,
                allow_settlement_change=True,
                handover_dir=folder / "markets",
                **settings,
            ),
            Credentials(api_key=sim.api_key, secret=sim.secret, password=sim.password),
            self.clock,
        )
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Life:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.port.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE_S)
        self.loop.close()

    def run(self, what: Any) -> Any:
        """What a coroutine returns."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(PATIENCE_S)

    def open(self) -> str:
        """Opens the port."""
        words: str = self.run(self.port.open(self.clock() + PATIENCE_S))
        return words

    def do(self, call: Call) -> Result:
        """Performs a call."""
        result: Result = self.run(self.port.perform(call))
        return result

    def place(self, what: Any = None) -> Result:
        """Places a resting order."""
        now_s = self.clock()
        what = what or spec()
        return self.do(
            PlaceCall(
                spec=what,
                quantity=what.quantity,
                wire_id=wire_id(),
                committed_s=now_s,
                expiry_s=now_s + 5,
                deadline_s=now_s + 4,
            )
        )


def kept(folder: Path) -> Path:
    """The file of markets, once it is there."""
    return until(lambda: next(iter((folder / "markets").glob("*.json")), None), means="markets being kept")


def first_life(sim: Simulated, folder: Path, **settings: Any) -> Path:
    """A life that leaves something; where."""
    with Life(sim, folder, **settings) as life:
        assert life.open() == ""
        return kept(folder)


def rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Changes head and body of a file, with a digest that is right again."""
    first, _, second = path.read_bytes().partition(b"\n")
    head, body = json.loads(first), shared_json.loads(second)
    change(head, body)
    second = shared_json.dumps(body).encode()
    if head.get("digest"):
        head["digest"] = hashlib.sha256(second).hexdigest()
    path.write_bytes(json.dumps(head).encode() + b"\n" + second)


def asked_for(sim: Simulated, call: str) -> int:
    return sum(1 for request in sim.control.requests() if request["call"] == call)
