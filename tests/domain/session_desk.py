"""A session as its owner has it: what it told to whom, and what was answered."""

from __future__ import annotations

from typing import Any

from app.domain.session import (
    Resolved,
    Session,
    SessionEffect,
    SessionSettings,
    Tell,
)
from messages.failover import (
    Route,
    RouteChanged,
    RouterState,
    Subscribe,
)
from messages.orders import (
    GetOrder,
    LegState,
    OrderView,
    PlaceOrder,
)
from messages.supervision import Directory, DirectoryEntry, Listen, Role
from tests.domain.orders import JOURNAL, key, leg, order, spec

EXCHANGES = ("bybit", "okx")


class Desk:
    """A session, and what it has told to whom."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.session = Session(SessionSettings(session_id="s", strategy="maker", retry_delay_s=1.0))
        self.incarnations = {"bybit": 1, "okx": 1, "coordinator": 1}
        self.generation = 0
        self.route = Route(epoch=1, exchange="bybit", since_s=0.0)
        self.told: list[tuple[str, Any]] = []
        self.outcomes: dict[str, list[Any]] = {}
        self.news: list[SessionEffect] = []
        self.serial = 0
        self.perform(self.session.start(0.0))
        self.lives()
        self.routes(self.route)

    def perform(self, effects: list[SessionEffect]) -> None:
        """As its owner does."""
        for effect in effects:
            match effect:
                case Tell(to=to, message=message):
                    if not isinstance(message, Listen | Subscribe):
                        self.told.append((str(to), message))
                case Resolved(correlation_id=correlation_id, outcome=outcome):
                    self.outcomes.setdefault(correlation_id, []).append(outcome)
                case _:
                    self.news.append(effect)

    def lives(self, *, but: str = "") -> None:
        """The supervisor tells who is there."""
        self.generation += 1
        entries = tuple(
            DirectoryEntry(
                role=Role.CONNECTOR if name in EXCHANGES else Role.FAILOVER_COORDINATOR,
                name=name,
                address=f"{name}#{incarnation}",
                incarnation=incarnation,
                pid=None,
            )
            for name, incarnation in self.incarnations.items()
            if name != but
        )
        directory = Directory(generation=self.generation, journal_id=JOURNAL, entries=entries)
        self.perform(self.session.directory_told(directory, self.now_s))

    def dies(self, name: str) -> None:
        """An actor is restarted; what it was told is lost."""
        self.told = [(to, message) for to, message in self.told if not to.startswith(f"{name}#")]
        self.lives(but=name)
        self.incarnations[name] += 1
        self.lives()

    def routes(self, route: Route) -> None:
        """The coordinator tells the route."""
        self.route = route
        state = RouterState.READY if route.exchange else RouterState.SWITCHING
        self.perform(self.session.route_told(RouteChanged(route=route, state=state), self.now_s))

    def place(self, name: str = "one", within_s: float = 20.0) -> str:
        """The owner places an order."""
        self.serial += 1
        request = PlaceOrder(
            correlation_id=f"r{self.serial}",
            deadline_s=self.now_s + within_s,
            epoch=self.route.epoch,
            key=key(name),
            spec=spec(),
        )
        self.perform(self.session.ask(request, self.now_s))
        return request.correlation_id

    def passes(self, seconds: float) -> None:
        """Time goes by, from one moment the session asked for to the next."""
        until_s = self.now_s + seconds
        while (next_s := self.session.next_s()) <= until_s:
            self.now_s = max(self.now_s + 0.001, next_s)
            self.perform(self.session.tick(self.now_s))
        self.now_s = max(self.now_s, until_s)

    def take(self) -> tuple[str, Any]:
        """The one message told."""
        (message,) = self.told
        self.told.clear()
        return message

    def question(self) -> GetOrder:
        """The next question after an order in doubt, at the moment it is asked."""
        self.told.clear()
        for _ in range(1000):
            self.passes(max(0.0, self.session.next_s() - self.now_s))
            for _, message in self.told:
                if isinstance(message, GetOrder):
                    return message
        raise AssertionError("nothing is asked for")

    def reply(self, message: Any) -> None:
        """An answer."""
        self.perform(self.session.reply(message, self.now_s))


def found(state: LegState, name: str = "one", exchange: str = "bybit") -> OrderView:
    """The order as the journal knows it."""
    return order(leg(state, exchange=exchange), of=key(name))
