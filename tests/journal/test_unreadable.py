"""What one turn of a connector performs, also where part of it cannot be done."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from actors.connector import ConnectorActor
from actors.connector_readiness import Preflights
from actors.connector_replies import Replies
from actors.order_path import OrderPath
from app.domain import calls as c
from app.domain import effects as e
from app.journal.store import Journal
from messages.base import Failed
from messages.market import MarketType
from messages.orders import GetOpenOrders
from tests.domain.connector_desk import Desk
from tests.domain.test_deadlines import ready_runner


def test_what_cannot_be_read_keeps_nothing_from_being_sent(tmp_path: Path) -> None:
    """A question whose answer is not in the journal any more, among the effects of a turn that committed an order."""
    path = tmp_path / "journal.db"
    journal = Journal(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE legs")
    posted: list[object] = []
    sent: list[int] = []
    actor = ConnectorActor.__new__(ConnectorActor)
    actor.name = "bybit"
    actor.post = lambda address, message: posted.append(message)  # type: ignore[method-assign]
    desk = Desk()
    actor.machine = desk.machine
    actor.runner = ready_runner(desk)
    actor.runner.submit = lambda call_id, call: sent.append(call_id)  # type: ignore[method-assign]
    actor._changes, actor._evidence, actor._evidence_due_s = [], [], 0.0
    actor._path = OrderPath("bybit", journal, actor.runner, 5.0)
    actor._preflights = Preflights("bybit", actor.runner, MarketType.SWAP)
    actor._replies = Replies("bybit", journal, actor.runner, actor._path, actor._preflights)
    question = GetOpenOrders(correlation_id="q", deadline_s=9.0, strategy="maker")
    call = c.OpenOrdersCall(symbol=None, deadline_s=9.0, conditional=False)
    told = c.CallFailed(code="no_room", words="None.")
    actor._perform([e.Deliver(asker="a", request=question, result=told), e.Send(call_id=7, call=call)], 0.0)
    (answer,) = posted
    assert isinstance(answer, Failed)
    assert (answer.correlation_id, answer.code, sent) == ("q", "journal_unavailable", [7])
    journal.close()
