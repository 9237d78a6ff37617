"""What is placed, where trading is now, for an order whose leg the router took away: the decision, kind by kind.

Theory. An order moves in three steps, each a state in the journal that somebody looks at until it is gone, so that no
death in between loses or doubles it:

    marked      `carry_s` is on its leg before the cancel is sent: whoever finds it goes on cancelling
    drained     the leg's end is proven, with all that filled of it: by the cancel's own answer where the engine gives
                that, else by two look-ups, the second a visibility lag after the first that showed it
    carried     one transaction ends the drained leg for good and commits the next one, on the exchange in use; or it is
                parked, with a reason

Nothing of the decision reads a clock or an exchange: what it is made of is in `Facts`. What goes out is what was asked
of the whole order, by its owner's newest word, less everything that is proven to have filled. It is rounded to the
exchange's steps, which differ from the last one's, never against its owner: quantities down, a buy's price down, a
sale's up, and a trigger so that it goes off no sooner. Nothing else is ever changed of it.

    kind                        what is made of it
    market, IOC, FOK            never taken away: such an order ends by itself, at once
    limit                       what is left, at its price
    post-only                   the same; while it would trade at once, it waits (`post_only_crossed`)
    trigger                     the same with its trigger; while the price is past that already, it waits
                                (`trigger_passed`), since it would open something at another price than was asked for
    trigger, reduce-only        sent all the same: where it goes off at once, that is what it is for
    reduce-only                 while nothing stands there that it could reduce, it waits (`no_position`)
    with take profit, stop loss its exits go with it, for what fills there; those of what filled before stay with that
    exits of the router         never taken away: they protect a position that stays too
    sent, and refused there     it waits where that may pass (the four reasons above, funds), else for its owner
    too small, off the rules    parked, for its owner
    older than max_carry_age_s  parked, for its owner: what it was to do may have been overtaken
    orders.policy = "park"      parked, for its owner

What waits is asked about again until it is too old; what is parked for its owner he may cancel, or have placed.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from attrs import evolve, frozen

from app.domain.exits import parent_of
from app.domain.leg_table import ASIDE, BETWEEN, LIVE, UNPROVEN
from messages.carries import CarryPolicy
from messages.market import Lots, Ticker
from messages.orders import (
    LegState,
    LegView,
    OrderSpec,
    OrderType,
    OrderView,
    Side,
    TimeInForce,
    TriggerBy,
    TriggerKind,
)

ZERO = Decimal(0)
_DIGITS = 60
"""Working precision: prices and sizes have far fewer."""

NO_POSITION = "no_position"
POST_ONLY_CROSSED = "post_only_crossed"
TRIGGER_PASSED = "trigger_passed"
NOT_EXECUTED = "not_executed"
NO_FUNDS = "insufficient_funds"
TOO_OLD = "too_old"
BY_POLICY = "policy"
BY_RULES = "rules"
TOO_SMALL = "too_small"
TOO_OFTEN = "refused_again"

WAITING = frozenset({NO_POSITION, POST_ONLY_CROSSED, TRIGGER_PASSED, NOT_EXECUTED, NO_FUNDS, BY_RULES, TOO_SMALL})
"""Reasons that may pass by themselves, or where trading goes next: a parked order that has one is asked about again."""

OWNERS = frozenset({BY_POLICY, TOO_OLD})
"""Reasons that hold wherever trading goes: only the order's owner, or the router's, ends them."""

WAITS_AFTER = {
    "reduce_only_rejected": NO_POSITION,
    "would_take": POST_ONLY_CROSSED,
    "would_trigger": TRIGGER_PASSED,
    "insufficient_funds": NO_FUNDS,
}
"""What an exchange's refusal of a carried order comes to, by the codes of `app.exchanges.codes`; any other is for its
owner to deal with."""

PLACED_BY_OWNER = "placed_by_owner"
"""The reason on a drained leg whose owner wants it placed all the same: neither policy nor age keep it back."""

MAX_TRIES = 8
"""Times in a row one order is sent to an exchange that refuses it; then it is its owner's to deal with."""

AGAIN_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Before what was sent and refused is sent once more, by how often it was."""

ENDS_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


@frozen(kw_only=True)
class Standing:
    """What the journal knows that matters to an order besides its legs, in base coin, below zero when short.

    Attributes:
        held: What fills of ours add up to in its symbol on the exchange in use.
        elsewhere: The same on all other exchanges together.
        left_s: Since when trading is not where the order's leg was; None where it is there.
    """

    held: Decimal = ZERO
    elsewhere: Decimal = ZERO
    left_s: float | None = None


@frozen(kw_only=True)
class Facts:
    """What the decision is made of besides the order.

    Attributes:
        policy: The owner's, for all orders.
        max_age_s: How long an order may have been where nobody trades before it is its owner's to deal with.
        exchange: In use: where it is to go.
        standing: What the journal knows besides the order.
        ticker: The market there; None where nobody has asked lately.
        lots: Which orders the market there takes; None where the exchange does not trade the symbol.
        check: Why the exchange's rules do not admit an order; empty where they do.
    """

    policy: CarryPolicy
    max_age_s: float
    exchange: str
    standing: Standing
    ticker: Ticker | None
    lots: Lots | None
    check: Callable[[OrderSpec], str]


@frozen(kw_only=True)
class Carry:
    """The next leg.

    Attributes:
        quantity: Base coin, of the leg.
        price: Where it is another than was asked at first; else None.
        trigger_price: Likewise.
        whole: Likewise, of the whole order, in base coin.
    """

    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    whole: Decimal | None


@frozen(kw_only=True)
class Park:
    """It is not placed now, and why; `code` in `WAITING` where that may pass by itself."""

    code: str
    words: str


@frozen(kw_only=True)
class Finished:
    """Nothing is left of it to place, or its owner wants nothing placed: it is over."""

    words: str


@frozen(kw_only=True)
class TickerNeeded:
    """It depends on the market, and nobody has asked lately."""


Decision = Carry | Park | Finished | TickerNeeded


def moved_first(order: OrderView) -> LegView:
    """The leg from which an order has been on its way since: the newest that an exchange's engine had."""
    for leg in reversed(order.legs):
        if leg.exchange_order_id is not None or leg.filled or not is_carried(order, leg.number):
            return leg
    return order.legs[0]


def takes_away(order: OrderView, leg: LegView) -> bool:
    """Whether the router takes a leg away when trading moves: one that rests, or waits for its trigger."""
    spec = order.spec
    if parent_of(order.key) or leg.number != len(order.legs) or leg.cancel_asked_s is not None:
        return False
    if spec.trigger is None and (spec.order_type is OrderType.MARKET or spec.time_in_force in ENDS_AT_ONCE):
        return False
    return leg.state in LIVE or leg.state in UNPROVEN


def is_carried(order: OrderView, number: int) -> bool:
    """Whether a leg was placed for one that the router had taken away: nobody waits for it but the router.

    Not so after one that was to be taken away and was proven absent: its owner still waited, and asked for the next.
    """
    if number < 2:
        return False
    before = order.legs[number - 2]
    return before.carry_s is not None and before.state not in ASIDE and before.state is not LegState.ABSENT


def after_refusal(code: str | None) -> str:
    """The reason for which a carried order that was refused with a code is parked."""
    return WAITS_AFTER.get(code or "", code or "refused")


def waits(order: OrderView, exchange: str) -> bool:
    """Whether an order is to be asked about where trading is, without its owner."""
    leg = order.leg
    if leg is None or leg.state not in BETWEEN:
        return False
    refused_elsewhere = leg.exchange != exchange and leg.reason_code not in OWNERS
    return leg.state is LegState.DRAINED or leg.reason_code in WAITING or refused_elsewhere


def is_same_leg(order: OrderView, carry: Carry, exchange: str) -> bool:
    """Whether the next leg is the newest one, sent once more: proven absent where trading is, with the same terms.

    Under its own id the exchange's check for duplicates guards it, should the proof be wrong; another id nothing would.
    After a refusal by a code the next leg is another: the exchange may have used up the id.
    """
    leg = order.leg
    if leg is None or leg.state not in BETWEEN or leg.exchange != exchange:
        return False
    shown = leg.filled or leg.exchange_order_id is not None or leg.native_code is not None
    if shown or leg.carry_s is not None or leg.unflagged or leg.most is not None:
        return False
    terms = (carry.quantity, carry.price, carry.trigger_price, carry.whole)
    return terms == (leg.quantity, leg.price, leg.trigger_price, leg.whole)


def tries_of(order: OrderView, exchange: str) -> int:
    """How often in a row it was sent to an exchange, and did not come to rest there."""
    count = 0
    for leg in reversed(order.legs):
        if leg.exchange != exchange or leg.filled or not is_carried(order, leg.number):
            break
        # Sent once more under its id it was tried once more; what came to rest, and was taken off, did so at last.
        count += leg.attempts if leg.exchange_order_id is None and leg.carry_s is None else 1
    return count


def needs_ticker(spec: OrderSpec) -> bool:
    """Whether what is made of an order depends on the market."""
    return spec.time_in_force is TimeInForce.POST_ONLY or (spec.trigger is not None and not spec.reduce_only)


def asked_of(order: OrderView) -> tuple[OrderSpec, Decimal]:
    """What the order is to be by its owner's newest word, and how much it is for as a whole, in base coin.

    A change that was under way when the leg was taken away is carried out by placing the next one so.
    """
    leg, spec = order.leg, order.now
    assert leg is not None, "only what was committed is carried"
    whole, wanted = order.quantity, leg.wanted
    if wanted is None:
        return spec, whole
    if wanted.quantity is not None:
        whole = wanted.quantity + order.filled - leg.filled
    trigger = spec.trigger
    if trigger is not None and wanted.trigger_price is not None:
        trigger = evolve(trigger, price=wanted.trigger_price)
    return evolve(spec, price=spec.price if wanted.price is None else wanted.price, trigger=trigger), whole


def decide(order: OrderView, facts: Facts, now_s: float) -> Decision:
    """What is made of an order whose newest leg is drained, or parked."""
    leg = order.leg
    assert leg is not None, "only what was committed is carried"
    assert leg.state in BETWEEN, "only what was taken away is carried"
    asked, whole = asked_of(order)
    left = whole - order.filled
    if left <= 0:
        return Finished(words="As much as was asked for had filled when it was taken away: nothing was left to place.")
    if facts.policy is CarryPolicy.DROP:
        return Finished(words=f'orders.policy is "drop": {_plain(left)} of it were not placed on {facts.exchange}.')
    if leg.reason_code != PLACED_BY_OWNER:
        if facts.policy is CarryPolicy.PARK:
            words = f'orders.policy is "park": {_plain(left)} of it wait for their owner to cancel them or place them.'
            return Park(code=BY_POLICY, words=words)
        age_s = 0.0 if facts.standing.left_s is None else now_s - facts.standing.left_s
        if age_s > facts.max_age_s:
            words = (
                f"Trading left {leg.exchange} {age_s:.0f} s ago, and max_carry_age_s is {facts.max_age_s:.0f}:"
                f" {_plain(left)} of it wait for their owner."
            )
            return Park(code=TOO_OLD, words=words)
    if tries_of(order, facts.exchange) >= MAX_TRIES:
        words = f"{facts.exchange} refused it {MAX_TRIES} times in a row: {leg.reason_words or leg.reason_code}"
        return Park(code=TOO_OFTEN, words=words)
    spec = evolve(asked, quantity=left) if facts.lots is None else fitted(evolve(asked, quantity=left), facts.lots)
    if spec.quantity <= 0:
        words = f"{_plain(left)} of it are left, less than the step of {facts.exchange}: nothing smaller is traded."
        return Park(code=TOO_SMALL, words=words)
    if facts.lots is not None and spec.quantity < facts.lots.minimum:
        least = _plain(facts.lots.minimum)
        words = f"{_plain(left)} of it are left, and {facts.exchange} takes no order of less than {least}."
        return Park(code=TOO_SMALL, words=words)
    problem = facts.check(spec)
    if problem:
        return Park(code=BY_RULES, words=f"What is left of it cannot be placed on {facts.exchange}: {problem}")
    waits = _no_position(spec, facts)
    if waits is not None:
        return waits
    if needs_ticker(spec):
        if facts.ticker is None:
            return TickerNeeded()
        waits = _crossed(spec, facts.ticker) or _passed(spec, facts.ticker)
        if waits is not None:
            return waits
    first = order.spec
    return Carry(
        quantity=spec.quantity,
        price=None if spec.price == first.price else spec.price,
        trigger_price=_other_trigger(first, spec),
        whole=None if whole == first.quantity else whole,
    )


def fitted(spec: OrderSpec, lots: Lots) -> OrderSpec:
    """An order rounded to a market's steps, by less than one of them, and never against its owner.

    The quantity down; the price of a buy down and that of a sale up; a trigger so that it goes off no sooner.
    """
    price, trigger = spec.price, spec.trigger
    if price is not None:
        price = _to(price, lots.tick, up=spec.side is Side.SELL)
    if trigger is not None:
        trigger = evolve(trigger, price=_to(trigger.price, lots.tick, up=rises_to(spec)))
    return evolve(spec, quantity=_to(spec.quantity, lots.step, up=False), price=price, trigger=trigger)


def _to(value: Decimal, step: Decimal, *, up: bool) -> Decimal:
    with localcontext(prec=_DIGITS):
        steps = (value / step).to_integral_value(rounding=ROUND_CEILING if up else ROUND_FLOOR)
        return value if steps * step == value else steps * step


def _other_trigger(first: OrderSpec, spec: OrderSpec) -> Decimal | None:
    if spec.trigger is None or first.trigger is None or spec.trigger.price == first.trigger.price:
        return None
    return spec.trigger.price


def _no_position(spec: OrderSpec, facts: Facts) -> Park | None:
    """A reduce-only order waits for what it is to reduce: for all of it, while more of that is on its way."""
    if not spec.reduce_only:
        return None
    sign = 1 if spec.side is Side.SELL else -1  # a sale reduces what is long
    there, rest = max(ZERO, sign * facts.standing.held), max(ZERO, sign * facts.standing.elsewhere)
    if there >= spec.quantity or (there > 0 and rest == 0):
        return None
    words = f"It only reduces, and {_plain(there)} of the {_plain(spec.quantity)} it is for stand on {facts.exchange}."
    return Park(code=NO_POSITION, words=words)


def _crossed(spec: OrderSpec, ticker: Ticker) -> Park | None:
    """A post-only order that would trade at once is no such order: it waits, and is not moved to another price."""
    if spec.time_in_force is not TimeInForce.POST_ONLY or spec.price is None or spec.trigger is not None:
        return None
    buys = spec.side is Side.BUY
    other = ticker.ask if buys else ticker.bid
    if other is None or (spec.price < other if buys else spec.price > other):
        return None
    words = (
        f"It is post-only, and would trade at once on {ticker.exchange}, where the {'ask' if buys else 'bid'} is"
        f" {_plain(other)}: it waits until it would rest at {_plain(spec.price)}."
    )
    return Park(code=POST_ONLY_CROSSED, words=words)


def rises_to(spec: OrderSpec) -> bool:
    """Whether a trigger waits for the price to rise to it."""
    assert spec.trigger is not None, "only what waits for a trigger has one"
    return (spec.trigger.kind is TriggerKind.STOP) is (spec.side is Side.BUY)


def _passed(spec: OrderSpec, ticker: Ticker) -> Park | None:
    trigger = spec.trigger
    if trigger is None or spec.reduce_only:
        return None
    by_mark = trigger.by is TriggerBy.MARK and ticker.mark is not None
    price = ticker.mark if by_mark else ticker.last
    if price is None or (price < trigger.price if rises_to(spec) else price > trigger.price):
        return None
    words = (
        f"Its trigger of {_plain(trigger.price)} was passed while it was on its way: {ticker.exchange} trades at"
        f" {_plain(price)}. It waits until that would not set it off at once."
    )
    return Park(code=TRIGGER_PASSED, words=words)


def _plain(value: Decimal) -> str:
    shown = format(value, "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


@frozen(kw_only=True)
class Carried:
    """What the journal made of an order that was to be taken up.

    Attributes:
        fresh: Its newest leg is a new intent: it may be sent now, once.
        decision: None where it was not asked for, since somebody else was quicker, or trading has moved.
        words: Why it stays as it is, where it does.
    """

    order: OrderView
    fresh: bool = False
    decision: Decision | None = None
    words: str = ""
