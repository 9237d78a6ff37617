"""Restart intensity: OTP's rule, the waits, and that a child which always ends is always given up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.restart import GiveUp, Restart, RestartPolicy, Restarts, on_exit

POLICY = RestartPolicy(intensity=5, period_s=30.0, backoff_first_s=0.5, backoff_max_s=3.0)


def ends(policy: RestartPolicy, *times_s: float) -> list[Restart | GiveUp]:
    """What is answered to a child that ends at these times."""
    state, answers = Restarts(name="okx", policy=policy), list[Restart | GiveUp]()
    for now_s in times_s:
        answer = on_exit(state, now_s)
        answers.append(answer)
        if isinstance(answer, GiveUp):
            break
        state = answer.state
    return answers


def waits(policy: RestartPolicy, *times_s: float) -> list[float | None]:
    """The waits, None for giving up."""
    return [answer.after_s if isinstance(answer, Restart) else None for answer in ends(policy, *times_s)]


def test_first_restart_is_at_once_then_waits_double_up_to_the_cap() -> None:
    """And the one past the intensity gives up."""
    assert waits(POLICY, 0, 1, 2, 3, 4, 5) == [0.0, 0.5, 1.0, 2.0, 3.0, None]


def test_ends_further_apart_than_the_period_are_each_the_first() -> None:
    """A child that ends once an hour is restarted at once, for ever."""
    assert waits(POLICY, *(3600.0 * hour for hour in range(100))) == [0.0] * 100


def test_an_end_exactly_one_period_old_still_counts() -> None:
    """As in OTP, whose comparison includes the edge."""
    policy = RestartPolicy(intensity=1, period_s=5.0, backoff_first_s=0.0, backoff_max_s=0.0)
    assert waits(policy, 0.0, 5.0) == [0.0, None]
    assert waits(policy, 0.0, 5.001) == [0.0, 0.0]


def test_intensity_zero_gives_up_at_the_first_end() -> None:
    """No restart is more than none."""
    policy = RestartPolicy(intensity=0, period_s=5.0, backoff_first_s=1.0, backoff_max_s=1.0)
    assert waits(policy, 0.0) == [None]


def test_giving_up_says_who_how_often_and_what_was_allowed() -> None:
    """One sentence for the log and for systemd's journal."""
    last = ends(POLICY, *range(6))[-1]
    assert isinstance(last, GiveUp)
    assert last.words == "okx ended 6 times within 30 s, more than the 5 that supervision.intensity allows"


def test_restarts_are_counted_for_status() -> None:
    """Over the whole life, not the period."""
    last = ends(POLICY, *(100.0 * step for step in range(7)))[-1]
    assert isinstance(last, Restart)
    assert last.state.total == 7
    assert last.state.ends_s == (600.0,)


def test_a_clock_set_back_neither_forgets_nor_fails() -> None:
    """The ends stay in order."""
    answers = ends(POLICY, 100.0, 50.0)
    assert isinstance(answers[1], Restart)
    assert answers[1].state.ends_s == (100.0, 100.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"intensity": -1}, "intensity is -1, and must be 0 or more restarts"),
        ({"period_s": 0.0}, "period_s is 0.0, and must be a number of seconds above 0"),
        ({"period_s": float("nan")}, "period_s is nan"),
        ({"backoff_first_s": -1.0}, "backoff_first_s is -1.0, and must be a number of seconds 0 or more"),
        ({"period_s": 6.0}, "the waits before 5 restarts add up to 6.5 s, which is not below period_s=6"),
    ],
)
def test_policies_that_make_no_sense_are_refused(change: dict[str, float], words: str) -> None:
    """By a sentence with the number in it."""
    numbers = {"intensity": 5, "period_s": 30.0, "backoff_first_s": 0.5, "backoff_max_s": 3.0, **change}
    with pytest.raises(ValueError, match=words):
        RestartPolicy(**numbers)  # type: ignore[arg-type]


@given(st.integers(0, 1000), st.floats(0.01, 1e6), st.floats(0.0, 0.49))
def test_a_child_that_ends_at_once_is_always_given_up(intensity: int, period_s: float, share: float) -> None:
    """Whatever the settings, also when starting takes up to nearly half the period altogether."""
    policy, now_s, answered = RestartPolicy.within(intensity, period_s), 0.0, 0
    state = Restarts(name="okx", policy=policy)
    while isinstance(answer := on_exit(state, now_s), Restart):
        assert 0.0 <= answer.after_s <= policy.backoff_max_s
        assert len(answer.state.ends_s) <= intensity
        now_s += answer.after_s + share * period_s / max(1, intensity)
        state, answered = answer.state, answered + 1
    assert answered == intensity


@given(st.lists(st.floats(0.0, 100.0), max_size=60))
def test_never_more_than_intensity_restarts_within_a_period(gaps_s: list[float]) -> None:
    """OTP's rule, checked against every window of any history."""
    now_s, restarted = 0.0, list[float]()
    state = Restarts(name="okx", policy=POLICY)
    for gap_s in gaps_s:
        now_s += gap_s
        answer = on_exit(state, now_s)
        if isinstance(answer, GiveUp):
            assert sum(now_s - at_s <= POLICY.period_s for at_s in restarted) == POLICY.intensity
            return
        restarted.append(now_s)
        assert sum(now_s - at_s <= POLICY.period_s for at_s in restarted) <= POLICY.intensity
        state = answer.state
