"""Reduce-only over all exchanges, held within the transaction that commits: by processes beside each other, and over an
order's whole life."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from app.domain.carry import NO_POSITION, Carried, Carry, Decision, Standing
from app.domain.leg_life import LegEvent, Terms
from app.domain.moving import Move, MoveKind
from app.domain.reduce_across import NothingToReduce
from app.journal.store import Committed, Journal
from app.journal.verify import verify
from messages.orders import LegState, OrderSpec, OrderView, Purpose, Side
from tests.domain.orders import BTC, key, spec
from tests.e2e.world import environment

PROCESSES, EACH = 3, 25
SELL = evolve(spec(), symbol=BTC, side=Side.SELL, reduce_only=True, quantity=Decimal(1))


def standing(path: Path | None, quantity: str) -> Journal:
    """A journal by which so much was bought on bybit, and trading is on okx now."""
    journal = Journal(path)
    journal.commit_route(journal.fence(0.0).epoch, "bybit", 0.0)
    buy = evolve(spec(), symbol=BTC, quantity=Decimal(quantity))
    made = journal.commit_intent(exchange="bybit", epoch=1, key=key("bought"), spec=buy, expiry_s=9.0, now_s=1.0)
    assert isinstance(made, Committed)
    journal.record(made.order.order_id, 1, LegEvent.SEEN_FILLED, now_s=2.0)
    journal.commit_route(journal.fence(3.0).epoch, "okx", 3.0)
    return journal


@pytest.fixture
def journal() -> Iterator[Journal]:
    """One by which two stand on bybit."""
    journal = standing(None, "2")
    yield journal
    journal.close()


def sell(journal: Journal, name: str, asked: OrderSpec = SELL, now_s: float = 4.0) -> Committed | object:
    """Asks for a reduce-only order on okx."""
    return journal.commit_intent(
        exchange="okx", epoch=2, key=key(name), spec=asked, expiry_s=99.0, now_s=now_s, across=lambda: ""
    )


def least(journal: Journal) -> Decimal:
    """What the net is at least, were all that is open to fill."""
    holdings, legs = journal.holdings()
    return sum((held.ours for held in holdings.values()), Decimal(0)) - sum((leg.left for leg in legs), Decimal(0))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.deep) for seed in (1, 2))])
def test_parallel_processes_never_turn_the_net_round(tmp_path: Path, seed: int) -> None:
    """Each asks for more than there is, and all at once: whatever they were given comes to no more than stood."""
    path = tmp_path / "journal.db"
    journal = standing(path, "20")
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.journal.reducer", str(path), f"p{n}", str(100 * seed + n), str(EACH)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for n in range(PROCESSES)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        said = Counter(word for child in children for word in child.communicate(timeout=60)[0].split())
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert [child.returncode for child in children] == [0] * PROCESSES
    assert said["refused"] > 0, said
    assert said["unflagged"] > 5, said
    assert Decimal(0) <= least(journal) <= Decimal(2), said
    journal.close()
    assert verify(path).findings == ()


def test_the_leg_is_the_reservation(journal: Journal) -> None:
    """It is held while nobody knows, and is free again when it ended without a fill."""
    one, two = sell(journal, "one"), sell(journal, "two")
    assert isinstance(one, Committed)
    assert isinstance(two, Committed)
    assert [each.order.legs[0].unflagged for each in (one, two)] == [True, True]
    assert isinstance(sell(journal, "three"), NothingToReduce)
    journal.record(one.order.order_id, 1, LegEvent.SENT_AMBIGUOUS, now_s=5.0)
    assert isinstance(sell(journal, "three"), NothingToReduce)
    journal.record(one.order.order_id, 1, LegEvent.PROVEN_ABSENT, now_s=6.0)
    assert isinstance(sell(journal, "three"), Committed)
    assert isinstance(sell(journal, "one"), NothingToReduce), "sent again it needs room again"
    assert journal.order(one.order.order_id) is not None


def test_what_is_refused_leaves_nothing_behind(journal: Journal) -> None:
    found = sell(journal, "much", evolve(SELL, quantity=Decimal(3)))
    assert isinstance(found, NothingToReduce)
    assert "2 of BTC/USDT:USDT can still be sold" in found.words
    assert journal.counts() == {"filled": 1}


def test_without_the_option_each_exchange_holds_it_to_its_own_position(journal: Journal) -> None:
    made = journal.commit_intent(exchange="okx", epoch=2, key=key("own"), spec=SELL, expiry_s=9.0, now_s=4.0)
    assert isinstance(made, Committed)
    assert made.order.legs[0].unflagged is False


def test_one_that_takes_its_place_is_unflagged_too_and_needs_room(journal: Journal) -> None:
    """Replaced by as much it goes on; by more than is left of the net it is over."""
    made = sell(journal, "one", evolve(SELL, price=Decimal(100)))
    assert isinstance(made, Committed)
    order_id = made.order.order_id
    journal.record(order_id, 1, LegEvent.SEEN_OPEN, now_s=5.0, exchange_order_id="x")
    for number, quantity, state in ((1, "2", LegState.INTENT), (2, "3", LegState.CANCELLED)):
        terms = Terms(quantity=Decimal(quantity), price=Decimal(90))
        journal.record(order_id, number, LegEvent.REPLACE_ASKED, now_s=5.0, terms=terms, until_s=30.0)
        again = journal.renew(
            order_id,
            number,
            LegEvent.SEEN_CANCELLED,
            exchange="okx",
            expiry_s=99.0,
            now_s=6.0,
            check=lambda _: "",
            filled=Decimal(0),
        ).order
        assert again.leg is not None
        assert (again.leg.state, again.leg.unflagged) == (state, True), quantity
        journal.record(order_id, 2, LegEvent.SEEN_OPEN, now_s=7.0, exchange_order_id="y")
    assert again.legs[-1].reason_code == "nothing_to_reduce"


def test_what_is_carried_leaves_room_for_what_was_let_through_without_the_flag() -> None:
    """Its position has moved to where an unflagged order rests: both would fill there, and turn the net round."""
    journal = standing(None, "1")
    resting = journal.commit_intent(exchange="okx", epoch=2, key=key("old"), spec=SELL, expiry_s=9.0, now_s=3.0)
    assert isinstance(resting, Committed)
    order_id = resting.order.order_id
    journal.record(order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0, exchange_order_id="x1")
    journal.record(order_id, 1, LegEvent.CARRY_ASKED, now_s=3.5)
    journal.record(order_id, 1, LegEvent.SEEN_CANCELLED, now_s=3.6, filled=Decimal(0))
    unflagged = sell(journal, "one")
    assert isinstance(unflagged, Committed)
    assert unflagged.order.legs[0].unflagged
    for name, exchange, side in (("open", "okx", Side.BUY), ("close", "bybit", Side.SELL)):
        moved = evolve(SELL, side=side, reduce_only=side is Side.SELL, price=Decimal(99))
        named = Move(2, str(BTC), 1, MoveKind(name)).key
        terms = {"purpose": Purpose.MOVE, "spec": moved, "expiry_s": 9.0, "now_s": 5.0}
        made = journal.commit_intent(exchange=exchange, epoch=2, key=named, **terms)  # type: ignore[arg-type]
        assert isinstance(made, Committed), made
        journal.record(made.order.order_id, 1, LegEvent.SEEN_FILLED, now_s=5.0)

    def whole(_order: OrderView, _standing: Standing) -> Decision:
        return Carry(quantity=Decimal(1), price=None, trigger_price=None, whole=None)

    def carried() -> Carried:
        return journal.carry(order_id, 1, exchange="okx", epoch=2, expiry_s=19.0, now_s=6.0, decide=whole).carried

    parked = carried()
    assert not parked.fresh, "one stands there, and one is to be sold of it already"
    assert parked.order.legs[-1].reason_code == NO_POSITION
    assert least(journal) >= 0
    journal.record(unflagged.order.order_id, 1, LegEvent.PROVEN_ABSENT, now_s=7.0)
    assert carried().fresh, "it waits no longer than that"
    assert least(journal) == 0
    journal.close()
