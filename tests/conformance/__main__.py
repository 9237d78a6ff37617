"""`python -m tests.conformance`, or `make conformance`: runs the matrix and writes docs/CONFORMANCE.md.

Ends with 0 where every cell was run and none is wrong; with 1 otherwise, or where --check finds that the page says
other than what was seen; with 2 where it was asked for something that is not there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tests.conformance.pages import bad, differences, page
from tests.conformance.run import only, run, to_stderr

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "CONFORMANCE.md"
MOST_TOLD = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see above."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; say in what the page differs from the run")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="one column, e.g. bybit-spot")
    asked = parser.parse_args(arguments)
    try:
        columns = only(asked.only)
    except ValueError as error:
        to_stderr(str(error))
        return 2
    begin = time.monotonic()
    sheet, lost = run(columns, to_stderr)
    text = page(sheet, columns, _stamp())
    wrong = [*lost, *bad(sheet, columns)]
    to_stderr(f"{len(sheet)} cells in {time.monotonic() - begin:.0f} s, {len(wrong)} of them wrong or not run.")
    for words in wrong[:MOST_TOLD]:
        to_stderr(words)
    stale: list[str] = []
    if asked.check:
        stale = _stale(text, partial=bool(asked.only))
        for words in stale[:MOST_TOLD]:
            to_stderr(words)
        if stale:
            to_stderr(f"{PAGE.relative_to(ROOT)} says other than the run in {len(stale)} places: make conformance.")
    elif asked.only:
        sys.stdout.write(text)
    else:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text)
    return 1 if wrong or stale else 0


def _stale(text: str, *, partial: bool) -> list[str]:
    if not PAGE.exists():
        return [f"There is no {PAGE.relative_to(ROOT)}."]
    found = differences(PAGE.read_text(), text)
    # Of some columns only, the others' cells are no difference.
    return [words for words in found if not words.endswith("-> nothing")] if partial else found


def _stamp() -> str:
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=10).stdout.strip()
    today = time.strftime("%Y-%m-%d", time.gmtime())
    return f"{today}, commit {told or 'unknown'}, ccxt {version('ccxt')}."


if __name__ == "__main__":
    sys.exit(main())
