"""Whom the launcher asks whether orders get through, and what it makes of the answers."""

from __future__ import annotations

from app.domain.order_path import Ask, Effect, Feed, PathWatch, Withhold
from app.domain.pulse import Pulse
from messages.supervision import OrderPathChecked

EVERY_S, TIMEOUT_S = 2.0, 5.0


class Desk:
    """A watch, its clock, and who was asked last."""

    def __init__(self, **lives: int) -> None:
        self.watch = PathWatch(EVERY_S, TIMEOUT_S)
        self.now_s = 1000.0
        self.asked: Ask | None = None
        self.lives = lives or {"bybit": 1, "okx": 1}
        self.note(self.watch.knows(self.lives, self.now_s))

    def note(self, effects: list[Effect]) -> list[Effect]:
        """Remembers the question; returns the rest."""
        for effect in effects:
            if isinstance(effect, Ask):
                self.asked = effect
        return [effect for effect in effects if not isinstance(effect, Ask)]

    def whom(self) -> str | None:
        """Who was asked, taken away."""
        asked, self.asked = self.asked, None
        return None if asked is None else asked.exchange

    def answer(self, routed: str | None, words: str = "") -> list[Effect]:
        """Who was asked last answers."""
        assert self.asked is not None
        asked, self.asked = self.asked, None
        reply = OrderPathChecked(
            correlation_id=asked.correlation_id, exchange=asked.exchange, routed=routed, words=words
        )
        return self.note(self.watch.answered(reply, self.now_s))

    def later(self, seconds: float) -> list[Effect]:
        """Time passes."""
        self.now_s += seconds
        return self.note(self.watch.tick(self.now_s))


def test_the_one_in_use_is_asked_again_and_again_and_feeds() -> None:
    desk = Desk()
    assert desk.asked is not None
    assert desk.asked.since_s == desk.now_s - EVERY_S
    assert desk.asked.deadline_s == desk.now_s + TIMEOUT_S
    for _ in range(3):
        assert desk.answer("bybit") == [Feed()]
        assert desk.later(0.9 * EVERY_S) == []
        assert desk.asked is None
        assert desk.later(0.2 * EVERY_S) == []


def test_one_that_is_not_in_use_names_who_is_and_feeds_nothing() -> None:
    desk = Desk()
    assert desk.answer("okx", "stuck, but who cares") == []
    assert desk.asked is not None
    assert desk.asked.exchange == "okx", "at once"
    assert desk.answer("okx") == [Feed()]
    desk.later(EVERY_S)
    assert desk.whom() == "okx"


def test_while_nobody_is_in_use_whoever_answers_speaks_for_the_path() -> None:
    desk = Desk()
    assert desk.answer(None) == [Feed()]
    desk.later(EVERY_S)
    assert desk.answer(None, "the journal is locked") == [Withhold("the journal is locked")]


def test_a_path_that_is_stuck_is_told_and_asked_again() -> None:
    desk = Desk()
    assert desk.answer("bybit", "the journal is locked") == [Withhold("the journal is locked")]
    assert desk.later(EVERY_S) == []
    assert desk.answer("bybit") == [Feed()]


def test_silence_of_the_one_in_use_is_not_made_good_by_another() -> None:
    desk = Desk()
    desk.answer("bybit")
    desk.later(EVERY_S)
    assert desk.whom() == "bybit"
    assert desk.later(0.99 * TIMEOUT_S) == []
    assert desk.later(0.02 * TIMEOUT_S) == [Withhold("the connector of bybit has not answered for 5 s")]
    assert desk.answer("bybit") == [], "okx is well, and not in use"
    assert desk.asked is None, "not at once again"
    desk.later(EVERY_S)
    assert desk.whom() == "bybit"


def test_trading_that_moved_away_from_a_silent_one_is_found() -> None:
    desk = Desk()
    desk.answer("bybit")
    desk.later(EVERY_S)
    assert desk.whom() == "bybit"
    desk.later(TIMEOUT_S)
    assert desk.answer("okx") == [Feed()]


def test_a_late_answer_is_not_listened_to() -> None:
    desk = Desk()
    late = desk.asked
    assert late is not None
    desk.later(TIMEOUT_S)
    reply = OrderPathChecked(correlation_id=late.correlation_id, exchange="bybit", routed="bybit")
    assert desk.watch.answered(reply, desk.now_s) == []


def test_one_that_was_started_anew_is_asked_again_at_once() -> None:
    desk = Desk()
    assert desk.whom() == "bybit"
    assert desk.note(desk.watch.knows({"bybit": 1, "okx": 2}, desk.now_s)) == []
    assert desk.whom() is None, "another one's death is nothing to it"
    desk.note(desk.watch.knows({"bybit": 2, "okx": 2}, desk.now_s))
    assert desk.whom() == "bybit"


def test_time_that_the_launcher_slept_through_is_nobodys_silence() -> None:
    desk = Desk()
    assert desk.answer("bybit") == [Feed()]
    desk.later(EVERY_S)
    old = desk.asked
    assert old is not None
    assert desk.later(5 * 3600.0) == [], "no word of a connector that has not answered"
    assert desk.asked is not old
    assert desk.answer("bybit") == [Feed()], "the question it had would have been too old"
    desk.later(EVERY_S)
    assert desk.later(TIMEOUT_S) == [Withhold("the connector of bybit has not answered for 5 s")]


def test_nobody_to_ask_feeds_nothing() -> None:
    watch = PathWatch(EVERY_S, TIMEOUT_S)
    assert watch.tick(1000.0) == []
    desk = Desk(bybit=1)
    assert desk.answer("kraken") == [Withhold("trading is on kraken, which has no connector")]


def test_a_pulse_owes_from_the_question_on() -> None:
    pulse = Pulse(0.25, 1.5)
    pulse.begin(100.0)
    assert not pulse.due(100.2)
    assert pulse.due(100.25)
    assert not pulse.due(100.5), "one question at a time"
    assert not any(pulse.silent(look_s) for look_s in (100.5, 101.0, 101.5, 101.7))
    assert pulse.silent(101.75)
    pulse.heard(101.76)
    assert not pulse.silent(200.0), "nothing is owed, however long nobody asked"
    assert pulse.due(200.0)


def test_a_pulse_is_not_missed_by_who_was_away() -> None:
    """Once: somebody who always comes late would never find anything."""
    pulse = Pulse(0.25, 1.5)
    pulse.begin(100.0)
    assert pulse.due(100.25)
    assert not pulse.silent(100.3)
    assert not pulse.silent(9000.0), "stopped, it may be with the answer before it"
    assert not pulse.silent(9000.7)
    assert not pulse.silent(9001.4)
    assert pulse.silent(9001.5), "but there was none"
    pulse.begin(100.0)
    assert pulse.due(100.25)
    looks_s = [100.3 + n for n in range(4)]
    assert [pulse.silent(look_s) for look_s in looks_s] == [False, False, False, True], "owed from 101.3"
