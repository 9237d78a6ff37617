"""What the coordinator is told, and when; and whom the monitor asks when another exchange is down."""

from __future__ import annotations

from attrs import evolve

from app.domain import health
from app.domain.health_news import REFRESH_S, HealthNews
from app.domain.health_rounds import due, tells_of_others
from app.domain.health_settings import HealthSettings
from messages.health import Cause, Evidence, EvidenceKind, HealthState, HealthView, Maintenance, NetworkState, Witness
from tests.domain.health_desk import PUBLIC, READ, SIGNED, fed, well
from tests.domain.test_network import DOWN, SUSPECT, WELL, dead, seen

DEFAULTS = HealthSettings()
FINE = (seen("bybit", WELL, answered_sent_s=9.0), seen("okx", WELL, answered_sent_s=9.0))


def told(views: tuple[HealthView, ...] = FINE, at_s: float = 10.0) -> HealthNews:
    news = HealthNews(DEFAULTS)
    assert news.due(views, (), at_s) == tuple(view.exchange for view in views), "everything is news once"
    return news


def whose(news: HealthNews) -> NetworkState | None:
    return None if news.network is None else news.network.state


def changed(**changes: object) -> tuple[HealthView, ...]:
    return (evolve(FINE[0], **changes), FINE[1])  # type: ignore[arg-type]


def test_what_decisions_rest_on_is_told_at_once_and_once() -> None:
    news = told()
    for views in (
        changed(state=SUSPECT, since_s=10.1),
        changed(state=SUSPECT, since_s=10.1, cause=Cause.LOCAL),
        changed(unfit="slow"),
        changed(no_better="as slow"),
        changed(credentials="wrong key"),
        changed(halted=(("BTC/USDT:USDT", "halted"),)),
        changed(maintenance=Maintenance(begin_s=500.0, end_s=None, words="soon")),
    ):
        assert news.due(views, (), 10.1) == ("bybit",)
        assert news.due(views, (), 10.1) == ()


def test_a_sentence_that_counts_seconds_is_told_once() -> None:
    news = told(changed(unfit="closes in 100 s"))
    assert news.due(changed(unfit="closes in 99 s"), (), 11.0) == ()


def test_a_thousand_answers_a_second_are_told_now_and_then() -> None:
    news, n = told(), 0
    for number in range(1, 2001):
        at_s = 10.0 + number / 1000
        news.stir("bybit")
        n += len(news.due(changed(answered_sent_s=at_s), (), at_s))
    assert n == int(2.0 / REFRESH_S)


def test_what_was_not_told_yet_is_when_its_time_has_come() -> None:
    news = told()
    news.stir("bybit")
    assert news.due(changed(answered_sent_s=10.1), (), 10.1) == ()
    due_s = 10.0 + REFRESH_S
    assert news.next_s(changed(answered_sent_s=10.1), 10.1) == due_s
    assert news.due(changed(answered_sent_s=10.1), (), due_s) == ("bybit",)
    assert news.next_s(FINE, due_s) is None


def test_a_proof_is_told_at_once() -> None:
    views = (dead(), seen("okx", WELL, answered_sent_s=99.0))
    news = told(views, at_s=100.0)
    assert whose(news) is NetworkState.UNKNOWN
    proof = (views[0], evolve(views[1], answered_sent_s=100.01))
    news.stir("okx")
    assert news.due(proof, (), 100.02) == ("okx",)
    assert whose(news) is NetworkState.THEIRS
    news.stir("okx")
    assert news.due((views[0], evolve(views[1], answered_sent_s=100.1)), (), 100.1) == (), "one is enough"


def test_a_proof_by_a_witness_is_told_at_once() -> None:
    views = (dead(), seen("okx", WELL, answered_sent_s=99.0))
    news = told(views, at_s=100.0)
    assert news.due(views, (Witness(target="192.0.2.1:443", ok=True, at_s=100.0),), 100.1) == ("bybit",)


def test_a_new_coordinator_is_told_everything() -> None:
    news = told()
    news.forget()
    assert news.due(FINE, (), 10.1) == ("bybit", "okx")


def test_time_alone_is_looked_after() -> None:
    news = told()
    closing = changed(maintenance=Maintenance(begin_s=1000.0, end_s=1600.0, words="soon"))
    assert news.next_s(closing, 10.0) == 1000.0 - DEFAULTS.maintenance_lead_s
    assert news.next_s(closing, 700.0) == 1000.0
    assert news.next_s(closing, 1000.0) == 1600.0
    assert news.next_s(changed(hold_until_s=40.0), 10.0) == 40.0
    assert news.next_s(changed(banned_until_s=100.0), 10.0) == 100.0 - DEFAULTS.ban_tolerance_s
    assert news.next_s(FINE, 10.0) is None


# ------------------------------------------------------------------------------------------------ whom to ask


def asked(exchange: str, at_s: float) -> health.Detector:
    detector = health.start(exchange, 0.0)
    good = Evidence(
        exchange=exchange, kind=EvidenceKind.SIGNED_PROBE, ok=True, words="", latency_s=0.1, at_s=at_s - 1.0
    )
    return health.probes_sent(health.observe(detector, good, DEFAULTS), health.ROUND, at_s)


def test_one_that_is_well_is_asked_at_once_when_another_one_is_down_whatever_it_was_asked_before() -> None:
    detector = asked("okx", 99.9)  # not answered yet
    okx = health.view(detector, DEFAULTS, 100.0)
    assert due(detector, (okx, seen("bybit", SUSPECT, 100.0)), DEFAULTS, 100.0)[1] > 120.0
    assert due(detector, (okx, dead()), DEFAULTS, 100.0) == (health.ROUND, 100.0)
    again = health.probes_sent(detector, health.ROUND, 100.0)
    assert due(again, (okx, dead()), DEFAULTS, 100.1)[1] == 100.0 + DEFAULTS.retry_delay_s
    proven = evolve(okx, answered_sent_s=100.0)
    assert due(again, (proven, dead()), DEFAULTS, 100.1)[1] > 120.0


def test_the_others_are_asked_soon_when_one_becomes_suspect_and_when_one_that_was_down_is_heard_of_again() -> None:
    """Each time what it shows may be true of all; neither while it goes on failing, nor with its second answer."""
    pieces = [
        *(
            (SIGNED, True, 10.0, False),
            (READ, False, 20.0, True),
            (READ, False, 21.0, False),
            (READ, False, 25.0, False),
        ),
        *((READ, False, 30.0, False), (SIGNED, False, 31.0, False), (PUBLIC, False, 31.5, False)),
        *((PUBLIC, False, 35.0, False), (PUBLIC, True, 40.0, True), (PUBLIC, True, 45.0, False)),
    ]
    detector = well()
    for kind, ok, at_s, asks in pieces:
        before, detector = detector, fed(detector, (kind, ok, at_s))
        assert tells_of_others(before, detector) is asks, at_s
        assert (detector.state is DOWN) == (at_s >= 31.5)


def test_a_ban_is_kept_to() -> None:
    detector = asked("okx", 99.9)
    okx = evolve(health.view(detector, DEFAULTS, 100.0), banned_until_s=115.0)
    assert due(detector, (okx, dead()), DEFAULTS, 100.0)[1] == 115.0


def test_what_is_kept_out_by_a_person_is_asked_like_the_others() -> None:
    detector = health.isolated(asked("okx", 99.9), "for a look", 99.0)
    okx = health.view(detector, DEFAULTS, 100.0)
    assert okx.state is HealthState.ISOLATED
    assert okx.health is WELL
    assert due(detector, (okx, evolve(dead(), state=DOWN)), DEFAULTS, 100.0)[1] == 100.0


def test_what_keeps_trading_away_is_told_before_what_makes_it_leave_and_taken_back_after() -> None:
    """Trading is on okx: between two views it must never look as if bybit were better than one that is unfit."""
    bybit, okx = (health.view(health.start(name, 0.0), DEFAULTS, 1.0) for name in ("bybit", "okx"))
    news = told((bybit, okx), 1.0)
    unfit, away = evolve(okx, unfit="failing"), evolve(bybit, no_better="not better")
    assert news.due((unfit, away), (), 2.0) == ("bybit", "okx")
    assert news.due((bybit, okx), (), 3.0) == ("okx", "bybit")


def test_who_fails_together_with_one_that_is_unfit_is_told_first() -> None:
    """Trading leaves an exchange as soon as it is told that it is unfit: what holds it back cannot come later."""
    detectors = {name: health.start(name, 0.0) for name in ("bybit", "okx")}
    at_s = 0.0
    while not detectors["bybit"].judges.rate.unfit(at_s, DEFAULTS):
        at_s += 5.0
        calls = [("bybit", EvidenceKind.READ, at_s % 10.0 != 0.0), ("okx", EvidenceKind.SIGNED_PROBE, True)]
        for name, kind, ok in calls:
            piece = Evidence(exchange=name, kind=kind, ok=ok, words="", latency_s=0.05, at_s=at_s)
            detectors[name] = health.observe(detectors[name], piece, DEFAULTS)
        assert at_s < 1800.0
    before = tuple(health.view(each, DEFAULTS, at_s) for each in detectors.values())
    news = told(before, at_s - 1.0)
    compared = health.compared(detectors, at_s, DEFAULTS)
    views = tuple(health.view(each, DEFAULTS, at_s) for each in compared.values())
    held = news.held_together(compared, views, at_s)
    assert held is not None
    assert "our own network" in views[1].no_better
    assert not views[1].unfit, "no reason to leave the one that is well"
    assert news.due(views, (), at_s) == ("okx", "bybit")
    assert news.held_together(held, views, at_s) is None, "once"
