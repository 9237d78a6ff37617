"""Binance's codes: what each is read as, and that nothing that may have executed is read as refused.

The words of every code are those in the comments of ccxt's own tables, read from its source: one for all markets, one
for spot and one for futures, of which ccxt uses the latter two on Binance's own addresses only.
"""

import inspect
import re
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from app.domain.calls import Ambiguous, Amended, CallFailed, CancelTooLate, NotExecuted, Refused, SettingMade
from app.exchanges import outcomes
from app.exchanges.factory import profile_of
from app.exchanges.outcomes import Failure, Meaning, Row
from app.exchanges.profiles.base import class_names
from app.exchanges.profiles.binance import Binance
from app.exchanges.profiles.binance_shapes import STATES, gone
from messages.market import MarketType
from messages.orders import LegState

SWAP, SPOT = MarketType.SWAP, MarketType.SPOT
CLIENTS: dict[MarketType, Any] = {SWAP: ccxt.binanceusdm(), SPOT: ccxt.binance()}
SECTION = {SWAP: "linear", SPOT: "spot"}
_SOURCE = inspect.getsource(ccxt.binance)
LEFT_OPEN = re.compile(
    r"time ?out|status unknown|unknown error|try again|server error|internal error|unexpected response|busy|pending"
    r"|abnormality|is triggering",
    re.IGNORECASE,
)
"""Words that leave open what happened."""
CLEAR = {
    (SWAP, "-1008"): "the documentation of the futures says that the request failed for certain",
    (SWAP, "-4400"): "a ban on all but reduce-only orders, to be tried again later",
    (SWAP, "-4531"): "a change of the position mode, to be tried again with nothing open",
}
"""Codes whose words sound so and yet say that nothing was executed, and why."""
NEVER_ASKED = re.compile(r"^-(3\d{3}|[4-9]\d{3}|1\d{4}|2\d{4})$")
"""Spot's codes of margin loans, withdrawals, sub-accounts, savings and the like, whose endpoints are never asked."""


def words_of(section: str) -> dict[str, str]:
    """Comments of one of ccxt's tables, by code."""
    begin = (
        _SOURCE.index(f"'{section}': {{", _SOURCE.index("'exceptions': {"))
        if section
        else _SOURCE.index("# error codes to cover ALL market types")
    )
    end = _SOURCE.find("'inverse': {" if section == "linear" else "'linear': {", begin + 1) if section else len(_SOURCE)
    return dict(re.findall(r"^ +'(-?\d+)': \w+,  # (.+)$", _SOURCE[begin:end], re.MULTILINE))


WORDS = {market: {**words_of(""), **words_of(section)} for market, section in SECTION.items()}
TABLES: dict[MarketType, dict[str, Any]] = {
    market: {**CLIENTS[market].exceptions["exact"], **CLIENTS[market].exceptions[SECTION[market]]["exact"]}
    for market in SECTION
}
CODES = [
    (market, code)
    for market, table in TABLES.items()
    for code in sorted({*table, *profile_of("binance", market).codes})
    if re.fullmatch(r"-?\d+", code) and not (market is SPOT and NEVER_ASKED.match(code))
]


def failure(market: MarketType, code: str) -> Failure:
    """A failed call with a code of Binance's, as ccxt knows it."""
    known = profile_of("binance", market)().known_as(CLIENTS[market], code)
    kinds = known or class_names(ccxt.ExchangeError)
    return Failure(exchange="binance", sent=True, kinds=kinds, known_as=known, native_code=code, http_status=400)


def row(market: MarketType, code: str, words: str = "") -> Row:
    """What a code is read as."""
    profile = profile_of("binance", market)()
    return profile.row_of(code, words) or outcomes.explain(failure(market, code), profile.codes)


def placed(market: MarketType, code: str, words: str = "") -> Refused | NotExecuted | Ambiguous:
    """What a placement that was answered so is."""
    return outcomes.placement(failure(market, code), row(market, code, words))


def test_ccxts_tables_are_read() -> None:
    """Otherwise the tests below look at nothing."""
    assert len(CODES) > 250
    assert "recvWindow" in WORDS[SWAP]["-5028"]
    assert "archived" in WORDS[SPOT]["-2026"]


@pytest.mark.parametrize(("market", "code"), CODES)
def test_what_leaves_open_whether_an_order_executed_is_ambiguous(market: MarketType, code: str) -> None:
    """Whatever class ccxt has for it."""
    words = WORDS[market].get(code, "")
    if LEFT_OPEN.search(words) and (market, code) not in CLEAR:
        assert isinstance(placed(market, code), Ambiguous), words


@pytest.mark.parametrize("market", list(SECTION))
@pytest.mark.parametrize("code", ["-9999", "-1999", "-4999", "77"])
def test_an_unknown_code_is_ambiguous(market: MarketType, code: str) -> None:
    """For a placement; a cancel, change or setting with it has simply failed."""
    failed, read = failure(market, code), row(market, code)
    assert isinstance(outcomes.placement(failed, read), Ambiguous)
    assert isinstance(outcomes.cancellation(failed, read), CallFailed)
    assert isinstance(outcomes.amendment(failed, read), CallFailed)
    assert isinstance(outcomes.setting(failed, read), CallFailed)


@pytest.mark.parametrize("market", list(SECTION))
def test_a_rejection_in_words_nobody_has_listed_proves_nothing(market: MarketType) -> None:
    """-2010 may be a duplicate in other words; -2011 may be a cancel that was refused while the order rests."""
    assert isinstance(placed(market, "-2010", "The id was seen before."), Ambiguous)
    assert isinstance(placed(market, "-2010"), Ambiguous)
    duplicate = placed(market, "-2010", "Duplicate order sent.")
    assert isinstance(duplicate, Ambiguous)
    assert duplicate.duplicate
    for words, kind in (
        ("Unknown order sent.", CancelTooLate),
        ("This action is disabled on this account.", CallFailed),
        ("", CallFailed),
    ):
        assert isinstance(outcomes.cancellation(failure(market, "-2011"), row(market, "-2011", words)), kind)


def test_the_words_of_a_rejection_are_read() -> None:
    """As the documentation of spot lists them."""
    for words, code in (
        ("Account has insufficient balance for requested action.", "insufficient_funds"),
        ("Order would immediately match and take.", "would_take"),
        ("Order would trigger immediately.", "would_trigger"),
        ("Stop loss orders are not supported for this symbol.", "invalid_order"),
        ("Price * QTY is zero or less.", "invalid_quantity"),
        ("The relationship of the prices for the orders is not correct.", "invalid_price"),
    ):
        answer = placed(SPOT, "-2010", words)
        assert isinstance(answer, Refused)
        assert answer.code == code
    for words, code in (
        ("Filter failure: MARKET_LOT_SIZE", "invalid_quantity"),
        ("Filter failure: PERCENT_PRICE_BY_SIDE", "invalid_price"),
        ("Filter failure: NOTIONAL", "below_minimum"),
        ("Filter failure: MAX_NUM_ALGO_ORDERS", "too_many_orders"),
        ("Filter failure: MAX_POSITION", "position_limit"),
    ):
        answer = placed(SPOT, "-1013", words)
        assert isinstance(answer, Refused)
        assert answer.code == code
    for words in ("Market is closed.", "This account may not place or cancel orders."):
        assert isinstance(placed(SPOT, "-2010", words), NotExecuted)
    failed = failure(SPOT, "-2038")
    same = row(SPOT, "-2038", "The requested action would change no state; rejecting")
    assert outcomes.amendment(failed, same) == Amended(report=None)


@pytest.mark.parametrize("code", ["-4116", "-20132", "-4115"])
def test_a_duplicate_is_there_to_be_found(code: str) -> None:
    """Also of the service for triggers: -20132 is a bad request to ccxt."""
    answer = placed(SWAP, code)
    assert isinstance(answer, Ambiguous)
    assert answer.duplicate


@pytest.mark.parametrize("code", ["-4046", "-4059", "-4171"])
def test_a_setting_that_is_so_already_is_made(code: str) -> None:
    """To ccxt an operation that was rejected."""
    assert outcomes.setting(failure(SWAP, code), row(SWAP, code)) == SettingMade(changed=False)


@pytest.mark.parametrize(
    ("code", "swap", "spot"),
    [
        ("-2021", Meaning.REFUSED, Meaning.AMBIGUOUS),
        ("-2022", Meaning.REFUSED, Meaning.AMBIGUOUS),
        ("-1008", Meaning.NOT_EXECUTED, Meaning.AMBIGUOUS),
    ],
)
def test_one_number_means_another_thing_on_spot(code: str, swap: Meaning, spot: Meaning) -> None:
    """There the first two answer a replacement, and nobody says that an overloaded server did nothing."""
    assert (row(SWAP, code).meaning, row(SPOT, code).meaning) == (swap, spot)


@pytest.mark.parametrize("market", list(SECTION))
def test_a_key_that_is_refused_says_nothing_of_the_order_and_everything_of_the_exchange(market: MarketType) -> None:
    """-2015 is a rate limit to ccxt, once the key has worked."""
    answer = placed(market, "-2015")
    assert isinstance(answer, NotExecuted)
    assert (answer.code, answer.ill) == ("not_authenticated", True)


@pytest.mark.parametrize("market", list(SECTION))
def test_every_row_has_its_source(market: MarketType) -> None:
    """An address, ccxt's table, or an honest word."""
    codes = profile_of("binance", market).codes
    assert all(each.source for each in codes.values())
    assert len(codes) > 150


def answered(status: str, filled: str, **more: str) -> dict[str, object]:
    """What futures answer to a placement, by the models of the exchange's own client."""
    shown: dict[str, object] = {"orderId": 22542179, "symbol": "BTCUSDT", "status": status, "clientOrderId": "w"}
    return shown | {"price": "0.00", "origQty": "0.020", "executedQty": filled, "cumQty": filled} | more


@pytest.mark.parametrize("status", ["FILLED", "EXPIRED"])
def test_an_answer_that_leaves_out_the_price_of_what_ended_is_looked_up(status: str) -> None:
    """Taken for the last word, it would leave the order without an average price for ever."""
    row = Binance().placed_row(answered(status, "0.010"))
    assert (row.state, row.filled, row.ended) == (LegState.OPEN, None, True)
    told = Binance().placed_row(answered(status, "0.010", avgPrice="27000.5"))
    assert (told.state, told.filled, told.ended) == (STATES[status], Decimal("0.010"), False)
    assert told.average_price == Decimal("27000.5")
    nothing = Binance().placed_row(answered(status, "0"))
    assert (nothing.state, nothing.filled, nothing.ended) == (STATES[status], Decimal(0), False)
    assert gone(answered("CANCELED", "0.010"), "w") is None
    assert gone(answered("CANCELED", "0.010", avgPrice="27000.5"), "w") is not None
