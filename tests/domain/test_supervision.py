"""The supervision machine against a world of processes that die, hang and answer in any order.

Invariants: a child has at most one process; a permanent child comes back unless the tree was given up; a temporary one
never does; with rest_for_one nobody serves who was started before its elder's last start; a hung child is killed once;
after a stop nothing is started.
"""

from __future__ import annotations

import pytest

from app.domain.restart import RestartPolicy
from app.domain.supervision import (
    Life,
    Supervision,
)
from tests.domain.family import CALM, FAMILY, TIMING, TWICE, World, running, spec


@pytest.fixture
def world() -> World:
    """A family, all serving."""
    made = World(Supervision(FAMILY, CALM, TIMING)).begin()
    made.calm()
    assert running(made) == {child.key for child in FAMILY}
    return made


def test_rest_for_one_starts_each_when_the_one_before_serves() -> None:
    """The synchronizer is built on the coordinator, so it comes after it."""
    world = World(Supervision(FAMILY, CALM, TIMING)).begin()
    assert "elder" in world.processes
    assert "middle" not in world.processes
    world.serve("elder")
    assert "middle" in world.processes
    assert "younger" not in world.processes


def test_an_elders_death_restarts_those_after_it_in_order_and_nobody_else(world: World) -> None:
    """OTP's rest_for_one."""
    world.order.clear()
    world.end("elder")
    assert set(world.stops) == {"middle", "younger"}
    world.calm()
    assert world.order == ["elder", "middle", "younger"]


def test_a_youngers_death_leaves_its_elders_alone(world: World) -> None:
    """Only what came later is affected."""
    world.order.clear()
    world.end("middle")
    world.calm()
    assert world.order == ["middle", "younger"]


def test_one_for_one_restarts_only_the_dead(world: World) -> None:
    """A connector's death is its own."""
    world.order.clear()
    world.end("one")
    world.calm()
    assert world.order == ["one"]


def test_restart_types(world: World) -> None:
    """Permanent always, transient unless it ended normally, temporary never."""
    for key, normally, back in (
        ("guest", False, False),
        ("worker", True, False),
        ("two", True, True),
    ):
        before = world.starts[key]
        world.end(key, normally=normally)
        world.calm()
        assert (world.starts[key] > before) is back, key
    assert world.machine.children["worker"].life is Life.ENDED


def test_a_transient_child_that_crashed_comes_back(world: World) -> None:
    """Only a normal end is final."""
    world.end("worker")
    world.calm()
    assert world.starts["worker"] == 2


def test_a_silent_child_is_killed_once_and_then_restarted(world: World) -> None:
    """Hung counts as failed."""
    world.wait(0.3)
    assert "one" in world.pings
    before_s = world.now_s
    for _ in range(20):
        world.wait(0.1)
        for key in list(world.processes):
            if key != "one":
                world.answer(key)
        if any(key == "one" for key, _ in world.kills):
            break
    assert [key for key, _ in world.kills] == ["one"]
    assert world.now_s - before_s <= TIMING.heartbeat_s + TIMING.heartbeat_timeout_s + 0.2
    world.end("one")
    world.calm()
    assert world.starts["one"] == 2


def test_a_child_that_says_it_is_ill_is_killed(world: World) -> None:
    """A connector whose event loop is blocked answers, and says so."""
    world.wait(0.3)
    world.answer("two", ill="its event loop has stood still for 2 s")
    assert [key for key, _ in world.kills] == ["two"]


def test_a_child_that_does_not_start_is_killed() -> None:
    """A constructor that never returns."""
    world = World(Supervision((spec("one"),), CALM, TIMING)).begin()
    world.wait(TIMING.start_timeout_s + 0.1)
    assert [key for key, _ in world.kills] == ["one"]


def test_a_child_that_does_not_stop_is_killed(world: World) -> None:
    """Nobody can hold up the end."""
    world.perform(world.machine.stop(world.now_s))
    assert world.stops == [child.key for child in reversed(FAMILY)]
    world.wait(TIMING.stop_timeout_s + 0.1)
    assert {key for key, _ in world.kills} == {child.key for child in FAMILY}
    for key in list(world.processes):
        world.end(key)
    assert world.machine.all_ended
    world.wait(100.0)
    assert not world.processes


def test_who_hangs_with_its_elder_is_killed_with_it(world: World) -> None:
    """And is not given, besides, the time in which one ends who is asked to: everybody serves that much sooner."""
    hung = {"elder", "middle", "younger"}
    world.wait(0.3)
    world.answer("elder")
    world.wait(0.1)
    for key in set(world.processes) - {"elder"}:
        world.answer(key)  # so that the elder is the first whose time is over
    for _ in range(15):
        world.wait(0.1)
        for key in set(world.processes) - hung:
            world.answer(key)
        for key, incarnation in world.kills:
            if world.processes.get(key) == incarnation:
                world.end(key)
    assert {key for key, _ in world.kills} == hung
    assert world.stops, "the elder's end came first, and the younger were asked to end"
    world.calm()
    assert running(world) >= hung


def test_one_that_is_well_has_its_time_to_end(world: World) -> None:
    """It owed nothing when it was asked to, and nothing is asked of it after that."""
    world.wait(0.3)
    for key in list(world.processes):
        world.answer(key)
    world.perform(world.machine.stop(world.now_s))
    world.wait(TIMING.stop_timeout_s - 0.1)
    assert world.kills == []


def test_too_many_ends_escalate() -> None:
    """The tree is given up, and everything is stopped."""
    world = World(Supervision((spec("one", policy=TWICE), spec("two")), CALM, TIMING)).begin()
    world.calm()
    for _ in range(3):
        world.end("one")
        world.calm()
    assert world.gave_up
    assert "one ended 3 times" in world.machine.gave_up
    assert not world.processes


def test_a_users_strategy_that_keeps_failing_stays_down_alone(world: World) -> None:
    """A bug of one user must not stop the trading of others."""
    for _ in range(3):
        world.end("user")
        world.calm()
    assert world.contained == ["user"]
    assert not world.gave_up
    assert running(world) == {child.key for child in FAMILY} - {"user"}


def test_nobody_waits_for_a_users_strategy_and_one_that_never_starts_stays_down_alone() -> None:
    """Killed each time its start is due: too seldom for the period, so its ends in a row count."""
    world = World(Supervision((spec("one"), spec("user", policy=TWICE, escalates=False)), CALM, TIMING)).begin()
    assert list(world.machine.missing) == ["one"]
    world.serve("one")
    assert list(world.machine.missing) == []
    for life in range(1, 4):
        for _ in range(300):
            world.wait(TWICE.period_s / 300)
            world.answer("one")
        assert world.kills[-1] == ("user", life)
        assert world.contained == []
        world.end("user")
    assert world.contained == ["user"]
    assert "user ended 3 times in a row before it had started" in world.machine.children["user"].words
    assert running(world) == {"one"}
    assert not world.gave_up


def test_a_life_that_served_begins_the_count_of_those_that_did_not_anew() -> None:
    """A start that fails now and then is not one that never succeeds."""
    calm = RestartPolicy(intensity=2, period_s=1.0, backoff_first_s=0.1, backoff_max_s=0.1)
    world = World(Supervision((spec("user", policy=calm, escalates=False),), CALM, TIMING)).begin()
    for _ in range(4):
        for _ in range(2):
            world.end("user")
            world.wait(2.0)
        world.serve("user")
    assert world.contained == []
    assert world.machine.children["user"].life is Life.RUNNING


def test_users_strategies_do_not_use_up_what_all_children_may() -> None:
    """Three that keep failing end nobody but themselves."""
    users = tuple(spec(f"user {n}", policy=TWICE, escalates=False) for n in range(3))
    world = World(Supervision((spec("one"), *users), TWICE, TIMING)).begin()
    world.calm()
    for _ in range(3):
        for user in users:
            world.end(user.key)
        world.calm()
    assert sorted(world.contained) == [user.key for user in users]
    assert not world.gave_up
    assert running(world) == {"one"}


def test_all_children_together_have_an_intensity_too() -> None:
    """Many failing a little is as bad as one failing much."""
    world = World(Supervision((spec("one"), spec("two"), spec("three")), TWICE, TIMING)).begin()
    world.calm()
    for key in ("one", "two", "three"):
        world.end(key)
        world.calm()
    assert world.gave_up


def test_hours_that_the_host_slept_are_forgiven(world: World) -> None:
    """With questions open, a child that starts and one that stops: nobody is killed for what was owed meanwhile."""
    world.calm()
    world.end("two")
    world.wait(0.1)
    assert world.machine.children["two"].life is Life.STARTING
    world.end("elder")
    assert world.machine.children["younger"].life is Life.STOPPING
    world.wait(TIMING.heartbeat_s)
    assert world.machine.children["one"].asked_s is not None
    before = dict(world.processes)
    world.now_s += 5 * 3600.0
    world.perform(world.machine.tick(world.now_s))
    assert world.kills == []
    world.end("younger")
    world.end("middle")
    world.calm()
    assert world.kills == []
    assert running(world) >= {child.key for child in FAMILY}
    assert world.processes["one"] == before["one"]


def test_who_hangs_is_found_after_a_sleep_too_and_by_one_who_is_always_late(world: World) -> None:
    """Forgiven once."""
    world.calm()
    world.wait(TIMING.heartbeat_s)
    world.now_s += 5 * 3600.0
    woke_s = world.now_s
    world.perform(world.machine.tick(world.now_s))
    assert world.kills == []
    world.wait(TIMING.heartbeat_timeout_s)
    assert {key for key, _ in world.kills} == {child.key for child in FAMILY}
    assert world.now_s - woke_s <= TIMING.heartbeat_timeout_s
    late = World(Supervision((spec("one"),), CALM, TIMING)).begin()
    late.serve("one")
    late.wait(TIMING.heartbeat_s)
    for _ in range(2):
        assert late.kills == []
        late.now_s = (late.machine.next_s() or 0.0) + TIMING.heartbeat_timeout_s
        late.perform(late.machine.tick(late.now_s))
    assert late.kills == [("one", 1)]
