"""Whether what is sent again may have another id: judged by what is known of what was sent before."""

from __future__ import annotations

from typing import Any

import pytest

from app.fuzz.checker_again import RULE, again_violations
from app.fuzz.record import Routed
from tests.fuzz.forged import START_S, leg, seen, sent

ROUTED = Routed(START_S, 1, "a")
TWICE = (ROUTED, sent("a", 10.0, "w1"), sent("a", 20.0, "w2"))


def test_another_id_after_silence_is_found() -> None:
    """No exchange would notice that both are one order."""
    assert [each.rule for each in again_violations(seen(*TWICE))] == [RULE]


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param({"orders": (leg("a", 10.1, wire_id="w1"),)}, id="its engine took it"),
        pytest.param({"refused": ((START_S + 10.1, 1),)}, id="refused by a code"),
        pytest.param({"turned_away": ((START_S + 10.1, "w1"),)}, id="turned away"),
    ],
)
def test_after_proof_it_may_have_another(shown: dict[str, Any]) -> None:
    assert not list(again_violations(seen(*TWICE, **shown)))


def test_an_earlier_sending_of_which_nothing_was_heard_is_not_proven_by_a_later_one_that_was_turned_away() -> None:
    facts = (ROUTED, sent("a", 10.0, "w1"), sent("a", 15.0, "w1"), sent("a", 20.0, "w2"))
    assert [each.rule for each in again_violations(seen(*facts, turned_away=((START_S + 15.1, "w1"),)))] == [RULE]


def test_what_goes_with_trading_has_another_id() -> None:
    facts = (ROUTED, sent("a", 10.0, "w1"), Routed(START_S + 15.0, 2, "b"), Routed(START_S + 17.0, 3, "a"))
    assert not list(again_violations(seen(*facts, sent("a", 20.0, "w2"))))
