"""A journal of many orders, made quickly: what the journal itself writes of an order's life, once for each kind of
life, is copied under other ids and times into all its tables.

So it holds what years of trading would have left, in the words of the version that is measured, and a column that is
added is filled as that version fills it. A million orders take a minute or two, so they are kept in a folder and used
again, where what would be written is the same.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import frozen
from sqlalchemy import Float, create_engine

from app.domain import ids
from app.domain.calls import FillReport
from app.domain.leg_life import LegEvent
from app.journal.facts import as_told, checksum
from app.journal.schema import events, fills, legs, orders, sum_up
from app.journal.store import Committed, Journal
from messages.market import MarketType, Symbol
from messages.orders import OrderKey, OrderSpec, OrderType, OrderView, Side

EXCHANGES = ("bybit", "okx")
COINS = ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "LTC", "LINK", "AVAX", "DOT", "TRX", "BCH", "UNI", "ATOM", "ETC")
STRATEGIES = ("maker", "momentum", "hedge", "default")
AGE_S = 365 * 86_400.0
"""Over so long the orders were placed, up to the present; `RECENT` of them within the last day."""
BATCH = 20_000
NOW_S = 1_000_000_000.0
"""Of the copied lives; a time is told by lying near it."""
NEAR_S = 10_000_000.0

_TABLES = (orders, legs, events, fills)
_OWN = "life-of-the-template"
_CHECKED = ("at_s", "kind", "order_id", "leg", "exchange", "epoch", "detail", "strategy", "number")


@frozen(kw_only=True)
class Life:
    """One kind of life.

    Attributes:
        share: Of a hundred orders.
        rows: By table, what the journal wrote of it.
    """

    exchange: str
    order_id: str
    wire_ids: tuple[str, ...]
    share: int
    rows: Mapping[str, tuple[Mapping[str, Any], ...]]


Live = Callable[[Journal, OrderView], None]


def _event(event: LegEvent, **facts: Any) -> Live:
    def happen(journal: Journal, order: OrderView) -> None:
        assert order.leg is not None
        journal.record(order.order_id, order.leg.number, event, now_s=NOW_S + 1.0, **facts)

    return happen


_OPEN = _event(LegEvent.SEEN_OPEN, exchange_order_id="there")
_FILLED = _event(LegEvent.SEEN_FILLED, filled=Decimal("0.25"), average_price=Decimal("24999.5"))
_LIVES: tuple[tuple[int, tuple[Live, ...]], ...] = (
    (40, (_OPEN, _FILLED)),
    (
        20,
        (
            _event(
                LegEvent.SEEN_FILLED,
                filled=Decimal("0.25"),
                average_price=Decimal("25001.5"),
                exchange_order_id="there",
            ),
        ),
    ),
    (25, (_OPEN, _event(LegEvent.SEEN_CANCELLED))),
    (6, (_OPEN, _event(LegEvent.SEEN_PARTIAL, filled=Decimal("0.1")), _event(LegEvent.SEEN_CANCELLED))),
    (5, (_event(LegEvent.REFUSED, code="insufficient_funds", words="Not enough margin.", native_code="110007"),)),
    (2, (_event(LegEvent.SENT_AMBIGUOUS), _OPEN, _FILLED)),
    (2, (_event(LegEvent.SENT_AMBIGUOUS), _event(LegEvent.PROVEN_ABSENT), _event(LegEvent.WITHDRAWN))),
)
"""How many of a hundred orders, and what happens to them after their intent. All of them end."""


def lives() -> list[Life]:
    """Every kind on every exchange, as the journal writes it."""
    return [
        _lived(exchange, side, share, happens)
        for exchange in EXCHANGES
        for side in Side
        for share, happens in _LIVES
    ]  # fmt: skip


def _lived(exchange: str, side: Side, share: int, happens: tuple[Live, ...]) -> Life:
    journal = Journal(None)
    journal.journal_id = "00000000"  # so that it is the same each time
    try:
        epoch = 1 + EXCHANGES.index(exchange)
        for _ in range(epoch):
            journal.fence(NOW_S)
        journal.commit_route(epoch, exchange, NOW_S)
        symbol = Symbol(base=COINS[0], quote="USDT", settle="USDT", market_type=MarketType.SWAP)
        made = journal.commit_intent(
            exchange=exchange,
            epoch=epoch,
            key=OrderKey(strategy=STRATEGIES[0], client_order_id=_OWN),
            spec=OrderSpec(
                symbol=symbol,
                side=side,
                order_type=OrderType.LIMIT,
                quantity=Decimal("0.25"),
                price=Decimal(25000),
            ),
            expiry_s=NOW_S + 5.0,
            now_s=NOW_S,
        )
        assert isinstance(made, Committed)
        for happen in happens:
            order = journal.order(made.order.order_id)
            assert order is not None
            happen(journal, order)
        _list(journal, made.order.order_id)
        ended = journal.order(made.order.order_id)
        assert ended is not None
        return _read(journal, ended, share, exchange)
    finally:
        journal.close()


def _list(journal: Journal, order_id: str) -> None:
    """Keeps the execution of what filled."""
    order = journal.order(order_id)
    assert order is not None
    for leg in order.legs:
        if leg.filled:
            report = FillReport(
                symbol=order.spec.symbol,
                trade_id="there-1",
                exchange_order_id="there",
                wire_id=leg.wire_id,
                side=order.spec.side,
                quantity=leg.filled,
                price=leg.average_price or Decimal(25000),
                fee=Decimal("0.1"),
                fee_coin="USDT",
                maker=True,
                at_s=NOW_S + 1.0,
            )
            journal.record_fills(order_id, leg.number, [report], now_s=NOW_S + 2.0)


def _read(journal: Journal, order: OrderView, share: int, exchange: str) -> Life:
    db = journal._db
    rows = {
        table.name: [
            dict(row) for row in db.execute(f"SELECT * FROM {table.name} WHERE order_id = ?", (order.order_id,))
        ]
        for table in _TABLES
    }
    for event in rows[events.name]:
        event["detail"] = json.loads(event["detail"])
    return Life(
        exchange=exchange,
        order_id=order.order_id,
        wire_ids=tuple(leg.wire_id for leg in order.legs),
        share=share,
        rows={name: tuple(found) for name, found in rows.items()},
    )


class _Copier:
    """Copies lives under ids of their own; yields rows in batches."""

    def __init__(self, journal_id: str, orders_: int, newest_s: float, random_: random.Random) -> None:
        self._journal_id = journal_id
        self._orders = orders_
        self._newest_s = newest_s
        self._random = random_
        self._lives = lives()
        self._numbers = {name: itertools.count(1) for name in STRATEGIES}
        self.columns = {table.name: tuple(column.name for column in table.columns) for table in _TABLES}
        self._times = {
            table.name: frozenset(column.name for column in table.columns if isinstance(column.type, Float))
            for table in _TABLES
        }

    def at_s(self, place: int) -> float:
        """When an order was placed; of the first, when there was the journal."""
        return self._newest_s - AGE_S * (self._orders - place) / self._orders

    def batches(self, exchange: str, first: int, last: int, sequence: int) -> Iterator[dict[str, list[Any]]]:
        """Rows by table of an exchange's orders, `BATCH` orders at a time.

        Args:
            sequence: Of the first event.
        """
        self._sequence = itertools.count(sequence)
        lives_ = [life for life in self._lives if life.exchange == exchange]
        shares = [life.share for life in lives_]
        for begin in range(first, last, BATCH):
            out: dict[str, list[Any]] = {table.name: [] for table in _TABLES}
            many = min(BATCH, last - begin)
            for place, life in enumerate(self._random.choices(lives_, shares, k=many), begin):
                self._copy(life, place, self.at_s(place), out)
            yield out

    def _copy(self, life: Life, place: int, at_s: float, out: dict[str, list[Any]]) -> None:
        strategy = STRATEGIES[place % len(STRATEGIES)]
        coin = COINS[(place * 7 + place // 11) % len(COINS)]
        key = OrderKey(strategy=strategy, client_order_id=f"{strategy}-{place}")
        order_id = ids.order_id(self._journal_id, key)
        wires = {old: ids.wire_id(self._journal_id, key, number) for number, old in enumerate(life.wire_ids, 1)}
        changed: dict[Any, Any] = {
            life.order_id: order_id,
            _OWN: key.client_order_id,
            STRATEGIES[0]: strategy,
            COINS[0]: coin,
            f"{COINS[0]}/USDT:USDT": f"{coin}/USDT:USDT",
            "there": f"{place:019d}",
            "there-1": f"{place:012d}",
            **wires,
        }
        later_s = at_s - NOW_S
        for name, rows in life.rows.items():
            times, columns = self._times[name], self.columns[name]
            for row in rows:
                made = {}
                for column in columns:
                    value = row[column]
                    if column in times:
                        value = None if value is None else value + later_s
                    elif type(value) is str:
                        value = changed.get(value, value)
                    made[column] = value
                if name == events.name:
                    made["sequence"] = next(self._sequence)
                    if made["number"] is not None:
                        made["number"] = next(self._numbers[strategy])
                    made["detail"] = as_told(_changed(row["detail"], changed, later_s))
                    made["checksum"] = checksum(*(made[column] for column in _CHECKED))
                out[name].append(tuple(made[column] for column in columns))


def _changed(facts: dict[str, Any], changed: Mapping[Any, Any], later_s: float) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, dict):
            out[name] = _changed(value, changed, later_s)
        elif type(value) is float and abs(value - NOW_S) < NEAR_S:
            out[name] = value + later_s
        else:
            out[name] = changed.get(value, value) if type(value) is str else value
    return out


def build(path: Path, orders_: int, newest_s: float) -> None:
    """Makes a journal with so many orders that ended; nobody else may have it open.

    Args:
        newest_s: When the newest was placed, Unix seconds.
    """
    with closing(Journal(path)) as journal:
        copier = _Copier(journal.journal_id, orders_, newest_s, random.Random(orders_))
    indexes: list[str] = []
    for number, exchange in enumerate(EXCHANGES):
        first, last = (orders_ * each // len(EXCHANGES) for each in (number, number + 1))
        with closing(Journal(path)) as journal:
            at_s = copier.at_s(first) - 1.0
            journal.commit_route(journal.fence(at_s).epoch, exchange, at_s)
            sequence = journal.last_sequence() + 1
        with closing(_hasty(path)) as db:
            indexes = indexes or _without_indexes(db)
            for batch in copier.batches(exchange, first, last, sequence):
                _insert(db, batch)
    with closing(_hasty(path)) as db:
        for sql in indexes:
            db.execute(sql)
    _sum_up(path)
    with path.open("rb") as made:
        os.fsync(made.fileno())


def _hasty(path: Path) -> sqlite3.Connection:
    """All that makes it durable is off while it is made: it is thrown away where that is cut short."""
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1500000", "locking_mode=EXCLUSIVE"):
        db.execute(f"PRAGMA {pragma}")
    return db


def _without_indexes(db: sqlite3.Connection) -> list[str]:
    """Drops the indexes that can be; returns what makes them again."""
    found = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    for name, _ in found:
        db.execute(f"DROP INDEX {name}")
    return [sql for _, sql in found]


def _insert(db: sqlite3.Connection, batch: Mapping[str, list[Any]]) -> None:
    db.execute("BEGIN")
    for table in _TABLES:
        names = [column.name for column in table.columns]
        marks = ",".join("?" * len(names))
        db.executemany(f"INSERT INTO {table.name} ({','.join(names)}) VALUES ({marks})", batch[table.name])
    db.execute("COMMIT")


def _sum_up(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as core:
        sum_up(core)
    engine.dispose()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.close()


def kept(folder: Path, orders_: int) -> Path:
    """A journal of so many orders that is kept in a folder; made where it is not there, or would be another today."""
    path = folder / f"journal-{orders_}-{_fingerprint()}.db"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"journal-{orders_}-*"):
            old.unlink()
        unfinished = path.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        build(unfinished, orders_, time.time() - 60.0)
        unfinished.rename(path)
    return path


def _fingerprint() -> str:
    """Of all that a journal made today would have in it: its tables, and what is written of each kind of life."""
    said = hashlib.blake2b(digest_size=6)
    with closing(Journal(None)) as journal:
        for row in journal._db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"):
            said.update(row["sql"].encode())
    for life in lives():
        said.update(repr(life).encode())
    said.update(Path(__file__).read_bytes())
    return said.hexdigest()
