"""What a pre-flight makes of one reading of an account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from attrs import define, evolve, field

from actors.connector_readiness import Preflights
from app.domain import calls as c
from app.domain.readiness import ORDERS_ILL_S, Found, Need, Verdict, asked_of, judge
from messages.account import AccountView, SymbolSettings
from messages.health import Evidence, EvidenceKind
from messages.market import Balance, Lots, MarginMode, MarketType, PositionMode, Symbol
from messages.orders import OrderSpec, OrderType, Side, Trigger, TriggerKind

D = Decimal
NOW_S = 1000.0
BTC = Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
ETH = Symbol(base="ETH", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
BTC_SPOT = Symbol(base="BTC", quote="USDT", settle=None, market_type=MarketType.SPOT)
LOTS = Lots(step=D("0.001"), minimum=D("0.001"), tick=D("0.1"), max_leverage=D(50))


@define
class Markets:
    """Some rules of an exchange."""

    lots_of: dict[Symbol, Lots] = field(factory=lambda: {BTC: LOTS, ETH: LOTS, BTC_SPOT: LOTS})
    refused: dict[str, str] = field(factory=dict)
    checked: list[OrderSpec] = field(factory=list)

    def tradable(self, symbol: str) -> str:
        """Why not."""
        return self.refused.get(symbol, "")

    def lots(self, symbol: Symbol) -> Lots | None:
        """Its steps."""
        return None if str(symbol) in self.refused else self.lots_of.get(symbol)

    def check(self, spec: OrderSpec) -> str:
        """Only of its minimum."""
        self.checked.append(spec)
        lots = self.lots_of[spec.symbol]
        return "" if spec.quantity >= lots.minimum else f"Quantity {spec.quantity} is below the minimum."


def order(quantity: str = "0.01", price: str | None = "30000", **rest: Any) -> OrderSpec:
    """A resting buy."""
    return OrderSpec(
        **{
            "symbol": BTC,
            "side": Side.BUY,
            "order_type": OrderType.LIMIT if price is not None else OrderType.MARKET,
            "quantity": D(quantity),
            "price": None if price is None else D(price),
            **rest,
        }
    )


def account(**rest: Any) -> c.AccountResult:
    """Ten thousand free, one-way, tenfold, a clock that is known well."""
    prices = rest.pop("prices", ((BTC, D(30000)),))
    balances = rest.pop("balances", ())
    values: dict[str, Any] = {
        "exchange": "okx",
        "position_mode": PositionMode.ONE_WAY,
        "free": D(10_000),
        "symbols": (SymbolSettings(symbol=BTC, leverage=D(10), margin_mode=MarginMode.CROSS),),
        "clock_offset_s": 0.02,
        "clock_error_s": 0.01,
        "at_s": NOW_S,
    }
    return c.AccountResult(account=AccountView(**values | rest), prices=prices, balances=balances)


def found(account: c.AccountResult | c.CallFailed, **rest: Any) -> Found:
    """At OKX."""
    return Found(**{"exchange": "okx", "market_type": MarketType.SWAP, "clock_error_s": 0.5, **rest}, account=account)


def verdict(need: Need, account_read: c.AccountResult | c.CallFailed | None = None, **rest: Any) -> Verdict:
    """What is said of OKX."""
    markets = rest.pop("markets", Markets())
    return judge(need, found(account() if account_read is None else account_read, **rest), markets, NOW_S)


def coins(**free: str) -> tuple[Balance, ...]:
    """Balances."""
    return tuple(
        Balance(exchange="okx", coin=coin, total=D(amount), free=D(amount), used=D(0), at_s=NOW_S)
        for coin, amount in free.items()
    )


BOOK = Need(symbols=("BTC/USDT:USDT",), orders=(order(), order(side=Side.SELL)), positions=((BTC, D("0.5")),))


def test_ready() -> None:
    """Nothing is wrong, and what is well is told."""
    said = verdict(BOOK)
    assert (said.problems, said.shortfalls) == ((), ())
    assert any("10000 of margin free" in note for note in said.notes)
    assert any("clock +0.020 s" in note for note in said.notes)


def test_nobody_answers() -> None:
    """Its own words, and no guess about the rest."""
    said = verdict(BOOK, c.CallFailed(code="timeout", words="okx did not answer within 5 s.", ill=True))
    assert said.problems == ("okx is not ready: okx did not answer within 5 s.",)
    assert said.shortfalls == ()


@pytest.mark.parametrize(
    ("error_s", "words"),
    [(None, "Nobody knows what time it is on okx"), (0.51, "known to 0.51 s only"), (0.5, ""), (0.0, "")],
)
def test_clock(error_s: float | None, words: str) -> None:
    """It must be known as well as proofs of absence take it to be."""
    problems = verdict(BOOK, account(clock_error_s=error_s)).problems
    assert len(problems) == bool(words)
    assert words in " ".join(problems)


def test_a_symbol_is_missing_or_settles_elsewhere() -> None:
    """The port's own sentence, once for each symbol, whoever needs it; nothing of its sizes or margin."""
    words = "okx has no BTC/USDT:USDT; its BTC/USD:USD settles in USD, which has to be allowed."
    said = verdict(BOOK, markets=Markets(refused={"BTC/USDT:USDT": words}))
    assert said.problems == (words,)
    assert said.shortfalls == ()
    assert [place for place, _ in said.refused] == [0, 1]
    only_open = evolve(BOOK, symbols=())
    assert verdict(only_open, markets=Markets(refused={"BTC/USDT:USDT": words})).problems == (words,)


@pytest.mark.parametrize("free", ["0", "-3"])
def test_nothing_to_trade_with(free: str) -> None:
    """Trading there would be refused at the first order."""
    assert verdict(Need(), account(free=D(free))).problems == (
        "okx has no free margin: add funds there, or close something.",
    )


def test_nothing_to_trade_with_on_spot() -> None:
    """There it is coins."""
    spot = {"market_type": MarketType.SPOT}
    empty = verdict(Need(), account(free=None, balances=coins(USDT="0")), **spot)
    assert empty.problems == ("okx has no free funds: add some there.",)
    assert verdict(Need(), account(free=None, balances=coins(USDT="1")), **spot).problems == ()


def test_orders_failed_lately() -> None:
    """That it answers a question proves nothing for orders; a while later it is given another chance."""
    failed = Evidence(
        exchange="okx", kind=EvidenceKind.PLACE, ok=False, words="no answer.", latency_s=5.0, at_s=NOW_S - 30
    )
    assert "failed: no answer." in verdict(BOOK, order_call=failed).problems[0]
    assert verdict(BOOK, order_call=evolve(failed, ok=True)).problems == ()
    assert verdict(BOOK, order_call=evolve(failed, at_s=NOW_S - ORDERS_ILL_S)).problems == ()
    assert verdict(BOOK, order_call=failed, silent_s=NOW_S - 34).problems == (), "all of it was out, and is back"
    before = verdict(BOOK, order_call=failed, silent_s=NOW_S - 36)
    assert "failed: no answer." in before.problems[0], "probes failed before it was sent, not since"


def test_position_mode() -> None:
    """A sale that closes in one mode opens in the other: only where both are known can they differ."""
    here = account(exchange="bybit").account
    hedged = account(position_mode=PositionMode.HEDGE)
    problems = verdict(evolve(BOOK, source=here), hedged).problems
    assert len(problems) == 1
    assert 'Set the position mode of okx to "one_way"' in problems[0]
    assert verdict(BOOK, hedged).problems == ()
    assert verdict(evolve(BOOK, source=here), account(position_mode=None)).problems == ()
    assert verdict(evolve(BOOK, source=here), account()).problems == ()


def test_orders_are_held_against_the_rules_as_they_would_be_placed() -> None:
    """Rounded to the steps there first, since carrying rounds them; what is too small then is told, and no problem."""
    coarse = Markets(lots_of={BTC: evolve(LOTS, step=D("0.01"), minimum=D("0.01"), tick=D("0.5"))})
    need = Need(orders=(order("0.0253", "30000.7"), order("0.003"), order("0.013", trigger=_stop("30000.3"))))
    said = verdict(need, markets=coarse)
    assert said.problems == ()
    assert [spec.quantity for spec in coarse.checked] == [D("0.02"), D("0.01")]
    assert coarse.checked[0].price == D("30000.5")
    assert coarse.checked[1].trigger == _stop("30000.5")  # of a buy: no sooner
    assert said.shortfalls == (
        "An order to buy 0.003 BTC/USDT:USDT could not be placed on okx: It is less than the step of 0.01.",
    )


def test_many_findings_of_a_kind_are_counted() -> None:
    """Nobody reads a hundred sentences."""
    coarse = Markets(lots_of={BTC: evolve(LOTS, minimum=D(1))})
    said = verdict(Need(orders=(order(),) * 12), account(free=D(10**9)), markets=coarse)
    assert len(said.shortfalls) == 6
    assert said.shortfalls[-1] == "So it is with 7 more."
    assert [place for place, _ in said.refused] == list(range(12))  # a dry run names each


@pytest.mark.parametrize(
    ("need", "free", "enough"),
    [
        (Need(positions=((BTC, D(1)),)), "3150", True),  # 30000 / 10, and a twentieth over
        (Need(positions=((BTC, D(1)),)), "3149", False),
        (Need(positions=((BTC, D(-1)),)), "3149", False),
        (Need(positions=((BTC, D(1)),), leverage=D(20)), "1575", True),
        (Need(positions=((BTC, D(1)),), leverage=D(100)), "629", False),  # it gives 50 at most
        (Need(positions=((BTC, D(1)),), orders=(order("1", "30000"),)), "6299", False),
        (Need(positions=((BTC, D(1)),), orders=(order("1", "30000", reduce_only=True),)), "3150", True),
        (Need(orders=(order("1", None),)), "3149", False),  # at the price read
        (Need(orders=(order("1", None),)), "3150", True),
    ],
)
def test_margin(need: Need, free: str, enough: bool) -> None:
    """Worth over leverage, and a little over; of what opens something."""
    said = verdict(need, account(free=D(free)))
    assert said.problems == ()
    assert ("what does not fit is parked" not in " ".join(said.shortfalls)) is enough


def test_margin_by_the_leverage_of_the_account_it_comes_from() -> None:
    """That is what a position is opened with, unless one is configured."""
    here = account(symbols=(SymbolSettings(symbol=BTC, leverage=D(5), margin_mode=MarginMode.CROSS),)).account
    need = Need(positions=((BTC, D(1)),), source=here)
    assert "about 6300" in verdict(need, account(free=D(6299))).shortfalls[0]
    assert verdict(need, account(free=D(6300))).shortfalls == ()
    assert verdict(need).settings == {BTC: D(5)}
    assert verdict(evolve(need, leverage=D(10)), account(free=D(3150))).shortfalls == ()


def test_margin_where_no_leverage_is_told() -> None:
    """A cross margin without one asks for what the market asks for at least."""
    cross = (SymbolSettings(symbol=BTC, leverage=None, margin_mode=MarginMode.CROSS),)
    need = Need(positions=((BTC, D(1)),))
    assert verdict(need, account(free=D(630), symbols=cross)).shortfalls == ()
    assert verdict(need, account(free=D(629), symbols=cross)).shortfalls != ()


def test_a_price_that_nobody_knows() -> None:
    """It is said, and not taken for nothing."""
    said = verdict(Need(positions=((ETH, D(1)),)))
    assert said.shortfalls == (
        "Nobody knows what margin ETH/USDT:USDT would take on okx: its price there is not known in dollars.",
    )


def test_leverage_beyond_the_markets() -> None:
    """Told with both numbers."""
    said = verdict(Need(positions=((BTC, D("0.01")),), leverage=D(75)))
    assert said.shortfalls == (
        "okx gives BTC/USDT:USDT a leverage of 50 at most, where 75 is wanted: the position takes more margin there.",
    )


def test_inventory() -> None:
    """Spot: what is sold has to be there, and what pays for what is bought."""
    need = Need(
        orders=(
            order("0.2", symbol=BTC_SPOT, side=Side.SELL),
            order("0.3", symbol=BTC_SPOT, side=Side.SELL),
            order("0.1", "20000", symbol=BTC_SPOT),
        )
    )
    spot = {"market_type": MarketType.SPOT}
    rich = account(free=None, balances=coins(BTC="0.5", USDT="2000"))
    assert verdict(need, rich, **spot).shortfalls == ()
    poor = account(free=None, balances=coins(BTC="0.4", USDT="1999"))
    assert verdict(need, poor, **spot).shortfalls == (
        "okx has 0.4 BTC free, and the orders that would move there need 0.5: what does not fit is parked.",
        "okx has 1999 USDT free, and the orders that would move there need 2000: what does not fit is parked.",
    )


def test_what_is_asked_for_is_bounded() -> None:
    """Settings of what would be opened, prices of what has none of its own; positions first, and no more than fits."""
    many = tuple(Symbol(base=f"C{n}", quote="USDT", settle="USDT", market_type=MarketType.SWAP) for n in range(40))
    need = Need(positions=tuple((symbol, D(1)) for symbol in many[1:]), orders=(order(), order(symbol=ETH, price=None)))
    settings, priced = asked_of(need)
    assert (len(settings), len(priced)) == (c.MAX_SYMBOLS, c.MAX_PRICED)
    few = Need(positions=((BTC, D(0)),), orders=(order(symbol=ETH, price=None), order(reduce_only=True)))
    assert asked_of(few) == ((ETH,), (ETH,))
    assert asked_of(Need(orders=(order(symbol=BTC_SPOT),))) == ((), ())


def _stop(price: str) -> Trigger:
    return Trigger(kind=TriggerKind.STOP, price=D(price))


def test_an_order_that_fails_before_probes_are_answered_again_is_of_the_same_outage() -> None:
    """Such as a cancel that is tried until the exchange is back: the last one fails after the last probe."""
    preflights = Preflights("okx", runner=None, market_type=MarketType.SWAP)  # type: ignore[arg-type]
    seen = Evidence(exchange="okx", kind=EvidenceKind.SIGNED_PROBE, ok=False, words="gone.", latency_s=0.0, at_s=1.0)
    cancel = evolve(seen, kind=EvidenceKind.CANCEL, at_s=2.0)
    preflights.observed((seen, cancel))
    assert preflights._silent_s == 2.0
    preflights.observed((evolve(seen, ok=True, at_s=3.0), evolve(cancel, at_s=4.0)))
    assert preflights._silent_s == 2.0, "probes are answered, and orders alone fail"
