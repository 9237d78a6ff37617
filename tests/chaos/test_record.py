"""Plans that can be repeated, records that can be taken up again, bars that can be missed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests.chaos.bars import bars, hang_budget_s, result
from tests.chaos.injury import ACTORS, Blow, Means, Target, Way, plan, way
from tests.chaos.record import Record, Sample, Session, Wanted, crowds, groups, spread
from tests.chaos.weigh import Weight

REST = Weight(
    processes=9,
    memory_mb=200.0,
    proportional=True,
    descriptors=300,
    own_descriptors=30,
    sockets=14,
    files=7,
    temporary=0,
)


def test_a_plan_is_its_seeds_and_hits_everybody_in_every_way() -> None:
    """Also when it is cut short: the pairs come in rounds."""
    whole = plan(kills=100, others=100, launchers=6, seed=5)
    assert whole == plan(kills=100, others=100, launchers=6, seed=5)
    assert whole != plan(kills=100, others=100, launchers=6, seed=6)
    assert [each.number for each in whole] == list(range(206))
    pairs = Counter((each.target, each.means) for each in whole)
    assert pairs.pop((Target.CONNECTOR, Means.KILL)) == 100
    assert pairs.pop((Target.LAUNCHER, Means.KILL)) == 6
    assert len(pairs) == 27
    assert set(pairs.values()) == {3, 4}
    assert len({(each.target, each.means) for each in whole[100:127]}) == 27


def test_several_are_hit_at_once_in_every_crowd_and_way_and_change_nothing_else_of_a_plan() -> None:
    """Never the launcher, nobody twice, and with one killed and one frozen where both are wanted."""
    whole = plan(kills=3, others=4, launchers=2, together=24, seed=5)
    assert whole == plan(kills=3, others=4, launchers=2, together=24, seed=5)
    several = [each for each in whole if each.more]
    assert several != [each for each in plan(kills=3, others=4, launchers=2, together=24, seed=6) if each.more]
    assert tuple(each for each in whole if not each.more) == plan(kills=3, others=4, launchers=2, seed=5)
    assert [each.number for each in several] == list(range(9, 33)), "a plan without them has the same numbers"
    assert [each.target for each in whole[-2:]] == [Target.LAUNCHER] * 2
    shapes: Counter[tuple[int, bool, Way]] = Counter()
    for each in several:
        targets = {blow.target for blow in each.blows}
        assert len(targets) == len(each.blows)
        assert Target.LAUNCHER not in targets
        how = way(each.blows)
        if how is Way.MIXED:
            assert {blow.means for blow in each.blows} == {Means.KILL, Means.STOP}
        shapes[len(targets), targets <= set(ACTORS), how] += 1
    crowds_drawn = [(2, True), (3, True), (5, True), (2, False), (3, False), (8, False)]
    assert shapes == Counter((*crowd, how) for crowd in crowds_drawn for how in Way)


def recorded() -> Record:
    """A run in which all is well."""
    samples = [
        Sample(number=0, target=Target.CONNECTOR, means=Means.KILL, trading_s=0.1, slowest_s=0.2, healed_s=0.1),
        Sample(number=1, target=Target.ADMIN, means=Means.STOP, trading_s=0.03, slowest_s=0.9, healed_s=2.0),
        Sample(number=2, target=Target.LAUNCHER, means=Means.KILL, gone_s=0.1, ready_s=1.5),
        Sample(
            number=3,
            target=Target.ADMIN,
            means=Means.KILL,
            more=(Blow(target=Target.OTHER, means=Means.KILL),),
            healed_s=1.4,
            dead=0,
        ),
        Sample(
            number=4,
            target=Target.CONNECTOR,
            means=Means.KILL,
            more=(Blow(target=Target.MONITOR, means=Means.STOP),),
            trading_s=3.0,
            healed_s=3.7,
            dead=0,
        ),
    ]
    session = Session(started="2026-01-01T00:00:00", commit="", load_before=[0.0], weights=[REST, REST], judged=9)
    return Record(
        wanted=Wanted(seed=1, kills=1, others=1, launchers=1, per_s=25.0, together=2),
        samples=samples,
        sessions=[session],
    )


def test_a_record_is_the_same_after_a_file(tmp_path: Path) -> None:
    """So that a run can be taken up where it stopped."""
    path = tmp_path / "there" / "chaos.partial.json"
    recorded().save(path)
    assert Record.load(path) == recorded()
    path.write_text('{"samples": 3}')
    with pytest.raises(ValueError, match="no record of a chaos run"):
        Record.load(path)


def test_a_record_of_before_several_were_hit_at_once_is_taken_up(tmp_path: Path) -> None:
    """And several are hit in what is left; one that has hit some cannot be taken up without."""
    path = tmp_path / "chaos.partial.json"
    recorded().save(path)
    older = json.loads(path.read_text())
    del older["wanted"]["together"]
    older["samples"] = older["samples"][:3]
    for sample in older["samples"]:
        del sample["more"], sample["dead"]
    path.write_text(json.dumps(older))
    record = Record.load(path)
    assert record.samples == recorded().samples[:3]
    wanted = recorded().wanted
    assert record.wanted == evolve(wanted, together=0)
    assert record.wanted.goes_on_as(wanted)
    assert not wanted.goes_on_as(record.wanted)
    assert not record.wanted.goes_on_as(evolve(wanted, seed=2))
    assert missed(record) == []
    assert result(record, total=5, machine={}, settings={})["together"] == []


def missed(record: Record) -> list[str]:
    """Names of the bars that do not hold."""
    return [bar.name for bar in bars(record.samples, record.sessions) if bar.met is False]


def test_a_good_run_meets_every_bar() -> None:
    """What was not measured is neither met nor missed."""
    record = recorded()
    assert missed(record) == []
    by_name = {bar.name: bar for bar in bars(record.samples, record.sessions)}
    assert by_name["admin hangs: healed, max"].limit == pytest.approx(1000 * (hang_budget_s() + 0.5))
    assert by_name["tree dies at its root: next order, p50"].met is None


@pytest.mark.parametrize(
    ("number", "change", "name"),
    [
        (0, {"trading_s": 0.151}, "connector killed: next order, p50"),
        (0, {"trading_s": 1.001}, "connector killed: next order, max"),
        (1, {"healed_s": 2.251}, "admin hangs: healed, max"),
        (2, {"ready_s": 4.001}, "launcher killed: READY again, max"),
        (2, {"gone_s": 1.001}, "launcher killed: nothing left, max"),
        (2, {"words": "something was left"}, "not recovered in time"),
        (3, {"healed_s": 1.501}, "several end at once: healed, p50"),
        (4, {"healed_s": 3.751}, "several hang at once: healed, max"),
        (4, {"words": "nobody came back"}, "not recovered in time"),
        (4, {"dead": 1}, "dead in the tree after an injury"),
    ],
)
def test_a_slow_recovery_misses_its_bar(number: int, change: dict[str, Any], name: str) -> None:
    """Each by a millisecond."""
    record = recorded()
    record.samples[number] = evolve(record.samples[number], **change)
    assert name in missed(record)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("lost", 1, "orders lost"),
        ("doubled", 1, "orders doubled"),
        ("denied", 1, "orders denied"),
        ("unexplained", 1, "orders unexplained"),
        ("switches", 1, "switches of the exchange in use"),
        ("left", ["process 1 is still there."], "left behind"),
        ("secrets", ["Secret number 0 stands in a file."], "secrets seen"),
        ("weights", [REST, evolve(REST, memory_mb=216.0), REST], "memory beyond 1.05 times the start's"),
        ("weights", [REST, evolve(REST, descriptors=349)], "descriptors more"),
        ("weights", [REST, evolve(REST, own_descriptors=39)], "caller's descriptors more"),
        ("weights", [REST, evolve(REST, processes=10)], "processes more"),
        ("weights", [REST, evolve(REST, sockets=15)], "socket files more"),
        ("weights", [REST, evolve(REST, temporary=1)], "temporary files more"),
    ],
)
def test_what_is_lost_left_or_grown_misses_its_bar(name: str, value: object, words: str) -> None:
    """And no other."""
    record = recorded()
    setattr(record.sessions[0], name, value)
    assert missed(record) == [words]


def test_figures_are_by_who_and_how() -> None:
    """In milliseconds; nothing where nothing was measured."""
    assert spread([None]) is None
    assert spread([0.3, None, 0.1, 0.2]) == {"p50": 200.0, "p95": 300.0, "max": 300.0}
    first, second, third = groups(recorded().samples)
    assert (first["target"], first["means"], first["count"]) == ("connector", "SIGKILL", 1)
    assert second["slowest_order_ms"] == {"p50": 900.0, "p95": 900.0, "max": 900.0}
    assert third["healed_ms"] is None


def test_figures_of_several_are_a_group_of_their_own() -> None:
    """By whether the tree died at its root, and by the way; what was done to one is not among them."""
    first, second = crowds(recorded().samples)
    assert (first["target"], first["means"], first["count"]) == ("several", "SIGKILL and SIGSTOP", 1)
    assert first["next_order_acknowledged_ms"] == {"p50": 3000.0, "p95": 3000.0, "max": 3000.0}
    assert (second["target"], second["means"], second["count"]) == ("several, with a root", "all SIGKILL", 1)
    found = result(recorded(), total=5, machine={}, settings={})
    assert (len(found["groups"]), found["together"]) == (3, [first, second])
    assert found["health"] == {"looked": 2, "dead": 0}
