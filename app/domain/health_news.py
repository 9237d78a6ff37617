"""What the coordinator is told of each exchange's health, and when: at once what it decides by, the rest now and then.

A busy exchange gives evidence a thousand times a second, and most of it changes nothing but a number. So a view is
told at once where it differs in what decisions rest on, or where what it brings decides whose fault it is that an
exchange is down; else at most each `REFRESH_S`. Time changes views, too: a maintenance comes near, a ban is over, a
trial's least time has passed. `next_s` says when to look again.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from attrs import define, field

from app.domain.health import Detector, compared
from app.domain.health_settings import HealthSettings
from app.domain.network import judge
from messages.health import HealthState, HealthView, Network, NetworkState, Witness

REFRESH_S = 0.5
"""Between two times that a view is told which differs only in what nobody decides by."""


@define
class HealthNews:
    """What was told last."""

    settings: HealthSettings
    network: Network | None = field(init=False, default=None)
    """Whose fault it is that the newest exchange that is down is; None while none is."""
    _told: dict[str, tuple[float, Hashable]] = field(init=False, factory=dict)
    _stirred: set[str] = field(init=False, factory=set)
    _unfit: set[str] = field(init=False, factory=set)
    _kept_away: set[str] = field(init=False, factory=set)
    """Of whom it was told last that they are not known to be better."""
    verdicts: tuple[tuple[str, NetworkState], ...] = field(init=False, default=())
    """The same of each that is down, the newest last."""

    def forget(self) -> None:
        """Whoever was told is gone: everything is news again."""
        self._told.clear()

    def stir(self, exchange: str) -> None:
        """There is new evidence of it."""
        self._stirred.add(exchange)

    def held_together(
        self, detectors: Mapping[str, Detector], views: tuple[HealthView, ...], now_s: float
    ) -> dict[str, Detector] | None:
        """The detectors, held against each other as soon as one is unfit: when that is told trading may leave it, and
        who is no better must be known by then, and told before (`_in_order`). None where they stay as they are."""
        before, self._unfit = self._unfit, {view.exchange for view in views if view.unfit}
        if self._unfit <= before:
            return None
        return compared(detectors, now_s, self.settings)

    def due(self, views: tuple[HealthView, ...], witnesses: tuple[Witness, ...], now_s: float) -> tuple[str, ...]:
        """Of which exchanges to tell now, and in which order; they count as told."""
        decided = self._decide(views, witnesses, now_s)
        now = tuple(view.exchange for view in views if self._is_due(view, decided, now_s))
        if decided and not now and views:
            now = (views[0].exchange,)  # a witness has decided it: any view brings what it said
        for view in views:
            if view.exchange in now:
                self._told[view.exchange] = now_s, _weighty(view)
                self._stirred.discard(view.exchange)
        return self._in_order(tuple(view for view in views if view.exchange in now))

    def _in_order(self, told: tuple[HealthView, ...]) -> tuple[str, ...]:
        """What keeps trading from going to one is told before what makes it leave another, and taken back after."""

        def key(view: HealthView) -> int:
            return 0 if view.no_better else 2 if view.exchange in self._kept_away else 1

        names = tuple(view.exchange for view in sorted(told, key=key))
        self._kept_away -= {*names}
        self._kept_away |= {view.exchange for view in told if view.no_better}
        return names

    def next_s(self, views: Iterable[HealthView], now_s: float) -> float | None:
        """When something is to be told by time alone; None where nothing is."""
        moments: list[float] = []
        for view in views:
            told = self._told.get(view.exchange)
            if view.exchange in self._stirred:
                moments.append(now_s if told is None else told[0] + REFRESH_S)
            ahead = [view.hold_until_s, view.banned_until_s]
            if view.banned_until_s is not None:
                ahead.append(view.banned_until_s - self.settings.ban_tolerance_s)
            if view.maintenance is not None:
                begin_s = view.maintenance.begin_s
                ahead += [begin_s - self.settings.maintenance_lead_s, begin_s, view.maintenance.end_s]
            moments += [at_s for at_s in ahead if at_s is not None and at_s > now_s]
        return min(moments, default=None)

    def _decide(self, views: tuple[HealthView, ...], witnesses: tuple[Witness, ...], now_s: float) -> bool:
        """Whether it is judged otherwise than before whose fault it is that some are down."""
        down = sorted((view for view in views if view.health is HealthState.DOWN), key=lambda view: view.since_s)
        judged = [(view.exchange, judge(views, witnesses, now_s, self.settings, view.exchange)) for view in down]
        self.network = judged[-1][1] if judged else None
        before, self.verdicts = self.verdicts, tuple((name, network.state) for name, network in judged)
        return bool(judged) and self.verdicts != before

    def _is_due(self, view: HealthView, decided: bool, now_s: float) -> bool:
        told = self._told.get(view.exchange)
        if told is None or told[1] != _weighty(view):
            return True
        return view.exchange in self._stirred and (decided or now_s >= told[0] + REFRESH_S)


def _weighty(view: HealthView) -> Hashable:
    """What decisions rest on; of sentences that count seconds, only whether there is one."""
    closed = view.maintenance
    return (
        *(view.state, view.since_s, view.believed, bool(view.unfit), bool(view.no_better), bool(view.stale)),
        *(view.credentials, view.cause, view.halted, view.recovered_s, view.banned_until_s is None, view.loses),
        None if closed is None else (closed.begin_s, closed.end_s, closed.words),
    )
