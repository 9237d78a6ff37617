"""One world: the tree of real actors over simulated exchanges, and the story of faults that befalls it.

The tree is started as the launcher does it, by `StartTree` to the root supervisor. All actors share one journal in
memory, but for those of a machine with a simulated disk, which each have a connection of their own: each operation is
one transaction, and virtual time stands still during it, as the database's write lock has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

from attrs import evolve

from actors import environment as e
from app.domain.calls import PlaceCall
from app.domain.controls import NONE
from app.domain.failover import Step
from app.fuzz import record as r
from app.fuzz.account import Account
from app.fuzz.book_plan import Foreign, VerbPlan
from app.fuzz.exchange import SimExchange
from app.fuzz.faults import Fault, Weather, Window
from app.fuzz.machine import Machine
from app.fuzz.operator import Operator
from app.fuzz.own_network import WITNESS, SimConnects, noted
from app.fuzz.plan import Plan
from app.fuzz.profiles import MESSAGE, Profile
from app.fuzz.reached import Reached, role_of
from app.fuzz.run_log import RunLog
from app.fuzz.runner import SimRunner
from app.fuzz.scheduler import Killed, Scheduler
from app.fuzz.settings import (
    HEALTH,
    MAX_RETRY_ATTEMPTS,
    ORDER_TIMEOUT_S,
    RESTARTS,
    RETRY_DELAY_S,
    ROOT_RESTARTS,
    SYNC_INTERVAL_S,
    connector_settings,
    failover_settings,
    position_settings,
    timing,
    watched_spans,
)
from app.fuzz.step_plan import StepWatch
from app.fuzz.strategy import StrategyPlan
from app.fuzz.verbs import Person
from app.fuzz.watched import WatchedJournal
from messages.base import Reply, Together
from messages.failover import Route
from messages.positions import BookReply, GetBook
from messages.supervision import GetTree, Role, StartTree, TreeState
from supervisor import RootSupervisor

START_S = 1_700_000_000.0

BOOK_S = 2.5
"""Within so long the book is told at the end."""

ENOUGH = Decimal(10_000_000)
"""What an account has that had too little, once all is calm."""


class World:
    """One run."""

    def __init__(self, profile: Profile, plan: Plan, rng: Random, reached: Reached | None = None) -> None:
        self.plan = plan
        self.record = r.Record()
        self._log = RunLog(self.record, self._now)
        self.scheduler = self._make_scheduler(Random(rng.getrandbits(64)))
        self.exchanges: dict[str, SimExchange] = {}
        self.supervisor: Any = None
        self._strategies = [_absolute(each) for each in plan.strategies]
        self.calm_s = START_S + plan.times.calm_s
        self.routes: list[Route] = []
        self.tree: TreeState | None = None
        self.book: BookReply | None = None
        self._runners: dict[str, SimRunner] = {}
        self._names: dict[str, str] = {}
        self._traps: list[tuple[str, str]] = []
        self._countdowns: list[tuple[str, int]] = []
        self._chance = Random(rng.getrandbits(64))
        self.profile = profile
        self._counts = reached
        self._weather = Weather(
            [_shifted(window) for window in plan.windows], profile.chance, self.calm_s, Random(rng.getrandbits(64))
        )
        for traits in plan.traits:
            exchange = SimExchange(
                traits, Random(rng.getrandbits(64)), self._now, self._later, self._note, profile.refusals
            )
            if plan.books is not None:
                exchange.account, exchange.identify = Account(plan.books.terms[traits.name]), self._identify
            if plan.ills is not None:
                exchange.dawdles = 0.0  # an engine that answers one order in twelve too late is ill beside the plan
            exchange.notices = [
                ill.notice(START_S)
                for ill in plan.illnesses
                if ill.exchange == traits.name and ill.announced_s is not None
            ]
            self.exchanges[traits.name] = exchange
        journal_id = f"{rng.getrandbits(32):08x}"
        self.machine: Machine | None = None
        if plan.disk is None:
            self.journal = WatchedJournal(journal_id, self._touch, self._locked, self._routed)
        else:
            self.machine = Machine(self, plan.disk, journal_id)
            self.journal = self.machine.journal
        self.scheduler.duplicates = profile.duplicates
        self.scheduler.on_external = self._external
        self.scheduler.on_killed = self._killed
        self.scheduler.on_kill = self._dies
        self.scheduler.on_deliver = self._reached
        self._steps = StepWatch(
            plan.at_steps, self.calm_s, self._now, self._step, self._later, partial(self._kill, point=""), self._fail
        )
        self.person = Person(
            now=self._now,
            later=self._later,
            find=lambda: self._address(Role.FAILOVER_COORDINATOR.value),
            tell=self.scheduler.tell,
            note=self._note,
        )
        self.operator = Operator(
            now=self._now,
            later=self._later,
            find=lambda: self._address(Role.FAILOVER_COORDINATOR.value),
            tell=self.scheduler.tell,
            note=self._note,
            moving=self._moving,
        )

    def _make_scheduler(self, rng: Random) -> Scheduler:
        return Scheduler(rng, start_s=START_S)

    # ------------------------------------------------------------------------------------------------ the run

    def run(self) -> None:
        """From the first actor's start to the end, when everything should have settled."""
        with self.entered():
            self.begin()
            self.scheduler.run_until(START_S + self.plan.times.end_s)
            self.end()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Whatever is done within is done in this world, by its clock and its log."""
        with self._log.kept():
            e.install(self._environment())
            yield

    def begin(self) -> None:
        """Starts the first actor, and plans what befalls the world."""
        self._start_tree()
        self._schedule()

    def end(self) -> None:
        """Asks for the last time how all is."""
        end_s = self.scheduler.now_s
        self._ask_book()
        self.tree = None
        self.scheduler.tell(self.supervisor, GetTree(correlation_id="end", deadline_s=0.0))
        self.scheduler.run_until(end_s + (2.0 if self.plan.books is None else BOOK_S + 0.5))

    def close(self) -> None:
        """Ends everything."""
        if self.machine is None:
            self.journal.end()
        else:
            self.machine.close()
        self.scheduler.close()

    def given(self) -> dict[str, tuple[int, ...]]:
        """The numbers that the journal gave, by strategy; none where it contradicts itself, which is written down."""
        names, told = [plan.name for plan in self.plan.strategies], self.journal.told_after
        try:
            return {name: tuple(news.number for news in told(name, 0, 1_000_000).news) for name in names}
        except AssertionError as error:
            self.record.add(r.Trouble(self._now(), "I5 the journal is lost", str(error)))
            return dict.fromkeys(names, ())

    def actor(self, name: str) -> Any:
        """A living actor's object by its child's name; None while it is dead."""
        address = self._address(name)
        return None if address is None else self.scheduler.instance(address)

    def _start_tree(self) -> None:
        self.supervisor = self.scheduler.create(RootSupervisor)
        self.scheduler.tell(self.supervisor, StartTree())

    def _schedule(self) -> None:
        def at(at_s: float, function: Callable[..., None], *arguments: object) -> None:
            self.scheduler.call_at(START_S + at_s, partial(function, *arguments))

        for death in self.plan.deaths:
            at(death.at_s, self._kill, death.actor, death.point)
        for stall in self.plan.stalls:
            at(stall.at_s, self._stall, stall.actor, stall.for_s)
        for lag in self.plan.lags:
            at(lag.at_s, self._lag, lag.actor, lag.delay_s)
            at(lag.at_s + lag.for_s, self.scheduler.lags.clear)
        for begin_s, _ in watched_spans(self.plan):
            at(begin_s, self._wake_supervisor)
        for number, (at_s, exchange) in enumerate(self.plan.switches):
            at(at_s, self._switch, number, exchange)
        for at_s in self.plan.price_moves:
            at(at_s, self._price_moves)
        for each in self.plan.books.foreign if self.plan.books is not None else ():
            at(each.at_s, self._foreign, each)
        for verb in self.plan.books.verbs if self.plan.books is not None else ():
            at(verb.at_s, self.person.ask, verb)
        for note in noted(self.plan.networks, START_S):
            self.scheduler.call_at(note.at_s, partial(self._note, note.who, note.words))
        at(self.plan.times.calm_s, self._calm)
        if self.machine is not None:
            self.machine.begin()

    def _environment(self) -> e.Environment:
        names = tuple(self.exchanges)
        return e.Environment(
            clock=self._now,
            open_journal=lambda: self.journal if self.machine is None else self.machine.open(),
            open_runner=self._open_runner,
            adopt=lambda role, name: None,
            connectors=dict.fromkeys(names, connector_settings(self.profile, self.plan)),
            health=HEALTH,
            failover=failover_settings(names, self.plan),
            restarts=RESTARTS,
            root_restarts=ROOT_RESTARTS,
            timing=timing(self.plan, self._now, START_S),
            kill=lambda key, _pid: self._kill(key.partition(":")[2], ""),
            child_pids=frozenset,
            jitter=lambda: 0.5,
            retry_jitter=Random(self.journal.journal_id).random,  # a stream of its own, which shifts no other draw
            positions=position_settings(self.plan),
            witnesses=(WITNESS,) if self.plan.witness else (),
            open_connects=lambda: SimConnects(self._reached_anybody),
            sync_interval_s=SYNC_INTERVAL_S,
            max_retry_attempts=MAX_RETRY_ATTEMPTS,
            retry_delay_s=RETRY_DELAY_S,
            order_timeout_s=ORDER_TIMEOUT_S,
            market_type="swap",
            strategies=tuple(
                e.StrategySpec(
                    name=plan.name,
                    target="app.fuzz.strategy:FuzzStrategy",
                    arguments={"plan": plan, "record": self.record},
                )
                for plan in self._strategies
            ),
        )

    def _reached_anybody(self) -> bool:
        at_s = self._now() - START_S
        return not any(begin_s <= at_s < end_s for each in self.plan.networks for _, begin_s, end_s in each.spans)

    # ------------------------------------------------------------------------------------------------ what befalls it

    def _address(self, name: str) -> Any:
        root = self.scheduler.instance(self.supervisor)
        known = root._addresses if root is not None else {}
        address = next((known[key] for key in known if key.partition(":")[2] == name), None)
        if address is None or not self.scheduler.alive(address):
            return None
        self._names[address.actorAddressString] = name
        return address

    def _kill(self, name: str, point: str) -> None:
        if name == "everything":
            self._kill_all("killed", 1.0)
            if self.machine is not None:
                self.machine.all_killed()
            return
        address = self._address(name)
        if point.startswith(MESSAGE):
            self._countdowns.append((name, int(point.removeprefix(MESSAGE))))
            self.scheduler.on_send = self._sends
        elif point:
            self._traps.append((name, point))
        elif address is not None:
            self.scheduler.kill(address)

    def _kill_all(self, why: str, off_s: float) -> None:
        root = self.scheduler.instance(self.supervisor)
        if root is None:
            return  # it lies dead already
        self.record.add(r.Died(self._now(), "everything", why))
        self._count_death("everything")
        for each in [key.partition(":")[2] for key in root._specs]:
            address = self._address(each)
            if address is not None:
                self.scheduler.kill(address)
        self.scheduler.kill(self.supervisor)
        self._later(off_s, self._start_tree)

    def _killed(self, address: Any, where: str) -> None:
        where_to: str = address.actorAddressString
        name = self._names.get(where_to, where_to)
        self.record.add(r.Died(self._now(), name, f"killed {where}".strip()))
        runner = self._runners.pop(where_to, None)
        if runner is not None:
            runner.close()
        if self.machine is not None:
            self.machine.killed(address)

    def _step(self) -> Step | None:
        machine = getattr(self.actor(Role.FAILOVER_COORDINATOR.value), "machine", None)
        return None if machine is None else machine.step

    def _met(self, fault: Fault) -> None:
        if self._counts is not None:
            self._counts.fault(fault, self._step())

    def _fail(self, window: Window) -> None:
        """An exchange fails from now on, as if it had been planned."""
        self._weather.windows.append(window)
        begin_s, end_s = window.begin_s - START_S, window.end_s - START_S
        self.plan = evolve(self.plan, windows=(*self.plan.windows, evolve(window, begin_s=begin_s, end_s=end_s)))
        self._note(window.exchange, f"fails for {end_s - begin_s:.1f} s: {', '.join(k.value for k in window.kinds)}")

    def _dies(self, address: Any) -> None:
        name = self._names.get(address.actorAddressString)
        if name is not None:
            self._count_death(name)

    def _count_death(self, name: str) -> None:
        if self._counts is not None:
            now_s = self._now() - START_S
            under_way = [w for w in self.plan.windows if w.begin_s <= now_s < w.end_s]
            faults = {fault.value for window in under_way for fault in window.kinds}
            self._counts.death(role_of(name, self.exchanges), self._step(), faults)

    def _touch(self, point: str) -> None:
        current = self.scheduler.current
        if not self._traps or current is None or self._now() >= self.calm_s:
            return
        trap = next((trap for trap in self._traps if trap[1] == point and self._address(trap[0]) == current), None)
        if trap is not None:
            self._traps.remove(trap)
            raise Killed(point)

    def _sends(self, sender: Any) -> None:
        for number, (name, left) in enumerate(self._countdowns):
            if self._now() < self.calm_s and self._address(name) == sender:
                self._countdowns[number] = name, left - 1
                if left <= 1:
                    del self._countdowns[number]
                    raise Killed("before it had sent a message")
                return

    def _stall(self, name: str, for_s: float) -> None:
        address = self._address(name)
        if address is not None:
            self._note(name, f"is stopped for {for_s:.1f} s")
            self.scheduler.stall(address, self._now() + for_s)

    def _lag(self, name: str, delay_s: float) -> None:
        address = self._address(name)
        if address is not None:
            self._note(name, f"is busy: messages take up to {delay_s:g} s")
            self.scheduler.lags[address.actorAddressString] = delay_s

    def _wake_supervisor(self) -> None:
        """It plans its heartbeats anew."""
        if self.scheduler.alive(self.supervisor):
            self.scheduler.tell(self.supervisor, GetTree(correlation_id="a heartbeat", deadline_s=0.0))

    def _switch(self, number: int, exchange: str) -> None:
        if self.machine is not None and not self.scheduler.alive(self.supervisor):
            self._note("machine", f"is off: nobody is there to be asked for a failover to {exchange}")
            return
        self.operator.ask(number, exchange)

    def _reached(self, _sender: Any, _to: Any, message: Any) -> None:
        if self.plan.at_steps:
            self._steps.look()
        self.operator.reached(message)

    def _moving(self) -> bool:
        coordinator = self.actor(Role.FAILOVER_COORDINATOR.value)
        machine = getattr(coordinator, "machine", None)
        return machine is None or machine.step is not Step.IDLE or not self.routes or self.routes[-1].exchange is None

    def _price_moves(self) -> None:
        self._note("market", "moves")
        for exchange in self.exchanges.values():
            exchange.price_moves()

    def _calm(self) -> None:
        self._note("world", "is calm from here on")
        self.scheduler.duplicates = 0.0
        for exchange in self.exchanges.values():
            exchange.refusals = exchange.dawdles = exchange.omits = 0.0
        if self.plan.books is not None and self.plan.books.poor:
            poor = self.exchanges[self.plan.books.poor].account
            assert poor is not None
            poor.money = ENOUGH
        if self.person.asked:  # whatever was held up goes on from here
            calm_s = self.plan.times.calm_s
            for kind in ("unfreeze", "any order"):
                self.person.ask(VerbPlan(at_s=calm_s, kind=kind, exchange="", dry_run=False))
            for name in self.exchanges:
                self.person.ask(VerbPlan(at_s=calm_s, kind="release", exchange=name, dry_run=False))

    def _foreign(self, change: Foreign) -> None:
        exchange = self.exchanges[change.exchange]
        assert exchange.account is not None
        quantity = change.quantity
        if quantity is None:
            quantity = -exchange.account.positions(exchange.orders, self._now()).get(change.symbol, Decimal(0))
        exchange.account.foreign.append((self._now(), change.symbol, quantity))
        self._note(change.exchange, f"somebody else trades {quantity:+f} {change.symbol.base}")

    def _ask_book(self) -> None:
        synchronizer = self._address(Role.POSITION_SYNCHRONIZER.value)
        if self.plan.books is not None and synchronizer is not None:
            deadline_s = self._now() + BOOK_S
            request = GetBook(correlation_id="the end", deadline_s=deadline_s, refresh=tuple(self.exchanges))
            self.scheduler.tell(synchronizer, request)

    def _identify(self, call: PlaceCall) -> int:
        """Which order a leg is of: by its owner's own number; one of the router's own has a number below zero."""
        key = self.journal.key_of(call.wire_id)
        if key is None:
            self.record.add(r.Trouble(self._now(), "sent without an intent", str(call)))
            return 0
        return self.record.serial_of(key)

    def _held_to(self, exchange: str, call: PlaceCall, serial: int) -> None:
        """What a person holds the router to is read by the transaction that commits what is sent at the same moment."""
        controls = self.journal.controls() if (books := self.plan.books) is not None and serial > 0 else NONE
        reduces = call.spec.reduce_only or (books is not None and books.across and self.plan.reduces(serial))
        why = controls.frozen or controls.why_isolated(exchange) or ("" if reduces else controls.reduce_only)
        if why:
            words = f"order {serial} is sent to {exchange}, which is held to: {why}"
            self.record.add(r.Trouble(self._now(), "sent in spite of a person", words))

    # ------------------------------------------------------------------------------------------------ pieces

    def _now(self) -> float:
        return self.scheduler.now_s

    def _later(self, after_s: float, function: Callable[[], None]) -> None:
        self.scheduler.call_at(self.scheduler.now_s + after_s, function)

    def _note(self, who: str, words: str) -> None:
        self.record.add(r.Note(self._now(), who, words))

    def _locked(self) -> bool:
        chance = self.profile.journal_chance
        return bool(chance) and self._now() < self.calm_s and self._chance.random() < chance

    def _routed(self, route: Route) -> None:
        self.routes.append(route)
        self.record.add(r.Routed(self._now(), route.epoch, route.exchange))

    def _open_runner(self, name: str, owner: Any) -> SimRunner:
        runner = SimRunner(
            self.exchanges[name],
            weather=self._weather,
            rng=Random(self._chance.getrandbits(64)),
            record=self.record,
            now=self._now,
            later=self._later,
            announce=lambda waits: self.scheduler.send_from(owner, owner, waits),
            touch=self._touch,
            sent=self._held_to,
            met=self._met,
        )
        self._runners[owner.actorAddressString] = runner
        return runner

    def _external(self, message: Any) -> None:
        if isinstance(message, Together):
            for each in message.messages:
                self._external(each)
        elif isinstance(message, TreeState):
            self.tree = message
        elif isinstance(message, BookReply):
            self.book = message
        elif isinstance(message, Reply):
            _ = self.person.heard(message) or self.operator.heard(message)


def _shifted(window: Window) -> Window:
    return evolve(window, begin_s=START_S + window.begin_s, end_s=START_S + window.end_s)


def _absolute(plan: StrategyPlan) -> StrategyPlan:
    for order in plan.orders.values():
        order.at_s += START_S
    plan.final_get_s += START_S
    return plan
