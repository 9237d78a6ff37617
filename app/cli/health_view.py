"""How the exchanges are, for people: a table, what is out of the ordinary, and on request all that it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.text import Text

from app.cli.output import milliseconds, plain, styled, table, when

if TYPE_CHECKING:
    from rich.console import RenderableType

    from app.core.shapes import ExchangeHealth, Status


def in_order(found: Status) -> Mapping[str, ExchangeHealth]:
    """Health by exchange: the primary first, then in the order trading would move."""
    names = [found["primary_exchange"], *found["failover_exchanges"]]
    health = found["exchange_health"]
    return {name: health[name] for name in names if name in health}


def health_table(found: Status) -> RenderableType:
    """A line for each exchange; the one in use has a star."""
    where = found["current_exchange"]
    rows = [
        (
            f"{name}{' *' if name == where else ''}",
            styled(health["state"]),
            milliseconds(health["latency_ms"]),
            milliseconds(health["clock_offset_ms"]),
            when(health["last_ok"]) or "never",
            health["reason"],
        )
        for name, health in in_order(found).items()
    ]
    columns = ("exchange", "health", "latency", "clock", "last answer", "why")
    return table(columns, rows, right=("latency", "clock"))


def health_notes(found: Status) -> list[RenderableType]:
    """What is out of the ordinary, a line each; nothing where nothing is."""
    notes: list[RenderableType] = []
    network = found["own_network"]
    if network["state"] == "ours":
        notes.append(Text(f"our own network: {plain(network['words'])}", style="bold red"))
    for name, health in in_order(found).items():
        notes += [Text(f"{name}: {plain(words)}", style=style) for words, style in _notes(health)]
    return notes


def _notes(health: ExchangeHealth) -> Iterator[tuple[str, str]]:
    if health["credentials"]:
        yield f"credentials: {health['credentials']}", "red"
    if health["unfit"]:
        yield f"unfit: {health['unfit']}", "yellow"
    if health["no_better"]:
        yield f"not gone to: {health['no_better']}", ""
    if health["stale"] and health["stale"] != health["unfit"]:
        yield f"stale: {health['stale']}", "yellow"
    if health["banned_until"]:
        yield f"we may not ask before {when(health['banned_until'])}", "yellow"
    closed = health["maintenance"]
    if closed is not None:
        until = f" until {when(closed['end'])}" if closed["end"] else ""
        yield f"maintenance from {when(closed['begin'])}{until}: {closed['words']}", "yellow"
    for symbol, words in health["halted"].items():
        yield f"{symbol} is not traded: {words}", "yellow"
    if health["hold_until"]:
        yield f"on trial until {when(health['hold_until'])} at least", ""


def evidence_view(found: Status) -> list[RenderableType]:
    """All that is known: calls, latencies by kind, suspicion, and what decided the last change."""
    parts: list[RenderableType] = []
    columns = ("exchange", "since", "calls", "failed", "suspicion", "penalty", "lately / usually, by kind of call")
    rows = [
        (
            *(name, when(health["since"]), health["calls"], health["failed"], f"{health['suspicion']:.1f}"),
            *(f"{health['flap_penalty']:.2f}", _latencies(health)),
        )
        for name, health in in_order(found).items()
    ]
    parts.append(table(columns, rows, right=columns[2:6]))
    for name, health in in_order(found).items():
        pieces = health["evidence"]
        if pieces != [health["reason"]] and pieces:  # that stands in the table above
            parts.append(Text(f"{name} became {health['believed']} by:"))
            parts += [Text(f"  {plain(piece)}") for piece in pieces]
    witnesses = found["own_network"]["witnesses"]
    if found["own_network"]["words"]:
        parts.append(Text(f"our own network: {plain(found['own_network']['words'])}"))
    for each in witnesses:
        said = "reached" if each["ok"] else f"not reached: {plain(each['words'])}"
        parts.append(Text(f"  {each['target']} {said} ({when(each['timestamp'])})"))
    return parts


def _latencies(health: ExchangeHealth) -> str:
    return ", ".join(
        f"{kind.replace('_', ' ')} {milliseconds(each['recent_ms']) or '-'} / {milliseconds(each['usual_ms']) or '-'}"
        for kind, each in health["latencies"].items()
        if each["recent_ms"] is not None or each["usual_ms"] is not None
    )
