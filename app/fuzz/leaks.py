"""What must not be left over when everything is calm: work nobody waits for, and children that are not there.

The one check that looks into the router's own machines.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from actors.connector import ConnectorActor
from actors.failover_coordinator import FailoverCoordinatorActor
from actors.health_monitor import HealthMonitorActor
from actors.position_synchronizer import PositionSynchronizerActor
from actors.strategy_actor import StrategyActor
from app.domain.failover import Step
from app.fuzz.checker_news import Violation
from app.fuzz.record import Died
from app.fuzz.world import World
from app.journal.store import Journal
from app.journal.verify import verify_tables
from messages.base import Failed
from messages.failover import SwitchResult
from messages.health import HealthState, ProbeKind

MAX_WAKE_UPS = 60
"""Overtaken ones wait until they are due: one for each time that something came between, so each half second of the
longest wait between two probes."""

MAX_AT_ONCE = 5
"""Those asked for within `AT_ONCE_S`: where each that arrives asks for more than one, they become more and more."""

AT_ONCE_S = 0.1

COORDINATOR = "failover_coordinator"
LATE_S = 0.1
"""A wake-up is late by a few milliseconds."""

MAX_FLIGHTS = 8
"""Probes, a poll and a reading of positions may just be under way."""


def _switches(world: World) -> Iterator[Violation]:
    died = [f.at_s for f in world.record.facts if isinstance(f, Died) and f.actor in (COORDINATOR, "everything")]
    for switch in world.operator.switches.values():
        due_s = switch.request.deadline_s
        if due_s > world.scheduler.now_s or any(switch.at_s <= at_s <= due_s for at_s in died):
            continue
        where = f"the failover to {switch.request.exchange}"
        if switch.reply is None:
            yield Violation("I2 not answered in time", due_s, 0, where)
        elif isinstance(switch.reply, Failed) and "is running" in switch.reply.words and not switch.moving:
            yield Violation("failover in its own way", switch.at_s, 0, f"{where}: {switch.reply.words}")


def _verbs(world: World) -> Iterator[Violation]:
    died = [f.at_s for f in world.record.facts if isinstance(f, Died) and f.actor in (COORDINATOR, "everything")]
    for asking in world.person.asked.values():
        due_s = asking.request.deadline_s
        if due_s > world.scheduler.now_s or any(asking.at_s <= at_s <= due_s for at_s in died):
            continue
        if asking.reply is None:
            yield Violation("I2 not answered in time", due_s, 0, f"the verb {asking.verb.kind}")


def _left_over(kind: str, now_s: float, words: str) -> Violation:
    return Violation(f"left over: {kind}", now_s, 0, words)


def kept_wrongly(journal: Journal, now_s: float) -> Iterator[Violation]:
    """Sums and tables of a journal that do not follow from what it has."""
    if differ := journal.sums_differ():
        yield _left_over("sums", now_s, f"a sum that the legs do not add up to: {differ}")
    for words in verify_tables(journal._db).findings:
        yield _left_over("journal", now_s, f"a journal that its own events do not prove: {words}")


def unfinished(journal: Journal, now_s: float) -> Iterator[Violation]:
    """Switches in a journal that nobody goes on with."""
    for switch in journal.switches():
        if not switch.finished or switch.result is SwitchResult.RUNNING:
            words = f"the history has a switch of epoch {switch.epoch} that never ended"
            yield _left_over("saga steps", now_s, words)


def leaks(world: World) -> Iterator[Violation]:
    """What is left over at the end of a run."""
    now_s = world.scheduler.now_s

    def left(kind: str, words: str) -> Violation:
        return _left_over(kind, now_s, words)

    yield from kept_wrongly(world.journal, now_s)
    if world.tree is None or not world.tree.ready:
        yield left("children", f"the tree is not ready: {world.tree.words if world.tree is not None else 'no answer'}")
    for name in [*world.exchanges, "health_monitor", "failover_coordinator", "position_synchronizer"]:
        actor = world.actor(name)
        match actor:
            case ConnectorActor():
                machine = actor.machine
                counts = {
                    ("placements", "placing"): machine._placing.under_way,
                    ("doubts", "unknown"): len(machine._watch.unknown),
                    ("watches", "due"): len(machine._watch._due) // 50,
                }
                yield from (left(kind, f"{name}: {n} {what}") for (kind, what), n in counts.items() if n)
                tasks = {task.leg.wire_id for task in machine.tasks.values()}
                live = {o.wire_id for o in world.exchanges[name].orders if o.ended_s is None}
                if world.machine is not None:  # nobody's, since the journal knows nothing of them any more
                    live -= {wire_id for at, wire_id in world.machine.losses.forgotten if at == name} - tasks
                if tasks != live:
                    yield left("watches", f"{name}: {len(tasks - live)} tasks too many, {len(live - tasks)} too few")
                if len(machine._flights) > MAX_FLIGHTS or machine._settlings:
                    words = f"{len(machine._flights)} calls in flight, {len(machine._settlings)} settling"
                    yield left("calls in flight", f"{name}: {words}")
                if machine._rate_gate.limiter.queued():
                    yield left(
                        "rate limit", f"{name}: {machine._rate_gate.limiter.queued()} waiting for the rate limit"
                    )
                waiting = sum(len(t.placers) + len(t.cancellers) + len(t.readers) for t in machine.tasks.values())
                if waiting:
                    yield left("questions", f"{name}: {waiting} still wait for an answer")
            case FailoverCoordinatorActor():
                if actor.machine.step is not Step.IDLE:
                    yield left("saga steps", f"{name}: a switch is at step {actor.machine.step.value}")
                yield from unfinished(actor.journal, now_s)
            case HealthMonitorActor():
                late = sum(1 for sent in actor._sent.values() if sent.until_s < now_s - LATE_S)
                if late or len(actor._sent) > len(ProbeKind) * len(world.exchanges):
                    words = f"{len(actor._sent)} probes unanswered, {late} past their time"
                    yield left("calls in flight", f"{name}: {words}")
                for exchange, detector in actor._detectors.items():
                    held_s = detector.now.flaps.until_s
                    on_trial = detector.state is HealthState.HALF_OPEN and held_s is not None and held_s > now_s
                    if detector.state is not HealthState.WELL and not on_trial:
                        yield left("verdicts", f"{name}: {exchange} is {detector.state.value} long after the faults")
            case PositionSynchronizerActor():
                if actor.reading.askers:
                    yield left("questions", f"{name}: {actor.reading.askers} still wait for the book")
            case _:
                yield left("children", f"{name} is dead")
    for address, asked_s in world.scheduler.wake_ups().items():
        at_once = max(bisect_right(asked_s, at_s + AT_ONCE_S) - n for n, at_s in enumerate(asked_s))
        if len(asked_s) > MAX_WAKE_UPS or at_once > MAX_AT_ONCE:
            words = f"the actor at {address} has {len(asked_s)} wake-ups waiting, {at_once} asked for at once"
            yield left("timers", words)
    yield from _switches(world)
    yield from _verbs(world)
    for each in world.exchanges.values():
        if each.over_s:
            yield Violation("I6 more than the exchange gives", each.over_s, 0, each.traits.name)
    for plan in world.plan.strategies:
        strategy = world.actor(plan.name)
        if not isinstance(strategy, StrategyActor):
            yield left("children", f"{plan.name} is dead")
        elif any(pending.request.deadline_s < now_s - 1.0 for pending in strategy.session._pending.values()):
            yield left("questions", f"{plan.name}: a request is pending past its deadline")
