"""An exchange that comes back, readiness that is kept fresh, and when trading goes back by itself."""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve

from app.domain.failback import flaps, hold_down_s
from app.domain.failover import MANUAL, FailoverSettings
from app.domain.readied import UNREADY_AGAIN_S
from app.domain.saga_table import Step
from app.domain.standing import Standing
from messages.base import Failed
from messages.failover import PreflightReply, Switch, SwitchReply, SwitchResult
from messages.health import HealthState
from messages.positions import PositionPolicy
from tests.domain.saga_desk import EXCHANGES, Desk

WELL, DOWN, SUSPECT = HealthState.WELL, HealthState.DOWN, HealthState.SUSPECT
AUTO = FailoverSettings(exchanges=EXCHANGES, failback_auto=True, hold_down_s=100.0, positions=PositionPolicy.MIGRATE)


def left_behind() -> Desk:
    """Trading has left a dead bybit, where an order of ours may rest."""
    desk = Desk()
    desk.all_well()
    desk.place("a")
    desk.health("bybit", DOWN)
    desk.lives(30.0)
    assert desk.route.exchange == "okx"
    desk.done.clear()
    return desk


def test_a_dead_primary_is_left_without_a_question_when_a_backup_was_ready_a_moment_ago() -> None:
    desk = Desk()
    desk.all_well()
    desk.lives(50.0)
    desk.done.clear()
    desk.health("bybit", DOWN)
    assert desk.done[:2] == ["fence", "commit okx"], "fence and commit in one turn"
    (line,) = [line for _, line in desk.lines if line.step == "preflight"]
    assert 0.0 < line.detail["age_s"] <= desk.settings.preflight_interval_s


def test_a_switch_away_from_the_dead_does_not_wait_for_what_cannot_move() -> None:
    desk = Desk()
    desk.positions["bybit"] = Decimal(1)
    desk.all_well()
    desk.lives(1.0)
    began_s = desk.now_s
    desk.health("bybit", DOWN)
    while desk.step() is not Step.IDLE:
        desk.lives(0.1)
    assert desk.now_s - began_s < 3.0
    (switch,) = desk.kept.values()
    assert not switch.positions_read


def test_readiness_that_is_too_old_is_not_used() -> None:
    desk = Desk()
    desk.all_well()
    desk.silent = {"okx", "binance"}
    desk.lives(desk.settings.preflight_max_age_s + 1.0)
    desk.silent.clear()
    desk.done.clear()
    desk.health("bybit", DOWN)
    assert desk.done == ["fence", "preflight okx"]
    desk.lives(1.0)
    assert desk.route.exchange == "okx"


def test_who_was_not_ready_yields_to_who_was_and_is_asked_anew_when_nobody_was() -> None:
    desk = Desk()
    desk.unready = {"okx"}
    desk.all_well()
    desk.done.clear()
    desk.health("bybit", DOWN)
    assert desk.route.exchange == "binance"
    assert desk.kept[2].candidates_rejected == (("okx", "okx is not ready."),)
    desk = Desk()
    desk.unready = {"okx", "binance"}
    desk.all_well()
    desk.unready = {"okx"}
    desk.done.clear()
    desk.health("bybit", DOWN)
    desk.lives(1.0)
    assert desk.done[:4] == ["fence", "preflight okx", "preflight binance", "commit binance"]


def test_who_was_not_ready_at_first_is_asked_again_soon_and_keeps_its_place() -> None:
    """At a start an exchange's markets may still be on their way when it is asked first."""
    desk = Desk()
    desk.unready = {"okx"}
    desk.all_well()
    desk.unready.clear()
    desk.lives(UNREADY_AGAIN_S + 0.5)
    desk.done.clear()
    desk.health("bybit", DOWN)
    assert desk.done[:2] == ["fence", "commit okx"]


def test_a_planned_switch_always_asks_anew() -> None:
    desk = Desk()
    desk.all_well()
    desk.done.clear()
    desk.manual("okx")
    assert desk.done == ["fence", "preflight okx"]


def test_everybody_who_is_not_in_use_is_asked_again_and_again_and_shown() -> None:
    desk = Desk()
    desk.unready = {"binance"}
    desk.all_well()
    desk.done.clear()
    desk.lives(60.0)
    asked = [each for each in desk.done if each.startswith("preflight")]
    assert 2 <= asked.count("preflight okx") <= 4
    assert 4 <= asked.count("preflight binance") <= 7, "sooner, since it was not ready, but not for ever"
    assert "preflight bybit" not in asked, "it is in use"
    okx, binance = desk.machine.readiness(desk.now_s)
    assert (okx.exchange, okx.problems, binance.problems) == ("okx", (), ("binance is not ready.",))
    assert okx.at_s is not None
    assert not any("Standing" in note for note in okx.notes), "it is a candidate, as it is meant to be"
    desk.health("okx", DOWN)
    okx, _ = desk.machine.readiness(desk.now_s)
    assert okx.problems == ("okx is down: it said so",)
    assert okx.at_s is None


def test_what_came_back_is_settled_and_read_before_it_is_a_candidate() -> None:
    desk = left_behind()
    assert desk.machine.standing("bybit") is Standing.LEFT
    desk.positions["bybit"] = Decimal(3)
    desk.health("bybit", WELL)
    assert desk.machine.standing("bybit") is Standing.RETURNING
    assert "settle bybit" in desk.done
    assert "book bybit" not in desk.done
    desk.lives(10.0)
    assert desk.done.index("settle bybit") < desk.done.index("book bybit")
    assert desk.machine.standing("bybit") is Standing.CANDIDATE
    assert desk.where("a") == ("okx", 2)
    assert desk.positions["bybit"] == 0
    (switch,) = desk.kept.values()
    assert [each.quantity for each in switch.positions_moved] == ["3"]
    assert (switch.positions_left, switch.positions_read) == ((), True), "read once more after they had moved"
    stages = [line.detail["standing"] for _, line in desk.lines if line.step == "standing"]
    assert stages[-3:] == ["settling", "reading", "candidate"]


def test_what_came_back_and_cannot_settle_is_a_candidate_when_its_time_is_up_and_says_so() -> None:
    desk = left_behind()
    desk.silent = {"bybit"}
    desk.health("bybit", WELL)
    desk.lives(desk.settings.return_settle_s - 1.0)
    assert desk.machine.standing("bybit") is Standing.RETURNING
    desk.health("okx", DOWN)
    desk.lives(0.5)
    assert desk.route.exchange == "binance", "it is passed over meanwhile"
    assert dict(desk.kept[max(desk.kept)].candidates_rejected)["bybit"].startswith("bybit came back ")
    desk.lives(20.0)
    assert desk.machine.standing("bybit") is Standing.CANDIDATE
    readiness = next(each for each in desk.machine.readiness(desk.now_s) if each.exchange == "bybit")
    assert any("may still fill there" in note for note in readiness.notes)


def test_what_was_left_dead_is_asked_to_settle_again_though_its_connector_died_with_the_first_request() -> None:
    desk = Desk()
    desk.all_well()
    desk.place("a")
    desk.silent = {"bybit"}
    desk.health("bybit", DOWN)
    desk.lives(30.0)
    assert 5 <= desk.done.count("settle bybit") <= 8
    desk.silent.clear()
    desk.health("bybit", WELL)
    desk.lives(10.0)
    desk.done.clear()
    desk.health("bybit", DOWN)
    desk.lives(30.0)
    assert "settle bybit" not in desk.done, "nothing of ours is there"


def test_what_comes_back_and_goes_down_again_begins_anew() -> None:
    desk = left_behind()
    desk.health("bybit", WELL)
    desk.mail.clear()
    desk.health("bybit", DOWN)
    assert desk.machine.standing("bybit") is Standing.LEFT
    desk.health("bybit", WELL)
    desk.lives(5.0)
    assert desk.machine.standing("bybit") is Standing.CANDIDATE


def test_a_coordinator_that_starts_takes_who_holds_orders_of_ours_for_left() -> None:
    desk = left_behind()
    desk.life()
    assert desk.machine.standing("bybit") is Standing.LEFT
    assert desk.machine.standing("binance") is Standing.CANDIDATE


def test_settling_what_came_back_takes_nothing_off_that_was_placed_since_trading_is_there_again() -> None:
    desk = left_behind()
    desk.health("bybit", WELL)
    (late,) = [each for each in desk.mail if type(each).__name__ == "AskSettle"]
    desk.lives(5.0)
    desk.manual("bybit")
    desk.lives(5.0)
    desk.place("b")
    desk.mail.append(late)
    desk.lives(1.0)
    assert desk.where("b") == ("bybit", 1)


def test_who_asks_for_an_exchange_that_is_coming_back_waits_for_it() -> None:
    desk = left_behind()
    desk.health("bybit", WELL)
    desk.manual("bybit")
    assert (desk.step(), desk.answers) == (Step.IDLE, [])
    desk.lives(3.0)
    assert desk.route.exchange == "bybit"
    (answer,) = desk.answers
    assert isinstance(answer, SwitchReply)


def test_who_waits_for_an_exchange_that_does_not_come_back_is_told_before_his_deadline() -> None:
    desk = left_behind()
    desk.silent = {"bybit"}
    desk.health("bybit", WELL)
    asked_s = desk.now_s
    desk.manual("bybit")
    while not desk.answers:
        desk.lives(0.1)
    assert desk.now_s < asked_s + 20.0
    (answer,) = desk.answers
    assert isinstance(answer, Failed)
    assert "what rests there from before is being settled" in answer.words


# ---------------------------------------------------------------------------------------------------- failback


def test_trading_goes_back_when_the_primary_was_well_for_the_hold_down() -> None:
    desk = Desk(settings=AUTO)
    desk.all_well()
    desk.place("a")
    desk.health("bybit", DOWN)
    desk.lives(5.0)
    desk.health("bybit", WELL)
    desk.lives(99.0)
    assert desk.route.exchange == "okx"
    desk.lives(4.0)
    assert desk.route.exchange == "bybit"
    assert desk.kept[max(desk.kept)].reason.startswith("bybit has been well for 10")
    assert desk.where("a") == ("bybit", 3)


def test_a_primary_that_is_not_well_all_the_time_or_not_ready_is_waited_for() -> None:
    desk = Desk(settings=AUTO)
    desk.all_well()
    desk.health("bybit", DOWN)
    desk.lives(5.0)
    desk.health("bybit", WELL)
    desk.lives(90.0)
    desk.health("bybit", SUSPECT)
    desk.health("bybit", WELL)
    desk.unready = {"bybit"}
    desk.done.clear()
    desk.lives(150.0)
    assert desk.route.exchange == "okx"
    assert "fence" not in desk.done, "not even fenced: orders do not wait for what would be given up"
    desk.unready.clear()
    desk.lives(30.0)
    assert desk.route.exchange == "bybit"


def test_where_a_person_moved_trading_it_stays_and_it_never_goes_back_where_that_is_not_wanted() -> None:
    desk = Desk(settings=AUTO)
    desk.all_well()
    desk.manual("okx")
    desk.lives(1000.0)
    assert desk.route.exchange == "okx"
    desk = Desk(settings=evolve(AUTO, failback_auto=False))
    desk.all_well()
    desk.health("bybit", DOWN)
    desk.lives(5.0)
    desk.health("bybit", WELL)
    desk.lives(1000.0)
    assert desk.route.exchange == "okx"


def moved(at_s: float, epoch: int, from_: str, to: str, reason: str = "down") -> Switch:
    """One of the past."""
    return Switch(
        from_exchange=from_,
        to_exchange=to,
        reason=reason,
        at_s=at_s,
        epoch=epoch,
        result=SwitchResult.COMPLETED,
        duration_s=0.0,
    )


def test_each_failback_that_did_not_hold_doubles_the_next_hold_down() -> None:
    past: list[Switch] = []
    at_s, epoch = 0.0, 1
    for doubled in range(9):
        assert flaps(past, AUTO) == max(0, doubled - 1)
        assert hold_down_s(past, AUTO) == 100.0 * 2 ** min(6, max(0, doubled - 1))
        past += [moved(at_s, epoch, "bybit", "okx"), moved(at_s + 50.0, epoch + 1, "okx", "bybit")]
        at_s, epoch = at_s + 99.0, epoch + 2
    past += [moved(at_s + 1000.0, epoch, "bybit", "okx")]
    assert hold_down_s(past, AUTO) == 100.0, "the last one held"
    past += [moved(at_s + 1001.0, epoch + 1, "okx", "binance", MANUAL)]
    assert hold_down_s(past, AUTO) is None


def test_a_pre_flight_that_nobody_asked_for_changes_nothing() -> None:
    desk = Desk()
    desk.all_well()
    desk.done.clear()
    stray = PreflightReply(correlation_id="", exchange="bybit", problems=("It is in use.",))
    desk.run(desk.machine.preflight_done(stray, desk.now_s))
    assert (desk.done, desk.step(), desk.route.exchange) == ([], Step.IDLE, "bybit")
