"""What the book took over against what others did: no more, no less, on every exchange and in every market."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from app.fuzz.checker_news import Violation
from app.fuzz.world import World
from messages.market import Symbol

ZERO = Decimal(0)
MAX_ADOPTED = 10_000
RULE = "adopted what nobody did"


def adopted_on(exchange: str) -> str:
    """As what is wrong says which exchange it is about."""
    return f" on {exchange} was adopted"


def adopted_rightly(world: World) -> Iterator[Violation]:
    """A delay that was taken for a difference would be there, and its opposite later; what was missed would be not."""
    done: dict[tuple[str, Symbol], list[Decimal]] = {}
    others: dict[tuple[str, Symbol], Decimal] = {}
    for each in world.journal.adjusted(MAX_ADOPTED):
        done.setdefault((each.exchange, each.symbol), []).append(each.quantity)
    for name, exchange in world.exchanges.items():
        for _, symbol, quantity in exchange.account.foreign if exchange.account is not None else ():
            others[name, symbol] = others.get((name, symbol), ZERO) + quantity
    told = {
        ((each.exchange, each.symbol), each.quantity)
        for each in (world.book.differences if world.book is not None else ())
        if not each.adopted  # an order of ours that rests there may be what it is: it is told until that is known
    }
    for place in sorted(done.keys() | others.keys(), key=str):
        exchange_name, symbol = place
        adopted, due = sum(done.get(place, []), ZERO), others.get(place, ZERO)
        if adopted != due and (place, due - adopted) not in told:
            words = f"{adopted:+f} of {symbol}{adopted_on(exchange_name)}, and others traded {due:+f}"
            yield Violation(RULE, world.scheduler.now_s, 0, words)
