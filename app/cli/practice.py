"""`demo`, `simulate`, `fuzz`: the router on exchanges that are not real."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.attach import JsonOption
from app.cli.exits import EX_TEMPFAIL, EX_USAGE, Ended

LEAST_SECONDS = 6.0
MOST_SECONDS = 600.0


def demo(
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="SECONDS", help="How long the strategy trades.")
    ] = 14.0,
    fault: Annotated[str, typer.Option("--fault", hidden=True)] = "",
    json: JsonOption = False,
) -> int:
    """An exchange dies under a trading strategy, and nothing is lost.

    Four simulated exchanges, a real daemon and a strategy that trades through it: the exchange in use executes orders
    without answering, then refuses connections; trading goes on at the next one. At the end what the strategy was told
    is compared with what the exchanges did. Ends with 0 only if no order was lost or doubled.
    """
    from app.demo.run import DemoFailed, run_demo

    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise Ended(EX_USAGE, f"--seconds is {seconds:g}, and must be from {LEAST_SECONDS:g} to {MOST_SECONDS:g}")
    if fault not in ("", "double"):
        raise Ended(EX_USAGE, f"--fault is {fault!r}, and must be 'double'")
    try:
        return run_demo(seconds=seconds, as_json=json, double=fault == "double")
    except DemoFailed as error:
        raise Ended(EX_TEMPFAIL, str(error)) from None


def simulate(
    exchange: Annotated[
        list[str] | None,
        typer.Option(
            "--exchange",
            metavar="NAME",
            help="An exchange to simulate; may be repeated. Also binance_spot, kraken_spot.",
        ),
    ] = None,
    market_type: Annotated[
        str, typer.Option("--market-type", metavar="KIND", help="What COMMAND trades: swap or spot.")
    ] = "swap",
    ready: Annotated[
        Path | None, typer.Option("--ready", metavar="FILE", help="Written as JSON once every exchange answers.")
    ] = None,
    books: Annotated[
        Path | None,
        typer.Option("--books", metavar="FOLDER", help="Keep the exchanges' books there; go on with them if they are."),
    ] = None,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND]", help="Run under the exchanges, and ended with them.")
    ] = None,
) -> int:
    """Run simulated exchanges, alone or under a COMMAND that finds them by its configuration.

    Alone they serve until SIGINT or SIGTERM. COMMAND runs with $ORDER_ROUTER_CONFIG naming a configuration of theirs;
    its exit code is ours.
    """
    from app.domain.names import EXCHANGES, UnknownExchange
    from app.exchanges.factory import PROFILES, NoSuchMarkets, profile_of
    from app.exchanges.known import known_name
    from app.simulator.dialects import DIALECTS
    from app.simulator.run import simulate as run
    from messages.market import MarketType

    try:
        kind = MarketType(market_type)
    except ValueError:
        raise Ended(EX_USAGE, f"--market-type is {market_type!r}, and must be 'swap' or 'spot'") from None
    names = list(exchange or (name for name in EXCHANGES if (name, kind) in PROFILES))
    seen = set[str]()
    for name in names:
        try:
            canonical = name if name in DIALECTS else known_name(name)
            if command and name in EXCHANGES:
                profile_of(name, kind)
        except (UnknownExchange, NoSuchMarkets) as error:
            raise Ended(EX_USAGE, str(error)) from None
        if canonical in seen:
            raise Ended(EX_USAGE, f"--exchange {name} names {canonical} a second time")
        seen.add(canonical)
    try:
        return run(names, ready, command or [], books=books, market_type=kind.value)
    except ValueError as error:
        raise Ended(EX_USAGE, str(error)) from None
    except OSError as error:
        place = error.filename or "the exchanges' ports"
        raise Ended(EX_TEMPFAIL, f"{place} cannot be used: {error.strerror}") from None


def fuzz(context: typer.Context) -> int:
    """Run the whole router in simulated time under chosen and random faults; see fuzz --help."""
    from app.fuzz.__main__ import main

    return main(list(context.args))
