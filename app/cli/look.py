"""`status`, `history`, `orders`, `positions`: what a running daemon knows."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from app.cli.attach import ConfigOption, JsonOption, StateDirOption, attached
from app.cli.exits import EX_CONFIG, EX_DATAERR, EX_USAGE, Ended

if TYPE_CHECKING:
    from rich.console import RenderableType

    from app.core.shapes import HistoryEntry, Order, Status

MOST_PROVEN = 10
"""Switches of which `history` shows what decided; all of them by --json."""
LEAST_INTERVAL_S = 0.1


def status(
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it until Ctrl-C.")] = False,
    interval_s: Annotated[
        float, typer.Option("--interval", metavar="SECONDS", help="Between two looks with --watch.")
    ] = 1.0,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Show what the health of each exchange rests on, too.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Show where trading is, how the exchanges are, and what is unresolved."""
    from app.cli.output import console, print_json
    from app.cli.watch import keep_showing

    if not LEAST_INTERVAL_S <= interval_s <= 3600:
        raise Ended(EX_USAGE, f"--interval is {interval_s:g}, and must be from {LEAST_INTERVAL_S:g} to 3600 seconds")
    with attached(config, state_dir) as router:
        if watch:
            return keep_showing(router, interval_s, as_json=json, evidence=evidence)
        found = router.get_status()
        if json:
            print_json(found)
        else:
            console().print(status_view(found, evidence=evidence))
    return 0


def history(
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write every step, chained by hashes, a JSON object a line."),
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option("--verify", metavar="FILE", help="Prove that the history goes on from an earlier export."),
    ] = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json: JsonOption = False,
) -> int:
    """Show every move of trading from one exchange to another, oldest first.

    With --export or --verify, read from the journal itself, for which no daemon need run: every step and verb, each row
    hashed with the one before. An export that is there already must be the beginning of what is written.
    """
    from app.cli.output import console, plain, print_json, styled, table, when

    if export is not None or verify is not None:
        return _chained(export, verify, config, state_dir, json)
    with attached(config, state_dir) as router:
        entries = router.get_failover_history()
    if json:
        print_json(entries)
        return 0
    if not entries:
        console().print("Trading has not moved yet.")
        return 0
    columns = ("when", "epoch", "from", "to", "result", "took", "went along", "left behind", "reason")
    rows = [
        (
            when(entry["timestamp"]),
            entry["epoch"],
            entry["from_exchange"],
            entry["to_exchange"] or "-",
            styled(entry["result"]),
            f"{entry['duration_s'] * 1000:.0f} ms",
            _went_along(entry),
            _left_behind(entry),
            _reason(entry),
        )
        for entry in entries
    ]
    console().print(table(columns, rows, right=("epoch", "took")))
    for entry in entries[-MOST_PROVEN:]:
        if entry["evidence"]:
            console().print(f"epoch {entry['epoch']}, what decided:", style="bold", markup=False)
        for piece in entry["evidence"]:
            console().print(f"  {plain(piece)}", markup=False)
    return 0


def _chained(export: Path | None, verify: Path | None, config: Path | None, state_dir: Path | None, json: bool) -> int:
    """Writes the history to a file, or holds one against it."""
    from app.cli.output import console, print_json
    from app.core.errors import InvalidRequest
    from app.core.export import export_history, verify_export
    from app.core.settings import settings

    if export is not None and verify is not None:
        raise Ended(EX_USAGE, "give one of --export and --verify: a history is exported, or held against an export")
    try:
        place = None if state_dir is None else state_dir.expanduser().absolute()
        found = settings(config, None, state_dir=place).config.router.state_dir
    except InvalidRequest as error:
        raise Ended(EX_CONFIG, str(error)) from None
    try:
        done = export_history(found, export) if export is not None else verify_export(found, verify or Path())
    except InvalidRequest as error:
        raise Ended(EX_DATAERR, str(error)) from None
    if json:
        print_json(done)
        return 0
    rows = "1 row" if done["rows"] == 1 else f"{done['rows']} rows"
    if export is not None:
        console().print(f"{rows} written to {done['path']}; the last one's hash, to be kept elsewhere:")
    else:
        console().print(f"The history goes on from {done['path']}, and is whole: {rows}, the last one's hash:")
    console().print(done["hash"])
    return 0


def _left_behind(entry: HistoryEntry) -> str:
    if not entry["finished"]:
        return "being settled"
    orders = _count(len(entry["orders_left"]), "order")
    if not entry["positions_read"]:
        return f"{orders}, positions unread"
    return f"{orders}, {_count(len(entry['positions_left']), 'position')}"


def _went_along(entry: HistoryEntry) -> str:
    said = [_count(len(entry["orders_carried"]), "order")]
    if entry["orders_parked"]:
        said.append(f"{len(entry['orders_parked'])} parked")
    if entry["positions_moved"]:
        said.append(_count(len({moved["symbol"] for moved in entry["positions_moved"]}), "position"))
    return ", ".join(said)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _reason(entry: HistoryEntry) -> str:
    rejected = "; ".join(f"{name} passed over: {why}" for name, why in entry["candidates_rejected"].items())
    return f"{entry['reason']} ({rejected})" if rejected else entry["reason"]


def orders(config: ConfigOption = None, state_dir: StateDirOption = None, json: JsonOption = False) -> int:
    """Show the orders of every strategy that are, or may be, live on any exchange."""
    from app.cli.output import console, print_json, styled, table, when

    with attached(config, state_dir) as router:
        found = router.get_open_orders(all_strategies=True)
    if json:
        print_json(found)
        return 0
    if not found:
        console().print("No order is live.")
        return 0
    columns = ("exchange", "order", "filled", "status", "strategy", "created")
    rows = [
        (
            *(order["exchange"], _order(order), order["cumExecQty"], styled(order["orderStatus"])),
            *(order["strategy"], when(order["createdTime"])),
        )
        for order in found
    ]
    console().print(table(columns, rows, right=("filled",)))
    return 0


def _order(order: Order) -> Text:
    """What it is, and under it the id to ask by; of one that is parked also why."""
    from app.cli.output import plain

    at = f"at {order['price']}" if order["price"] else "at market"
    reduce = ", reduce only" if order["reduceOnly"] else ""
    why = f"\n{plain(order['rejectReason'])}" if order["orderStatus"] == "Parked" else ""
    what = f"{order['side']} {order['qty']} {order['symbol']} {at}{reduce}\n"
    return Text.assemble(what, (order["orderId"], "dim"), why)


def positions(config: ConfigOption = None, state_dir: StateDirOption = None, json: JsonOption = False) -> int:
    """Show the positions on the exchange in use, and the router's book of all exchanges."""
    from app.cli.output import console, print_json, table, when

    with attached(config, state_dir) as router:
        found = router.get_positions()
        state = router.get_status()
    book = state["book"]
    if json:
        facts = {"net": state["net"], "alarms": state["position_alarms"], "differences": state["position_differences"]}
        print_json({"exchange": state["current_exchange"], "positions": found, "book": book} | facts)
        return 0
    out = console()
    if found:
        columns = ("exchange", "symbol", "side", "size", "entry", "mark", "leverage", "unrealised")
        rows = [
            (
                *(p["exchange"], p["symbol"], p["side"], p["size"], p["avgPrice"], p["markPrice"]),
                *(p["leverage"], p["unrealisedPnl"]),
            )
            for p in found
        ]
        out.print(table(columns, rows, right=columns[3:]))
    else:
        out.print(f"No position on {state['current_exchange'] or 'any exchange: trading is between two'}.")
    if book:
        out.print()
        out.print(book_view([*book, *state["net"]]))
    for each in state["position_differences"]:
        out.print(Text(f"{when(each['timestamp'])}  {each['words']}", style="" if each["adopted"] else "yellow"))
    for alarm in state["position_alarms"]:
        out.print(Text(alarm["words"], style="red"))
    return 0


# ---- views ----------------------------------------------------------------------------------------------------------


def book_view(book: Any) -> RenderableType:
    """The book: per exchange and symbol, and over all of them, what is to be there and is, what of that is ours, and
    how far it may still move."""
    from app.cli.output import table, when
    from app.core.spelling import number

    columns = ("book", "symbol", "target", "actual", "ours", "others'", "at least", "at most", "read")
    rows = [
        (
            *(e["exchange"] or "all", e["symbol"], e["target"] or "-", e["actual"] or "-"),
            *(number(Decimal(e["attributed"]) + Decimal(e["adopted"])), e["foreign"]),
            *(e["possible_min"], e["possible_max"], when(e["timestamp"]) or "never"),
        )
        for e in book
    ]
    return table(columns, rows, right=columns[2:])


def status_view(found: Status, *, evidence: bool = False) -> RenderableType:
    """The whole status, for people; with `evidence` also what the health of each exchange rests on."""
    from rich.console import Group

    from app.cli.health_view import evidence_view, health_notes, health_table
    from app.cli.output import plain, styled, table
    from app.cli.plans import candidates_view

    where = found["current_exchange"]
    head = Text.assemble(
        styled(found["status"]),
        f": trading on {where}" if where else ": trading on no exchange",
        f" (epoch {found['epoch']}, automatic failover {'on' if found['auto_failover'] else 'off'})",
    )
    parts: list[RenderableType] = [head]
    if found["words"]:
        parts.append(Text(plain(found["words"]), style="yellow"))
    parts += [Text(plain(words), style="bold red") for words in found["controls"]]
    parts += [Text(""), health_table(found), *health_notes(found)]
    if evidence:
        parts += [Text(""), *evidence_view(found)]
    if found["readiness"]:
        parts += [Text(""), candidates_view(found["readiness"])]
    parts += [Text(""), Text(f"orders, each once on every exchange it was on: {_counts(found['orders'])}")]
    oldest_s = found["unknown_oldest_s"]
    if oldest_s is not None:
        parts.append(Text(f"unresolved: the oldest for {oldest_s:.1f} s", style="yellow"))
    if found["unprotected"]:
        parts.append(Text(f"without take profit or stop loss that was asked for: {found['unprotected']}", style="red"))
    for alarm in found["position_alarms"]:
        parts.append(Text(alarm["words"], style="red"))
    if found["excess"]:
        parts.append(Text(f"filled beyond what was asked for: {found['excess']}", style="red"))
    if found["held_notional"] != "0":
        parts.append(Text(f"may execute twice, by unknown_policy: {found['held_notional']}", style="yellow"))
    for name, switch in found["dead_man"].items():
        words = plain(switch["words"]) or f"armed, of {switch['timeout_s']:g} s"
        parts.append(Text(f"dead-man switch of {name}: {words}", style="yellow" if switch["words"] else ""))
    if found["limits"]:
        limits = ", ".join(f"{name} {value}" for name, value in found["limits"].items())
        parts.append(Text(f"limits before sending: {limits}"))
    if found["book"]:
        parts += [Text(""), book_view(found["book"])]
    actors = [(_actor(actor["name"]), actor["pid"] or "-", actor["restarts"]) for actor in found["actors"]]
    parts += [Text(""), table(("actor", "pid", "restarts"), actors, right=("pid", "restarts"))]
    return Group(*parts)


def _actor(name: str) -> str:
    """`connector:okx` as "connector okx"; one of a kind by its role alone."""
    role, _, own = name.partition(":")
    return role if role == own else f"{role} {own}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none yet"
