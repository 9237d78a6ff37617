"""`verify-journal`: whether the journal is consistent, and whether the exchanges say the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.attach import ConfigOption, JsonOption, StateDirOption
from app.cli.exits import EX_CONFIG, EX_DATAERR, EX_NOINPUT, EX_OK, EX_TEMPFAIL, Ended

if TYPE_CHECKING:
    from app.config import Config
    from app.journal.verify import Report


def verify_journal(config: ConfigOption = None, state_dir: StateDirOption = None, json: JsonOption = False) -> int:
    """Prove the journal consistent: its events, replayed, give what its tables hold, by the rules orders live by.

    Only reads, beside a daemon that runs or without one. Ends with 65 where anything is not as it must be, a sentence
    each; with 66 where there is no journal.
    """
    from app.bootstrap import JOURNAL_NAME
    from app.cli.output import console, print_json, table

    settings = _settings(config, state_dir)
    path = settings.router.state_dir / JOURNAL_NAME
    report = _report(path)
    if json:
        print_json({"consistent": report.consistent, "journal": str(path), **facts(report)})
    else:
        out = console()
        shown = {name: value for name, value in facts(report).items() if name not in ("findings", "more")}
        rows = [(name.replace("_", " "), value) for name, value in shown.items()]
        out.print(table(("journal", str(path)), rows))
        for words in report.findings:
            out.print(words, style="red")
        if report.more:
            out.print(f"And {report.more} more.", style="red")
        out.print("It is consistent." if report.consistent else "It is not consistent.")
    return EX_OK if report.consistent else EX_DATAERR


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
