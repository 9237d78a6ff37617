"""Whether positions moved as they should (I4): judged by the exchanges' books alone, at every execution.

within a slice       by what the router itself initiates, the net over all exchanges changes by one slice at most, at
                     any moment, whatever nobody knew of by then; flattening and mirroring apart
not with ourselves   no slice is priced so that it trades with an order of our own that rests there
nothing for nothing  by a policy that moves nothing, nothing is moved
in the end           all of it stands where trading is, and what the router says of the book is what the exchanges say
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from app.fuzz.book_plan import COARSE, SYMBOLS, BookPlan
from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation
from app.fuzz.record import Sent
from app.fuzz.sim_orders import SimOrder, SimTrade
from app.fuzz.world import World
from messages.market import Symbol
from messages.orders import Side
from messages.positions import PositionPolicy

ZERO = Decimal(0)
KNOWN_S = 5.0
"""After so long whoever plans a slice knows of an order that rests."""


def move_violations(seen: Seen) -> Iterator[Violation]:
    """Every violation of a whole run."""
    books = seen.plan.books
    if books is None:
        return
    flattened = any(verb.kind == "flatten" and not verb.dry_run for verb in books.verbs)
    moves = [order for order in seen.orders if order.serial in seen.moves]
    yield from _with_ourselves(seen, moves)
    if books.positions is PositionPolicy.TRACK and not flattened:
        for order in moves:
            words = f"{order.side.value} {order.quantity} on {order.exchange}, by a policy that moves nothing"
            yield Violation("moved against the policy", order.accepted_s, order.serial, words)
    if books.positions is PositionPolicy.MIGRATE and not flattened:
        for symbol in SYMBOLS:
            yield from _within_a_slice(books, symbol, [order for order in moves if order.symbol == symbol])


def _with_ourselves(seen: Seen, moves: list[SimOrder]) -> Iterator[Violation]:
    sent_s = {fact.wire_id: fact.at_s for fact in seen.facts if isinstance(fact, Sent)}
    for move in moves:
        price, known_s = move.spec.price, sent_s[move.wire_id] - KNOWN_S
        for other in seen.orders:
            met = other.serial > 0 and (other.exchange, other.symbol) == (move.exchange, move.symbol)
            # One that came while the slice was on its way could not be known.
            rests = other.accepted_s < known_s and other.live_at(move.accepted_s)
            if not met or not rests or other.side is move.side or other.spec.price is None or other.spec.trigger:
                continue
            crosses = price is None or (
                price >= other.spec.price if move.side is Side.BUY else price <= other.spec.price
            )
            if crosses:
                words = f"{move.side.value} at {price} would meet order {other.serial} at {other.spec.price}"
                yield Violation("trades with ourselves", move.accepted_s, move.serial, words)


def _trades(orders: list[SimOrder]) -> list[tuple[SimTrade, SimOrder]]:
    found = [(trade, order) for order in orders for trade in order.trades]
    return sorted(found, key=lambda each: each[0].at_s)


def _within_a_slice(books: BookPlan, symbol: Symbol, moves: list[SimOrder]) -> Iterator[Violation]:
    most = books.slice_of(symbol) * Decimal("1.01") + COARSE
    net = ZERO
    for trade, order in _trades(moves):
        net += order.signed(trade.quantity)
        if abs(net) > most:
            words = f"{net:+f} {symbol.base} over all exchanges by moves alone; a slice is {books.slice_of(symbol):f}"
            yield Violation("I4 more than a slice", trade.at_s, order.serial, words)
            return


def book_violations(world: World, seen: Seen) -> Iterator[Violation]:
    """What stands at the end, and what the router says of it."""
    books = seen.plan.books
    if books is None:
        return
    ours: dict[tuple[str, Symbol], Decimal] = {}
    for order in seen.orders:
        key = order.exchange, order.symbol
        ours[key] = ours.get(key, ZERO) + order.signed(order.filled)
    active = world.routes[-1].exchange if world.routes else None
    touched = {
        (name, symbol)
        for name, exchange in world.exchanges.items()
        for _, symbol, quantity in (exchange.account.foreign if exchange.account is not None else ())
        if quantity
    }
    dust = max(terms.step for terms in books.terms.values())  # of less an exchange takes no order
    if books.positions is PositionPolicy.MIGRATE:
        for (exchange, symbol), quantity in ours.items():
            left = exchange != active and abs(quantity) >= dust and (exchange, symbol) not in touched
            if left and not any(_is_best(world, seen, name, symbol) for name in (exchange, active or "")):
                words = f"{quantity:+f} {symbol.base} of ours is left on {exchange}, and trading is on {active}"
                yield Violation("position left", seen.end_s, 0, words)
    yield from _told(world, seen, ours)


def _is_best(world: World, seen: Seen, name: str, symbol: Symbol) -> bool:
    """Whether an order of ours is the best price somewhere: nothing moves for as long as it would trade with that."""
    account = world.exchanges[name].account if name in world.exchanges else None
    if account is None:
        return False
    bid, ask = account.bid_ask(symbol)
    for order in seen.orders:
        price = order.spec.price
        rests = order.exchange == name and order.symbol == symbol and order.ended_s is None and order.serial > 0
        if rests and price is not None and (price >= bid if order.side is Side.BUY else price <= ask):
            return True
    return False


def _told(world: World, seen: Seen, ours: dict[tuple[str, Symbol], Decimal]) -> Iterator[Violation]:
    book = world.book
    if book is None:
        yield Violation("book not told", seen.end_s, 0, "nobody answered")
        return
    if book.unread:
        yield Violation("book not told", seen.end_s, 0, f"unread: {', '.join(book.unread)}")
    lines = {(line.exchange, line.symbol): line for line in book.lines}
    for name, exchange in world.exchanges.items():
        account = exchange.account
        held = account.positions(exchange.orders, seen.end_s) if account is not None else {}
        for symbol in SYMBOLS:
            line = lines.get((name, symbol))
            attributed, actual = (ZERO, ZERO) if line is None else (line.attributed, line.actual)
            there, own = held.get(symbol, ZERO), ours.get((name, symbol), ZERO)
            if attributed != own:
                words = f"{attributed:+f} {symbol.base} on {name} by our fills, says the router; {own:+f}, says {name}"
                yield Violation("book differs", seen.end_s, 0, words)
            if actual != there:
                words = f"{actual} {symbol.base} on {name}, says the router; {there:+f}, says {name}"
                yield Violation("book differs", seen.end_s, 0, words)
