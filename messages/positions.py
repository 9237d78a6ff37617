"""Positions, and the book that adds them up over all exchanges."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from attrs import frozen

from messages.base import Message, Reply, Request
from messages.market import Symbol


@frozen(kw_only=True)
class Position:
    """A position as its exchange reports it.

    Attributes:
        quantity: Base coin, above zero when long, below when short.
        entry_price: Average, in quote coin; None where the exchange does not say.
        unrealised_pnl: In settlement coin.
        liquidation_price: The mark price at which it would be liquidated, were nothing else to move; None where there
            is none above zero, or the exchange does not say.
    """

    exchange: str
    symbol: Symbol
    quantity: Decimal
    entry_price: Decimal | None
    mark_price: Decimal | None
    leverage: Decimal | None
    unrealised_pnl: Decimal | None
    at_s: float
    liquidation_price: Decimal | None = None


@frozen(kw_only=True)
class BookLine:
    """One symbol on one exchange, in base coin; over all of them where `exchange` is empty.

    Attributes:
        actual: What the exchange said last; None while it has not answered.
        attributed: Sum of the proven fills of the router's own orders.
        possible_min: The least the position could be, were every unproven or resting sell to fill.
        possible_max: The most, were every unproven or resting buy to fill.
        at_s: When `actual` was read.
        target: What should stand there by the policy: of a position that moves, all of it on the exchange in use.
        adopted: Sum of the differences that were taken over from the exchange, as far as they are of the router's own
            position, which is `attributed + adopted`: what cut, closed or liquidated it.
        foreign: What of them is somebody else's position beside it.
    """

    exchange: str
    symbol: Symbol
    actual: Decimal | None
    attributed: Decimal
    possible_min: Decimal
    possible_max: Decimal
    at_s: float | None
    target: Decimal | None = None
    adopted: Decimal = Decimal(0)
    foreign: Decimal = Decimal(0)


class DifferenceKind(StrEnum):
    """Where a position came from that none of our orders made.

    Attributes:
        PERSON: Somebody traded on the account.
        LIQUIDATION: The exchange closed it for want of margin.
        EXCHANGE_CLOSE: The exchange closed it otherwise: it was deleveraged, delivered or settled.
        STOP: A stop or take profit of ours fired that we had not heard of.
        FEE: Taken in the coin that is traded, or funding.
        UNEXPLAINED: Nothing the exchange lists explains it.
    """

    PERSON = "person"
    LIQUIDATION = "liquidation"
    EXCHANGE_CLOSE = "exchange_close"
    STOP = "stop"
    FEE = "fee"
    UNEXPLAINED = "unexplained"


@frozen(kw_only=True)
class Difference:
    """By how much an exchange's position is another than our fills and earlier differences add up to.

    Attributes:
        quantity: Base coin: what stands there, less what we know of.
        adopted: It is in the journal, and what we know of adds up again.
        ours: Of an adopted one, what is of the router's own position; the rest is somebody else's beside it.
        number: Of an adopted one, 1, 2, 3 … over all of them.
    """

    exchange: str
    symbol: Symbol
    kind: DifferenceKind
    quantity: Decimal
    words: str
    at_s: float
    adopted: bool = False
    ours: Decimal = Decimal(0)
    number: int = 0


@frozen(kw_only=True)
class Alarm:
    """A position that somebody should look at.

    Attributes:
        code: Stable identifier: near_liquidation, stop_lost (one rested for it, and none does any more), size (what
            rests for it is for less than what stands), unprotected (an exit that its order asked for could not be
            placed), unread (its exchange has not told positions for long).
    """

    exchange: str
    symbol: Symbol
    code: str
    words: str
    at_s: float


@frozen(kw_only=True)
class BookNews(Message):
    """The position synchronizer to the coordinator, and that to every session: something about positions to look at.

    Attributes:
        differences: That were adopted just now.
        raised: Alarms that began.
        over: Alarms that ended.
    """

    differences: tuple[Difference, ...] = ()
    raised: tuple[Alarm, ...] = ()
    over: tuple[Alarm, ...] = ()


@frozen(kw_only=True)
class Slice:
    """One step of moving a position: as much is opened on one exchange as is then closed on the other.

    Attributes:
        from_exchange: Where it is closed; empty where something is only opened.
        to_exchange: Where it is opened; empty where something is only closed.
        quantity: Base coin, above zero; of a long position it is bought at `to_exchange` and sold at `from_exchange`.
        long: Whether the position is long.
        open_limit: The worst price at which it is opened; None where nothing is.
        close_limit: The worst price at which it is closed; None where nothing is.
        notional: In quote coin.
    """

    symbol: Symbol
    from_exchange: str
    to_exchange: str
    quantity: Decimal
    long: bool
    open_limit: Decimal | None
    close_limit: Decimal | None
    notional: Decimal


@frozen(kw_only=True)
class NotMoved:
    """What of a position stays where it is; `quantity` in base coin, below zero where it is short."""

    exchange: str
    symbol: Symbol
    quantity: Decimal
    words: str


@frozen(kw_only=True)
class PositionPlan:
    """What would be done about positions, in this order.

    Attributes:
        notional: In quote coin, of all slices.
        cost: Expected, in quote coin: by the best prices, without fees; below zero where it gains.
        stays: What is not moved, and why.
    """

    slices: tuple[Slice, ...] = ()
    notional: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    stays: tuple[NotMoved, ...] = ()


class PositionPolicy(StrEnum):
    """What becomes of positions on an exchange that was left.

    Attributes:
        MIGRATE: Opened where trading is and closed there, slice by slice, once both answer.
        TRACK: They stay, and are told.
        FLATTEN: They are closed.
        MIRROR: As much is opened where trading is, and they stay: the exposure doubles for as long as they do.
    """

    MIGRATE = "migrate"
    TRACK = "track"
    FLATTEN = "flatten"
    MIRROR = "mirror"


@frozen(kw_only=True)
class MovePositions(Request):
    """Asks the position synchronizer to bring positions to where they should be; asked again it moves nothing twice.

    Attributes:
        epoch: Of the committed route.
        policy: Other than the configured one; FLATTEN closes positions on every exchange, also on that in use.
        dry_run: Only the plan is told.
        to_exchange: Of a dry run: as though trading were there; empty for where it is.
    """

    epoch: int
    policy: PositionPolicy | None = None
    dry_run: bool = False
    to_exchange: str = ""


@frozen(kw_only=True)
class MovesReply(Reply):
    """Answers `MovePositions`, at the latest at its deadline, with what is true by then.

    Attributes:
        plan: What is still to be done.
        moved: What was moved so far in this epoch.
        done: Nothing is left to do.
    """

    plan: PositionPlan
    moved: tuple[Slice, ...] = ()
    done: bool = False
    words: str = ""


@frozen(kw_only=True)
class GetPositions(Request):
    """Asks a connector for the positions on its exchange."""


@frozen(kw_only=True)
class PositionsReply(Reply):
    """Answers `GetPositions`."""

    exchange: str
    positions: tuple[Position, ...]


@frozen(kw_only=True)
class GetBook(Request):
    """Asks the position synchronizer for the book of all exchanges.

    Attributes:
        refresh: Exchanges to read anew first, where they answer in time; the rest is told as last read.
    """

    refresh: tuple[str, ...] = ()


@frozen(kw_only=True)
class BookReply(Reply):
    """Answers `GetBook`.

    Attributes:
        positions: Every open position as last read, of all exchanges.
        unread: Exchanges that have not answered since they were last asked.
        alarms: What stands unprotected, or near its liquidation.
        differences: Between our fills and what the exchanges say, the newest last, adopted or not.
        net: Lines over all exchanges, by symbol.
    """

    lines: tuple[BookLine, ...]
    positions: tuple[Position, ...]
    unread: tuple[str, ...]
    alarms: tuple[Alarm, ...] = ()
    differences: tuple[Difference, ...] = ()
    net: tuple[BookLine, ...] = ()
