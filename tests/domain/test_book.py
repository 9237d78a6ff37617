"""The book: what stands where, and how far it could move."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.domain.book import Exposure, Holding, Place, book_lines, net_lines, shared, targets_of
from app.domain.leg_life import MAY_FILL
from messages.market import MarketType, Symbol
from messages.orders import LegState, Side
from messages.positions import BookLine, Position
from tests.domain.orders import BTC

ETH = Symbol(base="ETH", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
amounts = st.integers(0, 20).map(lambda n: Decimal(n) / 10)
exposures = st.lists(
    st.tuples(
        st.sampled_from(["bybit", "okx"]),
        st.sampled_from([BTC, ETH]),
        st.sampled_from(list(Side)),
        amounts,
        amounts,
        st.sampled_from(list(LegState)),
    ).map(
        lambda t: Exposure(
            exchange=t[0], symbol=t[1], side=t[2], quantity=max(t[3], t[4]), filled=min(t[3], t[4]), state=t[5]
        )
    ),
    max_size=12,
)


def position(exchange: str, quantity: str) -> Position:
    """A position in BTC."""
    return Position(
        exchange=exchange,
        symbol=BTC,
        quantity=Decimal(quantity),
        entry_price=None,
        mark_price=None,
        leverage=None,
        unrealised_pnl=None,
        at_s=1.0,
    )


def by_key(lines: tuple[BookLine, ...]) -> dict[tuple[str, Symbol], BookLine]:
    """Lines by exchange and symbol."""
    return {(line.exchange, line.symbol): line for line in lines}


def summed(legs: Iterable[Exposure]) -> dict[Place, Holding]:
    """What has filled of some legs, by exchange and symbol."""
    sums: dict[tuple[str, Symbol], Decimal] = {}
    for leg in legs:
        signed = leg.filled if leg.side is Side.BUY else -leg.filled
        sums[leg.exchange, leg.symbol] = sums.get((leg.exchange, leg.symbol), Decimal(0)) + signed
    return {place: Holding(attributed=quantity) for place, quantity in sums.items()}


@given(exposures)
def test_the_interval_holds_whatever_may_still_happen(legs: list[Exposure]) -> None:
    """Let any part of what is live or unproven fill: the position stays within the interval, and can reach its ends."""
    lines = by_key(book_lines(summed(legs), legs, {}, {}))
    assert set(lines) == {(leg.exchange, leg.symbol) for leg in legs}
    for (exchange, symbol), line in lines.items():
        here = [leg for leg in legs if (leg.exchange, leg.symbol) == (exchange, symbol)]
        signed = {Side.BUY: 1, Side.SELL: -1}
        proven = sum((signed[leg.side] * leg.filled for leg in here), Decimal(0))
        open_ = [leg for leg in here if leg.state in MAY_FILL]
        most = sum((leg.quantity - leg.filled for leg in open_ if leg.side is Side.BUY), Decimal(0))
        least = sum((leg.quantity - leg.filled for leg in open_ if leg.side is Side.SELL), Decimal(0))
        assert line.attributed == proven
        assert line.actual is None
        assert (line.possible_min, line.possible_max) == (proven - least, proven + most)
        assert line.possible_min <= line.attributed <= line.possible_max


@given(exposures)
def test_the_order_of_legs_does_not_matter(legs: list[Exposure]) -> None:
    """Lines come sorted, by exchange and symbol."""
    lines = book_lines(summed(legs), legs, {}, {})
    assert lines == book_lines(summed(legs), reversed(legs), {}, {})
    assert [(line.exchange, str(line.symbol)) for line in lines] == sorted(
        (line.exchange, str(line.symbol)) for line in lines
    )


def test_what_the_exchange_says_counts_and_silence_is_not_zero() -> None:
    """A read exchange without a position has none; one never read is unknown."""
    leg = Exposure(
        exchange="okx", symbol=BTC, side=Side.BUY, quantity=Decimal(2), filled=Decimal(1), state=LegState.OPEN
    )
    lines = by_key(book_lines(summed([leg]), [leg], {"bybit": (position("bybit", "-3"),)}, {"bybit": 1.0}))
    assert lines["bybit", BTC].actual == Decimal(-3)
    assert lines["bybit", BTC].attributed == 0
    assert (lines["bybit", BTC].at_s, lines["okx", BTC].at_s) == (1.0, None)
    assert (lines["bybit", BTC].possible_min, lines["bybit", BTC].possible_max) == (Decimal(-3), Decimal(-3))
    assert lines["okx", BTC].actual is None
    assert (lines["okx", BTC].possible_min, lines["okx", BTC].possible_max) == (Decimal(1), Decimal(2))
    read = by_key(book_lines(summed([leg]), [leg], {"okx": ()}, {"okx": 1.0}))
    assert read["okx", BTC].actual == 0
    assert read["okx", BTC].possible_max == 1


# ---- whose it is -----------------------------------------------------------------------------------------------------

tenths = st.integers(-30, 30).map(lambda n: Decimal(n) / 10)
holdings = st.builds(Holding, attributed=tenths, adopted=tenths, foreign=tenths)


@given(holdings, tenths, st.booleans())
def test_a_difference_is_shared_whole_and_only_cuts_what_is_ours(held: Holding, quantity: Decimal, first: bool) -> None:
    """Only the router opens or turns round a position of its own; what is known to have cut ours does so first."""
    ours, foreign = shared(held, quantity, ours_first=first)
    assert ours + foreign == quantity
    assert ours * held.ours <= 0
    assert abs(ours) <= abs(held.ours)
    if first and held.ours * quantity < 0:
        assert abs(ours) == min(abs(quantity), abs(held.ours))
    if not first and held.foreign * quantity < 0:
        assert ours == 0 or (held.foreign + foreign) * held.foreign <= 0, "what is foreign goes first"


@given(holdings)
def test_where_nothing_is_left_nothing_is_anybodys(held: Holding) -> None:
    """A liquidation of all there is leaves nothing of ours, and nothing beside it, where both went the same way."""
    if held.ours * held.foreign >= 0:
        ours, foreign = shared(held, -held.due, ours_first=True)
        assert held.ours + ours == held.foreign + foreign == 0


def test_targets_follow_the_policy() -> None:
    """What is ours goes where trading is, is closed, stays, or stands twice; what is foreign stays in any case."""
    held = {
        ("bybit", BTC): Holding(attributed=Decimal(2), foreign=Decimal(1)),
        ("okx", BTC): Holding(adopted=Decimal(1)),
    }
    bybit, okx = ("bybit", BTC), ("okx", BTC)
    assert targets_of(held, "track", "okx") == {bybit: Decimal(3), okx: Decimal(1)}
    assert targets_of(held, "migrate", "okx") == {bybit: Decimal(1), okx: Decimal(3)}
    assert targets_of(held, "flatten", "okx") == {bybit: Decimal(1), okx: Decimal(1)}
    assert targets_of(held, "mirror", "okx") == {bybit: Decimal(3), okx: Decimal(3)}
    assert targets_of(held, "migrate", None) == {bybit: Decimal(3), okx: Decimal(1)}, "nothing moves to nowhere"
    new = targets_of(held, "migrate", "binance")
    assert new == {bybit: Decimal(1), okx: Decimal(0), ("binance", BTC): Decimal(3)}


@given(exposures, st.sampled_from(["track", "migrate"]))
def test_the_net_is_the_sum_over_exchanges_and_moving_does_not_change_its_target(
    legs: list[Exposure], policy: str
) -> None:
    held = summed(legs)
    lines = book_lines(held, legs, {}, {}, targets_of(held, policy, "okx"))
    for net in net_lines(lines):
        same = [line for line in lines if line.symbol == net.symbol]
        assert net.exchange == ""
        assert net.attributed == sum(line.attributed for line in same)
        assert (net.possible_min, net.possible_max) == (
            sum(line.possible_min for line in same),
            sum(line.possible_max for line in same),
        )
        assert net.target == net.attributed
        assert net.actual is None
