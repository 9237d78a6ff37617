"""`verify-journal`: whether the journal is consistent, and whether the exchanges say the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.attach import ConfigOption, JsonOption, StateDirOption
from app.cli.exits import EX_CONFIG, EX_DATAERR, EX_NOINPUT, EX_OK, EX_TEMPFAIL, EX_UNAVAILABLE, Ended

if TYPE_CHECKING:
    from app.config import Config
    from app.domain.truth import Compared
    from app.journal.verify import Report

MAX_DIFFERENCES = 100
"""Told of one exchange; the rest is counted."""


ExchangesOption = Annotated[
    bool,
    typer.Option("--exchanges", help="Also ask each exchange what rests there, and look up what the journal holds."),
]


def verify_journal(
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    exchanges: ExchangesOption = False,
    json: JsonOption = False,
) -> int:
    """Prove the journal consistent: its events, replayed, give what its tables hold, by the rules orders live by.

    Only reads, beside a daemon that runs or without one. Ends with 65 where anything is not as it must be, a sentence
    each; with 66 where there is no journal, with 69 where an exchange could not be asked.
    """
    from app.bootstrap import JOURNAL_NAME
    from app.cli.output import console, print_json, table

    settings = _settings(config, state_dir)
    path = settings.router.state_dir / JOURNAL_NAME
    report = _report(path)
    asked = _asked(settings, path, report) if exchanges else []
    differ = sum(len(each.differences) for each in asked)
    unreached = any(each.failed for each in asked)
    code = EX_DATAERR if differ or not report.consistent else EX_UNAVAILABLE if unreached else EX_OK
    if json:
        there = {"exchanges": {each.exchange: exchange_facts(each) for each in asked}} if exchanges else {}
        print_json({"consistent": report.consistent, "journal": str(path), **facts(report), **there})
    else:
        out = console()
        shown = {name: value for name, value in facts(report).items() if name not in ("findings", "more")}
        rows = [(name.replace("_", " "), value) for name, value in shown.items()]
        out.print(table(("journal", str(path)), rows))
        for words in report.findings:
            out.print(words, style="red")
        if report.more:
            out.print(f"And {report.more} more.", style="red")
        if asked:
            columns = ("exchange", "ours", "of other daemons", "of people", "unproven", "differences", "not asked")
            out.print()
            out.print(table(columns, [_row(each) for each in asked], right=columns[1:6]))
        for each in asked:
            for words in list(each.differences.values())[:MAX_DIFFERENCES]:
                out.print(words, style="red")
        out.print("It is consistent." if report.consistent else "It is not consistent.")
        if exchanges and not unreached:
            out.print("The exchanges say the same." if not differ else "The exchanges do not say the same.")
    return code


def facts(report: Report) -> dict[str, Any]:
    """What is shown of a report, by name."""
    return {
        "journal_id": report.journal_id,
        "orders": report.orders,
        "legs": report.legs,
        "events": report.events,
        "older_events": report.older,
        "live": report.live,
        "trading_on": report.route,
        "findings": list(report.findings),
        "more": report.more,
    }


def exchange_facts(found: Compared) -> dict[str, Any]:
    """What is shown of an exchange, by name."""
    return {
        "resting": found.resting,
        "of_other_daemons": found.others,
        "of_people": found.persons,
        "unproven": found.unproven,
        "differences": list(found.differences.values())[:MAX_DIFFERENCES],
        "more": max(0, len(found.differences) - MAX_DIFFERENCES),
        "failed": found.failed,
    }


def _row(found: Compared) -> tuple[Any, ...]:
    counted = found.resting, found.others, found.persons, found.unproven, len(found.differences)
    return (found.exchange, *counted, found.failed)


def _asked(config: Config, path: Path, report: Report) -> list[Compared]:
    """Each exchange that is configured, or holds anything, one after the other."""
    import asyncio
    import time

    from attrs import evolve

    from app.config import ConfigError, read_credentials
    from app.domain.names import UnknownExchange
    from app.domain.truth import Compared
    from app.exchanges.factory import build_port
    from app.exchanges.truth import ask
    from app.journal.errors import JournalError
    from app.journal.held import exchanges_held, held, known
    from app.process.logs import configure_logs

    configure_logs(level="ERROR")

    async def asked(name: str) -> Compared:
        # Nothing is left for the next life of a connector: this is none.
        settings = evolve(config.exchange_settings(name), handover_dir=None)
        port = build_port(settings, read_credentials(config, name), time.time)
        try:
            return await ask(
                port,
                report.journal_id,
                lambda: held(path, name),
                lambda wire_id: known(path, wire_id),
                timeout_s=config.router.request_timeout_s,
                now=time.time,
            )
        finally:
            await port.close()

    out = []
    try:
        for name in sorted({*config.routed, *exchanges_held(path)}):
            try:
                out.append(asyncio.run(asked(name)))
            except (ConfigError, UnknownExchange) as error:
                out.append(Compared(exchange=name, failed=str(error)))
    except JournalError as error:
        raise Ended(EX_TEMPFAIL, str(error)) from None
    return out


def _settings(config: Path | None, state_dir: Path | None) -> Config:
    from app.core.errors import InvalidRequest
    from app.core.settings import settings

    try:
        place = None if state_dir is None else state_dir.expanduser().absolute()
        return settings(config, None, state_dir=place).config
    except InvalidRequest as error:
        raise Ended(EX_CONFIG, str(error)) from None


def _report(path: Path) -> Report:
    from app.journal.errors import JournalError, JournalUnusable
    from app.journal.verify import verify

    if not path.is_file():
        raise Ended(EX_NOINPUT, f"there is no journal at {path}: name its folder with --state-dir")
    try:
        return verify(path)
    except JournalUnusable as error:
        raise Ended(EX_DATAERR, str(error)) from None
    except JournalError as error:
        raise Ended(EX_TEMPFAIL, str(error)) from None
