"""Bugs to be planted, one at a time: each is a mistake that was made, or nearly made, somewhere.

A checker that finds nothing proves nothing until it has been seen to find these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any

from attrs import evolve, frozen

from app.domain import calls as c
from app.domain import session
from app.domain.commit import CommitAgain, CommitNew, Decision, decide
from app.domain.connector import Connector
from app.domain.fill_watch import FillWatch
from app.domain.leg_life import LIVE, Leg, LegEvent, advance
from app.domain.leg_task import LegTask
from app.domain.leg_watch import LegWatch
from app.domain.session import Session
from app.domain.session_pending import Pending
from app.fuzz.sim_orders import Memory
from app.fuzz.watched import WatchedJournal
from app.journal import fills, store
from app.journal.rows import row_of_fill
from messages.failover import Route
from messages.orders import LegState, OrderNotExecuted, OrderView, PlaceOrder

Planted = Callable[[], AbstractContextManager[None]]


@contextmanager
def swapped(owner: Any, name: str, function: Any) -> Iterator[None]:
    """Puts a function in the place of another for a while."""
    before = owner.__dict__[name]
    setattr(owner, name, function)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def fence_not_checked() -> Iterator[None]:
    """A leg is committed under whatever epoch its asker believes in."""

    def unfenced(*, route: Route, exchange: str, epoch: int, **more: Any) -> Decision:
        believed = Route(epoch=epoch, exchange=exchange, since_s=route.since_s)
        return decide(route=believed, exchange=exchange, epoch=epoch, **more)

    with swapped(store, "decide", unfenced):
        yield


@contextmanager
def ambiguous_taken_for_not_executed() -> Iterator[None]:
    """Any exception when placing becomes "failed": the bug this project exists to end."""
    learn = LegWatch.learn

    def hasty(self: LegWatch, task: LegTask, result: c.Result, now_s: float) -> Any:
        if isinstance(result, c.Ambiguous):
            result = c.NotExecuted(code=result.code, words=result.words)
        return learn(self, task, result, now_s)

    with swapped(LegWatch, "learn", hasty):
        yield


@contextmanager
def absence_without_margin() -> Iterator[None]:
    """A look-up after the expiry is taken for proof, whatever the exchange's lateness and visibility."""
    with swapped(LegTask, "provable_s", lambda self, proof: self.leg.expiry_s):
        yield


@contextmanager
def failed_look_up_taken_for_absence() -> Iterator[None]:
    """A network error becomes "not found"."""
    learn = LegWatch.learn

    def hasty(self: LegWatch, task: LegTask, result: c.Result, now_s: float) -> Any:
        if isinstance(result, c.CallFailed) and task.unproven:
            result = c.NotFound(asked_s=now_s)
        return learn(self, task, result, now_s)

    with swapped(LegWatch, "learn", hasty):
        yield


def _second_leg(*, known: Any, spec: Any, **more: Any) -> Decision:
    if known is not None and known.leg is not None and known.leg.state is LegState.UNKNOWN:
        return CommitNew(number=known.leg.number + 1, quantity=spec.quantity - known.filled)
    return decide(known=known, spec=spec, **more)


@contextmanager
def second_leg_while_unknown() -> Iterator[None]:
    """An order whose outcome nobody knows is placed anew, and the database does not mind."""
    init = WatchedJournal.__init__

    def without_index(self: WatchedJournal, *arguments: Any) -> None:
        init(self, *arguments)
        self._db.execute("DROP INDEX ix_one_live_leg")

    with swapped(store, "decide", _second_leg), swapped(WatchedJournal, "__init__", without_index):
        yield


@contextmanager
def second_leg_while_unknown_but_for_the_index() -> Iterator[None]:
    """The same, with the database's own guard in place."""
    with swapped(store, "decide", _second_leg):
        yield


@contextmanager
def new_id_on_sending_again() -> Iterator[None]:
    """A session that heard nothing tries again, as a new order."""
    send = Session._send

    def renaming(self: Session, pending: Pending, now_s: float) -> Any:
        if isinstance(pending.request, PlaceOrder) and pending.sends > 0:
            key = evolve(pending.request.key, client_order_id=f"{pending.request.key.client_order_id}0000")
            pending.request = evolve(pending.request, key=key)
        return send(self, pending, now_s)

    with swapped(Session, "_send", renaming):
        yield


@contextmanager
def doubts_forgotten_at_a_restart() -> Iterator[None]:
    """A restarted connector takes up only what it knows to be live."""
    recover = Connector.recover

    def careless(self: Connector, orders: Any, *rest: Any) -> Any:
        return recover(self, tuple(order for order in orders if order.leg.state in LIVE), *rest)

    with swapped(Connector, "recover", careless):
        yield


@contextmanager
def acknowledged_cancel_taken_for_done() -> Iterator[None]:
    """A cancel's acknowledgement is taken for the end of the order."""
    learn = LegWatch.learn

    def hasty(self: LegWatch, task: LegTask, result: c.Result, now_s: float) -> Any:
        if isinstance(result, c.CancelConfirmed) and result.final is None and task.leg.exchange_order_id is not None:
            report = c.OrderReport(
                exchange_order_id=task.leg.exchange_order_id,
                wire_id=task.leg.wire_id,
                symbol=None,
                state=LegState.CANCELLED,
                filled=task.leg.filled,
                average_price=None,
            )
            result = c.CancelConfirmed(final=report)
        return learn(self, task, result, now_s)

    with swapped(LegWatch, "learn", hasty):
        yield


@contextmanager
def doubt_taken_for_not_executed() -> Iterator[None]:
    """At its deadline, whatever was not answered is told not to have executed."""

    def guess(pending: Pending, journal_id: str, ended: str = "", **more: Any) -> Any:
        request = pending.request
        return OrderNotExecuted(correlation_id=request.correlation_id, code="timeout", words="No answer in time.")

    with swapped(session, "last_word", guess):
        yield


@contextmanager
def sent_again_without_proof() -> Iterator[None]:
    """An order that may be on the exchange is sent again under the same id, in trust of its duplicate check."""

    def trusting(*, known: Any, **more: Any) -> Decision:
        if known is not None and known.leg is not None and known.leg.state is LegState.UNKNOWN:
            return CommitAgain(number=known.leg.number)
        return decide(known=known, **more)

    def lenient(leg: Leg, event: LegEvent, **more: Any) -> Leg:
        if event is LegEvent.RECOMMITTED and leg.state is LegState.UNKNOWN:
            return evolve(leg, state=LegState.INTENT)
        return advance(leg, event, **more)

    with swapped(store, "decide", trusting), swapped(store, "advance", lenient):
        yield


@contextmanager
def deadline_not_kept() -> Iterator[None]:
    """A session that waits for a connector for ever."""
    tick = Session.tick

    def patient(self: Session, now_s: float) -> Any:
        waiting = {i: p for i, p in self._pending.items() if p.in_doubt and now_s >= p.request.deadline_s}
        for correlation_id in waiting:
            del self._pending[correlation_id]
        effects = tick(self, now_s)
        return effects

    with swapped(Session, "tick", patient):
        yield


@contextmanager
def limits_forgotten_at_a_restart() -> Iterator[None]:
    """Each life of a connector believes that nothing of the exchange's limit is used."""
    with swapped(Memory, "keep", lambda self, meters, closed_until_s, banned_until_s: None):
        yield


@contextmanager
def executions_counted_by_listing() -> Iterator[None]:
    """An execution that is listed again counts again."""
    count = iter(range(10**9))

    def anew(order: OrderView, number: int, report: c.FillReport) -> dict[str, Any]:
        row = row_of_fill(order, number, report)
        return row | {"trade_id": f"{row['trade_id']} {next(count)}"}

    with swapped(fills, "row_of_fill", anew):
        yield


@contextmanager
def executions_forgotten_at_a_restart() -> Iterator[None]:
    """A connector that is started anew asks for none that an earlier life lacked."""
    with swapped(FillWatch, "recover", lambda self, orders, now_s: None):
        yield


@frozen
class Bug:
    """One to be found.

    Attributes:
        profile: Under which it is looked for.
        rules: Those that may find it, by how they begin.
        begin: The first seed of the search, where a search from 0 would only take longer.
    """

    plant: Planted
    profile: str
    rules: tuple[str, ...]
    begin: int = 0


DOUBLED = ("I1", "I2 guessed", "I2 fills differ", "order.contradiction")

PLANTED: Mapping[str, Bug] = MappingProxyType(
    {
        "fence not checked": Bug(fence_not_checked, "flapping", ("I3 sent past the fence",), 7),
        "ambiguous taken for not executed": Bug(ambiguous_taken_for_not_executed, "storm", DOUBLED),
        "absence without margin": Bug(absence_without_margin, "storm", DOUBLED, 31),
        "failed look-up taken for absence": Bug(failed_look_up_taken_for_absence, "storm", DOUBLED, 7),
        "second leg while unknown": Bug(second_leg_while_unknown, "storm", ("I1",), 3),
        "new id on sending again": Bug(new_id_on_sending_again, "storm", ("I1",), 1),
        "doubts forgotten at a restart": Bug(doubts_forgotten_at_a_restart, "crashes", ("I2 not resolved",), 261),
        "acknowledged cancel taken for done": Bug(
            acknowledged_cancel_taken_for_done, "storm", ("I2 fills differ", "I2 states differ"), 2
        ),
        "doubt taken for not executed": Bug(doubt_taken_for_not_executed, "storm", ("I2 guessed",), 3),
        "sent again without proof": Bug(sent_again_without_proof, "storm", DOUBLED, 7),
        "limits forgotten at a restart": Bug(
            limits_forgotten_at_a_restart, "crashes", ("I6 more than the exchange gives",), 6
        ),
        "deadline not kept": Bug(deadline_not_kept, "storm", ("I2 not answered in time",), 1),
        "executions counted by listing": Bug(executions_counted_by_listing, "calm", ("fills differ",)),
        "executions forgotten at a restart": Bug(executions_forgotten_at_a_restart, "crashes", ("fills differ",), 39),
    }
)
