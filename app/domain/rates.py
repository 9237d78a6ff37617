"""What an exchange lets one account and one address ask: its budgets, and what each of our calls takes from them.

Data only: the tables of each exchange are in `app.exchanges.rates`, the counting is `app.domain.meters`, and who goes
first is `app.domain.limiter`. An exchange has several budgets at once (requests by address, orders by account, each
kind of request by itself), and a call may take from several of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any

from attrs import field, frozen

from app.domain.calls import AmendCall, Call, PlaceCall
from messages.market import Symbol

SPREAD_S = 0.25
"""Added to every window: a request may be counted so much later than it was sent, and the next one at once. What is
answered later than that is counted as of its answer. Declared by us."""

LONGEST_BAN_S = 3 * 86_400.0
"""No exchange is left alone for longer, whatever it says. The longest bans that are documented are Binance's of an
address, "from 2 minutes to 3 days":
https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info#ip-limits."""


@frozen(kw_only=True)
class RateLimit:
    """The plain form: requests an exchange takes, whatever they are: on average, and at once."""

    per_s: float
    burst: int


@frozen(kw_only=True)
class Budget:
    """So much may be taken from it.

    A window: never more than `most` within any `window_s` (and `SPREAD_S`). A counter, where `per_s` is given: `most`
    at once, and it fills up again by `per_s` each second; so Kraken counts, and so does the plain form.

    Attributes:
        name: For the table, and for what the exchange tells of it (`Usage`).
        reserve: Never given to placements and reads, so that what protects does not wait behind them.
        per_symbol: Counted for each symbol by itself.
    """

    name: str
    most: float
    window_s: float = 0.0
    per_s: float = 0.0
    reserve: float = 0.0
    per_symbol: bool = False

    def __attrs_post_init__(self) -> None:
        if self.most <= 0 or (self.window_s <= 0) == (self.per_s <= 0):
            raise ValueError(f"budget {self.name!r} needs something to give, and either a window or a rate")

    @property
    def rate_per_s(self) -> float:
        """What can be taken from it in the long run, each second."""
        return self.per_s or self.most / (self.window_s + SPREAD_S)


Cost = tuple[tuple[str, float], ...]
"""What a call takes: (budget, units) each."""


def cost(**units: float) -> Cost:
    """A cost by the names of budgets."""
    return tuple(units.items())


def together(*costs: Cost) -> Cost:
    """What several requests of one call take together."""
    total: dict[str, float] = {}
    for one in costs:
        for name, units in one:
            total[name] = total.get(name, 0.0) + units
    return tuple(total.items())


@frozen(kw_only=True)
class Price:
    """One row of a table.

    Attributes:
        cost: Of a call that names a symbol and has no trigger, however many requests it makes.
        triggered: Of the same about an order with a trigger, or looking for such too, where that differs.
        everywhere: Of the same without a symbol, where that differs; `everywhere_triggered` of both.
        sized: (up to which depth, or how many bars or symbols, cost), ascending, where that differs; the last one holds
            beyond.
        aged: (younger than how many seconds, cost), ascending, of a call about an order, where that differs.
        requests: What it took where it ended with its first request, its second, …; what was kept for the others is
            given back. Empty: all of it stays taken.
        triggered_requests: The same about an order with a trigger.
        source: Where the numbers are from.
    """

    cost: Cost
    source: str
    triggered: Cost | None = None
    everywhere: Cost | None = None
    everywhere_triggered: Cost | None = None
    sized: tuple[tuple[int, Cost], ...] = ()
    aged: tuple[tuple[float, Cost], ...] = ()
    requests: tuple[Cost, ...] = ()
    triggered_requests: tuple[Cost, ...] = ()


@frozen(kw_only=True)
class Pause:
    """What a refusal by a rate limit closes, by the exchange's code.

    Attributes:
        wait_s: Where the answer itself does not say how long.
        everything: All calls; otherwise the refused call's own budgets, without the `Rates.common` ones.
    """

    wait_s: float
    everything: bool = False


@frozen(kw_only=True)
class Usage:
    """What an exchange tells of a budget beside an answer.

    Attributes:
        used: Units it has counted, ours and others', in its present window.
        most: The limit it goes by; None where it does not say.
        reset_s: Seconds until its window ends; None where it does not say.
    """

    budget: str
    used: float
    most: float | None = None
    reset_s: float | None = None
    symbol: Symbol | None = None


_PLAIN = "requests"


@frozen(kw_only=True)
class Rates:
    """The budgets of one exchange and what calls cost there.

    Attributes:
        prices: By the kind of call; what is not in it costs `otherwise`.
        common: Budgets of the whole address: a refusal of one kind of call does not close them.
        pauses: By the exchange's code.
    """

    budgets: tuple[Budget, ...]
    prices: Mapping[type[Any], Price] = field(factory=dict)
    otherwise: Cost = ()
    common: frozenset[str] = frozenset()
    pauses: Mapping[str, Pause] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        known = {budget.name for budget in self.budgets}
        used = {name for one in self.every_cost() for name, _ in one} | self.common
        if used - known:
            raise ValueError(f"no such budget: {sorted(used - known)}")

    def every_cost(self) -> Iterable[Cost]:
        """All costs there are in the table."""
        yield self.otherwise
        for price in self.prices.values():
            yield price.cost
            yield from (
                one for one in (price.triggered, price.everywhere, price.everywhere_triggered) if one is not None
            )
            yield from (one for _, one in (*price.sized, *price.aged))
            yield from (*price.requests, *price.triggered_requests)

    def cost_of(self, call: Call) -> Cost:
        """What a call takes."""
        price = self.prices.get(type(call))
        if price is None:
            return self.otherwise
        triggered = _is_triggered(call)
        if price.everywhere is not None and getattr(call, "symbol", None) is None:
            return price.everywhere_triggered or price.everywhere if triggered else price.everywhere
        if triggered and price.triggered is not None:
            return price.triggered
        if price.sized:
            size = getattr(call, "depth", 0) or getattr(call, "limit", 0) or getattr(call, "size", 0)
            return next((one for most, one in price.sized if size <= most), price.sized[-1][1])
        return price.cost

    def cost_for(self, kind: type[Any], *, triggered: bool = False, age_s: float = inf) -> Cost:
        """What a call of a kind about an order takes, before there is such a call."""
        price = self.prices.get(kind)
        if price is None:
            return self.otherwise
        for younger_s, one in price.aged:
            if age_s < younger_s:
                return one
        return price.triggered if triggered and price.triggered is not None else price.cost

    def spared(self, call: Call, requests: int) -> Cost:
        """What was taken for requests of a call that it did not make, by how many it made; 0: nobody knows."""
        price = self.prices.get(type(call))
        if price is None or not requests:
            return ()
        made = price.triggered_requests if _is_triggered(call) else price.requests
        if requests > len(made):
            return ()
        taken, really = self.cost_of(call), dict(made[requests - 1])
        return tuple((name, units - really.get(name, 0.0)) for name, units in taken if units > really.get(name, 0.0))

    def per_s(self, kind: type[Any]) -> float:
        """How many calls of a kind can be made in the long run, each second, if nothing else is asked."""
        return self.times_per_s(self.cost_for(kind))

    def times_per_s(self, cost: Cost) -> float:
        """How often so much can be taken in the long run, each second."""
        budgets = {budget.name: budget for budget in self.budgets}
        return min((budgets[name].rate_per_s / units for name, units in cost if units > 0), default=inf)


def symbol_of(call: Call) -> Symbol | None:
    """What a call is about, for budgets that are counted for each symbol."""
    if isinstance(call, PlaceCall | AmendCall):
        return call.spec.symbol
    return getattr(call, "symbol", None)


def _is_triggered(call: Call) -> bool:
    if isinstance(call, PlaceCall | AmendCall):
        return call.spec.trigger is not None
    return getattr(call, "conditional", False)


def rates_of(limit: RateLimit | Rates) -> Rates:
    """The plain form as a table: one budget, from which every call takes one."""
    if isinstance(limit, Rates):
        return limit
    reserve = 1.0 if limit.burst > 1 else 0.0
    budget = Budget(name=_PLAIN, most=float(limit.burst), per_s=limit.per_s, reserve=reserve)
    return Rates(budgets=(budget,), otherwise=((_PLAIN, 1.0),))
