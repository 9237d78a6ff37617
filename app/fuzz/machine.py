"""The machine that the whole daemon runs on: its disk, everybody's connections to the journal, and its power.

Every actor has a connection of its own, which ends as its process does: by kill -9 nothing is closed in order, and
what was written stays in the kernel's hands. When the power goes, all of them end at once, what was not synced is lost
as the disk's model has it (`app.fuzz.disk`), and SQLite recovers what is left. What a cut may take is held to here:

    routes           every fence and route that was committed is there, whatever `durability` is (I5)
    power safe       whatever was committed is there; of the transaction under way, all or nothing
    not power safe   what is there is what was committed up to some moment, and nothing else
    always           the journal opens, SQLite finds it sound, and its events prove its tables

What a cut did take, where it may, is kept (`Losses`), so that the other checkers forgive that and nothing more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from attrs import define, field

from app.fuzz.disk_journal import NAME, DiskJournal, named
from app.fuzz.disk_plan import DiskPlan, MidCommit, PowerCut, Trouble
from app.fuzz.record import Trouble as Broken
from app.fuzz.sim_disk import SimDisk
from app.journal.checkpoints import Checkpointer
from app.journal.store import JournalError
from app.journal.verify import verify_tables
from messages.orders import OrderKey

if TYPE_CHECKING:
    from app.fuzz.world import World

Rows = dict[str, list[tuple[Any, ...]]]


@define
class Losses:
    """What power cuts took that nobody promised to keep.

    Attributes:
        orders: Of which the journal knew more before.
        forgotten: By exchange and wire id, legs that it knows nothing of any more.
        strategies: Who had been told more than it has.
    """

    orders: set[OrderKey] = field(factory=set)
    forgotten: set[tuple[str, str]] = field(factory=set)
    strategies: set[str] = field(factory=set)


class Machine:
    """One, for one run."""

    def __init__(self, world: World, plan: DiskPlan, journal_id: str) -> None:
        self.plan = plan
        self._world = world
        self.losses = Losses()
        self.disk = SimDisk()
        self._chance = Random(f"disk-{journal_id}")  # a stream of its own, which shifts no other draw
        self._start_s = world.scheduler.now_s
        self._open: dict[str, list[DiskJournal]] = {}
        self._armed: PowerCut | MidCommit | None = None
        self.journal = self._connection()
        named(self.journal, journal_id)
        self.disk.settled()
        self._checkpointer = Checkpointer(self.disk.folder / NAME, events=plan.events)
        self._copying = self._copies()

    def begin(self) -> None:
        """Plans what befalls it."""
        self.disk.trouble = self._trouble
        armed: list[PowerCut | MidCommit] = [*self.plan.cuts, *self.plan.crashes]
        for each in armed:
            self._at(each.at_s, partial(self._arm, each))
        for span in self.plan.spans:
            words = f"{span.trouble.value} for {span.end_s - span.begin_s:.1f} s"
            self._at(span.begin_s, partial(self._world._note, "disk", words))
        self._at(self._world.plan.times.calm_s, partial(self._arm, None))
        self._at(self.plan.look_s, self._look)

    def close(self) -> None:
        """The run is over."""
        self.disk.down = True  # quicker than a last checkpoint
        for journals in self._open.values():
            for journal in journals:
                journal.close()
        self.journal.close()
        self._copying.close()
        self.disk.close()

    # ------------------------------------------------------------------------------------------------ processes

    def open(self) -> DiskJournal:
        """For the actor that is being handled."""
        journal = self._connection()
        self._open.setdefault(self._world.scheduler.current.actorAddressString, []).append(journal)
        return journal

    def killed(self, address: Any) -> None:
        """A process ended without closing anything."""
        fell, self.disk.down = self.disk.down, True
        for journal in self._open.pop(address.actorAddressString, ()):
            journal.close()
        self.disk.down = False
        if fell and self._armed is not None:
            self._fallen()

    def all_killed(self) -> None:
        """No process is left: whoever opens the journal first has to recover it from its log."""
        self._drop()
        self._reopen()

    def _connection(self) -> DiskJournal:
        world, safe, pages = self._world, self.plan.power_safe, self.plan.log_pages
        hooks = world._touch, world._locked, world._routed
        return DiskJournal(self.disk, *hooks, power_safe=safe, log_pages=pages)

    def _copies(self) -> sqlite3.Connection:
        return self.disk.connect(self.disk.folder / NAME)

    def _drop(self) -> None:
        self.disk.down = True
        self.journal.close()
        self._copying.close()
        self.disk.down = False

    def _reopen(self) -> None:
        self.journal, self._copying = self._connection(), self._copies()
        self._world.journal = self.journal
        self._in_force()

    def _in_force(self) -> None:
        """A route may hold although whoever committed it died before it could say so."""
        route, routes = self.journal.route(), self._world.routes
        last = (routes[-1].epoch, routes[-1].exchange) if routes else (0, None)
        if (route.epoch, route.exchange) != last:
            self._world._routed(route)

    # ------------------------------------------------------------------------------------------------ faults

    def _now_s(self) -> float:
        return self._world.scheduler.now_s - self._start_s

    def _at(self, at_s: float, function: Callable[[], None]) -> None:
        self._world.scheduler.call_at(self._start_s + at_s, function)

    def _trouble(self) -> Trouble | None:
        now_s = self._now_s()
        return next((span.trouble for span in self.plan.spans if span.begin_s <= now_s < span.end_s), None)

    def _arm(self, what: PowerCut | MidCommit | None) -> None:
        self._armed = what
        steps = 0 if what is None else what.steps
        self.disk.goes_down_after(steps)
        if isinstance(what, PowerCut) and not steps:
            self._fallen()

    def _look(self) -> None:
        """Copies the log into the database, as a thread beside the position synchronizer does."""
        self._at(self._now_s() + self.plan.look_s, self._look)
        if not self._world.scheduler.alive(self._world.supervisor):
            return  # the machine is off
        try:
            self._checkpointer._look(self._copying)
        except sqlite3.Error as error:
            if not self.disk.down:
                self._world._note("disk", f"the log is not copied: {error}")
        if self.disk.down:
            if isinstance(self._armed, MidCommit):
                self._copying.close()
                self._world._kill("position_synchronizer", "")
                self.disk.down = False
                self._copying = self._copies()
                self._armed = None
            else:
                self._fallen()

    def _fallen(self) -> None:
        cut, self._armed = self._armed, None
        if not isinstance(cut, PowerCut):
            self._in_force()
            return
        under_way, self.disk.down = bool(cut.steps), True
        before = _rows(self.journal._db)
        self._world._kill_all("the power is cut", cut.off_s)
        self._drop()
        unsynced = self.disk.cut(self._chance, cut.share, cut.flushed)
        try:
            self._reopen()
        except JournalError as error:
            self._trouble_is("I5 the journal is lost", str(error))
            raise RuntimeError("the journal cannot be opened after a power cut") from error
        after = _rows(self.journal._db)
        events = len(before["events"]), len(after["events"])
        words = (
            f"the power is cut for {cut.off_s:.1f} s: {unsynced} writes were not synced, {events[0]} events were there"
        )
        self._world._note("machine", f"{words}, {events[1]} are")
        for rule, wrong in self._judge(before, after, under_way):
            self._trouble_is(rule, wrong)
        self._lost(before, after)

    def _trouble_is(self, rule: str, words: str) -> None:
        self._world.record.add(Broken(self._world.scheduler.now_s, rule, words))

    # ------------------------------------------------------------------------------------------------ what it may take

    def _judge(self, before: Rows, after: Rows, under_way: bool) -> list[tuple[str, str]]:
        found = []
        there = {(epoch, exchange) for epoch, exchange, *_ in after["routes"]}
        for epoch, exchange, *_ in before["routes"]:
            if (epoch, exchange) not in there and (exchange is not None or not any(e == epoch for e, _ in there)):
                found.append(("I5 a route is lost", f"epoch {epoch} on {exchange} was committed"))
        had, has = before["events"], after["events"]
        most = min(len(had), len(has))
        if had[:most] != has[:most] or (len(has) > len(had) and not under_way):
            found.append(("I5 another past", f"{len(had)} events were there, and {len(has)} are, not all the same"))
        if self.plan.power_safe:
            grew = len(has) > len(had)
            lost = [name for name in before if not set(before[name]) <= set(after[name])]
            if len(has) < len(had) or (lost and not grew and not under_way):
                found.append(("I5 lost at a power cut", f"{len(had) - len(has)} events, rows of {', '.join(lost)}"))
        (sound,) = self.journal._db.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            found.append(("I5 the journal is damaged", str(sound)))
        found += [("I5 the journal is not proven", words) for words in verify_tables(self.journal._db).findings]
        return found

    def _lost(self, before: Rows, after: Rows) -> None:
        keys = {row[0]: OrderKey(strategy=row[1], client_order_id=row[2]) for row in before["orders"]}
        gone = {each[0] for name in ("orders", "legs") for each in set(before[name]) - set(after[name])}
        gone |= {row[0] for row in set(before["filled"]) - set(after["filled"])}
        self.losses.orders |= {keys[order_id] for order_id in gone}
        self.losses.forgotten |= set(before["wires"]) - set(after["wires"])
        told: dict[str, int] = dict(after["told"])
        self.losses.strategies |= {strategy for strategy, number in before["told"] if number > told.get(strategy, 0)}
        if gone:
            self._world._note("machine", f"of {len(gone)} orders the journal knows less than before")


_READ = {
    "events": "SELECT sequence, checksum FROM events ORDER BY sequence",
    "routes": "SELECT epoch, exchange FROM routes ORDER BY epoch",
    "orders": "SELECT order_id, strategy, client_order_id FROM orders",
    "legs": "SELECT * FROM legs",
    "wires": "SELECT exchange, wire_id FROM legs",
    "filled": "SELECT order_id, exchange, trade_id FROM fills",
    "told": "SELECT strategy, max(number) FROM events WHERE strategy IS NOT NULL GROUP BY strategy",
    "heard": "SELECT * FROM heard",
    "switches": "SELECT * FROM switches",
    "history": "SELECT * FROM history",
    "controls": "SELECT * FROM controls",
}


def _rows(db: sqlite3.Connection) -> Rows:
    """What a journal has."""
    return {name: [tuple(row) for row in db.execute(query)] for name, query in _READ.items()}
