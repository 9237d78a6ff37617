"""Money at stake while the primary breaks in every way: each order executes at most once over all exchanges.

Every way of breaking is played on exchanges, a router and a daemon of its own. Most of the time passes in waiting for
deadlines and for what proves absence, so a few plays run beside each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen

from app.core.order_router import NoExchangeAvailable, OrderOutcomeUnknown
from app.core.shapes import Order
from tests.e2e.world import ORDER_TIMEOUT_S, Answered, Heard, World, check_once, move_to, place, resolved, until

ORDERS = 50
CALLERS = 16
AT_ONCE = 4
"""Plays beside each other."""
LATE_ANSWER_S = 3.0
"""After its deadline a caller's answer may take so long to reach it, on a busy machine."""


@frozen
class Play:
    """One way of breaking the primary.

    Attributes:
        whole: The whole exchange breaks, not only placing on it, so trading has to move.
        executes: Whether what it was sent may have executed.
    """

    fault: str
    call: str
    primary: str = "bybit"
    backup: str = "okx"
    params: Mapping[str, Any] = field(factory=dict)
    whole: bool = False
    executes: bool = True

    @property
    def name(self) -> str:
        """For pytest."""
        return f"{self.fault}-{self.call if not self.whole else 'all'}-{self.primary}"


PLAYS = [
    Play("hang_after", "*", whole=True),
    Play("drop_before", "place", primary="kraken", backup="okx", executes=False),
    Play("half_json", "*", primary="okx", backup="binance", whole=True),
    Play("refused", "*", primary="binance", backup="bybit", whole=True, executes=False),
]
"""All and placing alone, executed and not; every exchange once."""
DEEP = [
    Play("hang_before", "*", primary="okx", backup="binance", whole=True, executes=False),
    Play("late", "place", params={"delay_s": 1.0}),
    Play("drop_after", "*", primary="binance", backup="okx", whole=True),
    Play("half_json", "*", primary="bybit", backup="binance", whole=True),
    Play("http_5xx", "*", primary="kraken", backup="okx", whole=True, executes=False),
]
"""With those before every fault once."""
MORE = [
    Play("late", "place", primary="okx", backup="bybit", params={"delay_s": 6.5}),
    Play("half_json", "place", primary="okx", backup="bybit"),
    Play("http_5xx", "place", primary="binance", backup="bybit", params={"executed": True}),
]
"""The same faults in another way."""


@frozen
class Played:
    """What came of it, judged by the test."""

    before: Answered
    during: list[Answered]
    after: Answered
    moved_to: str
    kept_moving: bool


def play(what: Play, folder: Path) -> None:
    """The whole play; AssertionError where the router broke its word."""
    exchanges = {"kraken": {"allow_settlement_change": True}}
    with World([what.primary, what.backup], folder / "state") as world:
        tables = world.tables()
        tables["health"].update(health_check_interval=0.5, max_retry_attempts=2)
        for name, more in exchanges.items():
            if name in tables["exchanges"]:
                tables["exchanges"][name].update(more)
        with world.running(config=tables) as router:
            heard = Heard(router)
            journal_id = world.presence().journal_id
            control = world[what.primary].control
            if router.current_connector_name != what.primary:
                move_to(router, what.primary)  # the machine was so busy that well exchanges looked ill
            before = place(router, "before")
            assert before.order is not None, before
            assert before.order["exchange"] == what.primary

            control.fault(what.fault, call=what.call, params=what.params)
            with ThreadPoolExecutor(CALLERS) as callers:
                during = list(callers.map(lambda n: _one(router, n), range(ORDERS)))
            for answered in during:
                assert answered.took_s <= ORDER_TIMEOUT_S + LATE_ANSWER_S, answered
                assert answered.order is not None or isinstance(
                    answered.error, OrderOutcomeUnknown | NoExchangeAvailable
                ), answered

            if what.whole:
                until(lambda: router.get_status()["current_exchange"] == what.backup, means="trading moving")
                moved = place(router, "moved")
                assert moved.order is not None, moved
                assert moved.order["exchange"] == what.backup
                during.append(moved)

            control.clear_faults()
            for answered in during:
                if isinstance(answered.error, NoExchangeAvailable):
                    continue
                order = resolved(router, answered)
                if order is not None and isinstance(answered.error, OrderOutcomeUnknown):
                    until(partial(_told, heard, order), means=f"an event of {answered}, which became {order}")
            # What was let in late has executed by now: everything unknown was resolved after its expiry.
            books = world.books()
            for answered in [before, *during]:
                held = check_once(books, journal_id, router.strategy, answered)
                _honest(answered, held, router.get_order(_id(answered, held)) if held else None)
            after = place(router, "after")
            assert after.order is not None, after
            heard.close()


def _told(heard: Heard, order: Order) -> bool:
    return any(each["orderStatus"] == order["orderStatus"] for each in heard.of(order["orderId"]))


def _one(router: Any, n: int) -> Answered:
    if n % 3 == 0:
        return place(router, f"order-{n}", order_type="Market", price=None, side="Sell" if n % 2 else "Buy")
    return place(router, f"order-{n}", side="Sell" if n % 2 else "Buy", price="35000" if n % 2 else "20000")


def _id(answered: Answered, held: list[tuple[str, dict[str, Any]]]) -> str:
    if answered.order is not None:
        return answered.order["orderId"]
    assert isinstance(answered.error, OrderOutcomeUnknown), f"{answered}, and yet it is in the books: {held}"
    return answered.error.order_id


def _honest(answered: Answered, held: list[tuple[str, dict[str, Any]]], now: Any) -> None:
    """What the caller was told, against the books."""
    executed = [(name, order) for name, order in held if order["status"] != "rejected"]
    if isinstance(answered.error, NoExchangeAvailable):
        assert not executed, f"{answered}, and yet it executed: {held}"
    if answered.order is not None:
        assert any(name == answered.order["exchange"] for name, _ in executed), f"{answered}, and nobody has it: {held}"
    if now is not None and executed:
        assert now["orderStatus"] != "NotExecuted", f"{answered} is told as {now}, and yet it executed: {held}"
        assert now["cumExecQty"] == str(executed[0][1]["filled"]), f"{now} against {held}"


@pytest.fixture(scope="module")
def plays(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[None]]]:
    """Every play that is asked for, begun a few at a time."""
    here: list[Any] = [item for item in request.session.items if item.path == request.path]
    asked: list[Play] = [item.callspec.params["what"] for item in here if hasattr(item, "callspec")]
    wanted = {what.name: what for what in asked}
    pool = ThreadPoolExecutor(AT_ONCE)
    begun = {name: pool.submit(play, what, tmp_path_factory.mktemp("play")) for name, what in wanted.items()}
    yield begun
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(
    "what",
    [
        *PLAYS,
        *(pytest.param(what, marks=pytest.mark.deep) for what in DEEP),
        *(pytest.param(what, marks=pytest.mark.slow) for what in MORE),
    ],
    ids=lambda what: what.name,
)
def test_each_order_executes_at_most_once_and_callers_are_told_the_truth(
    what: Play, plays: dict[str, Future[None]]
) -> None:
    plays[what.name].result()
