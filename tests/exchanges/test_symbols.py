"""Names of exchanges, spellings of symbols, and the markets they are."""

from decimal import Decimal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app.domain.names import CANONICAL, EXCHANGES, UnknownExchange, canonical_name
from app.domain.symbols import QUOTES, InvalidSymbol, parse_symbol
from app.exchanges.clock_offset import ClockOffset
from app.exchanges.factory import PROFILES, build_port
from app.exchanges.known import known_name
from app.exchanges.settings import Credentials, ExchangeSettings
from app.exchanges.sizes import SizeRules
from app.exchanges.symbols import Market, MarketTable, NotTradable, read_markets
from messages.market import MarketType, Symbol

COINS = st.from_regex(r"[A-Z0-9]{2,10}", fullmatch=True)
SWAP = MarketType.SWAP


def swap(base: str, quote: str, settle: str | None = None) -> Symbol:
    """A swap."""
    return Symbol(base=base, quote=quote, settle=settle or quote, market_type=SWAP)


@pytest.mark.parametrize("text", ["BTCUSDT", "BTC/USDT", "BTC/USDT:USDT", " btcusdt "])
def test_every_spelling_is_one_symbol(text: str) -> None:
    """As a swap; on spot without settlement coin."""
    assert parse_symbol(text, SWAP) == swap("BTC", "USDT")
    if ":" not in text:
        spot = parse_symbol(text, MarketType.SPOT)
        assert (spot.base, spot.quote, spot.settle) == ("BTC", "USDT", None)


@given(base=COINS, quote=COINS, settle=COINS)
def test_a_symbol_reads_back_from_its_own_spelling(base: str, quote: str, settle: str) -> None:
    """`str` and `parse_symbol` are inverse."""
    if base == quote:
        return
    symbol = swap(base, quote, settle)
    assert parse_symbol(str(symbol), SWAP) == symbol


@given(base=COINS, quote=st.sampled_from(QUOTES))
def test_a_compact_spelling_ends_in_a_quote_coin(base: str, quote: str) -> None:
    """Whatever it is split into spells the same."""
    try:
        symbol = parse_symbol(base + quote, SWAP)
    except InvalidSymbol:
        assert base == quote or base + quote in {q + q for q in QUOTES}
        return
    assert symbol.base + symbol.quote == base + quote
    assert symbol.quote in QUOTES


@given(text=st.text(max_size=30))
def test_anything_else_is_refused_in_one_sentence(text: str) -> None:
    """No other exception."""
    words = ""
    try:
        parse_symbol(text, SWAP)
    except InvalidSymbol as refusal:
        words = str(refusal)
    assert words == "" or words.endswith(".")


@pytest.mark.parametrize("text", ["", "BTC", "/USDT", "BTC/", "BTC/USDT:", "BTCUSDT:USDT", "BTC-USDT", "USDT", "A/A"])
def test_what_is_no_symbol(text: str) -> None:
    """Examples."""
    with pytest.raises(InvalidSymbol):
        parse_symbol(text, SWAP)


def test_spot_settles_in_nothing() -> None:
    """And says what would be right."""
    with pytest.raises(InvalidSymbol, match="use BTC/USDT"):
        parse_symbol("BTC/USDT:USDT", MarketType.SPOT)


def test_names() -> None:
    """Every accepted name leads to an exchange that has a profile."""
    assert canonical_name("bybit_v5") == canonical_name(" Bybit ") == "bybit"
    assert set(CANONICAL.values()) == set(EXCHANGES) == {name for name, _ in PROFILES}
    with pytest.raises(UnknownExchange, match="must be one of"):
        canonical_name("mt gox")
    with pytest.raises(UnknownExchange, match="must be one of"):
        known_name("mtgox")
    with pytest.raises(UnknownExchange):
        build_port(ExchangeSettings(name="mtgox"), Credentials(api_key="", secret=""), lambda: 0.0)


def test_credentials_hide() -> None:
    """However they are shown."""
    credentials = Credentials(api_key="the-key", secret="the-secret", password="the-password")
    for shown in (repr(credentials), str(credentials), f"{credentials}", repr([credentials])):
        assert "the-" not in shown


def market(symbol: Symbol, native_id: str, *, active: bool = True) -> Market:
    """A market."""
    rules = SizeRules(step=Decimal(1), tick=Decimal(1))
    return Market(symbol=symbol, native_id=native_id, unified=str(symbol), rules=rules, active=active)


USD, USDT = market(swap("BTC", "USD"), "PF_XBTUSD"), market(swap("ETH", "USDT"), "ETHUSDT")


def test_what_was_asked_for_is_what_is_spoken_of() -> None:
    """Books add up over exchanges that settle in different coins, while that is allowed."""
    table = MarketTable("kraken", [USD, USDT], allow_settlement_change=True)
    assert table.spoken("PF_XBTUSD") == swap("BTC", "USDT")
    assert table.find(swap("BTC", "USD")) is USD
    assert table.spoken("PF_XBTUSD") == swap("BTC", "USD")
    assert table.find(swap("BTC", "USDC")) is USD
    assert table.spoken("PF_XBTUSD") == swap("BTC", "USDC")
    assert table.spoken("ETHUSDT") == swap("ETH", "USDT")
    assert table.spoken("other") is None
    assert table.settlement_coins == ("USD", "USDT")


def test_a_change_of_settlement_has_to_be_allowed() -> None:
    """And the sentence says how."""
    table = MarketTable("kraken", [USD], allow_settlement_change=False)
    with pytest.raises(NotTradable, match="allow_settlement_change"):
        table.find(swap("BTC", "USDT"))
    assert table.spoken("PF_XBTUSD") == swap("BTC", "USD")
    with pytest.raises(NotTradable, match="no linear swap"):
        table.find(swap("BTC", "USDT", "BTC"))


def test_a_market_that_is_closed_is_not_tradable() -> None:
    """Nor is spot."""
    table = MarketTable("x", [market(swap("BTC", "USDT"), "B", active=False)], allow_settlement_change=False)
    with pytest.raises(NotTradable, match="at the moment"):
        table.find(swap("BTC", "USDT"))
    with pytest.raises(NotTradable, match="configured for swap"):
        table.find(parse_symbol("BTCUSDT", MarketType.SPOT))


@given(
    skew_s=st.floats(-1000, 1000),
    trips=st.lists(st.tuples(st.floats(0.001, 0.2), st.floats(0, 1)), min_size=1, max_size=30),
)
def test_the_clock_offset_errs_by_less_than_half_a_round_trip(skew_s: float, trips: list[tuple[float, float]]) -> None:
    """However the delay is shared between the ways."""
    offset = ClockOffset()
    now_s = 1e9
    for trip_s, share in trips:
        offset.measured(now_s, now_s + trip_s * share + skew_s, now_s + trip_s)
        now_s += 1
    assert abs(offset.value_s - skew_s) <= max(trip_s for trip_s, _ in trips[-9:]) / 2 + 1e-3


def test_one_bad_measurement_does_not_move_the_offset() -> None:
    """The median of those with the shorter round trips stands."""
    offset = ClockOffset()
    for _ in range(5):
        offset.measured(100.0, 102.005, 100.01)
    offset.measured(100.0, 150.0, 103.0)
    assert offset.value_s == pytest.approx(2.0)


@pytest.mark.parametrize("size", [None, "", "0", "-1", "NaN"])
def test_a_contract_whose_size_is_not_told_is_not_traded(size: str | None) -> None:
    """One BTC would become one contract, of a hundredth or of a million."""
    raw = {
        **dict.fromkeys(("swap", "linear"), True),
        **dict.fromkeys(("quote", "settle"), "USDT"),
        "base": "BTC",
        "id": "B",
        "symbol": "BTC/USDT:USDT",
        "precision": {"amount": "1", "price": "0.1"},
        "contractSize": "0.01",
        "limits": {"amount": {}, "cost": {}},
    }
    with structlog.testing.capture_logs() as told:
        assert read_markets([{**raw, "contractSize": size}], "okx") == []
    assert [(line["event"], line["names"]) for line in told] == [("markets.unreadable", ["'BTC/USDT:USDT'"])]
    (market,) = read_markets([raw], "okx")
    assert market.rules.contract_size == Decimal("0.01")
