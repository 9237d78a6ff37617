"""One timeline for all processes of a daemon."""

import subprocess
import sys
import time

from app.process.clock import AnchoredClock

TIMEOUT_S = 20


def test_it_tells_the_date_and_never_goes_back() -> None:
    """Unix seconds at first, and only ever forward."""
    clock = AnchoredClock()
    first_s, second_s = clock(), clock()
    assert abs(first_s - time.time()) < 60
    assert first_s <= second_s


def test_another_process_with_the_anchor_reads_the_same_time() -> None:
    """What is read there lies between what is read here before and after."""
    clock = AnchoredClock()
    script = f"from app.process.clock import AnchoredClock; print(repr(AnchoredClock({clock.anchor_s!r})()))"
    before_s = clock()
    there = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert before_s <= float(there.stdout) <= clock()


def test_a_given_anchor_counts_and_not_the_date() -> None:
    """A daemon's anchor is kept though this process would make another one."""
    assert AnchoredClock(0.0)() < AnchoredClock(1_000_000.0)() < AnchoredClock(0.0)() + 1_000_060
