"""What a profile is: everything in which one exchange differs from the others, over its ccxt client."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from math import isnan
from typing import Any, ClassVar

from attrs import frozen

from app.domain.calls import Proof
from app.exchanges.client import TRACE, Pin, Trace, type_client
from app.exchanges.outcomes import Meaning, Row
from app.exchanges.profiles.rows import AccountRow, FillRow, OrderRow, PositionRow, of_order
from app.exchanges.rules.base import LOOK_BACK_S
from app.exchanges.symbols import Market, MarketTable
from messages.market import MarginMode, MarketType, PositionMode
from messages.orders import OrderSpec, OrderType, TimeInForce


@frozen(kw_only=True)
class WireOrder:
    """A placement as it is to be sent: exact strings, contracts, the exchange's own market."""

    spec: OrderSpec
    market: Market
    contracts: str
    price: str | None
    wire_id: str
    pin: Pin
    trigger_price: str | None = None


@frozen(kw_only=True)
class WireChange:
    """A change of a resting order as it is to be sent: exact strings; what is None stays.

    Attributes:
        contracts: Of the whole order, what has filled of it included.
    """

    spec: OrderSpec
    market: Market
    wire_id: str
    order_id: str | None
    contracts: str | None
    price: str | None
    trigger_price: str | None


class Unsupported(Exception):
    """The exchange, or ccxt on it, has no such thing, and nothing was sent; the message is one sentence for people."""


class AlreadySo(Exception):
    """A setting is as asked, and nothing was to be done."""


class NotSent(Exception):
    """A placement or change was not sent, for want of what had to be known before; the message says what."""


class NoLiveOrder(Exception):
    """A cancel was not sent, since a whole list of open orders does not have the order; the message says so."""


@frozen(kw_only=True)
class ServerStatus:
    """What an exchange says of itself, times by its own clock.

    Attributes:
        ok: It trades as usual.
        words: What it says where it does not, or announces that it will not.
        begin_s: Of the maintenance it tells of; None where it does not say.
        until_s: When that ends; None where it does not say.
    """

    ok: bool
    words: str = ""
    until_s: float | None = None
    begin_s: float | None = None


class Profile(ABC):
    """One exchange. Stateless; every method that asks the exchange takes the client."""

    name: ClassVar[str]
    market_type: ClassVar[MarketType] = MarketType.SWAP
    ccxt_id: ClassVar[str]
    options: ClassVar[Mapping[str, Any]]
    client_parts: ClassVar[tuple[type, ...]] = ()
    """Classes that go before ccxt's in the order of resolution, for what hooks of ours cannot do."""
    market_rows: ClassVar[tuple[str, ...]]
    """Where the list of markets is in the exchange's answer."""
    largest_market_order: ClassVar[tuple[str, ...]] = ()
    """Where a market in it tells how large a market order may be, if ccxt passes over that."""
    codes: ClassVar[Mapping[str, Row]]
    proof: ClassVar[Proof]
    ban_words: ClassVar[re.Pattern[str] | None] = None
    """Finds the end of a ban, Unix milliseconds by the exchange's clock, in the words of a refusal."""
    look_back_s: ClassVar[float] = LOOK_BACK_S
    """Not finding an order placed longer ago proves nothing."""
    clock_resolution_s: ClassVar[float] = 0.0
    """Of the exchange's clock as it tells it: the time it tells has passed by up to so much."""
    attaches_exits: ClassVar[bool]
    """Whether an order can carry its take profit and stop loss."""
    takes_triggers: ClassVar[bool] = False
    """Whether an order can wait for a trigger."""

    no_sandbox: ClassVar[str] = ""
    """One sentence where the exchange has no test network for such markets."""

    def use_sandbox(self, client: type_client) -> None:
        """Has a client ask the exchange's own test network from now on.

        Raises:
            ValueError: There is none.
        """
        if self.no_sandbox:
            raise ValueError(self.no_sandbox)
        client.set_sandbox_mode(True)

    # ---- what an answer says -----------------------------------------------------------------------------------------

    @abstractmethod
    def native_code(self, answer: Any) -> tuple[str, str] | None:
        """The exchange's code and words in a parsed answer that refuses; None for one that does not."""

    def row_of(self, code: str, words: str) -> Row | None:
        """What a refusal means, by the table of codes; None where that does not say."""
        return self.codes.get(code)

    def known_as(self, client: type_client, code: str) -> tuple[str, ...]:
        """Names of the ccxt classes of a code by ccxt's own table; empty where it has none."""
        return class_names(client.exceptions.get("exact", {}).get(code))

    def wait_s(self, headers: Mapping[str, str], server_now_s: float) -> float | None:
        """How long an answer that turns a request away asks us to wait; None where it does not say.

        Args:
            headers: By name in lower case.
            server_now_s: The exchange's clock.
        """
        try:
            asked_s = float(headers["retry-after"])
        except (KeyError, ValueError):  # or a date, which no exchange sends
            return None
        return None if isnan(asked_s) else asked_s

    def wait_in_words_s(self, words: str, server_now_s: float) -> float | None:
        """The same by the words of a refusal, where no header says it."""
        found = self.ban_words.search(words) if self.ban_words is not None else None
        return None if found is None else int(found[1]) / 1000 - server_now_s

    # ---- placing -----------------------------------------------------------------------------------------------------

    def attaches(self, spec: OrderSpec) -> bool:
        """Whether this order can carry its take profit and stop loss; else they are placed as orders of their own."""
        return self.attaches_exits

    def unsupported(self, spec: OrderSpec) -> str:
        """One sentence where the exchange, or ccxt on it, cannot do what is asked; otherwise an empty string."""
        if spec.trigger is not None and not self.takes_triggers:
            return f"Orders that wait for a trigger are not supported on {self.name}: leave the trigger out."
        return ""

    def unlinkable(self, spec: OrderSpec) -> str:
        """One sentence where exits that this order cannot carry cannot be orders of their own either."""
        return ""

    def order_params(self, order: WireOrder) -> dict[str, Any]:
        """ccxt's unified parameters of a placement."""
        spec = order.spec
        params: dict[str, Any] = {"clientOrderId": order.wire_id}
        if spec.order_type is OrderType.LIMIT:
            if spec.time_in_force is TimeInForce.POST_ONLY:
                params["postOnly"] = True
            else:
                params["timeInForce"] = spec.time_in_force.value
        if spec.reduce_only:
            params["reduceOnly"] = True
        return params

    def sign_pinned(self, client: type_client, sign: Callable[[], dict[str, Any]], pin: Pin) -> dict[str, Any]:
        """Signs a placement; the clock it signs with is pinned already."""
        return sign()

    async def place(self, client: type_client, order: WireOrder) -> OrderRow:
        """Sends a placement and reads its answer. Raises what ccxt raises, or Unreadable."""
        spec = order.spec
        placed = await client.create_order(
            order.market.unified,
            spec.order_type.value,
            spec.side.value,
            order.contracts,
            order.price,
            self.order_params(order),
        )
        return self.placed_row(placed["info"])

    @abstractmethod
    def placed_row(self, info: Any) -> OrderRow:
        """The exchange's own answer to a placement."""

    # ---- the rest ----------------------------------------------------------------------------------------------------

    async def warm_up(self, client: type_client) -> None:
        """Hidden calls that the first order would otherwise wait for, whatever was recalled."""
        return None

    def unfit(self, client: type_client) -> str:
        """One sentence where an exchange cannot be traded on, by what `warm_up` found out; otherwise an empty text."""
        return ""

    def learned(self, client: type_client) -> dict[str, Any]:
        """What hidden calls have taught the client about its account, to be recalled by a later one of the same."""
        return {}

    def recall(self, client: type_client, learned: Any) -> None:
        """Gives a client what an earlier one of the same account had learned; anything else is passed over."""
        return None

    async def server_time_s(self, client: type_client) -> float:
        """The cheapest public call that tells the exchange's clock."""
        return float(await client.fetch_time()) / 1000

    @abstractmethod
    async def signed_probe(self, client: type_client) -> Any:
        """The cheapest signed call about the account. Returns what it tells of balances, without when it was told."""

    @abstractmethod
    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """Cancels by wire id. Returns the order where the answer itself proves its final state.

        Args:
            order_id: The exchange's, where it is known, for those that cannot cancel by wire id.
            conditional: The order was placed with a trigger.
        """

    async def amend(self, client: type_client, change: WireChange) -> OrderRow | None:
        """Changes a resting order. Returns it where the answer itself says what it is now.

        Raises:
            Unsupported: The exchange cannot change such an order.
            InvalidSize: Not to such a quantity or price.
        """
        raise Unsupported(f"{self.name} cannot change a resting order: cancel it and place another.")

    @abstractmethod
    async def find(
        self,
        client: type_client,
        market: Market,
        wire_id: str,
        order_id: str | None,
        since_ms: int,
        *,
        conditional: bool,
    ) -> OrderRow | None:
        """An order by wire id: open, then closed, then fills. None only when each of them was asked and none knew
        it. One placed with a trigger that has been set off is followed to the order it became."""

    @abstractmethod
    async def open_orders(
        self, client: type_client, table: MarketTable, market: Market | None, *, conditional: bool
    ) -> list[OrderRow]:
        """Every open order, or those of one market; those that wait for a trigger where `conditional`, at least."""

    async def closed_orders(self, client: type_client, market: Market, since_ms: int) -> list[OrderRow]:
        """Orders of a market that ended since a time."""
        raise Unsupported(f"{self.name} lists no closed orders here.")

    async def fills(self, client: type_client, market: Market, since_ms: int) -> list[FillRow]:
        """Executions in a market since a time, with their fees, in any order."""
        raise Unsupported(f"{self.name} lists no fills here.")

    async def fills_of(
        self,
        client: type_client,
        market: Market,
        wire_id: str,
        order_id: str | None,
        since_ms: int,
        *,
        conditional: bool,
    ) -> list[FillRow]:
        """Executions of one order, with their fees; of one that a trigger set off, those of the order it became.

        By its id where the exchange lists them so; else out of those of its market.

        Args:
            order_id: The exchange's, where it is known.
            since_ms: When the order was committed, or a little before.
        """
        return of_order(await self.fills(client, market, since_ms), wire_id, order_id)

    @abstractmethod
    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """Every position."""

    # ---- settings of the account -------------------------------------------------------------------------------------

    async def account(self, client: type_client, markets: Sequence[Market]) -> AccountRow:
        """What the account is like, and what it has set for some markets: nothing, where nobody can tell."""
        return AccountRow()

    async def set_leverage(self, client: type_client, market: Market, leverage: Decimal) -> None:
        """Sets a market's leverage. "It is so already" is the exchange's answer, by a code that means UNCHANGED."""
        raise Unsupported(f"{self.name} has no leverage to set here.")

    async def set_margin_mode(self, client: type_client, market: Market, mode: MarginMode) -> None:
        """Sets a market's margin mode."""
        raise Unsupported(f"{self.name} has no margin mode to set here.")

    async def set_position_mode(self, client: type_client, mode: PositionMode) -> None:
        """Sets the account's position mode."""
        raise Unsupported(f"{self.name} has no position mode to set here.")

    async def arm_dead_man(self, client: type_client, timeout_s: float, table: MarketTable) -> None:
        """Has the exchange cancel the account's orders unless asked again in time; 0 switches that off."""
        raise Unsupported(f"{self.name} has no dead-man switch that a request can set.")

    # ---- the market --------------------------------------------------------------------------------------------------

    async def status(self, client: type_client) -> ServerStatus:
        """What the exchange says of itself."""
        if not client.has.get("fetchStatus"):
            raise Unsupported(f"{self.name} has no call that tells its status.")
        said = await client.fetch_status()
        ok, eta_ms = said.get("status") == "ok", said.get("eta")
        words = "" if ok else f"{self.name} says its status is {said.get('status')!r}."
        return ServerStatus(ok=ok, words=words, until_s=None if eta_ms is None else float(eta_ms) / 1000)

    async def order_book(self, client: type_client, market: Market, depth: int) -> Mapping[str, Any]:
        """ccxt's unified order book, of `depth` levels a side or more."""
        found: Mapping[str, Any] = await client.fetch_order_book(market.unified, depth)
        return found

    async def klines(
        self, client: type_client, market: Market, interval: str, since_ms: int | None, limit: int
    ) -> list[list[Any]]:
        """ccxt's unified bars: start in milliseconds, open, high, low, close, volume."""
        found: list[list[Any]] = await client.fetch_ohlcv(market.unified, interval, since_ms, limit)
        return found

    async def ticker(self, client: type_client, market: Market) -> Mapping[str, Any]:
        """ccxt's unified ticker."""
        found: Mapping[str, Any] = await client.fetch_ticker(market.unified)
        return found

    async def unless_unknown(self, asked: Awaitable[Any]) -> Any:
        """The answer to a look-up of one order, or None where the exchange says by a code that there is none."""
        try:
            return await asked
        except Exception:  # whatever it is, it is raised again unless the exchange's own code proves absence
            trace = TRACE.get()
            if trace is not None and self.knows_none(trace):
                return None
            raise

    def knows_none(self, trace: Trace) -> bool:
        """Whether the newest answer says by a code that there is no such order, or none that is live."""
        said = self.native_code(trace.answer)
        row = self.row_of(*said) if said is not None else None
        return row is not None and row.meaning is Meaning.UNKNOWN_ORDER


def class_names(kind: type | None) -> tuple[str, ...]:
    """Names of a class and its bases, the most specific first."""
    return tuple(base.__name__ for base in kind.__mro__) if kind is not None else ()
