"""Whether trading could move to an exchange now: what its connector makes of one reading of the account, as a pure
function.

Theory. A candidate that turns out to be unfit after the commit costs more than one that was passed over: orders are
refused there, one after the other. So everything that can be known before is looked at before, by what the exchange
itself says and by the rules it lists, and each finding is one sentence with what would be right. Findings differ in
weight:

    problems    trading cannot move there: nobody answers, the clock is not known well enough to prove an order absent,
                a symbol is missing or settles in a coin that is not allowed, there is nothing to trade with, orders
                would mean something else (position mode)
    shortfalls  trading can, but not all that is open would follow: an order too small for its rules, margin for a
                part only, a leverage it does not give. Another candidate without any is better; none at all is worse
    notes       what is well, for people

Whoever chooses asks in order: the first without problems and shortfalls, else the first without problems.

Margin is estimated, since nobody else can tell it of orders that are not there yet: worth over leverage, of positions
and of orders that open something, and a little over. Reduce-only orders need none. Coins that prices are in count as
one dollar each, as the exchanges' own figures do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Protocol

from attrs import field, frozen

from app.domain import calls as c
from app.domain.carry import fitted
from messages.account import AccountView
from messages.failover import PreflightRequest
from messages.health import Evidence
from messages.market import Lots, MarketType, PositionMode, Symbol
from messages.orders import OrderSpec, Side

ZERO = Decimal(0)
CENT = Decimal("0.01")
"""People are told of margin to here, never more than there is."""
MARGIN_SLACK = Decimal("1.05")
"""Over what is estimated: fees, and prices that move until it is used. Declared by us."""
ORDERS_ILL_S = 60.0
"""For so long an order that failed for illness speaks against its exchange, unless one was answered since, or signed
probes failed as well: what ends such an outage for probes ends it for orders."""
DOLLARS = frozenset({"USD", "USDT", "USDC", "FDUSD", "TUSD", "USDE", "USDG"})
"""Quote coins that the exchanges' own figures of free margin count alike."""
MOST_TOLD = 5
"""Findings of one kind; more are counted."""


class Rules(Protocol):
    """What a port knows of the markets without asking its exchange."""

    def tradable(self, symbol: str) -> str:
        """Why a symbol cannot be traded; empty where it can."""
        ...

    def lots(self, symbol: Symbol) -> Lots | None:
        """Which orders a market takes; None where it cannot be traded."""
        ...

    def check(self, spec: OrderSpec) -> str:
        """Why an order would not be admitted; empty where it would."""
        ...


@frozen(kw_only=True)
class Need:
    """What would move there.

    Attributes:
        symbols: Unified spellings that must be tradable.
        orders: Each with the quantity that is left of it.
        positions: Base coin, below zero when short.
        leverage: To be set where a position is opened; None for that of the account it comes from.
        source: The account that they come from; None where that is not known.
    """

    symbols: tuple[str, ...] = ()
    orders: tuple[OrderSpec, ...] = ()
    positions: tuple[tuple[Symbol, Decimal], ...] = ()
    leverage: Decimal | None = None
    source: AccountView | None = None


@frozen(kw_only=True)
class Found:
    """What is known of the exchange.

    Attributes:
        account: What it answered, or why it did not.
        clock_error_s: What its proofs of absence allow for (`Proof.clock_error_s`).
        order_call: How the newest call that places or cancels went; None where there was none.
        silent_s: When a signed probe failed last, or an order before one was answered again; None where none did.
    """

    exchange: str
    market_type: MarketType
    account: c.AccountResult | c.CallFailed
    clock_error_s: float
    order_call: Evidence | None = None
    silent_s: float | None = None


@frozen(kw_only=True)
class Verdict:
    """The findings, a sentence each.

    Attributes:
        refused: Which of the orders could not be placed there, by their place, and why.
        settings: Leverage that positions would be opened with, where it is known.
    """

    problems: tuple[str, ...] = ()
    shortfalls: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: tuple[tuple[int, str], ...] = ()
    settings: Mapping[Symbol, Decimal] = field(factory=dict)


def asked_of(need: Need) -> tuple[tuple[Symbol, ...], tuple[Symbol, ...]]:
    """Of which markets the settings are to be read, and of which the price: each bounded, positions first."""
    positions = [symbol for symbol, quantity in need.positions if quantity]
    opening = [spec.symbol for spec in need.orders if not spec.reduce_only]
    unpriced = [spec.symbol for spec in need.orders if not spec.reduce_only and _own_price(spec) is None]
    swaps = [symbol for symbol in dict.fromkeys([*positions, *opening]) if symbol.market_type is MarketType.SWAP]
    return tuple(swaps[: c.MAX_SYMBOLS]), tuple(dict.fromkeys([*positions, *unpriced]))[: c.MAX_PRICED]


def need_of(request: PreflightRequest) -> Need:
    """What a request asks for."""
    return Need(
        symbols=request.symbols,
        orders=request.orders,
        positions=request.positions,
        leverage=request.leverage,
        source=request.source,
    )


def judge(need: Need, found: Found, rules: Rules, now_s: float) -> Verdict:
    """What is to be said of the exchange as a candidate."""
    problems = [*_ill(found, now_s), *_missing(need, rules)]
    if isinstance(found.account, c.CallFailed):
        return Verdict(problems=(f"{found.exchange} is not ready: {found.account.words}", *problems))
    told = found.account
    problems += [*_clock(found, told.account), *_funds(found.exchange, told), *_mode(need, told.account)]
    refused = _refused(need, rules)
    shortfalls = list(_unfit(need, found.exchange, refused, rules))
    notes = []
    if found.market_type is MarketType.SPOT:
        shortfalls += _inventory(need, found.exchange, told)
        leverage: dict[Symbol, Decimal] = {}
    else:
        leverage = {symbol: leverage_of(symbol, need, told.account, rules) for symbol, _ in need.positions}
        shortfalls += [*_leverage(need, found.exchange, rules), *_margin(need, found.exchange, told, rules)]
        if told.account.free is not None:
            notes.append(f"{_plain(told.account.free.quantize(CENT, ROUND_DOWN))} of margin free")
    if told.account.clock_offset_s is not None and told.account.clock_error_s is not None:
        notes.append(f"clock {told.account.clock_offset_s:+.3f} s, to {told.account.clock_error_s:.3f} s")
    return Verdict(
        problems=tuple(problems),
        shortfalls=tuple(shortfalls),
        notes=tuple(notes),
        refused=refused,
        settings=leverage,
    )


# ---- whether it answers ------------------------------------------------------------------------------------------


def _ill(found: Found, now_s: float) -> Iterable[str]:
    last = found.order_call
    if last is None or last.ok:
        return
    if found.silent_s is not None and found.silent_s >= last.at_s - last.latency_s:
        return  # not orders alone failed, but the whole exchange, and that it is back is told by what it answers
    if now_s - last.at_s < ORDERS_ILL_S:
        yield (
            f"The newest order that {found.exchange} was sent, {now_s - last.at_s:.0f} s ago, failed: {last.words}"
            f" That it answers other questions proves nothing for orders; it counts for {ORDERS_ILL_S:.0f} s."
        )


def _clock(found: Found, account: AccountView) -> Iterable[str]:
    if account.clock_error_s is None:
        yield f"Nobody knows what time it is on {found.exchange}: an order there could not be proven absent."
    elif account.clock_error_s > found.clock_error_s:
        yield (
            f"The clock of {found.exchange} is known to {account.clock_error_s:.2f} s only, and what proves an order"
            f" absent there allows for {found.clock_error_s:g} s: its answers must come quicker."
        )


# ---- whether it can be traded ------------------------------------------------------------------------------------


def _missing(need: Need, rules: Rules) -> Iterable[str]:
    wanted = [
        *need.symbols,
        *(str(spec.symbol) for spec in need.orders),
        *(str(symbol) for symbol, _ in need.positions),
    ]
    return _few(words for symbol in dict.fromkeys(wanted) if (words := rules.tradable(symbol)))


def _funds(exchange: str, told: c.AccountResult) -> Iterable[str]:
    free = told.account.free
    if free is not None and free <= 0:
        yield f"{exchange} has no free margin: add funds there, or close something."
    elif free is None and not any(balance.free > 0 for balance in told.balances):
        yield f"{exchange} has no free funds: add some there."


def _mode(need: Need, account: AccountView) -> Iterable[str]:
    """A sale that closes a long position in one mode opens a short one beside it in the other."""
    there, here = account.position_mode, None if need.source is None else need.source.position_mode
    if there is None or here is None or there is here:
        return
    assert need.source is not None
    names = {PositionMode.ONE_WAY: "one net position a symbol", PositionMode.HEDGE: "long and short side by side"}
    yield (
        f"{account.exchange} keeps {names[there]} and {need.source.exchange} {names[here]}: orders would mean something"
        f' else there. Set the position mode of {account.exchange} to "{here.value}", with nothing open there.'
    )


# ---- whether all of it would follow ------------------------------------------------------------------------------


def _refused(need: Need, rules: Rules) -> tuple[tuple[int, str], ...]:
    """Orders that the exchange's rules do not admit, once they are rounded to them as they would be."""
    words = []
    for place, spec in enumerate(need.orders):
        lots = rules.lots(spec.symbol)
        if lots is None:
            words.append((place, rules.tradable(str(spec.symbol))))
            continue
        sized = fitted(spec, lots)
        why = "" if sized.quantity > 0 else f"It is less than the step of {_plain(lots.step)}."
        if why := why or rules.check(sized):
            words.append((place, why))
    return tuple(words)


def _unfit(need: Need, exchange: str, refused: tuple[tuple[int, str], ...], rules: Rules) -> Iterable[str]:
    """The same in sentences, but for markets that are missing: that was told already."""
    orders = [(need.orders[place], why) for place, why in refused]
    return _few(
        f"An order to {spec.side.value} {_plain(spec.quantity)} {spec.symbol} could not be placed on {exchange}: {why}"
        for spec, why in orders
        if rules.lots(spec.symbol) is not None
    )


def leverage_of(symbol: Symbol, need: Need, account: AccountView, rules: Rules) -> Decimal:
    """What a position would be opened with there: what is wanted, as far as the market gives it; else what is set."""
    lots, there = rules.lots(symbol), account.of(symbol)
    most = None if lots is None else lots.max_leverage
    wanted = wanted_leverage(symbol, need)
    chosen = wanted if wanted is not None else None if there is None else there.leverage
    if chosen is None:
        return most or Decimal(1)  # a cross margin without a leverage asks for the market's least
    return chosen if most is None else min(chosen, most)


def wanted_leverage(symbol: Symbol, need: Need) -> Decimal | None:
    """What is configured, or what the account that the position comes from has; None where nobody knows."""
    set_here = None if need.source is None else need.source.of(symbol)
    return need.leverage if need.leverage is not None else None if set_here is None else set_here.leverage


def _leverage(need: Need, exchange: str, rules: Rules) -> Iterable[str]:
    words = []
    for symbol in dict.fromkeys(symbol for symbol, quantity in need.positions if quantity):
        lots, wanted = rules.lots(symbol), wanted_leverage(symbol, need)
        most = None if lots is None else lots.max_leverage
        if wanted is not None and most is not None and wanted > most:
            words.append(
                f"{exchange} gives {symbol} a leverage of {_plain(most)} at most, where {_plain(wanted)} is wanted: the"
                " position takes more margin there."
            )
    return _few(words)


def _margin(need: Need, exchange: str, told: c.AccountResult, rules: Rules) -> Iterable[str]:
    prices = dict(told.prices)
    total, unknown = ZERO, []
    things = [(symbol, abs(quantity), prices.get(symbol)) for symbol, quantity in need.positions if quantity]
    things += [
        (spec.symbol, spec.quantity, _own_price(spec) or prices.get(spec.symbol))
        for spec in need.orders
        if not spec.reduce_only
    ]
    for symbol, quantity, price in things:
        if price is None or symbol.quote not in DOLLARS:
            unknown.append(str(symbol))
        elif rules.lots(symbol) is not None:
            total += quantity * price / leverage_of(symbol, need, told.account, rules)
    total *= MARGIN_SLACK
    free = told.account.free
    if free is None:
        free = sum((balance.free for balance in told.balances if balance.coin in DOLLARS), ZERO)
    if total > free:
        yield (
            f"{exchange} has {_plain(free.quantize(CENT, ROUND_DOWN))} of margin free, and what would move there"
            f" takes about {_plain(total.quantize(CENT))}: what does not fit is parked, or stays where it is."
        )
    if unknown:
        names = ", ".join(dict.fromkeys(unknown))
        yield f"Nobody knows what margin {names} would take on {exchange}: its price there is not known in dollars."


def _inventory(need: Need, exchange: str, told: c.AccountResult) -> Iterable[str]:
    """Spot: what is sold has to be there, and what pays for what is bought."""
    prices, free = dict(told.prices), {balance.coin: balance.free for balance in told.balances}
    wanted: dict[str, Decimal] = {}
    for spec in need.orders:
        if spec.side is Side.SELL:
            coin, amount = spec.symbol.base, spec.quantity
        else:
            coin = spec.symbol.quote
            amount = spec.quantity * (_own_price(spec) or prices.get(spec.symbol) or ZERO)
        wanted[coin] = wanted.get(coin, ZERO) + amount
    return _few(
        f"{exchange} has {_plain(free.get(coin, ZERO))} {coin} free, and the orders that would move there need"
        f" {_plain(amount)}: what does not fit is parked."
        for coin, amount in sorted(wanted.items())
        if amount > free.get(coin, ZERO)
    )


def _own_price(spec: OrderSpec) -> Decimal | None:
    """What an order says itself of its price."""
    if spec.price is not None:
        return spec.price
    return None if spec.trigger is None else spec.trigger.price


def _few(words: Iterable[str]) -> list[str]:
    found = list(words)
    more = len(found) - MOST_TOLD
    return [*found[:MOST_TOLD], f"So it is with {more} more."] if more > 0 else found


def _plain(value: Decimal) -> str:
    shown = format(value, "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
