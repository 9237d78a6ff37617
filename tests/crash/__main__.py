"""`python -m tests.crash`, or `make crashes`: kills connectors at every step and writes docs/CRASHES.md.

Ends with 0 where every death came about and nothing was wrong after any; with 1 otherwise, or where --check finds that
the page says other than what was seen; with 2 where it was asked for something that is not there. What a run has seen
when it is cut short is kept: --resume goes on from there.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import machine
from tests.conformance.pages import differences
from tests.crash.pages import bad, page, timeless
from tests.crash.run import only, run, to_stderr

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "CRASHES.md"
KEPT = ROOT / "benchmarks" / "results" / "crashes.partial"
MOST_TOLD = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see above."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; say in what the page differs from the run")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="one column, e.g. bybit-spot")
    parser.add_argument("--resume", action="store_true", help="goes on with the run that was cut short")
    parser.add_argument("--workers", type=int, default=8, help="adapters at once (8)")
    asked = parser.parse_args(arguments)
    try:
        columns = only(asked.only)
    except ValueError as error:
        to_stderr(str(error))
        return 2
    if not asked.resume:
        shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    begin_s = time.monotonic()
    sheet, lost = run(columns, to_stderr, KEPT, asked.workers)
    took_s = time.monotonic() - begin_s
    count = sum(map(len, sheet.values()))
    text = page(sheet, columns, _stamp(count, took_s))
    wrong = [*lost, *bad(sheet, columns)]
    to_stderr(f"{count} crashes in {took_s:.0f} s, {len(wrong)} of them wrong or not met.")
    for words in wrong[:MOST_TOLD]:
        to_stderr(words)
    if lost:
        return 1  # --resume tries again
    stale: list[str] = []
    if asked.check:
        stale = _stale(text, partial=bool(asked.only))
        for words in stale[:MOST_TOLD]:
            to_stderr(words)
    elif asked.only:
        sys.stdout.write(text)
    else:
        PAGE.write_text(text)
    if not wrong:  # else what is needed to find out why is there
        shutil.rmtree(KEPT, ignore_errors=True)
    return 1 if wrong or stale else 0


def _stale(text: str, *, partial: bool) -> list[str]:
    """In what the page differs; of some columns only, the others' cells are no difference."""
    if not PAGE.exists():
        return [f"There is no {PAGE.relative_to(ROOT)}."]
    found = differences(timeless(PAGE.read_text()), timeless(text))
    return [words for words in found if not words.endswith("-> nothing")] if partial else found


def _stamp(count: int, took_s: float) -> str:
    measured = machine.commit(ROOT)
    commit = measured.get("commit", "unknown")[:7] + (" and changes" if measured.get("changed_since") else "")
    today = time.strftime("%Y-%m-%d", time.gmtime())
    return f"{today}, commit {commit}, ccxt {version('ccxt')}: {count} crashes in {took_s / 60:.0f} minutes."


if __name__ == "__main__":
    sys.exit(main())
