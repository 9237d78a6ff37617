"""The rate limiter in the connector's words: what errands cost here, and what answers say of the exchange's limits."""

from __future__ import annotations

from collections.abc import Collection

from attrs import define, field

from app.domain import calls as c
from app.domain.errands import Errand, ForLeg, Place, Read
from app.domain.kept_limits import KeepsLimits, KeptLimits
from app.domain.leg_task import LegTask
from app.domain.limiter import Limiter, Priority
from app.domain.rates import Cost, Rates, Usage, symbol_of
from messages.market import Symbol
from messages.orders import Purpose

RATE_LIMITED = "rate_limited"
"""Code of a result of a call that the exchange turned away for its rate."""

SILENCE_S = 90.0
"""Who asks for more silence than this has banned us, and is as good as down; a window that is used up is shorter."""

KINDS: dict[str, type[c.Call]] = {
    "place": c.PlaceCall,
    "cancel": c.CancelCall,
    "amend": c.AmendCall,
    "replace": c.PlaceCall,
    "carry": c.PlaceCall,
    "look_up": c.LookUpCall,
}
"""Calls about a leg, by what the connector calls them."""


@define
class RateGate:
    """What goes to one exchange passes here.

    Attributes:
        banned_until_s: Until when the exchange answers nothing, in its own words.
    """

    rates: Rates
    limiter: Limiter[Errand] = field(init=False)
    banned_until_s: float = field(init=False, default=0.0)
    _kept_s: float = field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self.limiter = Limiter(self.rates)

    def place(self, errand: Place, latest_s: float, now_s: float) -> bool:
        """Queues a placement that is not committed yet; False where it would not be granted by then."""
        priority = Priority.CANCEL if errand.request.purpose is Purpose.EXIT else Priority.PLACE  # exits protect
        return self.limiter.ask(errand, priority, latest_s, now_s, *self._placing(errand))

    def about_leg(self, errand: ForLeg, task: LegTask, priority: Priority, deadline_s: float, now_s: float) -> bool:
        """Queues a call about a leg, which is made when it is granted."""
        spec = task.order.spec
        age_s = now_s - task.leg.committed_s
        cost = self.rates.cost_for(KINDS[errand.kind], triggered=spec.trigger is not None, age_s=age_s)
        return self.limiter.ask(errand, priority, deadline_s, now_s, cost, spec.symbol)

    # ---- a placement that was granted and does not go ----------------------------------------------------------------

    def unused(self, place: Place, now_s: float) -> None:
        """It will not go: its turn is somebody else's."""
        cost, symbol = self._placing(place)
        if place.held_s is not None:
            self.limiter.unsent(cost, symbol, place.held_s, now_s)
        self.limiter.give_back(cost, symbol, now_s, now_s)

    def held(self, place: Place, now_s: float) -> None:
        """Its turn is kept for it, however long that takes."""
        self.limiter.sent(*self._placing(place), now_s)

    def resumed(self, place: Place, now_s: float) -> None:
        """It goes now."""
        assert place.held_s is not None, "only what was held goes on"
        self.limiter.unsent(*self._placing(place), place.held_s, now_s)

    def _placing(self, place: Place) -> tuple[Cost, Symbol]:
        spec = place.request.spec
        return self.rates.cost_for(c.PlaceCall, triggered=spec.trigger is not None), spec.symbol

    # ---- calls -------------------------------------------------------------------------------------------------------

    def read(self, errand: Read, priority: Priority, now_s: float) -> bool:
        """Queues a call."""
        call = errand.call
        return self.limiter.ask(errand, priority, call.deadline_s, now_s, self.rates.cost_of(call), symbol_of(call))

    def sent(self, call: c.Call, now_s: float) -> None:
        """A call is on its way."""
        self.limiter.sent(self.rates.cost_of(call), symbol_of(call), now_s)

    def answered(self, call: c.Call, result: c.Result, sent_s: float, now_s: float) -> None:
        """A call came back. Where it was turned away for its rate, what it takes from is closed for a while."""
        cost, symbol = self.rates.cost_of(call), symbol_of(call)
        taken_s = self.limiter.answered(cost, symbol, sent_s, now_s)
        if isinstance(result, c.Found) and (spared := self.rates.spared(call, result.requests)):
            self.limiter.give_back(spared, symbol, taken_s, now_s)
        if not isinstance(result, c.NotExecuted | c.CallFailed):
            return
        wait_s = result.retry_after_s
        pause = self.rates.pauses.get(result.native_code or "") if result.code == RATE_LIMITED else None
        if wait_s is None and pause is not None:
            wait_s = pause.wait_s
        if wait_s is None:
            return
        if isinstance(call, c.StatusCall) and (pause is None or pause.everything):
            return  # of servers that others ask as well: it speaks for no other call
        own: Cost = tuple((name, units) for name, units in cost if name not in self.rates.common)
        if pause is None or pause.everything or not own:
            self.limiter.close_until(now_s + wait_s)
            if wait_s > SILENCE_S:
                self.banned_until_s = max(self.banned_until_s, now_s + wait_s)
        else:
            self.limiter.close_budgets(own, symbol, now_s + wait_s, now_s)

    def silent_for_s(self, now_s: float) -> float | None:
        """For how long we are to ask nothing at all; None where we may."""
        left_s = self.limiter.closed_until_s - now_s
        return left_s if left_s > 0 else None

    def used(self, now_s: float) -> float:
        """The share that is used of the budget that is fullest, 0 to 1."""
        return max(0.0, self.limiter.used(now_s))

    def take_over(self, kept: KeptLimits, now_s: float) -> None:
        """Goes on from what an earlier life has left."""
        self.limiter.restore(kept, now_s)
        self.banned_until_s = min(kept.banned_until_s, self.limiter.closed_until_s)
        self._kept_s = self.limiter.closed_until_s

    def keep(self, where: KeepsLimits) -> None:
        """Keeps what has changed."""
        changed, closed_s = self.limiter.changed(), self.limiter.closed_until_s
        if changed or closed_s != self._kept_s:
            self._kept_s = closed_s
            where.keep(changed, closed_s, self.banned_until_s)

    def observe(self, usages: Collection[Usage], now_s: float) -> None:
        """The exchange told what it has counted, by the headers of its answers."""
        for usage in usages:
            self.limiter.observe(usage, now_s)
