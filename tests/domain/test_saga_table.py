"""The tables of a switch and of an exchange that comes back: every pair is answered, and by what it should."""

from __future__ import annotations

import pytest

from app.domain import saga_steps, standing
from app.domain.saga_table import (
    MOVING,
    TABLE,
    TELLING,
    Do,
    Happened,
    Illegal,
    IllegalStep,
    Refuse,
    Stale,
    Step,
    answer,
)


def test_every_pair_is_answered_and_every_answer_is_done() -> None:
    assert TABLE.keys() == set(Step)
    for step, row in TABLE.items():
        assert row.keys() == set(Happened), step
    used = {found for row in TABLE.values() for found in row.values() if isinstance(found, Do)}
    assert used == set(Do), "nothing is left in that cannot happen"
    assert saga_steps._ACTIONS.keys() == set(Do)
    assert MOVING | TELLING | {Step.IDLE} == set(Step)


def test_what_is_stale_refused_or_illegal_says_why() -> None:
    for row in TABLE.values():
        for found in row.values():
            if isinstance(found, Stale | Refuse | Illegal):
                assert found.why
                assert found.why[0].islower()
                assert not found.why.endswith(".")


@pytest.mark.parametrize("step", sorted(MOVING))
def test_one_switch_runs_at_a_time_until_its_commit(step: Step) -> None:
    assert isinstance(answer(step, Happened.WANTED), Refuse)


@pytest.mark.parametrize("step", sorted(TELLING))
def test_after_its_commit_it_is_cut_short_by_what_is_more_urgent(step: Step) -> None:
    assert answer(step, Happened.WANTED) is Do.CUT_SHORT


@pytest.mark.parametrize("step", sorted(set(Step) - {Step.IDLE, Step.FENCE, Step.COMMIT}))
def test_every_step_that_waits_for_somebody_ends_without_him(step: Step) -> None:
    assert isinstance(answer(step, Happened.DUE), Do)


@pytest.mark.parametrize("step", Step)
def test_only_who_fenced_hears_of_a_fence_and_only_who_commits_of_a_commit(step: Step) -> None:
    for happened, at in ((Happened.FENCED, Step.FENCE), (Happened.COMMITTED, Step.COMMIT)):
        if step is at:
            assert isinstance(answer(step, happened), Do)
        else:
            with pytest.raises(IllegalStep, match=f"{happened.value} is illegal while a switch is at {step.value}: "):
                answer(step, happened)


def test_an_exchange_that_comes_back_meets_every_turn_at_every_stage() -> None:
    assert standing.TABLE.keys() == set(standing.Back)
    for row in standing.TABLE.values():
        assert row.keys() == set(standing.Turn)


def test_nobody_is_a_candidate_who_did_not_settle_first_or_ran_out_of_time() -> None:
    to = standing.Back.CANDIDATE
    ways = {
        (back, turn)
        for back, row in standing.TABLE.items()
        for turn, then in row.items()
        if then is to and back is not to
    }
    reading, settling, left = standing.Back.READING, standing.Back.SETTLING, standing.Back.LEFT
    taken = {(back, standing.Turn.TAKEN) for back in (reading, settling, left)}  # trading is there: it is in use
    assert ways - taken == {(reading, standing.Turn.READ), (reading, standing.Turn.OVER)}
    into = {(back, turn) for back, row in standing.TABLE.items() for turn, then in row.items() if then is reading}
    assert {pair for pair in into if pair[0] is not reading} == {
        (settling, standing.Turn.SETTLED),
        (settling, standing.Turn.OVER),
    }
