"""What is searched exhaustively: two exchanges, two orders, one fault, and every order of events within the bounds."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from attrs import evolve, frozen

from app.domain.calls import ExpiryEnforcement, Proof
from app.domain.limiter import RateLimit
from app.fuzz.plan import Plan
from app.fuzz.profiles import Times
from app.fuzz.sim_orders import Duplicates, Traits
from app.fuzz.strategy import OrderPlan, StrategyPlan

BEGIN_S = 5.0
"""When the strategy places its first orders; by then everybody is ready."""

PRIMARY, BACKUP, STRATEGY = "bybit", "okx", "s1"
COORDINATOR = "failover_coordinator"
LAST = 9
"""The order that is placed when all is over, and must be accepted."""

TIMEOUT_S = 6.0


class Loss(StrEnum):
    """How the one call may go wrong.

    Attributes:
        REQUEST: The request is lost, and the connection ends.
        ANSWER: The request arrives, and the connection ends instead of an answer.
        LATE: The connection ends, and the request arrives at any time afterwards.
        HANGS: Nobody answers, and the request arrives at any time.
    """

    REQUEST = "request lost"
    ANSWER = "answer lost"
    LATE = "connection lost, arrives late"
    HANGS = "no answer, arrives at any time"


@frozen(kw_only=True)
class Order:
    """One of the strategy's orders; `at_s` after the first, `cancel_s` after its answer, `again_s` after it was asked.

    Attributes:
        ends_at_once: It takes what is there, all of it; else it rests.
    """

    serial: int
    at_s: float = 0.0
    cancel_s: float | None = None
    again_s: float | None = None
    ends_at_once: bool = False

    def plan(self, at_s: float) -> OrderPlan:
        """As the strategy is to follow it."""
        return OrderPlan(
            serial=self.serial,
            at_s=at_s,
            side="buy",
            quantity=Decimal("0.01"),
            price=Decimal(25_000),
            time_in_force="IOC" if self.ends_at_once else "GTC",
            timeout_s=TIMEOUT_S,
            cancel_after_s=self.cancel_s,
            again_after_s=self.again_s,
        )


@frozen(kw_only=True)
class Scope:
    """One small world: exchanges that tell an id from those of open orders only, the worst there is.

    Attributes:
        means: For people: what happens in it, and what may go wrong.
        switch_s: When a person asks for the other exchange, after the first order; None for never.
        death: Who may die, once, before or after each of its messages and at each point within; empty for nobody.
        losses: How one call of those of `lossy` to the primary may go wrong.
        coordinates: Whether the coordinator's messages are chosen among, too.
        fault_s: Until when the fault may happen, after the first order.
        window_s: Until when events are chosen, likewise.
        enforcement: Where both exchanges enforce an order's expiry; those that do not are late by up to two seconds.
        acknowledges: Whether they answer a placement before their engine has it.
    """

    means: str
    orders: tuple[Order, ...]
    switch_s: float | None = None
    death: str = ""
    losses: tuple[Loss, ...] = ()
    lossy: tuple[str, ...] = ("place",)
    coordinates: bool = False
    fault_s: float = 0.5
    window_s: float = 6.0
    enforcement: ExpiryEnforcement = ExpiryEnforcement.GATEWAY
    acknowledges: bool = False

    @property
    def until_s(self) -> float:
        """Until when events are chosen, after the start."""
        return BEGIN_S + self.window_s

    def plan(self) -> Plan:
        """The world's plan."""
        end_s = self.until_s
        times = Times(calm_s=end_s, final_orders_s=end_s + 1.0, final_get_s=end_s + 3.0, end_s=end_s + 4.0)
        orders = {order.serial: order.plan(BEGIN_S + order.at_s) for order in self.orders}
        orders[LAST] = Order(serial=LAST).plan(times.final_orders_s)
        strategy = StrategyPlan(name=STRATEGY, orders=orders, final_get_s=times.final_get_s)
        return Plan(
            traits=(self._traits(PRIMARY), self._traits(BACKUP)),
            strategies=(strategy,),
            windows=(),
            deaths=(),
            stalls=(),
            lags=(),
            switches=() if self.switch_s is None else ((BEGIN_S + self.switch_s, BACKUP),),
            price_moves=(),
            times=times,
        )

    def _traits(self, name: str) -> Traits:
        late_s = 0.0 if self.enforcement is ExpiryEnforcement.ENGINE else 2.0
        proof = Proof(
            enforcement=self.enforcement, validity_s=2.0, lateness_s=late_s, visibility_s=0.5, clock_error_s=0.5
        )
        return Traits(
            name=name,
            proof=proof,
            rate_limit=RateLimit(per_s=20.0, burst=20),
            duplicates=Duplicates.OPEN_ONLY,
            clock_s=0.0,
            acknowledges=self.acknowledges,
            final_cancels=True,
        )


ONE, TWO = Order(serial=1), Order(serial=2)
ONE_AT_ONCE, TWO_AT_ONCE = evolve(ONE, ends_at_once=True), evolve(TWO, ends_at_once=True)
LATE = (Loss.LATE, Loss.HANGS)

SCOPES: Mapping[str, Scope] = MappingProxyType(
    {
        "lost": Scope(
            means="One order; its request or its answer may be lost.",
            orders=(ONE,),
            losses=(Loss.REQUEST, Loss.ANSWER),
        ),
        "two": Scope(means="Two orders at once; nothing goes wrong.", orders=(ONE, TWO), window_s=1.0),
        "restart": Scope(
            means="One order, which fills at once; its connector may die at any step.",
            orders=(ONE_AT_ONCE,),
            death=PRIMARY,
            window_s=5.0,
        ),
        "death": Scope(
            means="Two orders at once, of which one rests and one fills; their connector may die at any step.",
            orders=(ONE, TWO_AT_ONCE),
            death=PRIMARY,
            window_s=5.0,
        ),
        "cancel": Scope(
            means="Two orders, of which one is cancelled once it rests; one request or answer may be lost.",
            orders=(evolve(ONE, cancel_s=0.0), TWO),
            losses=(Loss.REQUEST, Loss.ANSWER),
            lossy=("place", "cancel"),
        ),
        "hang": Scope(
            means="An order is on its way when a person asks for the other exchange; it may hang, and arrive late.",
            orders=(ONE,),
            switch_s=0.0,
            losses=LATE,
            coordinates=True,
            enforcement=ExpiryEnforcement.NONE,
        ),
        "absence": Scope(
            means="One order, placed again when it was proven absent; its answer is lost, and it may arrive late.",
            orders=(evolve(ONE, again_s=7.0),),
            window_s=9.0,
            losses=LATE,
            enforcement=ExpiryEnforcement.NONE,
        ),
        "saga": Scope(
            means="One order rests when a person asks for the other exchange; the coordinator may die at any step.",
            orders=(evolve(ONE, at_s=-1.0),),
            switch_s=0.0,
            death=COORDINATOR,
            coordinates=True,
        ),
        "again": Scope(
            means="One order, which fills at once, is placed twice under one id; its connector may die at any step.",
            orders=(evolve(ONE_AT_ONCE, again_s=0.0),),
            death=PRIMARY,
            window_s=5.0,
        ),
    }
)
"""By name, the smallest first."""
