"""The books of an exchange as JSON: to dump and load it whole, and to keep it on disk change by change.

A dump says everything that an engine knows: orders, fills, positions, balances, settings, countdowns, prices, and the
numbers from which ids go on. A change has the same shape with the orders and fills that are new; `merge` puts a dump
and its changes together. So an exchange that is killed comes back with its books, and goes on counting where it was.
Decimals are strings. Pure; who writes files is `keeping`.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from attrs import define
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from app.simulator.engine import MAIN, Engine
from app.simulator.model import Entry, Fill, Order, Position, PositionSide
from app.simulator.venue import Funding, Maintenance, Venue

VERSION = 1


class BadBooks(ValueError):
    """What should be the books of this exchange are none; the text says why."""


@define(kw_only=True)
class _Market:
    """What the accounts share."""

    prices: dict[str, Decimal]
    pinned_marks: dict[str, Decimal]
    level_qty: dict[str, Decimal | None]
    suspended: list[str]
    maintenance: str | None
    maintenance_begin_ms: int = 0
    maintenance_end_ms: int | None = None
    lag_ms: int
    funding: Funding
    orders_made: int
    fills_made: int
    numbers: int


@define(kw_only=True)
class _Account:
    """Everything of an account but orders, fills and entries."""

    balances: dict[str, Decimal]
    positions: list[Position]
    isolated: list[str]
    hedged: list[str]
    account_due_ms: int | None
    symbol_due_ms: dict[str, int]
    covered: dict[str, Decimal]
    pairs: dict[str, list[str]]


def _converter() -> Converter:
    made = Converter(forbid_extra_keys=True)
    made.register_unstructure_hook(Decimal, str)
    made.register_structure_hook(Decimal, lambda raw, _: Decimal(raw))
    made.register_unstructure_hook(Order, make_dict_unstructure_fn(Order, made, last_fill=override(omit=True)))
    made.register_structure_hook(Order, make_dict_structure_fn(Order, made, last_fill=override(omit=True)))
    return made


_CONVERTER = _converter()
_FILL_DECIMALS = ("qty", "price", "fee", "realised_pnl")


def _fill_raw(fill: Fill) -> dict[str, Any]:
    return {
        "trade_id": fill.trade_id,
        "seq": fill.seq,
        "order": fill.order.order_id,
        "qty": str(fill.qty),
        "price": str(fill.price),
        "fee": str(fill.fee),
        "fee_coin": fill.fee_coin,
        "is_maker": fill.is_maker,
        "realised_pnl": str(fill.realised_pnl),
        "ts_ms": fill.ts_ms,
    }


def _market_raw(venue: Venue) -> Any:
    down = venue.maintenance
    return _CONVERTER.unstructure(
        _Market(
            prices=venue.prices,
            pinned_marks=venue.pinned_marks,
            level_qty=venue.level_qty,
            suspended=sorted(venue.suspended),
            maintenance=None if down is None else down.words,
            maintenance_begin_ms=0 if down is None else down.begin_ms,
            maintenance_end_ms=None if down is None else down.end_ms,
            lag_ms=venue.lag_ms,
            funding=venue.funding,
            orders_made=venue.orders_made,
            fills_made=venue.fills_made,
            numbers=venue.numbers,
        )
    )


class Books:
    """The books of one exchange. `main` is its first account; the others are found on its venue."""

    def __init__(self, main: Engine) -> None:
        self._main = main
        self._told: dict[str, tuple[int, int]] = {}
        """Fills and entries that `changes` has told, by account."""

    # ---- out --------------------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """Everything."""
        accounts = {}
        for name, engine in self._engines().items():
            accounts[name] = self._account(engine, list(engine.all_orders()), engine.fills, list(engine.ledger.entries))
        return {"version": VERSION, "market": _market_raw(self._main.venue), "accounts": accounts}

    def follow(self) -> None:
        """Begin to note changes, from now."""
        for name, engine in self._engines().items():
            engine.changed = {}
            self._told[name] = (len(engine.fills), engine.ledger.entries_made)

    def changes(self) -> dict[str, Any]:
        """What changed since `follow` or the last call; the shape of a dump, with new orders and fills only."""
        accounts = {}
        for name, engine in self._engines().items():
            fills, entries = self._told.get(name, (0, 0))
            changed = engine.changed if engine.changed is not None else {o.order_id: o for o in engine.all_orders()}
            fresh = engine.ledger.entries_made - entries
            last = list(engine.ledger.entries)[-fresh:] if fresh else []
            accounts[name] = self._account(engine, list(changed.values()), engine.fills[fills:], last)
            engine.changed = {}
            self._told[name] = (len(engine.fills), engine.ledger.entries_made)
        return {"version": VERSION, "market": _market_raw(self._main.venue), "accounts": accounts}

    def _engines(self) -> dict[str, Engine]:
        return {name: a for name, a in self._main.venue.accounts.items() if isinstance(a, Engine)}

    def _account(self, engine: Engine, orders: list[Order], fills: list[Fill], entries: list[Entry]) -> dict[str, Any]:
        ledger, due = engine.ledger, engine.dead_man.due
        covered, pairs = engine.linked_state()
        account = _Account(
            balances=ledger.balances,
            positions=list(ledger.positions.values()),
            isolated=sorted(ledger.isolated),
            hedged=sorted(ledger.hedged),
            account_due_ms=due.get(None),
            symbol_due_ms={symbol: at_ms for symbol, at_ms in due.items() if symbol is not None},
            covered=covered,
            pairs=pairs,
        )
        return {
            "account": _CONVERTER.unstructure(account),
            "orders": _CONVERTER.unstructure(orders),
            "fills": [_fill_raw(f) for f in fills],
            "entries": _CONVERTER.unstructure(entries),
        }

    # ---- in ---------------------------------------------------------------------------------------------------------

    def load(self, dump: Mapping[str, Any]) -> None:
        """Put a dump into an exchange on which nothing happened yet. Raises BadBooks; then nothing may be relied on."""
        if self._main.venue.orders_made or len(self._main.venue.accounts) != 1:
            raise BadBooks("Books can be loaded only before anything happened on the exchange.")
        if dump.get("version") != VERSION:
            raise BadBooks(f"The books are of version {dump.get('version')!r}; {VERSION} can be read.")
        try:
            market = _CONVERTER.structure(dump["market"], _Market)
            if set(market.prices) != set(self._main.venue.markets):
                raise BadBooks(f"The books are of other markets: {', '.join(sorted(market.prices))}.")
            self._market(market)
            for name, raw in dump["accounts"].items():
                engine = self._main if name == MAIN else self._main.new_account(name)
                self._restore(engine, raw)
        except BadBooks:
            raise
        except Exception as error:  # whatever a hand-made file does to the converter: one sentence for it
            raise BadBooks(f"The books cannot be read: {type(error).__name__}: {error}.") from error

    def _market(self, market: _Market) -> None:
        venue = self._main.venue
        venue.prices.update(market.prices)
        venue.pinned_marks.update(market.pinned_marks)
        venue.level_qty.update(market.level_qty)
        venue.suspended.update(market.suspended)
        venue.lag_ms, venue.funding = market.lag_ms, market.funding
        if market.maintenance is not None:
            begin_ms, end_ms = market.maintenance_begin_ms, market.maintenance_end_ms
            venue.maintenance = Maintenance(words=market.maintenance, begin_ms=begin_ms, end_ms=end_ms)
        venue.orders_made, venue.fills_made, venue.numbers = market.orders_made, market.fills_made, market.numbers

    def _restore(self, engine: Engine, raw: Mapping[str, Any]) -> None:
        account = _CONVERTER.structure(raw["account"], _Account)
        orders = _CONVERTER.structure(raw["orders"], list[Order])
        entries = _CONVERTER.structure(raw["entries"], list[Entry])
        ledger = engine.ledger
        ledger.balances = dict(account.balances)
        ledger.positions = {(p.symbol, PositionSide(p.side)): p for p in account.positions}
        ledger.isolated, ledger.hedged = set(account.isolated), set(account.hedged)
        ledger.entries.extend(entries)
        ledger.entries_made = len(entries)
        engine.dead_man.due.update(account.symbol_due_ms)
        if account.account_due_ms is not None:
            engine.dead_man.due[None] = account.account_due_ms
        by_id = {o.order_id: o for o in orders}
        engine.restore(
            sorted(orders, key=lambda o: o.seq),
            [_fill(f, by_id[f["order"]]) for f in raw["fills"]],
            account.covered,
            {parent: [by_id[i] for i in ids] for parent, ids in account.pairs.items()},
        )


def _fill(raw: Mapping[str, Any], order: Order) -> Fill:
    fields: dict[str, Any] = {k: Decimal(v) if k in _FILL_DECIMALS else v for k, v in raw.items() if k != "order"}
    return Fill(order=order, symbol=order.symbol, side=order.side, **fields)


def merge(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A dump and the changes after it, oldest first, as one dump. Raises BadBooks if there is nothing or no dump."""
    whole: dict[str, Any] = {}
    orders: dict[str, dict[str, Any]] = {}
    try:
        for part in parts:
            whole |= {k: v for k, v in part.items() if k != "accounts"}
            accounts = whole.setdefault("accounts", {})
            for name, raw in part["accounts"].items():
                known = accounts.setdefault(name, {"fills": [], "entries": []})
                known["account"] = raw["account"]
                known["fills"] += raw["fills"]
                known["entries"] += raw["entries"]
                orders.setdefault(name, {}).update({o["order_id"]: o for o in raw["orders"]})
    except (KeyError, TypeError, AttributeError) as error:
        raise BadBooks(f"The books lack {error}.") from error
    if not whole:
        raise BadBooks("The books are empty.")
    for name, known in whole["accounts"].items():
        known["orders"] = list(orders[name].values())
    return whole
