"""The exchanges of a test module, and an open port at each: swaps everywhere, spot where the router trades it."""

from collections.abc import Iterator

import pytest

from app.simulator.thread import SimulatorThread
from messages.market import MarketType
from tests.exchanges.desk import EXCHANGES, HOSTS, SPOT_EXCHANGES, TIMEOUT_S, Desk


@pytest.fixture(scope="module")
def sims() -> Iterator[SimulatorThread]:
    """Every simulated exchange, started once a module."""
    with SimulatorThread(HOSTS) as running:
        yield running


@pytest.fixture(scope="module")
def desks(sims: SimulatorThread) -> Iterator[dict[str, Desk]]:
    """An open port for the swaps of each."""
    yield from _opened(sims, EXCHANGES, MarketType.SWAP)


@pytest.fixture(scope="module")
def spot_desks(sims: SimulatorThread) -> Iterator[dict[str, Desk]]:
    """An open port for the spot markets of each."""
    yield from _opened(sims, SPOT_EXCHANGES, MarketType.SPOT)


def _opened(sims: SimulatorThread, names: tuple[str, ...], market_type: MarketType) -> Iterator[dict[str, Desk]]:
    made = {name: Desk.at(sims, name, market_type, timeout_s=TIMEOUT_S) for name in names}
    for desk in made.values():
        assert desk.open() == ""
    yield made
    for desk in made.values():
        desk.close()


@pytest.fixture(params=EXCHANGES)
def desk(request: pytest.FixtureRequest, desks: dict[str, Desk]) -> Iterator[Desk]:
    """The swaps of one exchange after the other, without faults or positions."""
    yield from _at_rest(desks[request.param])


@pytest.fixture(params=SPOT_EXCHANGES)
def spot_desk(request: pytest.FixtureRequest, spot_desks: dict[str, Desk]) -> Iterator[Desk]:
    """The spot markets of one exchange after the other, without faults."""
    yield from _at_rest(spot_desks[request.param])


def _at_rest(found: Desk) -> Iterator[Desk]:
    found.flat()
    yield found
    found.truthful.clear_faults()
    found.clock.behind_s = 0.0
