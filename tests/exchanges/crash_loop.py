"""Lives of a real connector, made to be killed: `python -m tests.exchanges.crash_loop SETTINGS`, started by exec.

Each line it reads begins a life, in a process forked from this one, which has imported everything by then; its process
id is the line it answers with. A life asks for orders without end, as fast as its connector takes them, until it is
killed. There is one at a time.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from functools import partial
from pathlib import Path

import ccxt.async_support  # noqa: F401  # once for all lives
import structlog

from app.exchanges.factory import build_port
from app.exchanges.settings import Credentials, ExchangeSettings
from app.process.guards import die_with_parent
from messages.orders import OrderKey, PlaceOrder
from tests.exchanges.desk import FAR, spec
from tests.exchanges.stage import Stage

AT_ONCE = 40
"""Orders that wait in the connector at any time."""
PATIENCE_S = 30.0


def live(told: dict[str, str]) -> None:
    """One life, to the end."""
    folder = Path(told["folder"])
    settings = ExchangeSettings(
        name=told["exchange"],
        base_url=told["base_url"],
        allow_settlement_change=True,
        handover_dir=folder / "markets" if told["keeps"] else None,
    )
    credentials = Credentials(api_key=told["api_key"], secret=told["secret"], password=told["password"])
    port = build_port(settings, credentials, time.time)
    port.take_over()
    serial = itertools.count()
    with Stage(port, folder / "journal.db", poll_s=0.5) as stage:
        assert stage.run(lambda: port.ready, PATIENCE_S)

        def under_way() -> int:
            return stage.actor.machine._placing.under_way

        def fewer_than(before: int) -> bool:
            return under_way() < before

        while True:
            waiting = under_way()
            for _ in range(AT_ONCE - waiting):
                name = f"{os.getpid()}-{next(serial)}"
                stage.deliver(
                    PlaceOrder(
                        correlation_id=name,
                        deadline_s=time.time() + PATIENCE_S,
                        epoch=1,
                        key=OrderKey(strategy="s", client_order_id=name),
                        spec=spec("0.01", price=FAR),
                    )
                )
            stage.run(partial(fewer_than, waiting), 0.02)


def main() -> None:
    """See above."""
    die_with_parent()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    told = json.loads(sys.argv[1])
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            die_with_parent()
            live(told)
        print(pid, flush=True)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
