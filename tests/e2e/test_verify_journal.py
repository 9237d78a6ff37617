"""`verify-journal --exchanges`: a real journal against real exchanges' books, with a daemon and without one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from app.bootstrap import JOURNAL_NAME
from app.domain.ids import TAG
from tests.cli.desk import within
from tests.e2e.daemons import Daemon
from tests.e2e.world import World, place

QUICK = {"primary_exchange": "bybit", "failover_exchanges": ["okx"], "request_timeout_s": 1.0, "order_timeout_s": 6.0}


def asked(daemon: Daemon, code: int) -> dict[str, Any]:
    """What the command finds."""
    done = within("verify-journal", "--config", daemon.config, "--exchanges", "--json", home=daemon.folder)
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_journal_against_the_exchanges(tmp_path: Path) -> None:
    with World(["bybit", "okx"], tmp_path / "state", router=QUICK) as world, Daemon(world, tmp_path) as daemon:
        daemon.serves()
        with daemon.router() as router:
            orders = [place(router, f"order-{n}", qty="0.002").order for n in range(4)]
            assert all(orders)
            found = asked(daemon, 0)
            assert found["consistent"] is True
            assert found["live"] == 4
            assert found["exchanges"]["bybit"] == {
                "resting": 4,
                "of_other_daemons": 0,
                "of_people": 0,
                "unproven": 0,
                "differences": [],
                "more": 0,
                "failed": "",
            }
        assert daemon.end()[0] == 0

        world["okx"].control.fault("refused")
        found = asked(daemon, 69)
        assert found["exchanges"]["okx"]["failed"]
        assert found["exchanges"]["bybit"]["resting"] == 4
        world["okx"].control.clear_faults()

        # Nobody watches now: one is cancelled by hand, one fills in part, and the journal loses one.
        bybit = world["bybit"].control
        wire_ids = {order["client_order_id"]: order for order in bybit.truth()["orders"]}
        cancelled, filled, lost, _ = sorted(wire_ids)
        bybit.ask("POST", "/cancel", {"client_order_id": cancelled})
        bybit.fill(client_order_id=filled, qty="0.001")
        with closing(sqlite3.connect(tmp_path / "state" / JOURNAL_NAME)) as db, db:
            db.execute("UPDATE legs SET wire_id = ? WHERE wire_id = ?", (f"{TAG}{'0' * 28}", lost))
        found = asked(daemon, 65)
        assert any("wire_id" in words for words in found["findings"])
        said = found["exchanges"]["bybit"]["differences"]
        assert any("is open, and cancelled there" in words for words in said), said
        assert any("0 of leg 1" in words and "0.001 there" in words for words in said), said
        assert any(lost in words and "the journal does not know it" in words for words in said), said
        assert any("is not there, among open orders" in words for words in said), said
        text = within("verify-journal", "--config", daemon.config, "--exchanges", home=daemon.folder)
        assert "The exchanges do not say the same." in text.stdout
