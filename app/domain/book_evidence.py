"""What a difference was, by what its exchange says of it: the account's executions, and the position before.

An exchange lists every trade of the account, ours and others'. Those that are not ours, from the last on backwards, add
up to the difference where they explain it. What they say of themselves, where the exchange says anything (a
liquidation, a deleveraging, a delivery, a stop), is believed; else a trade at a level that an order of ours took along
as its stop is that stop; else it is a person's, or another program's with the same account.

Where the executions do not add up to it, or none could be had, the position before may still tell: one that is gone
whose mark price had come to its liquidation price was most likely liquidated. What nothing explains is told so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from attrs import frozen

from app.domain.book import ZERO
from app.domain.book_watch import Stands
from messages.executions import Cause, Execution
from messages.market import Symbol
from messages.orders import OrderView, Side
from messages.positions import DifferenceKind, Position

NEAR = Decimal("0.02")
"""A mark price this near to the liquidation price, as a part of it, had as good as come to it when it was last read."""

SLIP = Decimal("0.02")
"""A stop sells at the market: so far from its level, as a part of it, the trade may be."""

ENOUGH = 4
"""So often, over most of a minute, an exchange that tells executions tells none of an order of ours that rests there:
then it is not that order, whose fills polls would have shown."""

_KIND_OF = {
    Cause.LIQUIDATION: DifferenceKind.LIQUIDATION,
    Cause.DELEVERAGED: DifferenceKind.EXCHANGE_CLOSE,
    Cause.DELIVERED: DifferenceKind.EXCHANGE_CLOSE,
    Cause.STOP: DifferenceKind.STOP,
}
_WORDS_OF = {
    Cause.LIQUIDATION: "it was liquidated",
    Cause.DELEVERAGED: "the exchange closed it against a position it had to unwind (auto-deleveraging)",
    Cause.DELIVERED: "the exchange delivered or settled it",
    Cause.STOP: "a take profit or stop loss that was attached to an order or the position fired",
}


OURS_FIRST = frozenset({DifferenceKind.LIQUIDATION, DifferenceKind.EXCHANGE_CLOSE, DifferenceKind.STOP})
"""Kinds of differences that close the router's own position before what stands beside it."""


@frozen(kw_only=True)
class Verdict:
    """What a difference was.

    Attributes:
        words: With the evidence, one sentence.
    """

    kind: DifferenceKind
    words: str


@frozen
class NotYet:
    """An order of ours may be what it is: nothing is adopted, and why."""

    words: str


def weigh(
    stands: Stands,
    executions: Sequence[Execution] | None,
    unknown: frozenset[str],
    attached: Iterable[OrderView],
) -> Verdict | NotYet:
    """What a difference was, and by what it is known.

    Args:
        executions: The account's since `stands.since_s`, the oldest first; None where the exchange tells none.
        unknown: Trade ids of those that are ours and that the journal does not have.
        attached: Orders of ours whose take profit or stop loss their exchange took along.
    """
    own = [each for each in executions or () if each.order_id is not None and each.trade_id in unknown]
    if own:
        words = ", ".join(sorted({each.trade_id for each in own})[:3])
        return NotYet(f"trade {words} of our own is listed on {stands.exchange}, and not in the journal yet")
    strangers = [each for each in executions or () if each.order_id is None]
    found = _adding_up(strangers, stands.quantity)
    if found:
        return _by_trades(stands, found, attached)
    if stands.standing.may_explain(stands.quantity) and (executions is None or stands.times < ENOUGH):
        return NotYet(f"an order of ours rests on {stands.exchange} that may have filled as much")
    before = stands.before
    if before is not None and _gone(stands) and _liquidated(before):
        words = (
            f"the position of {_plain(before.quantity)} is gone, and its mark price {_plain(before.mark_price)} had"
            f" come to its liquidation price {_plain(before.liquidation_price)}; no execution is listed"
        )
        return Verdict(kind=DifferenceKind.LIQUIDATION, words=words)
    if executions is None:
        words = "the exchange tells no executions"
    elif strangers:
        words = f"{len(strangers)} executions that are not ours are listed, and do not add up to it"
    else:
        words = "no execution that is not ours is listed"
    return Verdict(kind=DifferenceKind.UNEXPLAINED, words=words)


def _signed(execution: Execution) -> Decimal:
    return execution.quantity if execution.side is Side.BUY else -execution.quantity


def _adding_up(executions: Sequence[Execution], quantity: Decimal) -> list[Execution]:
    """The newest executions that add up to a quantity; the fewest. Empty where no tail does."""
    total = ZERO
    for at, execution in enumerate(reversed(executions), start=1):
        total += _signed(execution)
        if total == quantity:
            return list(executions[-at:])
    return []


def _by_trades(stands: Stands, found: list[Execution], attached: Iterable[OrderView]) -> Verdict:
    causes = {each.cause for each in found}
    price = _average(found)
    trades = f"trade {found[0].trade_id}" if len(found) == 1 else f"{len(found)} trades"
    traded = f"{trades} of order {found[-1].exchange_order_id} at {_plain(price)}"
    for cause, kind in _KIND_OF.items():
        if cause in causes:
            return Verdict(kind=kind, words=f"{_WORDS_OF[cause]}: {traded}")
    stop = _stop_at(stands, price, attached)
    if stop:
        return Verdict(kind=DifferenceKind.STOP, words=f"{stop}: {traded}")
    words = f"an order that is not the router's, a person's or another program's: {traded}"
    return Verdict(kind=DifferenceKind.PERSON, words=words)


def _average(found: Sequence[Execution]) -> Decimal:
    worth = sum((each.price * each.quantity for each in found), ZERO)
    return worth / sum((each.quantity for each in found), ZERO)


def _stop_at(stands: Stands, price: Decimal, attached: Iterable[OrderView]) -> str:
    """Which order's exit a trade at a price was most likely; empty where it was none's."""
    closes = Side.SELL if stands.quantity < 0 else Side.BUY
    for order in attached:
        if order.spec.side is closes:
            continue
        for word, level in (("take profit", order.spec.take_profit), ("stop loss", order.spec.stop_loss)):
            if level is not None and abs(price - level) <= level * SLIP:
                return f"the {word} of order {order.order_id} at {_plain(level)} fired"
    return ""


def _gone(stands: Stands) -> bool:
    """Whether nothing is left of what there was."""
    return stands.standing.holding.due + stands.quantity == 0


def _liquidated(before: Position) -> bool:
    price, mark = before.liquidation_price, before.mark_price
    return price is not None and mark is not None and price > 0 and abs(mark - price) <= price * NEAR


def _plain(value: Decimal | None) -> str:
    return "unknown" if value is None else format(value.normalize(), "f")


def told(exchange: str, symbol: Symbol, quantity: Decimal, kind: DifferenceKind, words: str) -> str:
    """A difference in one sentence."""
    side = "more" if quantity > 0 else "less"
    return (
        f"{exchange} has {_plain(abs(quantity))} {side} of {symbol} than the router's own orders and what was adopted"
        f" before add up to ({kind.value}): {words}."
    )
