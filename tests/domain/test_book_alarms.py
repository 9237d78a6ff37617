"""Alarms of positions: raised once, told for as long as they stand, and over when that which raised them is."""

from __future__ import annotations

from decimal import Decimal

from attrs import define, field

from app.domain.book import Exposure, Holding
from app.domain.book_alarms import Alarms, Seen
from messages.orders import LegState, Side
from messages.positions import Alarm, Position
from tests.domain.orders import BTC

X = "bybit"


def long(quantity: str = "1", *, mark: str = "100", liquidation: str | None = None) -> Position:
    """A position."""
    return Position(
        exchange=X,
        symbol=BTC,
        quantity=Decimal(quantity),
        entry_price=None,
        mark_price=Decimal(mark),
        leverage=None,
        unrealised_pnl=None,
        at_s=0.0,
        liquidation_price=None if liquidation is None else Decimal(liquidation),
    )


def stop(quantity: str = "1", side: Side = Side.SELL, *, loss: bool = True) -> Exposure:
    """A stop, or what takes profit."""
    return Exposure(
        exchange=X,
        symbol=BTC,
        side=side,
        quantity=Decimal(quantity),
        filled=Decimal(0),
        state=LegState.OPEN,
        reduce_only=True,
        stop=loss,
    )


@define
class Looks:
    """Looks in a row, a second apart."""

    alarms: Alarms = field(factory=lambda: Alarms(Decimal("0.1"), 30.0))
    now_s: float = 0.0

    def look(
        self, position: Position | None, *legs: Exposure, unprotected: int = 0, read: bool = True
    ) -> tuple[list[str], list[str]]:
        """Codes of what was raised, and of what is over."""
        self.now_s += 1.0
        seen = Seen(
            positions={} if position is None else {(X, BTC): position},
            holdings={(X, BTC): Holding(attributed=Decimal(1))},
            legs=legs,
            unprotected={(X, BTC): unprotected},
            read_s={X: self.now_s if read else 0.0},
        )
        raised, over = self.alarms.look(seen, self.now_s)
        return [each.code for each in raised], [each.code for each in over]

    def standing(self) -> list[Alarm]:
        """What stands."""
        return list(self.alarms.standing)


def test_near_its_liquidation_it_is_told_once_and_when_it_is_over() -> None:
    looks = Looks()
    assert looks.look(long(liquidation="89")) == ([], [])
    assert looks.look(long(liquidation="91")) == (["near_liquidation"], [])
    assert looks.look(long(liquidation="95")) == ([], [])
    [alarm] = looks.standing()
    assert alarm.at_s == 2.0
    assert "is 5.0% from its liquidation: its mark price is 100, and 95 liquidates it" in alarm.words
    assert looks.look(long("-1", liquidation="105")) == ([], []), "a short one from above"
    assert looks.look(long()) == ([], ["near_liquidation"])
    assert looks.look(None) == ([], [])
    off = Looks(Alarms(Decimal(0), 30.0))
    assert off.look(long(liquidation="99")) == ([], [])


def test_a_stop_that_is_gone_is_told_at_the_second_look_and_one_that_was_replaced_is_not() -> None:
    looks = Looks()
    assert looks.look(long()) == ([], []), "it never had one"
    assert looks.look(long(), stop()) == ([], [])
    assert looks.look(long()) == ([], []), "it may be on its way"
    assert looks.look(long(), stop()) == ([], [])
    assert looks.look(long()) == ([], [])
    assert looks.look(long()) == (["stop_lost"], [])
    assert looks.look(long(), stop("1", loss=False)) == ([], []), "what takes profit protects nothing"
    assert looks.look(long(), stop()) == ([], ["stop_lost"])
    assert looks.look(None) == ([], []), "it is closed"
    assert looks.look(long()) == ([], []), "and this is another"
    assert looks.look(long()) == ([], [])


def test_a_stop_for_less_than_what_stands_is_told_and_one_on_the_other_side_is_none() -> None:
    looks = Looks()
    looks.look(long("2"), stop("1.5"))
    assert looks.look(long("2"), stop("1.5")) == (["size"], [])
    assert looks.look(long("2"), stop("1.5"), stop("0.5")) == ([], ["size"])
    other = Looks()
    other.look(long("-1"), stop())
    assert other.look(long("-1"), stop()) == ([], [])


def test_exits_that_could_not_be_placed_and_an_exchange_out_of_sight_are_told() -> None:
    looks = Looks()
    assert looks.look(long(), unprotected=2) == (["unprotected"], [])
    assert looks.look(long()) == ([], ["unprotected"])
    looks.now_s = 40.0
    assert looks.look(long(), read=False) == (["unread"], [])
    assert looks.look(long()) == ([], ["unread"])
