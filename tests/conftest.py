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


SECONDS = {
    "cli/test_bad_input.py": 22,
    "cli/test_daemon_verbs.py": 25,
    "cli/test_practice.py": 12,
    "cli/test_verbs.py": 12,
    "core/test_bad_input.py": 10,
    "core/test_facade.py": 12,
    "demo/test_demo.py": 15,
    "domain/test_health_properties.py": 6,
    "domain/test_pretrade.py": 6,
    "e2e/test_book.py": 14,
    "e2e/test_carrying.py": 22,
    "e2e/test_detection.py": 24,
    "e2e/test_detection_planned.py": 40,
    "e2e/test_ends.py": 26,
    "e2e/test_failover.py": 28,
    "e2e/test_faults.py": 18,
    "e2e/test_fencing.py": 13,
    "e2e/test_hangs.py": 20,
    "e2e/test_life.py": 20,
    "e2e/test_moving.py": 16,
    "e2e/test_own_network.py": 24,
    "e2e/test_verbs.py": 16,
    "e2e/test_watchdog.py": 11,
    "exchanges/test_amending.py": 18,
    "exchanges/test_binance_codes.py": 2,
    "exchanges/test_bybit_codes.py": 3,
    "exchanges/test_conformance_faults.py": 10,
    "exchanges/test_conformance_look_up.py": 10,
    "exchanges/test_dead_man.py": 10,
    "exchanges/test_limits_kept.py": 10,
    "exchanges/test_linked_exits.py": 16,
    "fuzz/test_books.py": 10,
    "fuzz/test_planted.py": 10,
    "fuzz/test_planted_books.py": 12,
    "journal/test_power.py": 6,
    "simulator/test_faults.py": 14,
    "simulator/test_spoilt_answers.py": 20,
    "transport/test_unix_system.py": 14,
}
"""How long files take about, where that is long: their order follows from it."""
TREES = ("e2e", "cli", "core", "demo", "launcher", "chaos", "crash", "real", "test_seed.py")
"""What starts whole trees of processes: half of their time passes in waiting, and they have times to keep."""
COMPUTING = ("fuzz", "domain", "journal", "conformance")
"""What only computes. Everything else waits for sockets and deadlines most of the time."""
NICE = 10


def _room(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins long files first, and each kind all the while; leaves the order within a file as it is.

    A long file begun last would keep one worker busy while others idle; and what waits leaves room to what computes.
    """
    here = Path(__file__).parent
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path.relative_to(here).as_posix(), []).append(item)
    kinds: dict[str, list[tuple[float, str]]] = {"trees": [], "computing": [], "waiting": []}
    for name, tests in files.items():
        room = _room(tests[0])
        kind = "trees" if room in TREES else "computing" if room in COMPUTING else "waiting"
        usual_s = 4.0 if kind == "trees" or room == "fuzz" else 0.05 * len(tests)
        kinds[kind].append((SECONDS.get(name, usual_s), name))
    order: list[tuple[float, str]] = []
    for each in kinds.values():
        whole_s, before_s = sum(seconds for seconds, _ in each), 0.0
        for seconds, name in sorted(each, key=lambda found: (-found[0], found[1])):
            order.append((before_s / whole_s, name))
            before_s += seconds
    items[:] = [item for _, name in sorted(order) for item in files[name]]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """What only computes yields to what has times to keep, where this user may be nice and cease to be."""
    if os.environ.get("PYTEST_XDIST_WORKER") and os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, NICE if _room(item) in COMPUTING else 0)
    return (yield)


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
