"""What each purpose of an order may do under each control: the table, pair by pair."""

from __future__ import annotations

import pytest
from attrs import evolve

from app.domain.controls import CLOSE, CORRECT, FLAT, NONE, Controls, controlled
from messages.orders import Purpose
from tests.domain.orders import spec

ORDER, EXIT, MOVE = Purpose
OPENS, REDUCES = spec(), evolve(spec(), reduce_only=True)
FROZEN = Controls(frozen="looking.")
PANIC = Controls(frozen="panic.", panic="panic.", flatten="panic.")
REDUCE_ONLY = Controls(reduce_only="asked.")
ISOLATED = Controls(isolated=(("okx", "asked."),))


@pytest.mark.parametrize(
    ("controls", "purpose", "what", "name", "code"),
    [
        (FROZEN, ORDER, OPENS, "a", "frozen"),
        (FROZEN, ORDER, REDUCES, "a", "frozen"),
        (FROZEN, EXIT, REDUCES, "exit/a/1/sl/1", None),
        (FROZEN, MOVE, OPENS, "move/2/BTC/1/open", "frozen"),
        (FROZEN, MOVE, REDUCES, f"move/2/BTC/1{CLOSE}", None),
        (FROZEN, MOVE, REDUCES, f"move/2/BTC/1{FLAT}", "frozen"),
        (PANIC, MOVE, REDUCES, f"move/2/BTC/1{FLAT}", None),
        (PANIC, MOVE, OPENS, f"move/2/BTC/1{FLAT}", "frozen"),
        (REDUCE_ONLY, ORDER, OPENS, "a", "reduce_only_mode"),
        (REDUCE_ONLY, ORDER, REDUCES, "a", None),
        (REDUCE_ONLY, EXIT, REDUCES, "exit/a/1/sl/1", None),
        (REDUCE_ONLY, MOVE, OPENS, "move/2/BTC/1/open", None),
        (REDUCE_ONLY, MOVE, OPENS, f"{CORRECT}1", "reduce_only_mode"),
        (REDUCE_ONLY, MOVE, REDUCES, f"{CORRECT}1", None),
        (ISOLATED, ORDER, REDUCES, "a", "isolated"),
        (ISOLATED, EXIT, REDUCES, "exit/a/1/sl/1", None),
        (ISOLATED, MOVE, OPENS, "move/2/BTC/1/open", "isolated"),
        (ISOLATED, MOVE, REDUCES, f"move/2/BTC/1{CLOSE}", None),
        (NONE, ORDER, OPENS, "a", None),
    ],
)
def test_what_a_control_lets_pass(
    controls: Controls, purpose: Purpose, what: object, name: str, code: str | None
) -> None:
    held_up = controlled(controls, purpose, what, "okx", name)  # type: ignore[arg-type]
    assert (None if held_up is None else held_up.code) == code
    if held_up is not None:
        assert held_up.words.endswith(".")


def test_isolation_is_of_one_exchange() -> None:
    assert controlled(ISOLATED, ORDER, OPENS, "bybit", "a") is None
