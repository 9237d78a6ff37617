"""What proves that a leg executed nothing: each part of the margin counts, and an engine may refuse what was taken."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve

from app.domain.calls import ExpiryEnforcement, Proof
from app.domain.leg_life import Leg, LegEvent, advance
from messages.orders import LegState


@pytest.mark.parametrize("part", ["lateness_s", "visibility_s", "clock_error_s"])
def test_absence_waits_for_lateness_visibility_and_clock(part: str) -> None:
    none = {"lateness_s": 0.0, "visibility_s": 0.0, "clock_error_s": 0.0}
    proof = Proof(enforcement=ExpiryEnforcement.GATEWAY, validity_s=5.0, **(none | {part: 3.0}))
    assert proof.margin_s == 3.0


def test_an_acknowledged_order_may_still_be_refused() -> None:
    """Bybit and OKX acknowledge the request; their engine decides after."""
    leg = Leg(state=LegState.OPEN, quantity=Decimal(1))
    assert advance(leg, LegEvent.REFUSED).state is LegState.REFUSED


def test_what_filled_before_the_rest_was_refused_stays_filled() -> None:
    leg = Leg(state=LegState.PARTIALLY_FILLED, quantity=Decimal(1), filled=Decimal("0.4"))
    after = advance(leg, LegEvent.REFUSED)
    assert (after.state, after.filled) == (LegState.CANCELLED, Decimal("0.4"))


def test_a_leg_that_waits_for_a_trigger_may_need_a_lateness_of_its_own() -> None:
    proof = Proof(enforcement=ExpiryEnforcement.GATEWAY, validity_s=5.0, lateness_s=2.0, visibility_s=1.0)
    assert proof.margin_of(conditional=True) == proof.margin_s, "the same, unless it is said to be another"
    apart = evolve(proof, trigger_lateness_s=27.0)
    assert apart.margin_of(conditional=True) == proof.margin_s + 25.0
    assert apart.margin_of(conditional=False) == apart.margin_s == proof.margin_s
