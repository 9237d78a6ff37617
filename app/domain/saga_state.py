"""What the coordinator's machine knows, and the small questions that its rooms ask of that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import define, evolve, field

from app.domain.controls import NONE, Controls
from app.domain.effects import Asker
from app.domain.health_table import OUT
from app.domain.leaving import Candidate, best_first
from app.domain.network import OwnNetwork
from app.domain.readied import Readied
from app.domain.saga_effects import Announce, CoordinatorEffect, FailoverSettings, Line, SaveSwitch
from app.domain.saga_table import MOVING, Step
from app.domain.standing import Back, Standing, Standings
from messages.failover import Readiness, Route, RouterState, Switch
from messages.health import HealthState, HealthView, Network, Witness

PAST = 50
"""Switches that are remembered: what comes late is appended to one of them, and damping and failbacks look at them,
which want those of an hour, of which there are at most 20 (`leaving`)."""


@define
class SagaState:
    """Fields of the machine. All of it that matters after a death is in the journal, too.

    Attributes:
        words: Why the router is in error; empty where it is not.
        advice: What somebody should know of the exchange in use though trading goes on there; empty where nothing.
        witnesses: What was last heard of each.
        asker: Who is told how the switch that runs ends.
        past: The newest switches that are over, oldest first.
    """

    settings: FailoverSettings
    own_network: OwnNetwork
    route: Route = field(init=False, factory=lambda: Route(epoch=0, exchange=None, since_s=0.0))
    step: Step = field(init=False, default=Step.IDLE)
    health: dict[str, HealthView] = field(init=False, factory=dict)
    controls: Controls = field(init=False, default=NONE)
    words: str = field(init=False, default="")
    advice: str = field(init=False, default="")
    witnesses: tuple[Witness, ...] = field(init=False, default=())
    asker: tuple[Asker, str] | None = field(init=False, default=None)
    past: list[Switch] = field(init=False, factory=list)
    standings: Standings = field(init=False)
    readied: Readied = field(init=False)
    switch: Switch | None = field(init=False, default=None)
    _candidates: list[str] = field(init=False, factory=list)
    _doubted: list[str] = field(init=False, factory=list)
    _asked_anew: bool = field(init=False, default=False)
    _chosen: str = field(init=False, default="")
    _due_s: float | None = field(init=False, default=None)
    _settled: bool = field(init=False, default=False)
    _told_down: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.standings = Standings(self.settings, lambda: self.route)
        self.readied = Readied(self.settings)

    @property
    def state(self) -> RouterState:
        """Of the whole router."""
        if self.route.epoch == 0:
            return RouterState.INITIALIZING
        if self.step in MOVING or self.route.exchange is None:
            return RouterState.SWITCHING
        return RouterState.ERROR if self.words else RouterState.READY

    @property
    def down(self) -> bool:
        """The detector has called the exchange in use down."""
        return self.route.exchange is not None and self.is_down(self.route.exchange)

    def believed(self, exchange: str) -> HealthState:
        """What evidence says of an exchange, whoever keeps it out."""
        view = self.health.get(exchange)
        return HealthState.STARTING if view is None else view.health

    def is_down(self, exchange: str) -> bool:
        """The detector has called it down."""
        return self.believed(exchange) is HealthState.DOWN

    def is_well(self, exchange: str) -> bool:
        """The detector calls it well."""
        return self.believed(exchange) is HealthState.WELL

    def is_back(self, exchange: str) -> bool:
        """It answers, though it may be on trial still: what became of our orders there can be found out."""
        return self.believed(exchange) in (HealthState.WELL, HealthState.HALF_OPEN)

    def network(self, exchange: str, now_s: float) -> Network:
        """Whose fault it is that an exchange does not answer."""
        return self.own_network(tuple(self.health.values()), self.witnesses, now_s, exchange)

    def standing(self, exchange: str) -> Standing:
        """How an exchange stands."""
        if exchange == self.route.exchange:
            return Standing.IN_USE
        if self.controls.why_isolated(exchange):
            return Standing.ISOLATED
        match self.standings.back(exchange):
            case Back.CANDIDATE:
                return Standing.CANDIDATE
            case Back.LEFT:
                return Standing.LEFT
            case Back.SETTLING | Back.READING:
                return Standing.RETURNING

    def why_no_candidate(self, exchange: str, now_s: float) -> str:
        """Why trading may not move to an exchange, in a sentence; empty where nothing speaks against asking it."""
        if isolated := self.controls.why_isolated(exchange):
            return f"{exchange} is isolated: {isolated}"
        return self.gone(exchange) or self._kept_back(exchange, now_s)

    def gone(self, exchange: str) -> str:
        """That an exchange is down or closed, in a sentence; empty where it is not."""
        view = self.health.get(exchange)
        if view is None or view.health not in OUT:
            return ""
        how = "down" if view.health is HealthState.DOWN else "closed for maintenance"
        return f"{exchange} is {how}: {view.reason}"

    def _kept_back(self, exchange: str, now_s: float) -> str:
        view = self.health.get(exchange)
        if view is not None and view.credentials:
            return f"{exchange} does not take our credentials: {view.credentials}"
        return self.standings.why_not(exchange, now_s)

    def usable(self, exchange: str) -> bool:
        """Whether trading may move there by itself, if its pre-flight passes."""
        return self.is_well(exchange) and self.standing(exchange) is Standing.CANDIDATE

    def fresh(self, exchange: str, now_s: float) -> Readiness | None:
        """Its last pre-flight, where it is young; of one that is not well, since it is not."""
        found, view = self.readied.fresh(exchange, now_s), self.health.get(exchange)
        if found is None or view is None or view.health is HealthState.WELL:
            return found
        return found if found.at_s is not None and found.at_s >= view.since_s else None

    def candidate(self, exchange: str, now_s: float) -> Candidate:
        """What is known of an exchange that trading might go to."""
        view = self.health.get(exchange)
        places = self.settings.exchanges
        return Candidate(
            exchange=exchange,
            place=places.index(exchange) if exchange in places else len(places),
            health=self.believed(exchange),
            since_s=now_s if view is None else view.since_s,
            why_not=self.why_no_candidate(exchange, now_s),
            unfit="" if view is None else view.unfit,
            no_better="" if view is None else view.no_better,
            ready=self.fresh(exchange, now_s),
            answered=self.readied.answered(exchange),
        )

    def best_first(self, exchanges: Iterable[str], now_s: float) -> list[str]:
        """Candidates in the order in which they are asked."""
        return [*best_first(self.candidate(name, now_s) for name in exchanges)]

    def others(self, leaving: str | None) -> list[str]:
        """Every exchange but one, in their order."""
        return [name for name in self.settings.exchanges if name != leaving]

    def waiting(self) -> list[str]:
        """Exchanges that answer and are not in use: those whose readiness is kept fresh."""
        others = self.others(self.route.exchange)
        return [name for name in others if self.is_back(name) or (self.down and self._suspected(name))]

    def _suspected(self, exchange: str) -> bool:
        return self.believed(exchange) is HealthState.SUSPECT

    def readiness(self, now_s: float) -> tuple[Readiness, ...]:
        """Of every exchange that is not in use: what its last pre-flight found, and what else speaks against it."""
        out = []
        for name in self.others(self.route.exchange):
            known = self.readied.of(name)
            why = self.why_no_candidate(name, now_s)
            words = self.standings.words(name)
            standing = self.standing(name)
            said = () if standing is Standing.CANDIDATE else (f"Standing: {standing.value}.",)  # as it is meant to be
            notes = (*known.notes, *((words,) if words else ()), *said)
            problems = (*((why,) if why else ()), *known.problems)
            out.append(evolve(known, problems=problems, notes=notes))
        return tuple(out)

    def announced(self) -> Announce:
        """What sessions are to be told."""
        self._told_down = self.down
        return Announce(route=self.route, state=self.state, down=self.down)

    def _saved(self, *lines: Line) -> list[CoordinatorEffect]:
        assert self.switch is not None
        return [SaveSwitch(switch=self.switch, lines=lines)]

    def _line(self, step: str, **detail: Any) -> Line:
        assert self.switch is not None
        return Line(step=step, epoch=self.switch.epoch, detail=detail)

    def _mark(self, step: Step, now_s: float, **detail: Any) -> list[CoordinatorEffect]:
        """A step has ended: kept with the switch, and as a row of its own."""
        assert self.switch is not None
        steps = (*self.switch.steps, (step.value, round(now_s - self.switch.at_s, 6)))
        self.switch = evolve(self.switch, steps=steps)
        return self._saved(self._line(step.value, **detail))
