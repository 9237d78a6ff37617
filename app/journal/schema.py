"""Tables of the journal, in SQLAlchemy Core: one schema for the embedded SQLite and, later, for PostgreSQL.

Money is TEXT holding a Decimal; times are Unix seconds as REAL. `ix_one_live_leg` is invariant I1 in the database's own
words: an order has at most one leg that is live or unproven. A fill is known by its exchange's own id, so that it
counts once however often it is listed, and by its side, since a trade of the account with itself has one id and two;
`legs.listed` is the sum of a leg's fills, which is `legs.filled` once all are known. What a strategy is told of its
orders is numbered without a gap, `events.number`; `heard` says up to where the hooks of a strategy that runs in the
daemon have heard it.

What an order writes is a dozen pages, and each index is one of them. So there is none where another serves: that an
order's key is known once follows from its id, which is a function of it; and legs that may still fill are so few that
one index of them, by order, serves whoever wants those of an exchange.

`controls` are what a person holds the router to (frozen, reduce-only, exchanges kept out), read within the transaction
that would commit an order. `history` is every step of every switch, each row hashed with the one before. `adjustments`
are differences between our fills and an exchange's position that were taken over; `traded.adopted` is the sum of what
of them is of our own position, `traded.beside` of what is somebody else's beside it. `traded.moved` is, of
`attributed`, what slices of positions that are moved have filled.

`traded` and `ended` are sums over all legs, written in the transaction of the leg they change, so that nobody has to
add up years of them: `app.journal.totals`.
"""

from __future__ import annotations

import secrets
import sqlite3

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    insert,
    inspect,
    literal_column,
    or_,
    select,
    text,
    update,
)

from app.domain.leg_life import BETWEEN, MAY_FILL
from app.journal.sums import add_up
from messages.orders import LIVE_OR_UNPROVEN, LegState, Linked

SCHEMA_VERSION = 4

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

orders = Table(
    "orders",
    metadata,
    Column("order_id", String(32), primary_key=True),
    Column("strategy", String, nullable=False),
    Column("client_order_id", String, nullable=False),
    Column("base", String, nullable=False),
    Column("quote", String, nullable=False),
    Column("settle", String),
    Column("market_type", String, nullable=False),
    Column("side", String, nullable=False),
    Column("order_type", String, nullable=False),
    Column("quantity", Text, nullable=False),
    Column("price", Text),
    Column("time_in_force", String, nullable=False),
    Column("reduce_only", Boolean, nullable=False),
    Column("take_profit", Text),
    Column("stop_loss", Text),
    Column("trigger_kind", String),
    Column("trigger_price", Text),
    Column("trigger_by", String),
    Column("created_s", Float, nullable=False),
)
ATTACHED = or_(orders.c.take_profit.is_not(None), orders.c.stop_loss.is_not(None))
Index(
    "ix_attached",
    *orders.c["base", "quote", "settle", "created_s"],
    sqlite_where=ATTACHED,
    postgresql_where=ATTACHED,
)
Index("ix_orders_by_market", *orders.c["strategy", "base", "quote", "settle", "created_s"])

legs = Table(
    "legs",
    metadata,
    Column("order_id", ForeignKey("orders.order_id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("exchange", String, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("wire_id", String(32), nullable=False, unique=True),
    Column("quantity", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("committed_s", Float, nullable=False),
    Column("expiry_s", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("exchange_order_id", String),
    Column("filled", Text, nullable=False),
    Column("average_price", Text),
    Column("reason_code", String),
    Column("reason_words", String),
    Column("native_code", String),
    Column("created_s", Float, nullable=False),
    Column("updated_s", Float, nullable=False),
    Column("linked", String),
    Column("price", Text),
    Column("trigger_price", Text),
    Column("whole", Text),
    Column("most", Text),
    Column("listed", Text),
    Column("cancel_asked_s", Float),
    Column("wanted", Text),
    Column("carry_s", Float),
    Column("unflagged", Boolean),
)

# Values as literals, also in the questions: only so does SQLite see that a partial index holds all that is asked for.
LIVE_LEG = legs.c.state.in_([literal_column(f"'{state.value}'") for state in sorted(LIVE_OR_UNPROVEN)])
Index("ix_one_live_leg", legs.c.order_id, unique=True, sqlite_where=LIVE_LEG, postgresql_where=LIVE_LEG)
ASIDE_LEG = legs.c.state.in_([literal_column(f"'{state.value}'") for state in sorted(MAY_FILL - LIVE_OR_UNPROVEN)])
Index("ix_aside", legs.c.order_id, sqlite_where=ASIDE_LEG, postgresql_where=ASIDE_LEG)
UNKNOWN_LEG = legs.c.state == literal_column(f"'{LegState.UNKNOWN.value}'")
Index("ix_unknown", legs.c.order_id, sqlite_where=UNKNOWN_LEG, postgresql_where=UNKNOWN_LEG)
BETWEEN_LEG = legs.c.state.in_([literal_column(f"'{state.value}'") for state in sorted(BETWEEN)])
Index("ix_between", legs.c.order_id, sqlite_where=BETWEEN_LEG, postgresql_where=BETWEEN_LEG)
LINKED_LEG = legs.c.linked.in_(
    [literal_column(f"'{each.value}'") for each in sorted([Linked.OPEN, Linked.UNPROTECTED])]
)
Index("ix_linked_by_exchange", legs.c.exchange, sqlite_where=LINKED_LEG, postgresql_where=LINKED_LEG)

UNLISTED_LEG = and_(
    legs.c.filled != literal_column("'0'"), or_(legs.c.listed.is_(None), legs.c.listed != legs.c.filled)
)
Index("ix_unlisted_by_exchange", legs.c.exchange, sqlite_where=UNLISTED_LEG, postgresql_where=UNLISTED_LEG)

fills = Table(
    "fills",
    metadata,
    Column("exchange", String, primary_key=True),
    Column("symbol", String, primary_key=True),
    Column("trade_id", String, primary_key=True),
    Column("side", String, primary_key=True),
    Column("order_id", ForeignKey("orders.order_id"), nullable=False),
    Column("leg", Integer, nullable=False),
    Column("quantity", Text, nullable=False),
    Column("price", Text, nullable=False),
    Column("fee", Text),
    Column("fee_coin", String),
    Column("maker", Boolean),
    Column("at_s", Float, nullable=False),
)
Index("ix_fills_by_order", fills.c.order_id, fills.c.leg)

traded = Table(
    "traded",
    metadata,
    Column("exchange", String, primary_key=True),
    Column("symbol", String, primary_key=True),
    Column("base", String, nullable=False),
    Column("quote", String, nullable=False),
    Column("settle", String),
    Column("market_type", String, nullable=False),
    Column("attributed", Text),
    Column("last_s", Float, nullable=False),
    Column("adopted", Text),
    Column("beside", Text),
    Column("moved", Text),
)

adjustments = Table(
    "adjustments",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("exchange", String, nullable=False),
    Column("symbol", String, nullable=False),
    Column("market_type", String, nullable=False),
    Column("quantity", Text, nullable=False),
    Column("ours", Text, nullable=False),
    Column("kind", String, nullable=False),
    Column("words", String, nullable=False),
    Column("at_s", Float, nullable=False),
    sqlite_autoincrement=True,
)

ended = Table(
    "ended",
    metadata,
    Column("state", String, primary_key=True),
    Column("legs", Integer, nullable=False),
)

routes = Table(
    "routes",
    metadata,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("exchange", String),
    Column("fenced_s", Float, nullable=False),
    Column("committed_s", Float),
)

switches = Table(
    "switches",
    metadata,
    Column("switch_id", Integer, primary_key=True),
    Column("body", Text, nullable=False),
    Column("finished", Boolean, nullable=False),
)
UNFINISHED = switches.c.finished == literal_column("0")
Index("ix_unfinished", switches.c.switch_id, sqlite_where=UNFINISHED)

controls = Table(
    "controls",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
    Column("at_s", Float, nullable=False),
)

history = Table(
    "history",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("at_s", Float, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("step", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("at_s", Float, nullable=False),
    Column("kind", String, nullable=False),
    Column("order_id", String),
    Column("leg", Integer),
    Column("exchange", String),
    Column("epoch", Integer),
    Column("detail", Text, nullable=False),
    Column("strategy", String),
    Column("number", Integer),
    Column("checksum", Integer),
    sqlite_autoincrement=True,
)
heard = Table(
    "heard",
    metadata,
    Column("strategy", String, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("at_s", Float, nullable=False),
)

_told = events.c.number.is_not(None)
SET_ASIDE = events.c.kind == literal_column("'set_aside'")
Index("ix_set_aside", events.c.order_id, events.c.leg, sqlite_where=SET_ASIDE, postgresql_where=SET_ASIDE)
EXCEEDED = events.c.kind == literal_column("'excess'")
Index("ix_exceeded", events.c.order_id, sqlite_where=EXCEEDED, postgresql_where=EXCEEDED)
Index("ix_told", events.c.strategy, events.c.number, unique=True, sqlite_where=_told, postgresql_where=_told)


def facts_of(core: Connection) -> dict[str, str]:
    """What a journal says of itself, by name; nothing where it is a new one. Reads only."""
    if not inspect(core).has_table(meta.name):
        return {}
    return {row.name: row.value for row in core.execute(select(meta))}


def make_schema(core: Connection) -> dict[str, str]:
    """Makes a new journal's tables, unless somebody was quicker; to be called with the write lock held.

    Returns what the journal says of itself from now on.
    """
    metadata.create_all(core, checkfirst=True)
    found = facts_of(core)
    if not found:
        found = {"schema_version": str(SCHEMA_VERSION), "journal_id": secrets.token_hex(4)}
        core.execute(insert(meta), [{"name": name, "value": value} for name, value in found.items()])
    return _upgraded(core, found)


INDEXED = {
    2: ("ix_linked_by_exchange",),
    3: (
        "ix_unlisted_by_exchange",
        "ix_told",
        "ix_orders_by_market",
        "ix_aside",
        "ix_unknown",
        "ix_unfinished",
        "ix_set_aside",
        "ix_exceeded",
    ),
    4: ("ix_between", "ix_attached"),
}
"""Indexes by the version that brought them."""

MADE = {3: (fills, heard, traded, ended), 4: (adjustments, controls, history)}
"""Tables likewise."""

ADDED = {
    2: (
        orders.c.trigger_kind,
        orders.c.trigger_price,
        orders.c.trigger_by,
        legs.c.linked,
        legs.c.price,
        legs.c.trigger_price,
        legs.c.whole,
        legs.c.most,
    ),
    3: (legs.c.listed, legs.c.cancel_asked_s, legs.c.wanted, events.c.strategy, events.c.number, events.c.checksum),
    4: (legs.c.carry_s, legs.c.unflagged, traded.c.adopted, traded.c.beside, traded.c.moved),
}
"""Columns by the version that brought them, each empty in what was written before."""


def _upgraded(core: Connection, found: dict[str, str]) -> dict[str, str]:
    """Brings an older journal to this schema, in the transaction that is open: all of it or nothing."""
    written = int(found["schema_version"])
    if written >= SCHEMA_VERSION:
        return found
    fresh = {table for version, made in MADE.items() if version > written for table in made}
    for version in range(written + 1, SCHEMA_VERSION + 1):
        for column in (each for each in ADDED[version] if each.table not in fresh):
            kind = column.type.compile(core.dialect)
            core.execute(text(f"ALTER TABLE {column.table.name} ADD COLUMN {column.name} {kind}"))
        if version == 3:  # what filled before there were fills to list is not asked for any more
            core.execute(update(legs).where(legs.c.filled != "0").values(listed=legs.c.filled))
            for replaced in ("ix_orders_by_age", "ix_live_by_exchange"):
                core.execute(text(f"DROP INDEX IF EXISTS {replaced}"))
            sum_up(core)
        for index in orders.indexes | legs.indexes | events.indexes | switches.indexes:
            if index.name in INDEXED.get(version, ()):
                index.create(core, checkfirst=True)
    core.execute(update(meta).where(meta.c.name == "schema_version").values(value=str(SCHEMA_VERSION)))
    return {**found, "schema_version": str(SCHEMA_VERSION)}


def sum_up(core: Connection) -> None:
    """Writes what all legs add up to into `traded` and `ended`, which are empty."""
    db = core.connection.driver_connection
    assert isinstance(db, sqlite3.Connection)
    markets, states = add_up(db)
    rows = [
        {
            **dict(zip(("exchange", "base", "quote", "settle", "market_type"), market, strict=True)),
            "symbol": each.symbol,
            "attributed": each.attributed_text,
            "last_s": each.last_s,
        }
        for market, each in markets.items()
    ]
    for table, found in ((traded, rows), (ended, [{"state": state, "legs": n} for state, n in states.items()])):
        if found:
            core.execute(insert(table), found)
