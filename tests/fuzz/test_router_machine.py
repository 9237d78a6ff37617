"""The router as a whole along any sequence of what strategies, persons and misfortune do, judged after each of it.

The real actors, sessions and journal, in simulated time, beside the slim model of what they promise
(`app.fuzz.model`) and the checkers of whole runs, as far as they can judge before the end. What fails is shrunk by
hypothesis, step by step, and told in sentences.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.domain.calls import ExpiryEnforcement, Proof
from app.fuzz.by_hand import ByHand, story_of
from app.fuzz.checker_news import Violation
from app.fuzz.parts import HARMLESS_PROOF
from app.fuzz.sim_orders import Duplicates
from tests.depth import stateful
from tests.fuzz.planted_model import PLANTED_MODEL
from tests.strategies import deaths, outages, rests, sizes, timeouts_s, traded, verbs, waits_s

MOST_ORDERS = 8
LATE = Proof(enforcement=ExpiryEnforcement.NONE, validity_s=2.0, lateness_s=8.0, visibility_s=2.0, clock_error_s=0.5)
"""An exchange that enforces no expiry and hides what it has: the hardest there is."""
orders = Bundle("orders")


class RouterMachine(RuleBasedStateMachine):
    """Places, cancels, changes, asks, asks again, breaks, heals, kills, stops, fails over, freezes, and lets time pass.

    After each step: nothing filled twice or lives twice, nothing is guessed, sent past the fence or left unanswered,
    and every answer is one that the model allows. In the end all heals, and the run is judged as one of the fuzzer's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hand: ByHand | None = None
        self.failed = False

    @initialize(
        chance=st.integers(0, 9),
        books=st.booleans(),
        proof=st.sampled_from((HARMLESS_PROOF, LATE)),
        duplicates=st.sampled_from(Duplicates),
        acknowledges=st.booleans(),
        final_cancels=st.booleans(),
    )
    def begin(self, chance: int, books: bool, **odd: object) -> None:
        self.hand = ByHand(chance=chance, books=books, odd=odd)

    @property
    def world(self) -> ByHand:
        assert self.hand is not None
        return self.hand

    def has_room(self) -> bool:
        return len(self.world.world.plan.strategies[0].orders) < MOST_ORDERS

    def has_books(self) -> bool:
        return self.world.world.plan.books is not None

    # ------------------------------------------------------------------------------------------------ the strategy

    @precondition(has_room)
    @rule(
        target=orders,
        side=st.sampled_from(["buy", "sell"]),
        quantity=sizes,
        price=rests,
        timeout_s=timeouts_s,
        then_s=waits_s,
    )
    def place(self, side: str, quantity: Decimal, price: Decimal | None, timeout_s: float, then_s: float) -> int:
        serial = self.world.place(side, quantity, price, timeout_s=timeout_s)
        self.world.wait(then_s)
        return serial

    @rule(order=orders)
    def place_again_under_the_same_id(self, order: int) -> None:
        self.world.again(order)

    @rule(order=orders)
    def place_half_under_the_same_id(self, order: int) -> None:
        self.world.otherwise(order)

    @rule(order=orders)
    def cancel(self, order: int) -> None:
        self.world.cancel(order)

    @rule(order=orders, quantity=st.none() | sizes, price=rests.filter(bool))
    def change(self, order: int, quantity: Decimal | None, price: Decimal) -> None:
        self.world.change(order, quantity, price)

    @rule(order=orders)
    def ask_after(self, order: int) -> None:
        self.world.ask(order)

    # ------------------------------------------------------------------------------------------------ what befalls it

    @rule(exchange=traded, by=outages, share=st.sampled_from([1.0, 0.4]), places_only=st.booleans())
    def break_exchange(self, exchange: str, by: str, share: float, places_only: bool) -> None:
        self.world.breaks(exchange, by, share, places_only=places_only)

    @rule(exchange=traded)
    def heal_exchange(self, exchange: str) -> None:
        self.world.heals(exchange)

    @rule(death=deaths)
    def kill(self, death: tuple[str, str]) -> None:
        self.world.kill(*death)

    @rule(exchange=traded, for_s=st.sampled_from([0.3, 3.0]))
    def stop_for_a_while(self, exchange: str, for_s: float) -> None:
        self.world.stall(exchange, for_s)

    @rule(exchange=traded)
    def fail_over(self, exchange: str) -> None:
        self.world.fail_over(exchange)

    @precondition(has_books)
    @rule(kind=verbs, exchange=traded)
    def person_asks(self, kind: str, exchange: str) -> None:
        self.world.verb(kind, exchange)

    @rule()
    def price_moves(self) -> None:
        self.world.price_moves()

    @rule(for_s=waits_s)
    def wait(self, for_s: float) -> None:
        self.world.wait(for_s)

    # ------------------------------------------------------------------------------------------------ the judgement

    @invariant()
    def nothing_is_wrong_so_far(self) -> None:
        if self.hand is not None:
            seen, violations = self.hand.so_far()
            self.failed = bool(violations)
            if violations:
                fail(story_of(seen, violations), violations[0])

    def teardown(self) -> None:
        if self.hand is None:
            return
        try:
            if not self.failed:
                seen, violations = self.hand.finish()
                if violations:
                    fail(story_of(seen, violations), violations[0])
        finally:
            self.hand.close()


def fail(story: str, violation: Violation) -> None:
    """With the story of the run as hypothesis has shrunk it."""
    note(story)
    raise AssertionError(f"{violation.rule}: {violation.words}\n{story}")


TestRouter = stateful(RouterMachine, quick=4, deep=300, steps=12)


@pytest.mark.slow  # two minutes: hypothesis tries very many runs to make one short
def test_a_planted_bug_is_found_and_shrunk_to_a_readable_story() -> None:
    """An id that is known is answered whatever body it is asked for with: an order and its half are all it takes."""
    found = settings(
        max_examples=100,
        stateful_step_count=8,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate, Phase.shrink),
    )
    planted = PLANTED_MODEL["another body not seen"].plant()
    with planted, pytest.raises(AssertionError, match=r"model: other") as error:
        run_state_machine_as_test(RouterMachine, settings=found)
    steps = [
        line for each in error.value.__notes__ for line in each.splitlines() if line.startswith(("state.", "orders"))
    ]
    done = [step for step in steps if "nothing_is_wrong" not in step]
    assert 2 <= len(done) <= 8, done
    assert "by the same id for" in str(error.value)
