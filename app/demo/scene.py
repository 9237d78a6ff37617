"""Everything that is shown while the demo runs: taken from the diary, the daemon's own status and the script.

No number here is made up or smoothed: what is not known yet is None, and shown as a dash.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from attrs import define, field

from app.demo.diary import NEVER_SENT, Line
from messages.orders import LIVE_OR_UNPROVEN, LegState

if TYPE_CHECKING:
    from app.core.shapes import Status

MAX_MOMENTS = 200
_LIVE = frozenset(state.value for state in LIVE_OR_UNPROVEN)
_UNPROVEN = (LegState.INTENT.value, LegState.UNKNOWN.value)


@define
class Shown:
    """One order as the strategy sees it: `outcome` None until it is answered, `state` None until a leg is known."""

    client_order_id: str
    side: str
    price: str | None
    quantity: str
    placed_s: float
    outcome: str | None = None
    answered_s: float | None = None
    state: str | None = None
    exchange: str | None = None
    doubted: bool = False

    @property
    def latency_s(self) -> float | None:
        """From placing to being answered."""
        return None if self.answered_s is None else self.answered_s - self.placed_s

    @property
    def is_unknown(self) -> bool:
        """Told unknown, and nothing better since."""
        return self.doubted and (self.state is None or self.state in _UNPROVEN)


@define
class Moment:
    """Something worth a line: `tone` is plain, bad or good."""

    at_s: float
    words: str
    tone: str = "plain"


@define
class Scene:
    """The state of the demonstration.

    Attributes:
        exchanges: In the order of failover, the primary first.
        began_s: Unix time of the strategy's first order; None before.
        status: The daemon's own, as last asked.
        accepted_at: (when, exchange) of each order answered as accepted.
        switches: Completed failovers, from the router's history.
    """

    exchanges: Sequence[str]
    seconds: float
    began_s: float | None = None
    now_s: float = 0.0
    status: Status | None = None
    active: str | None = None
    orders: dict[str, Shown] = field(factory=dict)
    accepted_at: list[tuple[float, str]] = field(factory=list)
    moments: deque[Moment] = field(factory=lambda: deque(maxlen=MAX_MOMENTS))
    switches: list[dict[str, Any]] = field(factory=list)
    finished: bool = False
    processes: int = 0
    lines: list[Line] = field(factory=list)
    _resolved: int = 0
    _states: dict[str, str] = field(factory=dict)

    # ------------------------------------------------------------------------------------------------ news

    def note(self, at_s: float, words: str, tone: str = "plain") -> Moment:
        """A line for the timeline."""
        moment = Moment(at_s, words, tone)
        self.moments.append(moment)
        return moment

    def heard(self, line: Line) -> None:
        """A line of the diary."""
        self.lines.append(line)
        at_s = float(line["at_s"])
        match line["what"]:
            case "placed":
                if self.began_s is None:
                    self.began_s = at_s
                    self.note(at_s, f"the strategy trades on {self.active or self.exchanges[0]}")
                self.orders[line["id"]] = Shown(line["id"], line["side"], line["price"], line["quantity"], at_s)
            case "told":
                self._told(line, at_s)
            case "route":
                self._routed(line, at_s)
            case "finished":
                self.finished = True
                self.note(at_s, "the strategy has stopped, and nothing of it rests")

    def _told(self, line: Line, at_s: float) -> None:
        order = self.orders.get(line["id"])
        if order is None or line["told"].startswith("question_"):
            return
        if line["state"] is not None or line["told"] == NEVER_SENT:
            if order.state is not None and order.state not in _LIVE and line["state"] in _LIVE:
                line = {**line, "state": order.state}  # an answer written before the news that overtook it
            was_unknown = order.is_unknown
            order.state, order.exchange = line["state"] or NEVER_SENT, line["exchange"]
            if was_unknown and not order.is_unknown:
                self._resolved += 1
                if not self.unknown:
                    self.note(at_s, f"all {self._resolved} orders of unknown outcome are resolved", "good")
        if order.outcome is None and line["told"] != "changed":
            order.outcome, order.answered_s = line["told"], at_s
            if order.outcome == "accepted" and order.exchange is not None:
                self.accepted_at.append((at_s, order.exchange))
            if order.outcome == "unknown":
                if not self.unknown:
                    self.note(at_s, "first order told unknown: no answer came, and none is guessed", "bad")
                order.doubted = True

    def _routed(self, line: Line, at_s: float) -> None:
        before, self.active = self.active, line["exchange"]
        if self.began_s is None or before == self.active:
            return
        if self.active is None:
            self.note(at_s, f"trading on {before} is fenced off (epoch {line['epoch']})")
        else:
            self.note(at_s, f"trading goes on at {self.active} (epoch {line['epoch']})", "good")

    def looked(self, status: Status) -> None:
        """A new status of the daemon."""
        self.status = status
        self.processes = len([actor for actor in status["actors"] if actor["pid"]])
        for name, health in status["exchange_health"].items():
            before, now = self._states.get(name), health["state"]
            self._states[name] = now
            if self.began_s is None or before is None or before == now or now == "suspect":
                continue
            at_s = int(health["since"]) / 1000
            if now == "down":
                self.note(at_s, f"{name} is found down: {health['reason']}", "bad")
            elif now == "half_open":
                self.note(at_s, f"{name} answers again, and is on trial")
            elif now == "well" and before in ("down", "half_open"):
                self.note(at_s, f"{name} is found well again", "good")

    # ------------------------------------------------------------------------------------------------ numbers

    @property
    def elapsed_s(self) -> float:
        """Since the first order; 0 before."""
        return 0.0 if self.began_s is None else max(0.0, self.now_s - self.began_s)

    @property
    def outcomes(self) -> Counter[str]:
        """Orders by first answer; those without one under ``"waiting"``."""
        return Counter(order.outcome or "waiting" for order in self.orders.values())

    @property
    def unknown(self) -> int:
        """Orders whose outcome nobody knows now, and the strategy was told so."""
        return sum(order.is_unknown for order in self.orders.values())

    @property
    def open(self) -> int:
        """Orders live on an exchange now, as far as the strategy was told."""
        return sum(order.state in _LIVE and not order.is_unknown for order in self.orders.values())

    @property
    def resolved(self) -> int:
        """Orders once told unknown, and known now."""
        return self._resolved

    def longest_gap_s(self) -> float | None:
        """The longest time between two accepted orders, from the first to the last; None with fewer than two."""
        times = sorted(at_s for at_s, _ in self.accepted_at)
        return max((later - sooner for sooner, later in pairwise(times)), default=None)

    def latencies_s(self) -> list[float]:
        """Of the accepted orders, sorted."""
        return sorted(o.latency_s for o in self.orders.values() if o.outcome == "accepted" and o.latency_s is not None)
