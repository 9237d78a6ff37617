"""What others do to positions is found on the exchanges, adopted, told, and undone only where that is wanted.

Over real HTTP: a person trades on the account, a position is liquidated, a stop fires that went along with an order.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import OrderRefused, OrderRouter
from app.journal.store import Journal
from app.journal.verify import verify
from messages.positions import Difference, DifferenceKind
from tests.e2e.world import Answered, Heard, World, move_to, of_order, place, until

EXCHANGES = ("bybit", "okx", "binance", "kraken")
SETTINGS = {"sync_interval_s": 0.5, "policy": "track", "reduce_only_across_exchanges": True}


class _World(World):
    """Kraken's futures settle in dollars."""

    def account(self, name: str) -> dict[str, Any]:
        """As everywhere else, and that is allowed."""
        return super().account(name) | ({"allow_settlement_change": True} if name == "kraken" else {})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All four, positions read twice a second."""
    with _World(EXCHANGES, tmp_path_factory.mktemp("book"), positions=SETTINGS) as world:
        yield world


@pytest.fixture(scope="module")
def router(world: World) -> Iterator[OrderRouter]:
    """A router on it."""
    with world.running() as router:
        yield router


@pytest.fixture(scope="module")
def journal(world: World, router: OrderRouter) -> Iterator[Journal]:
    """Its journal, read beside it."""
    journal = Journal(world.state_dir / JOURNAL_NAME, make=False)
    yield journal
    journal.close()


def differences(journal: Journal, exchange: str, symbol: str) -> list[Difference]:
    """What was adopted of a symbol."""
    return [each for each in journal.adjusted() if (each.exchange, str(each.symbol)) == (exchange, symbol)]


def use(router: OrderRouter, exchange: str) -> None:
    """Moves trading there, unless it is."""
    move_to(router, exchange)


def settle(exchange: str, base: str) -> str:
    """A market as its simulator names it."""
    return f"{base}/USD:USD" if exchange == "kraken" else f"{base}/USDT:USDT"


def buy(router: OrderRouter, name: str, base: str, qty: str, **asked: Any) -> None:
    """Buys at the market."""
    bought = place(router, name, symbol=f"{base}USDT", order_type="Market", price=None, qty=qty, **asked)
    assert bought.order is not None, bought


def line(router: OrderRouter, exchange: str, base: str) -> dict[str, Any]:
    """Of the book, as the status tells it."""
    found = [e for e in router.get_status()["book"] if (e["exchange"], e["symbol"]) == (exchange, f"{base}USDT")]
    return dict(found[0]) if found else {}


def stands(router: OrderRouter, exchange: str, base: str, quantity: Decimal) -> None:
    """Waits until the book has a position."""
    until(lambda: Decimal(line(router, exchange, base).get("actual") or 0) == quantity, means=f"{quantity} {base}")


def adopted(journal: Journal, exchange: str, base: str, number: int) -> list[Difference]:
    """What was adopted, once there is so much of it."""
    symbol = f"{base}/USDT:USDT"
    return until(
        lambda: found if len(found := differences(journal, exchange, symbol)) >= number else None, means="adoption"
    )


def test_a_persons_trades_are_adopted_on_every_exchange(world: World, router: OrderRouter, journal: Journal) -> None:
    """With the trade as evidence; what cut our own position is ours, what stands beside it is not."""
    for exchange in EXCHANGES:
        use(router, exchange)
        buy(router, f"eth-{exchange}", "ETH", "1")
    for exchange in EXCHANGES:
        world[exchange].control.trade(settle(exchange, "ETH"), "sell", "0.4")
    for exchange in EXCHANGES:
        [found] = adopted(journal, exchange, "ETH", 1)
        assert (found.kind, found.quantity, found.ours) == (DifferenceKind.PERSON, Decimal("-0.4"), Decimal("-0.4"))
        assert "an order that is not the router's" in found.words
        assert "trade" in found.words
    for exchange in EXCHANGES:
        world[exchange].control.trade(settle(exchange, "ETH"), "buy", "0.7")
    for exchange in EXCHANGES:
        found = adopted(journal, exchange, "ETH", 2)[1]
        assert (found.quantity, found.ours) == (Decimal("0.7"), Decimal(0))
        stands(router, exchange, "ETH", Decimal("1.3"))


def test_what_the_router_does_itself_is_no_difference(world: World, router: OrderRouter, journal: Journal) -> None:
    """Fills beside readings, one after the other: nothing is adopted, and the book adds up."""
    for exchange in EXCHANGES:
        use(router, exchange)
        for number in range(12):
            side = "Buy" if number % 3 else "Sell"
            done = place(
                router,
                f"sol-{exchange}-{number}",
                symbol="SOLUSDT",
                side=side,
                order_type="Market",
                price=None,
                qty="1",
            )
            assert done.order is not None
    for exchange in EXCHANGES:
        stands(router, exchange, "SOL", Decimal(4))
        assert differences(journal, exchange, "SOL/USDT:USDT") == []


def test_a_stop_that_went_along_with_an_order_is_told_as_that(
    world: World, router: OrderRouter, journal: Journal
) -> None:
    """Bybit lists what it was; on OKX it is told by its level."""
    for exchange in ("bybit", "okx"):
        use(router, exchange)
        price = Decimal(router.get_market_data("XRPUSDT")["lastPrice"])
        buy(router, f"xrp-{exchange}", "XRP", "100", stop_loss=str(round(price * Decimal("0.9"), 3)))
        stands(router, exchange, "XRP", Decimal(100))
        world[exchange].control.price(settle(exchange, "XRP"), price * Decimal("0.89"))
        [found] = adopted(journal, exchange, "XRP", 1)
        assert (found.kind, found.ours) == (DifferenceKind.STOP, Decimal(-100)), found.words


def test_a_position_elsewhere_is_reduced_without_the_flag_and_never_turned_round(
    world: World, router: OrderRouter, journal: Journal
) -> None:
    """Six at once, each for half of what stands on the exchange that was left: two are placed, and four refused."""
    use(router, "bybit")
    buy(router, "btc", "BTC", "0.02")
    use(router, "okx")

    def reduce(number: int) -> Answered:
        asked = {"side": "Sell", "order_type": "Market", "price": None, "qty": "0.01", "reduce_only": True}
        return place(router, f"reduce-{number}", **asked)

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(reduce, range(6)))
    placed = [each for each in answers if each.order is not None]
    refused = [each.error for each in answers if each.order is None]
    assert len(placed) == 2, answers
    assert all(isinstance(error, OrderRefused) and "can still be sold to reduce" in str(error) for error in refused)
    books = world.books()
    for each in placed:
        [(exchange, order)] = of_order(books, journal.journal_id, "default", each.client_order_id)
        assert (exchange, order["reduce_only"], Decimal(order["filled"])) == ("okx", False, Decimal("0.01"))
    stands(router, "bybit", "BTC", Decimal("0.02"))
    stands(router, "okx", "BTC", Decimal("-0.02"))


def test_a_liquidation_is_told_before_and_after(world: World, router: OrderRouter, journal: Journal) -> None:
    """Near it, an alarm; then what was liquidated is adopted as that, and the stream tells of both."""
    use(router, "bybit")
    control = world["bybit"].control
    heard = Heard(router)
    try:
        price = Decimal(router.get_market_data("ADAUSDT")["lastPrice"])
        wealth = Decimal(control.truth()["balance"]["USDT"])
        router.set_leverage("ADAUSDT", 10)
        qty = (wealth * 6 / price).quantize(Decimal(1000))
        buy(router, "ada", "ADA", str(qty))
        control.price("ADA/USDT:USDT", round(price * Decimal("0.9"), 4))
        found = until(lambda: [a for a in router.get_status()["position_alarms"] if a["code"] == "near_liquidation"])
        assert "from its liquidation" in found[0]["words"], found
        control.price("ADA/USDT:USDT", round(price * Decimal("0.8"), 4))
        [gone] = adopted(journal, "bybit", "ADA", 1)
        assert (gone.kind, gone.ours) == (DifferenceKind.LIQUIDATION, -qty), gone.words
        until(lambda: router.get_status()["position_alarms"] == [], means="the alarm's end")
        told = until(
            lambda: [e for e in heard.kinds("position_difference") if e["difference"]["cause"] == "liquidation"]
        )
        assert Decimal(told[0]["difference"]["ours"]) == -qty
        until(lambda: [e["over"] for e in heard.kinds("position_alarm")] == [False, True], means="both alarms")
    finally:
        heard.close()


def test_the_journal_is_proven(world: World, journal: Journal) -> None:
    """With all that was adopted in it."""
    assert verify(world.state_dir / JOURNAL_NAME).findings == ()
