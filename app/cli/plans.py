"""What a verb did, or would do, for people: sentences, and a table of each kind of thing there is."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from app.cli.output import plain, table, when

if TYPE_CHECKING:
    from rich.console import RenderableType

    from app.core.shapes import Candidate, Plan, PlannedOrder, PositionStays, Steered

MAX_ROWS = 200
"""Of orders or slices in one table; the rest is counted."""


def steered_view(came: Steered) -> RenderableType:
    """What came of a verb."""
    parts: list[RenderableType] = []
    plan = came["plan"]
    if plan is not None:
        parts += [Text("Dry run: nothing was done.", style="bold"), Text(plain(came["words"]))]
        parts += plan_views(plan)
    else:
        parts.append(Text(plain(came["words"]), style="" if came["done"] else "yellow"))
    if came["orders_left"]:
        rows = [(o["orderId"], o["symbol"], o["leavesQty"], o["state"]) for o in came["orders_left"][:MAX_ROWS]]
        parts += [Text(""), table(("may still be live", "symbol", "left", "state"), rows, right=("left",))]
        parts += _more(came["orders_left"])
    if came["positions_left"]:
        parts += [Text(""), _stay(came["positions_left"])]
    if came["controls"]:
        parts.append(Text(""))
        parts += [Text(plain(words), style="yellow") for words in came["controls"]]
    return Group(*parts)


def plan_views(plan: Plan) -> list[RenderableType]:
    """What would be done."""
    parts: list[RenderableType] = []
    if plan["candidates"]:
        parts += [Text(""), candidates_view(plan["candidates"])]
    kinds = (
        (f"placed on {plan['to_exchange']}", plan["carried"]),
        ("parked", plan["parked"]),
        ("cancelled", plan["cancelled"]),
        ("stay", plan["stays"]),
    )
    for heading, orders in kinds:
        if orders:
            parts += [Text(""), _orders(f"{heading}: {len(orders)}", orders), *_more(orders)]
    if plan["carried"]:
        parts.append(Text(f"worth {_money(plan['notional'])} in quote coin, by their own prices"))
    if plan["slices"]:
        rows = [
            (
                number,
                each["symbol"],
                f"{'long' if each['side'] == 'Buy' else 'short'} {each['qty']}",
                _step(each["from_exchange"], each["closeLimit"]),
                _step(each["to_exchange"], each["openLimit"]),
                _money(each["notional"]),
            )
            for number, each in enumerate(plan["slices"][:MAX_ROWS], start=1)
        ]
        columns = ("slice", "symbol", "position", "closed on", "opened on", "worth")
        parts += [Text(""), table(columns, rows, right=("slice", "worth")), *_more(plan["slices"])]
        worth, cost = _money(plan["positions_notional"]), _money(plan["positions_cost"])
        parts.append(Text(f"positions worth {worth}, expected to cost {cost} in spread, without fees, in quote coin"))
    if plan["positions_stay"]:
        parts += [Text(""), _stay(plan["positions_stay"])]
    if plan["words"]:
        parts.append(Text(""))
        parts += [Text(plain(words), style="yellow") for words in plan["words"]]
    return parts


def candidates_view(candidates: Sequence[Candidate]) -> RenderableType:
    """How ready the exchanges are that are not in use."""
    rows = [
        (
            each["exchange"],
            Text("ready", style="green") if each["ready"] else Text("not ready", style="red"),
            when(each["time"]) or "never",
            " ".join(each["problems"]) or "; ".join(note.rstrip(".") for note in [*each["shortfalls"], *each["notes"]]),
        )
        for each in candidates
    ]
    return table(("backup", "readiness", "asked", "what was found"), rows)


def _orders(heading: str, orders: Sequence[PlannedOrder]) -> RenderableType:
    rows = [
        (
            each["orderId"],
            each["exchange"],
            f"{each['side']} {each['leavesQty']} {each['symbol']} {'at ' + each['price'] if each['price'] else ''}",
            each["strategy"],
            each["words"],
        )
        for each in orders[:MAX_ROWS]
    ]
    return table((heading, "exchange", "what is left", "strategy", "why"), rows)


def _stay(stays: Sequence[PositionStays]) -> RenderableType:
    rows = [(each["exchange"], each["symbol"], each["size"], each["words"]) for each in stays]
    return table(("position stays on", "symbol", "size", "why"), rows, right=("size",))


def _step(exchange: str | None, limit: str) -> str:
    if exchange is None:
        return "-"
    return f"{exchange} at {limit} at worst" if limit else exchange


def _money(value: str) -> str:
    return f"{Decimal(value):,.2f}"


def _more(things: Sequence[object]) -> list[RenderableType]:
    return [Text(f"and {len(things) - MAX_ROWS} more")] if len(things) > MAX_ROWS else []
