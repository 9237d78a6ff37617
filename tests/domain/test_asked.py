"""A switch that is asked for, or wanted, before anybody has answered whether it is ready: waited for, not given up."""

from __future__ import annotations

import pytest

from app.domain.saga_effects import MANUAL
from app.domain.saga_table import Step
from messages.base import Failed
from messages.failover import ManualFailover, RouterState, SwitchReply
from messages.health import HealthState
from tests.domain.saga_desk import EXCHANGES, Desk

WELL, DOWN, STARTING = HealthState.WELL, HealthState.DOWN, HealthState.STARTING


def opening() -> Desk:
    """A router that has just started: no backup's markets are loaded."""
    desk = Desk()
    desk.opening = {"okx", "binance"}
    desk.all_well()
    desk.done.clear()
    return desk


def test_who_has_not_loaded_its_markets_is_waited_for_before_anything_is_fenced() -> None:
    desk = opening()
    desk.manual("okx")
    desk.lives(5.0)
    assert "fence" not in desk.done
    assert not desk.answers
    desk.opening.clear()
    desk.lives(1.0)
    (answer,) = desk.answers
    assert isinstance(answer, SwitchReply)
    assert desk.route.exchange == "okx"


def test_why_it_was_asked_for_is_kept_in_the_history() -> None:
    desk = Desk()
    desk.all_well()
    asked = ManualFailover(correlation_id="m", deadline_s=20.0, exchange="okx", reason="a drill")
    desk.run(desk.machine.manual("somebody", asked, desk.now_s))
    desk.lives(1.0)
    desk.manual("binance", "another")
    desk.lives(1.0)
    assert [switch.reason for switch in desk.kept.values()] == ["a drill", MANUAL]
    for switch in desk.kept.values():
        assert switch.asked
        assert switch.evidence[0] == "somebody asked for it"
        assert switch.evidence[-1].startswith(f"chosen: {switch.to_exchange} is well for ")


def test_it_is_asked_though_nobody_knows_how_it_is_yet() -> None:
    desk = Desk()
    desk.silent = {"okx"}
    desk.manual("okx")
    assert desk.done == ["fence", "commit bybit", "preflight okx"], "the fence is the start's"
    desk.silent.clear()
    desk.deliver_all()
    desk.lives(1.0)
    assert desk.route.exchange == "okx"


def test_who_is_silent_is_asked_again_and_the_asker_refused_at_its_deadline() -> None:
    desk = Desk()
    desk.silent = {"okx"}
    desk.manual("okx")
    desk.lives(30.0)
    (answer,) = desk.answers
    assert isinstance(answer, Failed)
    assert answer.code == "failover_failed", "nothing is wrong with what was asked"
    assert answer.words == "Cannot fail over to okx now: okx has not answered yet whether it is ready."
    assert desk.done.count("fence") == 1
    assert 3 <= desk.done.count("preflight okx") <= 5


def test_its_own_words_are_told_at_the_deadline() -> None:
    desk = opening()
    desk.manual("okx")
    desk.lives(30.0)
    (answer,) = desk.answers
    assert isinstance(answer, Failed)
    assert answer.words == "Cannot fail over to okx now: okx is not ready."
    assert "fence" not in desk.done
    assert desk.step() is Step.IDLE


def test_who_is_down_is_refused_before_anything_is_fenced() -> None:
    desk = Desk()
    desk.all_well()
    desk.health("okx", DOWN)
    desk.done.clear()
    desk.manual("okx")
    (answer,) = desk.answers
    assert isinstance(answer, Failed)
    assert answer.words == "Cannot fail over to okx now: okx is down: it said so"
    assert desk.done == []


def test_who_goes_down_while_it_is_waited_for_is_refused() -> None:
    desk = opening()
    desk.manual("okx")
    desk.health("okx", DOWN)
    (answer,) = desk.answers
    assert isinstance(answer, Failed)
    assert answer.words.endswith("okx is down: it said so")
    assert "fence" not in desk.done


def test_a_death_before_any_backup_has_answered_moves_trading_as_soon_as_one_has() -> None:
    desk = opening()
    desk.health("bybit", DOWN)
    desk.lives(20.0)
    assert "fence" not in desk.done
    assert desk.machine.state is RouterState.ERROR
    assert desk.machine.words == (
        "bybit is down, and okx and binance did not answer yet: trading moves as soon as one does."
    )
    desk.opening.clear()
    desk.lives(0.6)
    assert desk.route.exchange == "okx"
    (switch,) = desk.kept.values()
    assert switch.epoch == desk.route.epoch


@pytest.mark.parametrize("silent", EXCHANGES[1:])
def test_one_that_has_answered_is_enough(silent: str) -> None:
    desk = Desk()
    desk.silent = {silent}
    desk.all_well()
    desk.health("bybit", DOWN)
    desk.lives(6.0)
    assert desk.route.exchange not in ("bybit", silent)


def test_a_backup_is_asked_about_a_symbol_that_is_traded_for_the_first_time() -> None:
    desk = Desk()
    desk.all_well()
    desk.run(desk.machine.traded(("BTC/USDT:USDT",), desk.now_s))
    desk.deliver_all()
    desk.lives(1.0)
    desk.done.clear()
    desk.run(desk.machine.traded(("BTC/USDT:USDT",), desk.now_s))
    assert desk.done == [], "it was asked about it"
    desk.run(desk.machine.traded(("BTC/USDT:USDT", "ETH/USDT:USDT"), desk.now_s))
    assert desk.done == ["preflight okx", "preflight binance"]
    assert desk.machine.readied.fresh("okx", desk.now_s) is None, "what it said was not about that symbol"
    desk.deliver_all()
    assert desk.machine.readied.fresh("okx", desk.now_s) is not None


def test_what_was_known_before_a_symbol_was_traded_takes_no_trading_over_unasked() -> None:
    desk = Desk()
    desk.all_well()
    desk.lives(1.0)
    desk.done.clear()
    desk.run(desk.machine.traded(("ETH/USDT:USDT",), desk.now_s))
    desk.unready = {"okx"}
    desk.health("bybit", DOWN)
    desk.lives(1.0)
    assert desk.route.exchange == "binance"
