"""The four exchanges of a test module, and an open port at each."""

from collections.abc import Iterator

import pytest

from app.simulator.thread import SimulatorThread
from tests.exchanges.desk import EXCHANGES, Desk


@pytest.fixture(scope="module")
def sims() -> Iterator[SimulatorThread]:
    """Every simulated exchange, started once a module."""
    with SimulatorThread(EXCHANGES) as running:
        yield running


@pytest.fixture(scope="module")
def desks(sims: SimulatorThread) -> Iterator[dict[str, Desk]]:
    """An open port at each."""
    made = {name: Desk(sims[name]) for name in EXCHANGES}
    for desk in made.values():
        assert desk.open() == ""
    yield made
    for desk in made.values():
        desk.close()


@pytest.fixture(params=EXCHANGES)
def desk(request: pytest.FixtureRequest, desks: dict[str, Desk]) -> Iterator[Desk]:
    """One exchange after the other, without faults or positions."""
    found = desks[request.param]
    found.flat()
    yield found
    found.truthful.clear_faults()
    found.clock.behind_s = 0.0
