"""The table of verbs, and the translation of what the command-line library says into `Ended`."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.main import get_command

from app.cli import daemon, look, practice, prove, settings, steer
from app.cli.exits import EX_INTERRUPTED, EX_PIPE, EX_USAGE, Ended

# Older typers use click, newer ones bring their own copy of it: either way this is its error about the command line.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    help="One door between trading strategies and crypto exchanges: fails over without losing or doubling an order.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"order-router {version('order-router')}")
        except PackageNotFoundError:
            raise Ended(EX_USAGE, "order-router is not installed here, so its version is not known") from None
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    pass


app.command(short_help="An exchange dies under a strategy, and nothing is lost.")(practice.demo)
app.command(short_help="Run the router in the foreground.")(daemon.run)
app.command(short_help="Where trading is, and how the exchanges are.")(look.status)
app.command(short_help="How trading has moved.")(look.history)
app.command(short_help="Orders that are, or may be, live.")(look.orders)
app.command(short_help="Positions, and the router's book.")(look.positions)
app.command(short_help="Move trading to another exchange.")(steer.failover)
app.command(short_help="Move trading back to the primary exchange.")(steer.failback)
app.command(short_help="Keep an exchange out.")(steer.isolate)
app.command(short_help="End the isolation of an exchange.")(steer.release)
app.command(short_help="Take everything off an exchange, and isolate it.")(steer.drain)
app.command(short_help="Place nothing new; cancels still pass.")(steer.freeze)
app.command(short_help="End a freeze, or a panic.")(steer.unfreeze)
app.command("reduce-only", short_help="Take only orders that reduce a position.")(steer.reduce_only)
app.command(short_help="Cancel all of ours, and close positions with --flatten.")(steer.panic)
app.command(short_help="Say what an order is; place, or end, one that waits.")(steer.resolve)
app.command("check-config", short_help="Check a configuration, and explain it.")(settings.check_config)
app.command("verify-journal", short_help="Prove the journal consistent.")(prove.verify_journal)
# Options after the first word of COMMAND are COMMAND's.
app.command(
    short_help="Run simulated exchanges, or a command under them.",
    context_settings={"allow_interspersed_args": False},
)(practice.simulate)
app.command(
    short_help="Run the router in simulated time under faults.",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(practice.fuzz)


def run(name: str, arguments: list[str]) -> int:
    """Runs one verb and returns its exit code.

    Raises:
        Ended: With a sentence and the code.
    """
    if not arguments:
        raise Ended(EX_USAGE, f"a verb is missing; see {name} --help")
    try:
        result = get_command(app).main(args=arguments, prog_name=name, standalone_mode=False)
    except typer.Abort:
        return EX_INTERRUPTED
    except SystemExit as end:
        # The libraries below leave so, with 1, when whoever read our output has enough. No verb of ours does.
        return EX_PIPE if end.code == 1 else int(end.code or 0)
    except _UsageError as error:
        raise Ended(EX_USAGE, error.format_message()) from None  # type: ignore[attr-defined]
    return result if isinstance(result, int) else 0
