"""The pre-trade limits of one connector: what they are held against, and the orders that wait for a price.

**Where it is asked.** In the transaction that would commit the leg (`Judge`), after the journal has answered for every
id it knows and after the fence. So an order that may be live is never refused by a limit; open orders are counted by
the journal's truth, those on their way included, and no two connectors can both take the last place; and what is
refused has left nothing behind. Only an order of which nothing can be live comes so far, a new one or one proven
absent. The latter is no new order for `per_second`, but its size, its price and the number of open orders are looked at
again: when it is sent again the market may be another.

What a new order is refused for wherever trading is, is said before it waits for its turn at the rate limiter, where the
journal does not know its id (`at_once`).

**Waiting for a price.** An order that needs one asks for the ticker, once for all that wait for the same, and is held
meanwhile, within its deadline. Any other read of a ticker serves as well. It keeps the turn it was granted by the rate
limiter, and is judged anew when the price is there. When none is to be had it is turned away in words, and so is every
other of the symbol for a second, so that asking in vain is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal

from attrs import define, field

from app.domain import calls as c
from app.domain.errands import Place
from app.domain.pretrade import (
    WINDOW_S,
    Circumstances,
    LimitRefused,
    PretradeLimits,
    PriceNeeded,
    Reference,
    judge,
)
from messages.market import Symbol
from messages.orders import OrderSpec, OrderView, PlaceOrder

IN_VAIN_S = 1.0
"""After a price could not be had, before it is asked for again."""

MAX_SYMBOLS = 1024
"""Prices kept; the one read longest ago is forgotten first, and asked for again when it is needed."""


@define
class PretradeGate:
    """Of one connector."""

    exchange: str
    limits: PretradeLimits
    _prices: dict[Symbol, Reference] = field(init=False, factory=dict)
    _new_s: deque[float] = field(init=False, factory=deque)
    _held: dict[Symbol, list[tuple[Place, float]]] = field(init=False, factory=dict)
    _asking: set[Symbol] = field(init=False, factory=set)
    _in_vain: dict[Symbol, tuple[float, str]] = field(init=False, factory=dict)

    # ------------------------------------------------------------------------------------------------ judging

    def at_once(self, request: PlaceOrder, now_s: float) -> LimitRefused | None:
        """Why a new order would be refused, as far as can be told without the journal and the market's price.

        So that a loop that runs away does not wait in front of everybody else's orders, nor use up the rate limit. (The
        price here is another than where trading may have moved to meanwhile, which only the journal knows.)
        """
        judged = self._judge(request, request.spec.quantity, None, 0, False, now_s)
        return judged if isinstance(judged, LimitRefused) else None

    def judge(
        self,
        request: PlaceOrder,
        known: OrderView | None,
        quantity: Decimal,
        open_orders: Callable[[], int],
        now_s: float,
    ) -> LimitRefused | PriceNeeded | None:
        """Whether a leg may be committed; what may is counted at once, so that the next of a transaction sees it.

        Should the transaction fail after all, it stays counted for its second: too strict for once, never too lax.
        """
        again = known is not None and bool(known.legs)
        others = open_orders() if self.limits.max_open is not None else 0
        judged = self._judge(request, quantity, self._prices.get(request.spec.symbol), others, again, now_s)
        if judged is None and not again and self.limits.per_second is not None:
            self._new_s.append(now_s)
        return judged

    def judge_change(self, spec: OrderSpec, now_s: float) -> LimitRefused | PriceNeeded | None:
        """Whether a resting order may become this: it is no new order, and was counted among the open ones before."""
        seen = Circumstances(
            exchange=self.exchange,
            reference=self._prices.get(spec.symbol),
            open_orders=0,
            recent=0,
            again=True,
            now_s=now_s,
        )
        return judge(self.limits, spec, spec.quantity, seen)

    def _judge(
        self,
        request: PlaceOrder,
        quantity: Decimal,
        price: Reference | None,
        others: int,
        again: bool,
        now_s: float,
    ) -> LimitRefused | PriceNeeded | None:
        while self._new_s and self._new_s[0] <= now_s - WINDOW_S:
            self._new_s.popleft()
        seen = Circumstances(
            exchange=self.exchange,
            reference=price,
            open_orders=others,
            recent=len(self._new_s),
            again=again,
            now_s=now_s,
        )
        return judge(self.limits, request.spec, quantity, seen)

    # ------------------------------------------------------------------------------------------------ prices

    def market(self, spec: OrderSpec, now_s: float) -> Decimal | None:
        """What an order would trade at now; None where no price is young enough."""
        reference = self._prices.get(spec.symbol)
        if reference is None or now_s - reference.asked_s > self.limits.reference_max_age_s:
            return None
        return reference.price(spec.side)

    def hold(self, place: Place, until_s: float) -> bool:
        """Holds an order until a price is there; whether that is still to be asked for."""
        symbol = place.request.spec.symbol
        self._held.setdefault(symbol, []).append((place, until_s))
        if symbol in self._asking:
            return False
        self._asking.add(symbol)
        return True

    def why_not(self, symbol: Symbol, now_s: float) -> str | None:
        """Why it is of no use to hold an order of a symbol, in words; None where it is."""
        reference = self._prices.get(symbol)
        if reference is not None and now_s - reference.asked_s <= self.limits.reference_max_age_s:
            return f"{self.exchange} tells no price of it"
        until_s, words = self._in_vain.get(symbol, (now_s, ""))
        return words if now_s < until_s else None

    def read(self, call: c.TickerCall, result: c.Result, asked_s: float, now_s: float, *, ours: bool) -> list[Place]:
        """A ticker was read, for an order that waits (`ours`) or for anybody: those that need wait no longer."""
        if ours:
            self._asking.discard(call.symbol)
        if isinstance(result, c.TickerResult):
            self._in_vain.pop(call.symbol, None)
            before = self._prices.pop(call.symbol, None)
            new = Reference(ticker=result.ticker, asked_s=asked_s)
            self._prices[call.symbol] = new if before is None or before.asked_s <= asked_s else before
            if len(self._prices) > MAX_SYMBOLS:
                del self._prices[next(iter(self._prices))]
        elif ours:
            words = result.words if isinstance(result, c.CallFailed) else f"{self.exchange} gave no answer"
            self._in_vain.pop(call.symbol, None)
            self._in_vain[call.symbol] = (now_s + IN_VAIN_S, words.rstrip("."))
            if len(self._in_vain) > MAX_SYMBOLS:
                del self._in_vain[next(iter(self._in_vain))]
        else:
            return []
        return [place for place, _ in self._held.pop(call.symbol, [])]

    def late(self, now_s: float) -> list[Place]:
        """Orders that cannot wait any longer."""
        late: list[Place] = []
        for symbol, held in list(self._held.items()):
            late += [place for place, until_s in held if until_s <= now_s]
            staying = [(place, until_s) for place, until_s in held if until_s > now_s]
            if staying:
                self._held[symbol] = staying
            else:
                del self._held[symbol]
        return late

    def next_s(self) -> float | None:
        """When the first of them cannot wait any longer; None when none waits."""
        return min((until_s for held in self._held.values() for _, until_s in held), default=None)
