"""Retries of placements: after proof, within their number and distance, and never where the detector says down."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from attrs import define, evolve
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.retries import SPREAD, Retries, RetryPolicy
from app.domain.session import RESEND_S, Session, SessionSettings, Tell
from messages.failover import Route, RouteChanged, RouterState
from messages.orders import LegState, OrderNotExecuted, OrderPending, PlaceOrder
from messages.supervision import Directory, DirectoryEntry, Role
from tests.domain.orders import JOURNAL, key, leg, order, spec

TRIES, DELAY_S = 3, 1.0
NEAR_S = 0.01


@given(st.floats(0.0, 1.0), st.floats(0.0, 100.0), st.floats(0.001, 60.0))
def test_a_wait_is_spread_and_never_shorter_than_the_exchange_asks(
    drawn: float, asked_s: float, delay_s: float
) -> None:
    policy = RetryPolicy(attempts=3, delay_s=delay_s, jitter=lambda: drawn)
    assert (1 - SPREAD) * delay_s <= policy.wait_s() <= (1 + SPREAD) * delay_s
    assert asked_s <= policy.wait_s(asked_s) <= max(asked_s, delay_s) + SPREAD * delay_s
    assert policy.wait_s(most_s=0.25) <= 0.25 * (1 + SPREAD)


def test_many_that_failed_together_do_not_come_back_together() -> None:
    policy = RetryPolicy(attempts=3, delay_s=DELAY_S, jitter=Random(1).random)
    waits = sorted(policy.wait_s() for _ in range(1000))
    assert waits[-1] - waits[0] > 1.8 * SPREAD * DELAY_S
    assert max(sum(1 for each in waits if at_s <= each < at_s + 0.01) for at_s in waits) < 60


@define
class Seen:
    """What has happened to the order on the exchange in use, since that was last told to be well, or to be in use."""

    tries: int = 0
    may_s: float = 0.0


class Desk:
    """A session, and exchanges that turn every placement away, with proof."""

    def __init__(self, seed: int, requests: int, asked_s: float) -> None:
        settings = SessionSettings(
            session_id="s",
            strategy="maker",
            max_retry_attempts=TRIES,
            retry_delay_s=DELAY_S,
            jitter=Random(seed).random,
        )
        self.session = Session(settings)
        self.asked_s = asked_s
        self.now_s = 0.0
        self.route = Route(epoch=1, exchange="bybit", since_s=0.0)
        self.down = False
        self.seen = Seen()
        self.attempts = {"bybit": 0, "okx": 0}
        self.tried: list[tuple[float, str]] = []
        self.answers: list[OrderNotExecuted] = []
        entries = tuple(
            DirectoryEntry(role=Role.CONNECTOR, name=name, address=name, incarnation=1, pid=None)
            for name in self.attempts
        )
        self.session.directory_told(Directory(generation=1, journal_id=JOURNAL, entries=entries), 0.0)
        self.tell()
        for number in range(requests):
            request = PlaceOrder(correlation_id=f"r{number}", deadline_s=1e5, epoch=1, key=key(), spec=spec())
            self.perform(self.session.ask(request, self.now_s))
        self.answer()

    def tell(self) -> None:
        """The coordinator tells the route, and whether its exchange is down."""
        state = RouterState.SWITCHING if self.route.exchange is None else RouterState.READY
        told = RouteChanged(route=self.route, state=state, down=self.down)
        self.perform(self.session.route_told(told, self.now_s))

    def perform(self, effects: Sequence[object]) -> None:
        """As the exchange in use does with a placement; all requests that leave together join one try."""
        placements = [e.message for e in effects if isinstance(e, Tell) and isinstance(e.message, PlaceOrder)]
        exchange = self.route.exchange
        if not placements or exchange is None:
            return
        if not self.answers:
            assert not (self.down and self.seen.tries), "tried again where the detector says down"
            assert self.seen.tries < TRIES, "tried too often"
            assert self.now_s >= self.seen.may_s, "tried too early"
            self.attempts[exchange] += 1
            self.tried.append((self.now_s, exchange))
        failed = evolve(leg(LegState.ABSENT, exchange=exchange), attempts=self.attempts[exchange])
        self.answers += [
            OrderNotExecuted(
                correlation_id=each.correlation_id, code="x", words="x", order=order(failed), retry_after_s=self.asked_s
            )
            for each in placements
        ]

    def answer(self) -> None:
        """It was not executed."""
        if self.answers:
            self.now_s += NEAR_S
            answers, self.answers = self.answers, []
            self.seen.tries += 1
            self.seen.may_s = self.now_s + max(self.asked_s, (1 - SPREAD) * DELAY_S)
            for each in answers:
                self.perform(self.session.reply(each, self.now_s))

    def passes(self, for_s: float) -> None:
        """Time goes by."""
        until_s = self.now_s + for_s
        while (next_s := self.session.next_s()) <= until_s:
            self.now_s = max(self.now_s + 0.001, next_s)
            self.perform(self.session.tick(self.now_s))
            self.answer()
        self.now_s = max(self.now_s, until_s)

    def step(self, what: str) -> None:
        """The detector, or the coordinator, says something."""
        exchange = self.route.exchange
        match what:
            case "down" | "well" if exchange is not None:
                if self.down and what == "well":
                    self.seen = Seen()
                self.down = what == "down"
            case "moves":
                self.seen, self.down = Seen(), False
                other = "okx" if exchange in (None, "bybit") else "bybit"
                self.route = Route(epoch=self.route.epoch + 1, exchange=other, since_s=self.now_s)
            case "given back" if exchange is not None:
                self.route = Route(epoch=self.route.epoch + 1, exchange=None, since_s=self.now_s)
                self.tell()
                self.passes(0.1)
                self.seen.may_s = self.now_s  # what came due meanwhile goes at once
                self.route = Route(epoch=self.route.epoch, exchange=exchange, since_s=self.now_s)
        self.tell()
        self.answer()


events = st.lists(
    st.tuples(
        st.sampled_from(["down", "well", "moves", "given back", "nothing"]), st.sampled_from([0.0, 0.3, 1.0, 4.0])
    ),
    max_size=25,
)


@given(st.integers(0, 9), st.integers(1, 3), st.sampled_from([0.0, 3.0]), events)
@example(0, 1, 0.0, [("down", 9.0), ("given back", 4.0), ("well", 0.0)])
@example(0, 2, 0.0, [("nothing", 9.0), ("given back", 4.0)])
def test_never_too_often_too_early_or_where_it_is_down_and_always_where_it_is_well(
    seed: int, requests: int, asked_s: float, happens: list[tuple[str, float]]
) -> None:
    desk = Desk(seed, requests, asked_s)
    for what, then_s in happens:
        desk.step(what)
        desk.passes(then_s)
    desk.step("well" if desk.down else "moves")
    before = len(desk.tried)
    desk.passes(60.0)
    again = desk.tried[before - 1 :] if desk.tried[-1:] and before else desk.tried
    assert desk.seen.tries == TRIES, f"it was well, and the order tried {desk.seen.tries} times: {again}"


@pytest.mark.parametrize("down", [False, True])
def test_what_nobody_can_know_is_asked_after_whatever_the_detector_says(down: bool) -> None:
    """The question is the placement's own message: the connector finds the order in its journal, and sends nothing."""
    desk = Desk(0, 0, 0.0)
    request = PlaceOrder(correlation_id="p", deadline_s=1e5, epoch=1, key=key("other"), spec=spec())
    desk.session.ask(request, 0.0)
    desk.down = down
    desk.tell()
    desk.session.reply(OrderPending(correlation_id="p", order=order(leg(LegState.UNKNOWN))), 0.1)
    asked = [
        effect for effect in desk.session.tick(0.1 + RESEND_S) if isinstance(effect, Tell) and effect.to == "bybit"
    ]
    assert any(isinstance(effect.message, PlaceOrder) for effect in asked)


def test_tries_are_counted_for_each_order_on_each_exchange() -> None:
    retries = Retries(RetryPolicy(attempts=2, delay_s=1.0))
    bybit, okx = leg(LegState.ABSENT), leg(LegState.ABSENT, exchange="okx", number=2)
    retries.asked(key())
    retries.asked(key("other"))
    assert retries.failed(key(), bybit, 0.0, 0.0) == 1.0
    assert retries.failed(key(), bybit, 0.0, 0.0) == 1.0, "another request was told of the same try"
    assert retries.failed(key("other"), bybit, 0.0, 7.0) == 7.0
    assert retries.failed(key(), okx, 5.0, 0.0) == 6.0
    assert retries.failed(key(), evolve(okx, attempts=2), 6.0, 0.0) is None
    retries.dropped(key())
    assert not retries.barred(key(), "okx"), "its owner asked anew"
    retries.dropped(key("other"))
    assert not retries._tries
