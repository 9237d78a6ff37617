"""A run: injury after injury under a steady load, and between them, now and then, the judge.

Before each injury everybody serves, and some orders have been sent; after it one waits for what must come true again,
never for time. Every `JUDGED_EACH` injuries the load pauses, every order is held against the exchanges' books, and only
then do the injuries since the last time count: a run that is cut off loses those alone.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from attrs import evolve

from tests.chaos.census import Ends, Roll
from tests.chaos.daemon import EXIT_SIGNAL
from tests.chaos.injury import ABOVE, ACTORS, LONGEST_LULL, ROOTS, Blow, Injury, Means, Target
from tests.chaos.load import Load
from tests.chaos.record import MAX_WORDS, Record, Sample, Session
from tests.chaos.stage import ORDER_TIMEOUT_S, STRATEGY, Stage
from tests.chaos.weigh import readable, secrets_seen, weigh
from tests.chaos.witness import judge

SIGNALS: Final = {
    Means.KILL: signal.SIGKILL,
    Means.SEGV: signal.SIGSEGV,
    Means.STOP: signal.SIGSTOP,
    Means.EXIT: EXIT_SIGNAL,
}
BOUND_S: Final = 15.0
"""For whatever must come true again after an injury; several times what it may take."""
JUDGED_EACH: Final = 25
RESOLVE_S: Final = 60.0
CALM_S: Final = 6.0
LOOK_S: Final = 0.01
ATTEMPTS: Final = 5
"""At an injury whose victim is gone before it comes."""


class RunFailed(Exception):
    """The run cannot go on; one sentence."""


class Victim:
    """One process that is to be hurt, held so that it is no other of the same number."""

    def __init__(self, blow: Blow, pid: int | None, stack: ExitStack) -> None:
        """Raises ProcessLookupError where there is none."""
        if pid is None:
            raise ProcessLookupError
        self.blow, self.pid = blow, pid
        self.ends = stack.enter_context(Ends(pid))

    def hurt(self) -> None:
        """Raises ProcessLookupError where it has ended."""
        self.ends.send(SIGNALS[self.blow.means])

    def end(self) -> None:
        """However it hangs; safe where it has ended."""
        with suppress(ProcessLookupError):
            self.ends.send(signal.SIGKILL)


class Run:
    """One session of a run on a stage."""

    def __init__(self, stage: Stage, load: Load, record: Record, session: Session, *, kept: Path | None) -> None:
        """
        Args:
            kept: Where the record is kept between two judgements; None to keep it nowhere.
        """
        self._stage = stage
        self._load = load
        self._record = record
        self._session = session
        self._kept = kept
        self._fresh: list[Sample] = []
        self._windows: list[tuple[float, float, float]] = []
        self._began_s = time.monotonic()

    def play(self, injuries: Sequence[Injury], *, enough: Callable[[], bool], told: Callable[[Sample], None]) -> None:
        """Does what is planned, until `enough` says to stop.

        Raises:
            RunFailed: It does not even start.
        """
        self._well("at the start")
        self._load.flow()
        if self._load.accepted_after(time.monotonic(), BOUND_S) is None:
            raise RunFailed(f"No order was accepted within {BOUND_S:g} s of the start.")
        self._rest()
        for done, injury in enumerate(injuries):
            if enough():
                break
            last_of_tree = (
                injury.target is Target.LAUNCHER and done and injuries[done - 1].target is not Target.LAUNCHER
            )
            if last_of_tree:  # what leaked in the launcher is gone with it
                self._rest()
            self._load.flow()
            sample = self._injure(injury)
            self._fresh.append(sample)
            told(sample)
            middle = done + 1 == len(injuries) // 2
            if middle or len(self._fresh) >= JUDGED_EACH:
                self._rest(weighed=middle)
        if self._fresh or len(self._session.weights) < 2:
            self._rest()

    # ------------------------------------------------------------------------------------------------ one injury

    def _injure(self, injury: Injury) -> Sample:
        for _ in range(ATTEMPTS):
            roll = self._well(f"before injury {injury.number}")
            well_s = time.monotonic()
            self._load.wait_sent(min(injury.orders_before, LONGEST_LULL), BOUND_S)
            threading.Event().wait(injury.part * self._load.interval_s)
            try:
                if injury.target is Target.LAUNCHER:
                    return self._kill_launcher(injury, roll, well_s)
                return self._hurt(injury, roll, well_s)
            except ProcessLookupError:
                continue  # somebody died meanwhile, of an injury before
        raise RunFailed(f"There is no {injury.target} that lives long enough to be hurt.")

    def _hurt(self, injury: Injury, roll: Roll, well_s: float) -> Sample:
        """Raises ProcessLookupError where nobody is there any more, and nothing was done."""
        exchange = self._stage.router.current_connector_name or ""
        connector = roll.of(Target.CONNECTOR, exchange)
        with ExitStack() as stack:
            # All of them are held before any is hurt.
            victims = [Victim(blow, roll.of(blow.target, exchange), stack) for blow in injury.blows]
            last = Victim(Blow(target=Target.CONNECTOR, means=Means.KILL), connector, stack)
            at_s = since_s = time.monotonic()
            victims[0].hurt()
            for victim in victims[1:]:
                with suppress(ProcessLookupError):  # it went with the one before
                    victim.hurt()
            root_dies = any(blow.target in ROOTS and blow.means is not Means.STOP for blow in injury.blows)
            if root_dies and last.ends.wait(BOUND_S):
                since_s = time.monotonic()
            answered_s = self._load.accepted_after(since_s, BOUND_S)
            healed, dead = self._healed(exchange, roll, victims, at_s + BOUND_S)
            healed_s = time.monotonic()
            self._windows.append((well_s, at_s, healed_s))
            words = [] if answered_s is not None else ["no order was acknowledged"]
            words += [healed] if healed else []
            for victim in victims:
                if not victim.ends.wait(0):
                    victim.end()  # what was left hanging must not spoil what comes next
        if not self._stage.alive:
            words.append("the daemon ended")
        if words:  # the run goes on with another one
            self._stage.stop()
            self._stage.start()
        return Sample(
            number=injury.number,
            target=injury.target,
            means=injury.means,
            more=injury.more,
            dead=dead,
            trading_s=None if answered_s is None else answered_s - at_s,
            healed_s=None if healed else healed_s - at_s,
            words="; ".join(f"{each} within {BOUND_S:g} s" for each in words),
        )

    def _healed(self, exchange: str, before: Roll, victims: Sequence[Victim], until_s: float) -> tuple[str, int | None]:
        """Waits until those who were hit are dead and replaced, everybody lives and all serve.

        With a root everybody goes, and so everybody must be another one.

        Returns:
            What is not so in time, and how many were dead at the last look at the tree.
        """
        pause = threading.Event()
        old = {victim.blow.target: victim.pid for victim in victims}
        if not ROOTS.isdisjoint(old):
            old = {target: pid for target in (*ACTORS, *ABOVE) if (pid := before.of(target, exchange)) is not None}
        dead = None
        while True:  # one look at least, however long the wait for an order was
            hanging = [victim.blow.target for victim in victims if not victim.ends.wait(0)]
            roll = self._stage.census.roll()
            dead = len(roll.dead) if roll is not None else dead
            if hanging:
                words = f"{', '.join(hanging)} did not end"
            elif roll is None or not roll.ready:
                words = "not everybody served again"
            elif roll.dead:
                words = f"{', '.join(roll.dead)} did not come back to life"
            elif same := [target for target, pid in old.items() if roll.of(target, exchange) in (None, pid)]:
                words = f"{', '.join(same)} was not another one"
            else:
                return "", dead
            if time.monotonic() >= until_s:
                return words, dead
            pause.wait(LOOK_S)

    def _kill_launcher(self, injury: Injury, roll: Roll, well_s: float) -> Sample:
        sample = Sample(number=injury.number, target=injury.target, means=injury.means)
        with ExitStack() as stack:
            # A process that is ending shows no command line any more, and may still hold what the next one needs.
            everybody = [stack.enter_context(Ends(pid)) for pid in self._stage.family()]
            at_s = time.monotonic()
            os.kill(roll.launcher, signal.SIGKILL)
            gone = all(each.wait(at_s + BOUND_S - time.monotonic()) for each in everybody)
        left = self._gone(at_s + BOUND_S) if gone else self._stage.family()
        if left or not gone:
            sample = evolve(sample, words=f"processes {left} were left after {BOUND_S:g} s")
        else:
            sample = evolve(sample, gone_s=time.monotonic() - at_s)
        self._stage.stop()
        started_s = time.monotonic()
        ready_s = self._stage.start()
        answered_s = self._load.accepted_after(started_s, BOUND_S)
        dead = len(self._well("after a start").dead)
        words = sample.words or ("" if answered_s is not None else f"no order was acknowledged within {BOUND_S:g} s")
        trading_s = None if answered_s is None else answered_s - started_s
        self._windows.append((well_s, at_s, time.monotonic()))
        healed_s = time.monotonic() - started_s
        return evolve(sample, ready_s=ready_s, trading_s=trading_s, healed_s=healed_s, dead=dead, words=words)

    def _gone(self, until_s: float) -> list[int]:
        """Waits until no process of the daemon is left; returns those that are."""
        pause = threading.Event()
        while (left := self._stage.family()) and time.monotonic() < until_s:
            pause.wait(LOOK_S)
        return left

    def _well(self, when: str) -> Roll:
        roll = self._stage.census.well(BOUND_S)
        if roll is None:
            raise RunFailed(f"Not everybody served within {BOUND_S:g} s {when}.")
        return roll

    # ------------------------------------------------------------------------------------------------ the judge

    def _rest(self, *, weighed: bool = True) -> None:
        """Pauses the load, judges, weighs, and keeps what was found."""
        stage, session = self._stage, self._session
        self._load.pause(ORDER_TIMEOUT_S + 5.0)
        self._well("at rest")
        self._load.resolve(RESOLVE_S)
        books = {name: control.truth()["orders"] for name, control in stage.world.controls.items()}
        presence = stage.presence()
        verdict = judge(self._load.sent, books, journal_id=presence.journal_id, strategy=STRATEGY)
        session.judged, session.executed, session.told = verdict.orders, verdict.executed, dict(verdict.told)
        session.words = []
        for name in ("lost", "doubled", "denied", "unexplained"):
            words = getattr(verdict, name)
            setattr(session, name, len(words))
            session.words += [f"{name}: {each}" for each in words[:MAX_WORDS]]
        session.switches = len(stage.router.get_failover_history())
        family = stage.family()
        if weighed:
            session.weights.append(weigh(family, stage.state_dir, stage.temporary, timeout_s=CALM_S))
        files = [stage.errors, *(each for each in stage.state_dir.rglob("*") if each.is_file())]
        session.secrets = secrets_seen(stage.secrets(), files, family)
        session.environments_read = readable(family)
        session.load_after = [round(each, 2) for each in os.getloadavg()]
        session.duration_s = round(time.monotonic() - self._began_s, 1)
        self._record.samples += [
            evolve(sample, slowest_s=self._load.slowest_s(*window))
            for sample, window in zip(self._fresh, self._windows, strict=True)
        ]
        self._fresh.clear()
        self._windows.clear()
        if self._kept is not None:
            self._record.save(self._kept)


def play(
    record: Record,
    injuries: Sequence[Injury],
    *,
    exchanges: Sequence[str],
    commit: str,
    enough: Callable[[], bool],
    told: Callable[[Sample], None],
    kept: Path | None = None,
) -> Session:
    """One session: sets the stage, plays, ends the daemon, and looks at what is left.

    Raises:
        RunFailed: The run cannot go on. What was judged before is kept.
        tests.chaos.stage.StageFailed: The daemon did not start.
    """
    session = Session(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit,
        load_before=[round(each, 2) for each in os.getloadavg()],
    )
    record.sessions.append(session)
    with Stage(exchanges) as stage:
        prefix = f"{record.wanted.seed}-{len(record.sessions)}"
        journal_id = stage.presence().journal_id
        with Load(stage.router, journal_id=journal_id, per_s=record.wanted.per_s, prefix=prefix) as load:
            Run(stage, load, record, session, kept=kept).play(injuries, enough=enough, told=told)
        stage.census.close()
        stage.router.close()
        session.stop_s = round(stage.stop(), 3)
        session.left = [f"process {pid} is still there." for pid in stage.family()]
        sockets = [each for each in stage.state_dir.rglob("*") if each.is_socket()]
        session.left += [f"{each} is still there." for each in [*sockets, *stage.temporary.iterdir()]]
        session.left += [f"{stage.state_dir / 'daemon.json'} is still there."] * (
            stage.state_dir / "daemon.json"
        ).exists()
    if kept is not None:
        record.save(kept)
    return session
