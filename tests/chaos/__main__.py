"""`python -m tests.chaos`, or `make chaos`: everything of a real daemon is killed, crashed and frozen under load.

Ends with 0 when every bar holds, with 1 when one is missed or an order was lost or doubled, with 75 when the run could
not go on. A run that is cut short, by its limit or by Ctrl-C, ends in order and can be taken up with --resume.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import machine
from benchmarks.exchange import ROOT
from tests.chaos import report
from tests.chaos.bars import HANG_SLACK_S, hang_budget_s, result
from tests.chaos.injury import blows_told, plan
from tests.chaos.record import Record, Sample, Wanted
from tests.chaos.run import RunFailed, play
from tests.chaos.stage import SUPERVISION, StageFailed

RESULTS = ROOT / "benchmarks" / "results" / "chaos.json"
EXCHANGES = ("bybit", "okx")
EX_TEMPFAIL, EX_USAGE = 75, 64


def main(arguments: Sequence[str]) -> int:
    """Runs, prints, writes. Returns 0, 1, 64 or 75."""
    given = _arguments(arguments)
    console = Console(stderr=True)
    wanted = Wanted(
        seed=given.seed,
        kills=given.kills,
        others=given.others,
        launchers=given.launchers,
        per_s=given.rate,
        together=given.together,
    )
    kept = given.output.with_suffix(".partial.json")
    record = Record(wanted=wanted)
    if given.resume:
        try:
            record = Record.load(kept)
        except (OSError, ValueError) as error:
            console.print(f"Nothing to resume: {error}", markup=False)
            return EX_USAGE
        if not record.wanted.goes_on_as(wanted):
            console.print(f"The run to resume is another one: {record.wanted}.", markup=False)
            return EX_USAGE
        record.wanted = wanted
    injuries = plan(
        kills=wanted.kills,
        others=wanted.others,
        launchers=wanted.launchers,
        seed=wanted.seed,
        together=wanted.together,
    )
    done = {sample.number for sample in record.samples}
    left = [each for each in injuries if each.number not in done]
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _frame: stopped.append(got))
    until_s = time.monotonic() + 60 * given.minutes
    about = machine.facts()
    code = 0
    try:
        play(
            record,
            left,
            exchanges=EXCHANGES,
            commit=machine.commit(ROOT).get("commit", ""),
            enough=lambda: bool(stopped) or time.monotonic() > until_s,
            told=lambda sample: print(_line(sample, len(injuries)), file=sys.stderr, flush=True),
            kept=kept,
        )
    except (RunFailed, StageFailed) as error:
        console.print(f"The run ends: {error}", markup=False)
        code = EX_TEMPFAIL
    found = result(record, total=len(injuries), machine=about, settings=_settings())
    given.output.write_text(json.dumps(found, indent=2) + "\n")
    if not found["cut_short"]:
        kept.unlink(missing_ok=True)
    report.show(found, Console(width=None if sys.stdout.isatty() else 160))
    print(f"written to {given.output}")
    return code or (0 if found["good"] else 1)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="kill -9 of the connector in use (100)")
    parser.add_argument("--others", type=int, default=100, help="kill, crash, freeze or _exit of anybody (100)")
    parser.add_argument("--together", type=int, default=30, help="kill, freeze or _exit of several at once (30)")
    parser.add_argument("--launchers", type=int, default=6, help="kill -9 of the daemon's foreground process (6)")
    parser.add_argument("--seed", type=int, default=1, help="of who is hit when, and in which order (1)")
    parser.add_argument("--minutes", type=float, default=15.0, help="no injury begins after so long (15)")
    parser.add_argument("--rate", type=float, default=25.0, help="orders a second (25)")
    parser.add_argument("--resume", action="store_true", help="goes on with the run that was cut short")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the figures are written, as JSON")
    return parser.parse_args(arguments)


def _settings() -> dict[str, Any]:
    return {
        "exchanges": EXCHANGES,
        "supervision": SUPERVISION,
        "supervision_words": "so many deaths would rightly exceed the usual limit, which is raised for the run",
        "hang_limit_ms": 1000 * (hang_budget_s() + HANG_SLACK_S),
        "hang_words": "heartbeat_s + heartbeat_timeout_s of [supervision], as they are by default, and the slack",
    }


def _line(sample: Sample, total: int) -> str:
    times = {"order": sample.trading_s, "healed": sample.healed_s, "gone": sample.gone_s, "ready": sample.ready_s}
    shown = ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in times.items() if value is not None)
    whom = blows_told(sample.blows) if sample.more else f"{sample.means:8} {sample.target:22}"
    return f"{sample.number + 1:4} of {total}  {whom} {shown} {sample.words}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
