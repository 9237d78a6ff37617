"""When witnesses are asked: seldom, at once when something falls ill, and ever more rarely while that lasts."""

from __future__ import annotations

from attrs import evolve

from app.domain.health_settings import HealthSettings
from app.domain.witnesses import IDLE_S, Witnesses
from messages.health import HealthState, HealthView, Witness
from tests.domain.test_network import DOWN, SUSPECT, WELL, seen

ONE, OTHER = "192.0.2.1:443", "[2001:db8::1]:53"
DEFAULTS = HealthSettings()
FINE = (seen("bybit", WELL, answered_sent_s=9.0), seen("okx", WELL, answered_sent_s=9.0))


def asked(*targets: str, at_s: float = 0.0, views: tuple[HealthView, ...] = FINE) -> Witnesses:
    witnesses = Witnesses(targets or (ONE, OTHER), DEFAULTS)
    witnesses.begin(views, at_s)
    return witnesses


def ill(state: HealthState, since_s: float) -> tuple[HealthView, ...]:
    return evolve(FINE[0], state=state, since_s=since_s, last_ok_s=9.0), FINE[1]


def test_whoever_has_none_asks_nobody() -> None:
    assert Witnesses((), DEFAULTS).due_s(FINE, 5.0) is None


def test_they_are_asked_at_the_start_and_then_each_minute() -> None:
    witnesses = Witnesses((ONE, OTHER), DEFAULTS)
    assert witnesses.due_s(FINE, 5.0) == 5.0
    assert witnesses.begin(FINE, 5.0) == (ONE, OTHER)
    for target in (ONE, OTHER):
        witnesses.heard(target, "", asked_s=5.0)
    assert witnesses.due_s(FINE, 6.0) == 5.0 + IDLE_S


def test_what_they_say_is_told_with_when_they_were_asked() -> None:
    witnesses = asked(at_s=5.0)
    assert not witnesses.told
    assert witnesses.heard(OTHER, "connection refused", asked_s=5.0)
    assert witnesses.heard(ONE, "", asked_s=5.0)
    assert witnesses.told == (
        Witness(target=ONE, ok=True, at_s=5.0, since_s=5.0),
        Witness(target=OTHER, ok=False, at_s=5.0, words="connection refused", since_s=5.0, silent_s=5.0, good=False),
    )


def test_only_what_differs_is_worth_a_word() -> None:
    witnesses = asked(ONE)
    assert witnesses.heard(ONE, "", asked_s=0.0)
    witnesses.begin(FINE, 60.0)
    assert not witnesses.heard(ONE, "", asked_s=60.0)
    witnesses.begin(FINE, 120.0)
    assert witnesses.heard(ONE, "refused", asked_s=120.0)
    witnesses.begin(FINE, 180.0)
    assert not witnesses.heard(ONE, "no answer", asked_s=180.0)


def test_how_long_it_was_silent_is_remembered_when_it_is_back() -> None:
    witnesses = asked(ONE)
    for at_s, words in ((0.0, ""), (60.0, "no way"), (120.0, "no way"), (180.0, ""), (240.0, "")):
        witnesses.begin(FINE, at_s)
        witnesses.heard(ONE, words, asked_s=at_s)
    assert [(each.ok, each.since_s, each.silent_s) for each in witnesses.told] == [(True, 180.0, 60.0)]


def test_when_something_falls_ill_they_are_asked_at_once_and_the_round_before_is_not_waited_for() -> None:
    witnesses = asked(ONE, at_s=10.0)
    assert witnesses.due_s(ill(SUSPECT, 11.0), 11.0) == 11.0
    witnesses.begin(ill(SUSPECT, 11.0), 11.0)
    assert not witnesses.heard(ONE, "", asked_s=10.0), "an answer to what was asked before proves nothing"
    assert not witnesses.told
    witnesses.heard(ONE, "", asked_s=11.0)
    assert [each.at_s for each in witnesses.told] == [11.0]
    assert witnesses.due_s(ill(DOWN, 20.0), 20.0) == 20.0, "that it is down is news again"


def test_while_a_proof_is_missing_they_are_asked_ever_more_rarely() -> None:
    views = ill(DOWN, 10.0)
    witnesses = asked(ONE, at_s=9.0)
    now_s, pauses = 10.0, []
    assert witnesses.due_s(views, now_s) == now_s
    for _ in range(6):
        witnesses.begin(views, now_s)
        witnesses.heard(ONE, "refused", asked_s=now_s)
        due_s = witnesses.due_s(views, now_s)
        assert due_s is not None
        pauses.append(due_s - now_s)
        now_s = due_s
    assert pauses == [5.0, 10.0, 20.0, 30.0, 30.0, 30.0]


def test_with_a_proof_they_are_left_alone() -> None:
    views = ill(DOWN, 10.0)
    witnesses = asked(ONE, at_s=0.0)
    witnesses.heard(ONE, "", asked_s=0.0)
    witnesses.begin(views, 10.0)
    witnesses.heard(ONE, "", asked_s=10.0)
    assert [(each.since_s, each.at_s) for each in witnesses.told] == [(0.0, 10.0)]
    assert witnesses.due_s(views, 11.0) == 10.0 + IDLE_S


def test_who_is_silent_for_too_long_was_not_reached() -> None:
    witnesses = asked(ONE, OTHER, at_s=10.0)
    witnesses.heard(ONE, "", asked_s=10.0)
    assert witnesses.late_s() == 10.0 + DEFAULTS.probe_timeout_s
    assert witnesses.late(14.9) == ()
    assert witnesses.late(15.0) == ((OTHER, 10.0, "no answer within 5 s"),)
    witnesses.heard(OTHER, "no answer within 5 s", asked_s=10.0)
    assert witnesses.late(15.0) == ()
    assert witnesses.late_s() is None


def test_a_round_under_way_is_waited_for_while_nothing_new_fails() -> None:
    views = ill(DOWN, 10.0)
    quick = evolve(DEFAULTS, retry_delay_s=0.1)
    witnesses = Witnesses((ONE,), quick)
    witnesses.begin(views, 10.0)
    assert witnesses.due_s(views, 10.5) == 10.0 + quick.probe_timeout_s
