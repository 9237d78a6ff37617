"""Where a world is while nothing is under way, as a digest: two runs that come to the same go on in the same ways.

It contains all that decides what follows, and all by which a run is judged: the actors, whatever they are made of, the
journal, the exchanges, what is due, and what happened so far: to each strategy in its order, and to orders on exchanges
in theirs. Times count to the hundredth of a second, as they do for what is due. What it contains besides, such as how
often somebody was woken, tells apart what is the same, which costs time and hides nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from enum import Enum
from itertools import count
from random import Random
from types import FunctionType, MethodType, ModuleType
from typing import Any

from thespian.actors import ActorAddress, WakeupMessage

from actors.environment import Environment
from app.fuzz import record as r
from app.fuzz.exhaust_scheduler import MOMENTS_PER_S, ChosenScheduler
from app.fuzz.exhaust_world import SmallWorld
from app.fuzz.runner import SimRunner
from app.fuzz.world import World
from app.journal.store import Journal

UNSEEN = (
    Environment,
    Journal,
    r.Record,
    SimRunner,
    Random,
    World,
    ChosenScheduler,
    FunctionType,
    MethodType,
    ModuleType,
    type,
)
"""Not walked into: the same for all, or told of separately."""

SAME = ("_myRef", "_specs", "_settings", "settings", "environment")
"""Of an actor, what stays as it is."""

PLAIN = (str, int, bytes, bool, type(None), Decimal, Enum, count)
TIMELESS = ("checksum", "detail")
"""Columns that contain times within."""


def digest(world: SmallWorld) -> str:
    """Where a world is."""
    walk = _Walk()
    scheduler = world.scheduler
    for address, ref in sorted(scheduler.living().items()):
        walk.plain(address)
        walk.any({name: value for name, value in vars(ref).items() if name not in SAME})
    database = world.journal._db
    for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        for row in database.execute(f"SELECT * FROM {table}").fetchall():
            walk.any([(name, row[name]) for name in row.keys() if name not in TIMELESS])  # noqa: SIM118
    for name, exchange in world.exchanges.items():
        walk.plain(name)
        walk.any([exchange.orders, exchange.limits, exchange.counted, exchange._dead_man_s, exchange.refused])
    for address, runner in sorted(world._runners.items()):
        walk.plain(address)
        walk.any([runner.port.ready, runner._closed, runner._results, repr(getattr(runner, "calls", ""))])
    walk.any([scheduler.due(), scheduler.now_s, world.left, list(world.operator.switches.values()), world.routes])
    walk.any(_happened(world))
    return walk.digest()


def _happened(world: SmallWorld) -> list[Any]:
    shared = [fact for fact in world.record.facts if isinstance(fact, r.Sent | r.Routed | r.Died | r.Trouble)]
    own = [fact for fact in world.record.facts if isinstance(fact, r.Asked | r.Heard | r.FillHeard | r.TradeHeard)]
    entries = [
        (at_s, exchange.traits.name, order.wire_id, state, filled)
        for exchange in world.exchanges.values()
        for order in exchange.orders
        for at_s, state, filled in order.history
    ]
    moments = sorted(entries, key=lambda entry: entry[0])
    return [shared, own, moments]


class _Walk:
    """Everything that is reached, in its order, as bytes."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=10)
        self._pid = os.getpid()
        self._met: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no two have the same id

    def digest(self) -> str:
        """Of all."""
        return self._hash.hexdigest()

    def plain(self, value: object) -> None:
        """A value by how it is written."""
        self._hash.update(repr(value).encode())
        self._hash.update(b";")

    def any(self, value: Any) -> None:
        """Whatever it is."""
        match value:
            case float():
                self.plain(round(value * MOMENTS_PER_S) if abs(value) < 1e12 else value)
            case _ if isinstance(value, PLAIN):
                # Actors tell the process they are in, and each run is in one of its own.
                self.plain("pid" if value == self._pid else value)
            case ActorAddress():
                self.plain(value.actorAddressString)
            case _ if isinstance(value, UNSEEN):
                self.plain(getattr(value, "__qualname__", type(value).__qualname__))
            case _:
                self._object(value)

    def _object(self, value: Any) -> None:
        known = self._met.setdefault(id(value), len(self._met))
        if known != len(self._met) - 1 or len(self._kept) == len(self._met):
            self.plain(("again", known))
            return
        self._kept.append(value)
        self.plain(type(value).__qualname__)
        if isinstance(value, Mapping):
            for key, each in value.items():
                self.any(key)
                self.any(each)
        elif isinstance(value, Set):
            for each in sorted(value, key=repr):
                self.any(each)
        elif isinstance(value, Sequence | deque):
            for each in value:
                self.any(each)
        elif isinstance(value, WakeupMessage):
            self.plain(value.payload)
        else:
            for name, each in _fields(value):
                self.plain(name)
                self.any(each)
        self.plain("end")


def _fields(value: Any) -> list[tuple[str, Any]]:
    found = list(getattr(value, "__dict__", {}).items())
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__weakref__", "__dict__"):
                mangled = f"_{kind.__name__.lstrip('_')}{name}" if name.startswith("__") else name
                if hasattr(value, mangled):
                    found.append((name, getattr(value, mangled)))
    return found
