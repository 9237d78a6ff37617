"""The exchanges of a test module, and an open port at each: swaps everywhere, spot where the router trades it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.simulator.thread import SimulatorThread
from messages.market import MarketType
from tests.exchanges.desk import EXCHANGES, HOSTS, SPOT_EXCHANGES, TIMEOUT_S, Desk

WAITING = {
    "test_a_burst_of_orders_meets_no_refusal_and_cancels_pass_it": "bybit",
    "test_a_late_order_executes_only_where_the_engine_does_not_look": "bybit",
    "test_an_exit_that_could_not_be_placed_is_placed_again": "binance",
    "test_an_order_may_arrive_after_it_was_given_up": "kraken",
    "test_never_made_and_never_answered": "bybit",
    "test_the_next_life_learns_what_became_of_it": "okx",
    "test_without_a_price_nothing_is_sent": "bybit",
}
"""What these show passes in seconds of waiting, as what hangs does: where the suite waits for it."""
HANGS = "bybit"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What has to wait is waited for on one exchange in the suite, and on the others by `make test-deep`."""
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents or not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
            continue
        told = item.callspec.id.split("-")
        hangs = HANGS if any(part.startswith("hang_") for part in told) else None
        where = WAITING.get(item.originalname, hangs)
        if where is not None and where not in told and any(part in EXCHANGES for part in told):
            item.add_marker(pytest.mark.deep)


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
