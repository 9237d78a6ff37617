"""What was seen of a real run, as the harness' own checkers take it, and what they say.

Orders and their ends are what the simulated exchanges' engines have; routes, and which commit came before which, the
journal's own events; what was asked and heard, the strategies' diaries; what was sent, the connectors'.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from attrs import evolve

from app.domain import ids
from app.fuzz import record as r
from app.fuzz.checker import Seen, check
from app.fuzz.checker_again import again_violations
from app.fuzz.checker_news import Violation
from app.fuzz.fill_check import fills_heard, fills_kept
from app.fuzz.leaks import kept_wrongly, unfinished
from app.fuzz.model import model_violations
from app.fuzz.plan import Plan
from app.fuzz.sim_orders import SimOrder, SimTrade
from app.fuzz.world import World
from app.journal.store import Journal
from messages.market import MarketType, Symbol
from messages.orders import LegState, OrderKey, OrderSpec, OrderType, Side, TimeInForce
from tests.real.diary import TURNED_AWAY

MAX_LEGS = 12
JUDGED = (
    "app.fuzz.checker: I1, I2, I3, news and liveness",
    "app.fuzz.checker_again: another id after absence",
    "app.fuzz.model: whatever is told is among what the model allows",
    "app.fuzz.fill_check: executions in the journal and as told are the exchanges'",
    "app.fuzz.leaks: the journal proves itself, its sums are right, and no switch is unfinished",
)
NOT_JUDGED = (
    "app.fuzz.model: the one right answer of quiet spans; the timing of a real machine has none",
    "app.fuzz.leaks: what is left in the actors' memory, which nobody outside sees",
    "app.fuzz.checker_carry, _moves, _book, _ill, own_network: of profiles that are not played",
    "app.fuzz.checker, I2 not resolved: within what is left of the run, which is less than its 30 s",
)

_BTC = Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
_STATES = {
    "open": LegState.OPEN,
    "partially_filled": LegState.PARTIALLY_FILLED,
    "filled": LegState.FILLED,
    "cancelled": LegState.CANCELLED,
    "expired": LegState.EXPIRED,
    "rejected": LegState.REFUSED,
}


def seen_of(
    plan: Plan,
    facts: Sequence[r.Fact],
    truths: Mapping[str, dict[str, Any]],
    requests: Mapping[str, Sequence[dict[str, Any]]],
    journal: Journal,
    start_s: float,
    end_s: float,
) -> Seen:
    """What the checkers go by.

    Args:
        plan: In real seconds.
        facts: Of all diaries, by time.
        truths: What each exchange's engine has, at the end.
        requests: Each exchange's log.
        journal: As it was left.
    """
    serials = _serials(plan, journal.journal_id)
    orders, sent_expiry = [], {fact.wire_id: fact.expiry_s for fact in facts if isinstance(fact, r.Sent)}
    for exchange, truth in truths.items():
        for order in truth["orders"]:
            wire_id = order["client_order_id"]
            serial = serials.get(wire_id)
            if serial is not None:
                orders.append(_order(exchange, serial, order, truth["fills"], sent_expiry.get(wire_id, float("inf"))))
    refused = [
        (each["ts_ms"] / 1000, serials[each["client_order_id"]])
        for log in requests.values()
        for each in log
        if each["call"] == "place" and each["fault"] == "suspended" and each["client_order_id"] in serials
    ]
    known = [evolve(f, serial=serials.get(f.wire_id, 0)) if isinstance(f, r.Sent) else f for f in facts]
    return Seen(
        plan=absolute(plan, start_s),
        facts=tuple(in_order(known, list(_events(journal)))),
        orders=tuple(orders),
        start_s=start_s,
        calm_s=start_s + plan.times.calm_s,
        end_s=end_s,
        given={
            each.name: tuple(news.number for news in journal.told_after(each.name, 0, 1_000_000).news)
            for each in plan.strategies
        },
        refused=tuple(sorted(refused)),
        turned_away=tuple((f.at_s, f.words) for f in facts if isinstance(f, r.Note) and f.who == TURNED_AWAY),
    )


def violations_of(seen: Seen, journal: Journal) -> tuple[Violation, ...]:
    """What the checkers say of it, the earliest first."""
    exchanges = {
        traits.name: SimpleNamespace(traits=traits, orders=[o for o in seen.orders if o.exchange == traits.name])
        for traits in seen.plan.traits
    }
    world = cast(
        World, SimpleNamespace(journal=journal, exchanges=exchanges, scheduler=SimpleNamespace(now_s=seen.end_s))
    )
    found = [
        *check(seen),
        *again_violations(seen),
        *model_violations(seen),
        *fills_kept(world),
        *fills_heard(seen),
        *kept_wrongly(journal, seen.end_s),
        *unfinished(journal, seen.end_s),
    ]
    return tuple(sorted(found, key=lambda violation: violation.at_s))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Journal]:
    """The journal of a daemon that has ended."""
    journal = Journal(path, make=False)
    try:
        yield journal
    finally:
        journal.close()


def in_order(facts: Sequence[r.Fact], events: Sequence[tuple[str, str, float, r.Routed | None]]) -> list[r.Fact]:
    """All facts by time, but commits as the journal has them: clocks of two processes do not say which came first.

    What was sent belongs to its commit: the last of its leg's that was not after the moment it was committed for.

    Args:
        events: Of the journal, in its order: "intent" or "routed", the wire id of an intent, when, and the route.
    """
    sent: dict[tuple[str, int], list[r.Sent]] = {}
    intents: dict[str, list[tuple[int, float]]] = {}
    for number, (kind, wire_id, at_s, _) in enumerate(events):
        if kind == "intent":
            intents.setdefault(wire_id, []).append((number, at_s))
    unknown: list[r.Fact] = []
    for fact in facts:
        if isinstance(fact, r.Sent):
            mine = [number for number, at_s in intents.get(fact.wire_id, ()) if at_s <= fact.committed_s + 0.001]
            if mine:
                sent.setdefault((fact.wire_id, mine[-1]), []).append(fact)
            else:
                unknown.append(fact)
        else:
            unknown.append(fact)
    keyed: list[tuple[float, r.Fact]] = [(fact.at_s, fact) for fact in unknown]
    last_s = 0.0
    for number, (_, wire_id, _, route) in enumerate(events):
        for fact in (route,) if route is not None else sent.get((wire_id, number), ()):
            last_s = max(last_s, fact.at_s)
            keyed.append((last_s, fact))
    return [fact for _, fact in sorted(keyed, key=lambda pair: pair[0])]


def _events(journal: Journal) -> Iterator[tuple[str, str, float, r.Routed | None]]:
    wires = {
        (row["order_id"], row["number"]): row["wire_id"] for row in _rows(journal, "order_id, number, wire_id", "legs")
    }
    columns = "sequence, kind, at_s, order_id, leg, exchange, epoch"
    for row in _rows(journal, columns, "events ORDER BY sequence"):
        match row["kind"]:
            case "intent":
                yield "intent", wires.get((row["order_id"], row["leg"]), ""), row["at_s"], None
            case "fence":
                yield "routed", "", row["at_s"], r.Routed(row["at_s"], row["epoch"], None)
            case "route":
                yield "routed", "", row["at_s"], r.Routed(row["at_s"], row["epoch"], row["exchange"])


def _rows(journal: Journal, columns: str, table: str) -> Iterator[Any]:
    yield from journal._db.execute(f"SELECT {columns} FROM {table}")


def _serials(plan: Plan, journal_id: str) -> dict[str, int]:
    keys = [
        (serial, OrderKey(strategy=strategy.name, client_order_id=order.client_order_id))
        for strategy in plan.strategies
        for serial, order in strategy.orders.items()
    ]
    return {ids.wire_id(journal_id, key, leg): serial for serial, key in keys for leg in range(1, MAX_LEGS)}


def absolute(plan: Plan, start_s: float) -> Plan:
    """As the checkers have it: orders at a time of the clock, everything else since the start."""
    strategies = tuple(
        evolve(
            each,
            orders={serial: evolve(order, at_s=start_s + order.at_s) for serial, order in each.orders.items()},
            final_get_s=start_s + each.final_get_s,
        )
        for each in plan.strategies
    )
    return evolve(plan, strategies=strategies)


def _order(
    exchange: str, serial: int, order: dict[str, Any], fills: Sequence[dict[str, Any]], expiry_s: float
) -> SimOrder:
    quantity, price = Decimal(order["qty"]), order["price"]
    side = Side.BUY if order["side"] == "buy" else Side.SELL
    made = SimOrder(
        exchange=exchange,
        serial=serial,
        wire_id=order["client_order_id"],
        exchange_order_id=order["order_id"],
        symbol=_BTC,
        side=side,
        quantity=quantity,
        accepted_s=order["created_ms"] / 1000,
        expiry_s=expiry_s,
        spec=OrderSpec(
            symbol=_BTC,
            side=side,
            order_type=OrderType.LIMIT if price is not None else OrderType.MARKET,
            quantity=quantity,
            price=None if price is None else Decimal(price),
            time_in_force=TimeInForce(order["tif"]),
        ),
    )
    made.change(made.accepted_s, LegState.OPEN, Decimal(0))
    filled = Decimal(0)
    for fill in fills:
        if fill["order_id"] != order["order_id"]:
            continue
        at_s, part = fill["ts_ms"] / 1000, Decimal(fill["qty"])
        filled += part
        made.trades.append(
            SimTrade(trade_id=fill["trade_id"], at_s=at_s, listed_s=at_s, quantity=part, price=Decimal(fill["price"]))
        )
        made.change(at_s, LegState.FILLED if filled == quantity else LegState.PARTIALLY_FILLED, filled)
    state = _STATES[order["status"]]
    if made.state is not state:
        made.change(order["updated_ms"] / 1000, state, filled)
    return made


def told(violations: Sequence[Violation], start_s: float) -> str:
    """For people."""
    return "\n".join(f"{v.at_s - start_s:7.3f} s  order {v.serial}: {v.rule}: {v.words}" for v in violations)


def kept(found: Mapping[str, Any]) -> str:
    """As JSON."""
    return json.dumps(found, indent=1) + "\n"
