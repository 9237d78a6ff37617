"""A share of the crash matrix; `make crashes` runs all of it, and keeps what it saw in the docs.

A connector is killed at some of the steps it passes, on some of the exchanges, with placements that expire sooner.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from messages.market import MarketType
from tests.crash.ring import AMEND, CANCEL, PLACE, REPLACE, ring
from tests.crash.run import EQUAL, EXECUTED, Scene, played
from tests.crash.steps import Step

VALIDITY_S = 0.5
ONE_IN = 8
"""Steps."""


@pytest.mark.parametrize(
    ("exchange", "market_type", "scenes"),
    [
        ("okx", MarketType.SWAP, (Scene(title="place", verb=PLACE),)),
        pytest.param(
            "kraken",
            MarketType.SWAP,
            (
                Scene(title="amend", verb=AMEND),
                Scene(title="cancel", verb=CANCEL),
            ),
            marks=pytest.mark.deep,
        ),
        pytest.param("binance", MarketType.SPOT, (Scene(title="replace", verb=REPLACE),), marks=pytest.mark.deep),
    ],
    ids=["place", "amend and cancel", "replace"],
)
def test_a_connector_killed_at_any_step_leaves_what_the_exchange_has(
    tmp_path: Path, exchange: str, market_type: MarketType, scenes: tuple[Scene, ...]
) -> None:
    with ring(exchange, market_type, tmp_path, validity_s=VALIDITY_S) as at:
        for begin, scene in enumerate(scenes):
            cells = played(at, scene, each=ONE_IN, begin=begin)
            assert len(cells) >= 3, cells
            assert [cell for cell in cells if cell.verdict != EQUAL] == []
        assert at.verdict() == []


def test_one_that_recovers_may_be_killed_as_well(tmp_path: Path) -> None:
    with ring("bybit", MarketType.SWAP, tmp_path, validity_s=VALIDITY_S) as at:
        scene = Scene(title="place, twice", verb=PLACE, first=Step(f"place: {EXECUTED}"))
        cells = played(at, scene, each=14, begin=4)
        assert len(cells) >= 2, cells
        assert [cell for cell in cells if cell.verdict != EQUAL] == []
        assert at.verdict() == []
