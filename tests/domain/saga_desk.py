"""A coordinator, its journal, and exchanges with orders of ours: questions and answers arrive when the test says so.

The coordinator may die before any single effect of its machine is performed; the next one takes over from the journal.
Held at every step: an order is in one place, what is placed is placed where trading is, and settling takes off nothing
that was placed since trading came back.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from attrs import define, field

from app.domain.controls import Controls
from app.domain.effects import Answer
from app.domain.failover import Coordinator
from app.domain.saga_effects import (
    Announce,
    AskBook,
    AskCarry,
    AskMoves,
    AskPreflight,
    AskSettle,
    CommitRoute,
    FailoverSettings,
    Fence,
    Line,
    SaveSwitch,
    Tell,
)
from app.domain.saga_table import Step
from messages.carries import CarryReply, OrderCarried
from messages.failover import ManualFailover, OrderLeft, PreflightReply, Route, SettleReply, Switch
from messages.health import HealthState, HealthView, Network, NetworkState
from messages.market import MarketType, Symbol
from messages.positions import BookReply, MovesReply, Position, PositionPlan, PositionPolicy, Slice

EXCHANGES = ("bybit", "okx", "binance")
BTC = Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP)


class Death(Exception):
    """The coordinator dies here."""


@define
class Order:
    """One order of ours: on an exchange, or on none and to be placed."""

    name: str
    exchange: str | None
    epoch: int
    legs: int = 1


@define
class Desk:
    """The world around a coordinator. What is asked waits in `mail` until `deliver`."""

    settings: FailoverSettings = field(
        factory=lambda: FailoverSettings(exchanges=EXCHANGES, positions=PositionPolicy.MIGRATE)
    )
    now_s: float = 0.0
    route: Route = field(factory=lambda: Route(epoch=0, exchange=None, since_s=0.0))
    kept: dict[int, Switch] = field(factory=dict)
    lines: list[tuple[float, Line]] = field(factory=list)
    controls: Controls = field(factory=Controls)
    orders: dict[str, Order] = field(factory=dict)
    positions: dict[str, Decimal] = field(factory=lambda: dict.fromkeys(EXCHANGES, Decimal(0)))
    taken_up: dict[int, list[OrderCarried]] = field(factory=dict)
    moved: dict[int, list[Slice]] = field(factory=dict)
    mail: list[Any] = field(factory=list)
    answers: list[Any] = field(factory=list)
    told: list[Announce] = field(factory=list)
    done: list[str] = field(factory=list)
    silent: set[str] = field(factory=set)
    unready: set[str] = field(factory=set)
    opening: set[str] = field(factory=set)
    states: dict[str, HealthState] = field(factory=dict)
    network_down: bool = False
    dies_in: int | None = None
    effects: Counter[str] = field(factory=Counter)
    machine: Coordinator = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.life()

    # ------------------------------------------------------------------------------------------------ lives

    def life(self) -> None:
        """A new coordinator takes over from the journal; what the monitor says it hears soon."""
        self.machine = Coordinator(self.settings, self.own_network)
        self.machine.controls = self.controls
        past = tuple(self.kept[epoch] for epoch in sorted(self.kept))
        stranded = frozenset(each.exchange for each in self.orders.values() if each.exchange is not None)
        told = CarryReply(
            correlation_id="",
            exchange=self.route.exchange or "",
            carried=tuple(self.taken_up.get(self.route.epoch, ())),
            parked=(),
            waiting=0,
        )
        self.run(self.machine.recover(self.route, past, self.now_s, stranded=stranded, carried=told))

    def safely(self, what: Any, *arguments: Any) -> None:
        """Does something; where the coordinator dies of it, a new one takes over, which may die as well."""
        try:
            what(*arguments)
        except Death:
            while True:
                try:
                    self.life()
                    for name, state in self.states.items():
                        self._view(name, state)
                    return
                except Death:
                    continue

    def run(self, effects: list[Any]) -> None:
        """As the actor does."""
        queue = list(effects)
        while queue:
            if self.dies_in is not None:
                self.dies_in -= 1
                if self.dies_in < 0:
                    self.dies_in = None
                    raise Death
            effect = queue.pop(0)
            self.effects[type(effect).__name__] += 1
            match effect:
                case SaveSwitch(switch=switch, lines=lines):
                    self.kept[switch.epoch] = switch
                    self.lines += [(self.now_s, line) for line in lines]
                case Tell(line=line):
                    self.lines.append((self.now_s, line))
                case Fence():
                    self.done.append("fence")
                    self.route = Route(epoch=self.route.epoch + 1, exchange=None, since_s=self.now_s)
                    queue += self.machine.fenced(self.route, self.now_s)
                case CommitRoute(epoch=epoch, exchange=exchange):
                    assert epoch == self.route.epoch
                    assert self.route.exchange in (None, exchange)
                    self.done.append(f"commit {exchange}")
                    self.route = Route(epoch=epoch, exchange=exchange, since_s=self.now_s)
                    queue += self.machine.committed(self.route, self.now_s)
                case AskCarry() if not any(each.exchange is None for each in self.orders.values()):
                    nothing = CarryReply(correlation_id="", exchange=effect.exchange, carried=(), parked=(), waiting=0)
                    queue += self.machine.carried(nothing, self.now_s)
                case AskSettle() | AskPreflight() | AskCarry() | AskMoves() | AskBook():
                    verb = type(effect).__name__.removeprefix("Ask").lower()
                    self.done.append(f"{verb} {getattr(effect, 'exchange', '')}".strip())
                    self.mail.append(effect)
                case Answer(message=message):
                    self.answers.append(message)
                case Announce():
                    self.told.append(effect)

    def own_network(self, _views: object, _witnesses: object, _now_s: float, _exchange: str) -> Network:
        """Whether it works."""
        state = NetworkState.OURS if self.network_down else NetworkState.THEIRS
        return Network(state=state, words="so it is said")

    # ------------------------------------------------------------------------------------------------ what happens

    def place(self, name: str) -> None:
        """A strategy's order comes to rest where trading is."""
        if self.route.exchange is not None and name not in self.orders:
            self.orders[name] = Order(name=name, exchange=self.route.exchange, epoch=self.route.epoch)

    def health(self, exchange: str, state: HealthState, **more: Any) -> None:
        """The monitor tells."""
        self.states[exchange] = state
        self._view(exchange, state, **more)

    def _view(self, exchange: str, state: HealthState, **more: Any) -> None:
        view = HealthView(
            exchange=exchange,
            state=state,
            since_s=self.now_s,
            reason="it said so",
            consecutive_failures=0,
            last_ok_s=None,
            latency_s=None,
            clock_offset_s=None,
            **more,
        )
        self.run(self.machine.health_told(view, self.now_s))

    def all_well(self) -> None:
        """Every exchange is well, and everybody answers."""
        for name in EXCHANGES:
            self.safely(self.health, name, HealthState.WELL)
        self.deliver_all()

    def manual(self, exchange: str, name: str = "m") -> None:
        """Somebody wants trading moved."""
        request = ManualFailover(correlation_id=name, deadline_s=self.now_s + 20.0, exchange=exchange)
        self.run(self.machine.manual("somebody", request, self.now_s))

    def holds(self, controls: Controls) -> None:
        """A verb has written what holds from now on."""
        self.controls = controls
        self.run(self.machine.controlled(controls, self.now_s))

    def passes(self, seconds: float) -> None:
        """Time goes by, and nobody answers."""
        until_s = self.now_s + seconds
        while (next_s := self.machine.next_s()) is not None and next_s <= until_s:
            self.now_s = max(self.now_s + 0.001, next_s)
            self.safely(lambda: self.run(self.machine.tick(self.now_s)))
        self.now_s = max(self.now_s, until_s)

    def lives(self, seconds: float) -> None:
        """Time goes by, and everybody answers who can."""
        until_s = self.now_s + seconds
        self.deliver_all()
        while self.now_s < until_s:
            next_s = self.machine.next_s()
            due_s = until_s if next_s is None else next_s
            self.passes(min(until_s, max(due_s, self.now_s + 0.001)) - self.now_s)
            self.deliver_all()

    # ------------------------------------------------------------------------------------------------ who answers

    def deliver_all(self) -> None:
        """Everything that was asked is answered by whoever is not silent."""
        while self.mail:
            self.deliver(0)

    def deliver(self, at: int) -> None:
        """One of the questions is answered, or lost on who is silent."""
        asked = self.mail.pop(at)
        exchange = getattr(asked, "exchange", "")
        if exchange in self.silent and not isinstance(asked, AskBook):
            return
        match asked:
            case AskSettle():
                reply = self._settled(asked)
                self.safely(lambda: self.run(self.machine.settled(reply, self.now_s)))
            case AskPreflight():
                problems = (f"{exchange} is not ready.",) if exchange in self.unready | self.opening else ()
                ready = PreflightReply(
                    correlation_id="",
                    exchange=exchange,
                    problems=problems,
                    at_s=self.now_s,
                    opening=exchange in self.opening,
                )
                self.safely(lambda: self.run(self.machine.preflight_done(ready, self.now_s)))
            case AskCarry():
                carried = self._carried(asked)
                self.safely(lambda: self.run(self.machine.carried(carried, self.now_s)))
            case AskMoves():
                moved = self._moved(asked)
                self.safely(lambda: self.run(self.machine.moved(moved, self.now_s)))
            case AskBook():
                book = self._book(exchange)
                self.safely(lambda: self.run(self.machine.book_told(book, exchange, self.now_s)))

    def _settled(self, asked: AskSettle) -> SettleReply:
        meant = [each for each in self.orders.values() if each.exchange == asked.exchange and each.epoch < asked.epoch]
        dead = self.states.get(asked.exchange) is HealthState.DOWN
        left = tuple(
            OrderLeft(order_id=each.name, client_order_id=each.name, symbol=str(BTC), state="unknown", remaining="1")
            for each in meant
            if dead
        )
        for each in () if dead else meant:
            each.exchange = None
        cancelled = () if dead else tuple(each.name for each in meant)
        return SettleReply(correlation_id="", exchange=asked.exchange, cancelled=cancelled, left=left)

    def _carried(self, asked: AskCarry) -> CarryReply:
        carried = []
        for each in self.orders.values():
            # The journal's transaction: only where trading is, only under its epoch, only what is on no exchange.
            if each.exchange is None and (asked.exchange, asked.epoch) == (self.route.exchange, self.route.epoch):
                each.exchange, each.epoch, each.legs = asked.exchange, asked.epoch, each.legs + 1
                carried.append(
                    OrderCarried(
                        order_id=each.name,
                        client_order_id=each.name,
                        from_exchange="",
                        to_exchange=asked.exchange,
                        filled="0",
                        quantity="1",
                    )
                )
                self.lines.append((self.now_s, Line(step="carried", epoch=asked.epoch)))
        self.taken_up.setdefault(self.route.epoch, []).extend(carried)
        waiting = sum(each.exchange is None for each in self.orders.values())
        return CarryReply(
            correlation_id="", exchange=asked.exchange, carried=tuple(carried), parked=(), waiting=waiting
        )

    def _moved(self, asked: AskMoves) -> MovesReply:
        there = self.route.exchange
        slices = []
        for name, held in self.positions.items():
            up = self.states.get(name) is not HealthState.DOWN
            if held and name != there and up and there is not None and asked.epoch == self.route.epoch:
                self.positions[there] += held
                self.positions[name] = Decimal(0)
                slices.append(
                    Slice(
                        symbol=BTC,
                        from_exchange=name,
                        to_exchange=there,
                        quantity=abs(held),
                        long=held > 0,
                        open_limit=None,
                        close_limit=None,
                        notional=abs(held),
                    )
                )
        left = any(held for name, held in self.positions.items() if name != there)
        so_far = self.moved.setdefault(self.route.epoch, [])
        so_far += slices
        return MovesReply(correlation_id="", plan=PositionPlan(), moved=tuple(so_far), done=not left)

    def _book(self, exchange: str) -> BookReply:
        unread = exchange in self.silent or self.states.get(exchange) is HealthState.DOWN
        held = tuple(
            Position(
                exchange=name,
                symbol=BTC,
                quantity=quantity,
                entry_price=None,
                mark_price=None,
                leverage=None,
                unrealised_pnl=None,
                at_s=self.now_s,
            )
            for name, quantity in self.positions.items()
            if quantity
        )
        return BookReply(correlation_id="", lines=(), positions=held, unread=(exchange,) if unread else ())

    # ------------------------------------------------------------------------------------------------ what holds

    def where(self, name: str) -> tuple[str | None, int]:
        """On which exchange an order is, and how often it was placed."""
        order = self.orders[name]
        return order.exchange, order.legs

    def step(self) -> Step:
        """Where the switch is."""
        return self.machine.step

    def steps(self, epoch: int) -> list[str]:
        """Rows of the history of one epoch."""
        return [line.step for _, line in self.lines if line.epoch == epoch and line.step != "standing"]

    def settles_down(self) -> None:
        """Everything is well again for long enough."""
        self.dies_in, self.network_down = None, False
        self.silent.clear()
        self.unready.clear()
        self.opening.clear()
        self.holds(Controls())
        for _ in range(3):
            for name in EXCHANGES:
                self.health(name, HealthState.WELL)
            self.lives(40.0)
        assert self.machine.step is Step.IDLE
        assert self.machine.route == self.route
        assert self.route.exchange in EXCHANGES
