"""The supervision machine along any sequence of events, over processes that die, hang and answer in any order."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.domain.supervision import Life, RestartType, Supervision
from tests.depth import stateful
from tests.domain.family import CALM, FAMILY, TIMING, TWICE, World, running

KEYS = st.sampled_from([child.key for child in FAMILY])


class FamilyMachine(RuleBasedStateMachine):
    """Any deaths, hangs, late and repeated words, sleeps of the supervisor itself; then calm.

    - A child has at most one process, is killed at most once, and nothing is started after a stop (`World.perform`).
    - Words of an earlier life change nothing.
    - Nobody serves who was started before its elder's last start, and none starts before its elder serves
      (`World.perform`).
    - One that hangs beyond all waits is killed, one that owes nothing never is; a sleep of ours kills nobody.
    - Of what escalates, `missing` names whoever does not serve; a process is there exactly while its child is alive.
    - Once all is calm everybody serves who is to come back, and a contained one only fails to after too many ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Supervision(FAMILY, CALM, TIMING)).begin()
        self.stopped = False

    @rule(key=KEYS, normally=st.booleans())
    def end(self, key: str, normally: bool) -> None:
        self.world.end(key, normally=normally)

    @rule(key=KEYS)
    def serve(self, key: str) -> None:
        self.world.serve(key)

    @rule(key=KEYS, ill=st.sampled_from(["", "", "it is ill"]))
    def answer(self, key: str, ill: str) -> None:
        kills = len(self.world.kills)
        self.world.answer(key, ill)
        child = self.world.machine.children[key]
        assert len(self.world.kills) == kills or (ill and child.life is Life.RUNNING)
        if ill and child.life is Life.RUNNING:
            assert child.killed

    @rule(key=KEYS, normally=st.booleans(), back=st.integers(1, 2))
    def stale(self, key: str, normally: bool, back: int) -> None:
        machine, now_s = self.world.machine, self.world.now_s
        old = self.world.processes.get(key, machine.children[key].incarnation + 1) - back
        assert machine.ended(key, old, normally, 0.0, now_s) == []
        assert machine.heard(key, old, "ill", now_s) == []
        assert machine.serves(key, old, 1, now_s) == []

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.2, 6.0]))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule()
    def settle(self) -> None:
        self.world.calm()

    @rule(hours=st.sampled_from([0.001, 5.0]))
    def sleep(self, hours: float) -> None:
        """We are stopped for a while; everything was well before."""
        self.world.calm()
        kills = list(self.world.kills)
        self.world.now_s += hours * 3600.0
        self.world.perform(self.world.machine.tick(self.world.now_s))
        assert self.world.kills == kills

    @precondition(lambda self: not self.stopped)
    @rule(really=st.sampled_from([False, False, False, True]))
    def stop(self, really: bool) -> None:
        if really:
            self.stopped = True
            self.world.perform(self.world.machine.stop(self.world.now_s))

    @invariant()
    def an_elder_comes_first(self) -> None:
        serving = running(self.world)
        for later, earlier in (("middle", "elder"), ("younger", "middle")):
            if later in serving and earlier in serving:
                assert self.world.started_s[later] >= self.world.started_s[earlier], "an orphan of an elder serves on"

    @invariant()
    def known_is_what_is(self) -> None:
        machine = self.world.machine
        alive = {key for key, child in machine.children.items() if child.alive}
        assert alive == set(self.world.processes)
        assert machine.all_ended == (not alive)
        assert {key for key in alive if machine.children[key].incarnation != self.world.processes[key]} == set()
        escalating = {child.key for child in FAMILY if child.escalates}
        gone = {key for key, child in machine.children.items() if child.life is Life.ENDED}
        assert set(machine.missing) == escalating - running(self.world) - gone

    @invariant()
    def who_hangs_is_killed(self) -> None:
        now_s = self.world.now_s
        for key, child in self.world.machine.children.items():
            if child.life is Life.STARTING and now_s > child.since_s + TIMING.start_timeout_s:
                assert child.killed, f"{key} did not start"
            if child.life is Life.STOPPING and now_s > child.since_s + TIMING.stop_timeout_s:
                assert child.killed, f"{key} did not end"
            if child.life is Life.RUNNING and not child.killed:
                silence_s = TIMING.heartbeat_s + TIMING.heartbeat_timeout_s
                assert now_s <= max(child.heard_s + silence_s, (child.asked_s or 0.0) + TIMING.heartbeat_timeout_s)

    def teardown(self) -> None:
        world = self.world
        world.calm()
        if self.stopped:
            assert world.machine.all_ended
            return
        assert not world.gave_up
        for child in FAMILY:
            life = world.machine.children[child.key].life
            if child.key == "user" and child.key in world.contained:
                assert self.world.ends["user"] > TWICE.intensity
                assert life is Life.ENDED
            elif child.restart is RestartType.PERMANENT:
                assert life is Life.RUNNING, f"{child.key} is {life}"
            else:
                assert life in (Life.RUNNING, Life.ENDED)
                assert self.world.ends[child.key] or life is Life.RUNNING
        assert world.machine.missing == ()


TestFamilyMachine = stateful(FamilyMachine, 30, 400)
