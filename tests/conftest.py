"""Settings for all tests."""

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from app.process.imports import leave_the_old_alone, look_at_all_again

leave_the_old_alone()  # each worker collects thousands of tests, which stay: a third of that time was the collector's

# No deadline for one example: the machine that runs the tests may be busy, and slow is not wrong. In CI the examples
# are the same at each run, so that a red run can be repeated; at a desk new ones are tried.
settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "ci", parent=settings.get_profile("desk"), derandomize=True, print_blob=True, max_examples=100
)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


LONGEST = (
    "cli/test_daemon_verbs.py",
    "e2e/test_ends.py",
    "e2e/test_life.py",
    "fuzz/test_planted.py",
    "e2e/test_carrying.py",
    "cli/test_verbs.py",
    "e2e/test_hangs.py",
    "e2e/test_fencing.py",
    "e2e/test_moving.py",
    "e2e/test_failover.py",
    "e2e/test_faults.py",
)
"""Files that take longest are begun first: begun last, one of them would keep one worker busy while others idle."""
PROCESSES = ("e2e", "cli", "core", "demo", "fuzz", "launcher", "chaos", "crash", "transport")
"""Folders whose tests start processes: they are begun before what only computes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files that take long first, and leaves the order within a file as it is."""
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        name = item.path.relative_to(here).as_posix()
        if name in LONGEST:
            return LONGEST.index(name)
        return len(LONGEST) + (name.partition("/")[0] not in PROCESSES)

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """What was imported and collected is looked at once more, and never again."""
    gc.collect()
    gc.freeze()
    look_at_all_again()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Like `tmp_path`, but so short that a stranger's plain call reaches the sockets in it: it takes 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="or-") as folder:
        yield Path(folder)
