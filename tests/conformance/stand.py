"""Where a scenario stands: a desk at one simulated exchange, and the words for what it sees there.

A scenario ends by returning (it works), by `Declined` (the port, or the exchange, said no in words, and nothing was
done) or by `Wrong`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeVar

from attrs import define

from app.domain import calls
from app.simulator.engine import Engine
from messages.market import Symbol
from messages.orders import LegState, OrderSpec
from tests.conformance.judge import is_unsupported, wordless
from tests.exchanges.desk import Desk, wire_id

T = TypeVar("T")
LAST = "27000"
"""Where Bitcoin's price is before each scenario."""
_STATES = {
    "open": {LegState.OPEN},
    "partially_filled": {LegState.PARTIALLY_FILLED},
    "filled": {LegState.FILLED},
    "cancelled": {LegState.CANCELLED},
    "expired": {LegState.EXPIRED, LegState.CANCELLED},
    "rejected": {LegState.REFUSED},
}
"""What a report may call the exchange's own states."""


class Wrong(Exception):
    """What was seen is wrong; the message says why."""


class Weaker(Exception):
    """Nobody can know by the answer, and a look-up decides; the message is the port's sentence.

    Right for an adapter that knows no codes of its exchange, and wrong for the others.
    """


class Declined(Exception):
    """It was refused in words, which are the message, and nothing was done."""


@define
class Stand:
    """One desk; scenarios take turns at it."""

    desk: Desk
    knows_codes: bool = True
    _marked: bool = False
    _clock_moved: bool = False

    @property
    def engine(self) -> Engine:
        """The simulated account itself: to look at, not to touch."""
        return self.desk.sim.exchange.engine

    @property
    def native(self) -> str:
        """Bitcoin, as the simulated exchange calls it."""
        return self.desk.native(self.desk.btc)

    # ---- saying what is seen -----------------------------------------------------------------------------------------

    def expect(self, found: object, wanted: object, what: str) -> None:
        """Raises Wrong where two things differ."""
        if found != wanted:
            raise Wrong(f"{what} is {found}, and should be {wanted}.")

    def got(self, result: object, kind: type[T]) -> T:
        """A result of a kind. Raises Declined for a refusal in words, Wrong for anything else."""
        if isinstance(result, kind):
            return result
        lacking = wordless(result)
        if lacking:
            raise Wrong(lacking)
        words = str(getattr(result, "words", ""))
        refusals = (calls.Refused, calls.AmendRefused)
        if isinstance(result, refusals) or is_unsupported(result):
            raise Declined(words)
        if not self.knows_codes and isinstance(result, calls.Ambiguous | calls.CallFailed):
            raise Weaker(words)
        code = getattr(result, "code", "")
        raise Wrong(f"{type(result).__name__} {code} where {kind.__name__} was due: {words}")

    # ---- orders ------------------------------------------------------------------------------------------------------

    def place(self, spec: OrderSpec) -> tuple[str, calls.OrderReport]:
        """Places an order, which the exchange then has, exactly as asked. Returns its wire id and the report."""
        wire = wire_id()
        answer = self.desk.place(spec, wire)
        there = self.desk.truth(wire)
        if not isinstance(answer, calls.Placed):
            if there:
                raise Wrong(f"{type(answer).__name__}, and the exchange has the order.")
            self.got(answer, calls.Placed)
        self.expect(len(there), 1, "The number of orders on the exchange")
        order = there[0]
        assert isinstance(answer, calls.Placed)
        self.expect(Decimal(order["qty"]), spec.quantity, "The quantity on the exchange")
        price = None if order["price"] is None else Decimal(order["price"])
        if spec.price is not None:
            self.expect(price, spec.price, "The price on the exchange")
        self.expect(order["side"], spec.side.value, "The side on the exchange")
        self.expect(order["symbol"], self.desk.native(spec.symbol), "The symbol on the exchange")
        self.expect(order["reduce_only"], spec.reduce_only, "Reduce-only on the exchange")
        if spec.trigger is not None:
            trigger = order["trigger_price"] and Decimal(order["trigger_price"])
            self.expect(trigger, spec.trigger.price, "The trigger price on the exchange")
        return wire, answer.report

    def order(self, wire: str) -> dict[str, Any]:
        """The one order the exchange has under a wire id."""
        there = self.desk.truth(wire)
        self.expect(len(there), 1, "The number of orders on the exchange")
        return there[0]

    def found(self, wire: str, *, conditional: bool = False, order_id: str | None = None) -> calls.OrderReport:
        """What a look-up says of an order, which has to agree with the exchange's books."""
        answer = self.desk.look_up(wire, conditional=conditional, order_id=order_id)
        report = self.got(answer, calls.Found).report
        self.agrees(report, self.order(wire))
        self.expect(report.wire_id, wire, "The wire id told")
        return report

    def agrees(self, report: calls.OrderReport, order: dict[str, Any]) -> None:
        """Raises Wrong where a report says other than the exchange's books."""
        states = _STATES[order["status"]]
        if report.state not in states:
            raise Wrong(f"An order that is {order['status']} is told to be {report.state}.")
        if report.filled is not None:
            self.expect(report.filled, Decimal(order["filled"]), "What filled, as told,")
        if report.average_price is not None and order["avg_price"] is not None:
            gap = abs(report.average_price - Decimal(order["avg_price"]))
            if gap > Decimal("0.00000001") * report.average_price:
                raise Wrong(f"The average price is told as {report.average_price}, and is {order['avg_price']}.")
        if report.quantity is not None:
            self.expect(report.quantity, Decimal(order["qty"]), "The quantity told")
        if report.price is not None and order["price"] is not None:
            self.expect(report.price, Decimal(order["price"]), "The price told")
        self.expect(report.symbol, self.desk.symbol(self._spoken(order["symbol"])), "The symbol told")

    def _spoken(self, native: str) -> str:
        return f"{native.split('/')[0]}USDT"

    # ---- the market and the account ----------------------------------------------------------------------------------

    def move(self, price: str) -> None:
        """Moves Bitcoin's price."""
        self.desk.truthful.price(self.native, price)

    def mark(self, price: str | None) -> None:
        """Holds the mark price apart from the last one, or lets it follow again."""
        self._marked = price is not None
        self.desk.truthful.ask("POST", "/mark", {"symbol": self.native, "price": price})

    def move_clock(self, ahead_s: float) -> None:
        """The exchange's clock against ours."""
        self._clock_moved = ahead_s != 0
        self.desk.truthful.ask("POST", "/clock", {"ahead_s": str(ahead_s)})

    @contextmanager
    def maintenance(self) -> Iterator[None]:
        """The exchange is maintained meanwhile."""
        self.desk.truthful.ask("POST", "/maintenance", {"on": True, "message": "Back soon"})
        try:
            yield
        finally:
            self.desk.truthful.ask("POST", "/maintenance", {"on": False})

    def tidy(self) -> None:
        """No faults, orders or positions; prices, clock and modes as they were."""
        control = self.desk.truthful
        control.clear_faults()
        if self._clock_moved:
            self.move_clock(0)
        if self._marked:
            self.mark(None)
        truth = control.truth()
        for order in truth["orders"]:
            if order["status"] in ("open", "partially_filled"):
                control.ask("POST", "/cancel", {"order_id": order["order_id"]})
        if truth["prices"][self.native] != LAST:
            self.move(LAST)
        if truth["positions"]:
            self._flatten()
        if self.engine.ledger.hedged:
            control.ask("POST", "/mode", {"hedge": False})
        if self.engine.ledger.isolated:
            control.ask("POST", "/mode", {"margin_mode": "cross"})

    def _flatten(self) -> None:
        for held in self.desk.truthful.truth()["positions"]:
            name, _, side = held.partition(" ")
            body = {"symbol": name, "qty": "0", **({"side": side} if side else {})}
            self.desk.truthful.ask("POST", "/position", body)

    def symbols(self) -> tuple[Symbol, Symbol]:
        """Two markets."""
        return self.desk.btc, self.desk.symbol("ETHUSDT")
