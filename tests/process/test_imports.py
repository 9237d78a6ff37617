"""The collector leaves alone what is imported, until a daemon is ready to serve; in a process of its own."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc
from app.process.imports import leave_the_old_alone
before = gc.get_threshold()
leave_the_old_alone()
assert gc.get_threshold()[:2] == before[:2]
looked = gc.get_stats()[2]["collections"]
from app.exchanges.preload import preload
kept = [[] for _ in range(200_000)]
assert gc.get_stats()[2]["collections"] == looked, "the old are looked at while things grow"
del kept
preload()
assert gc.get_threshold() == before, "as it was for the life of the daemon"
assert gc.get_freeze_count() > 100_000
"""


def test_the_old_are_not_looked_at_until_all_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert not done.returncode, done.stderr
