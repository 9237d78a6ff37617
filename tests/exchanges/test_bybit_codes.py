"""Bybit's codes: what each is read as, and that nothing that may have executed is read as refused.

The words of every code are those in the comments of ccxt's own table, read from its source, and, where its table lacks
a code, those of Bybit's documentation.
"""

import inspect
import re

import ccxt
import pytest

from app.domain.calls import Ambiguous, Amended, AmendRefused, CallFailed, CancelTooLate, SettingMade
from app.exchanges import outcomes
from app.exchanges.codes.bybit import CODES
from app.exchanges.outcomes import Failure, Meaning, Row
from app.exchanges.profiles.base import class_names
from app.exchanges.profiles.bybit import Bybit

CLIENT = ccxt.bybit()
EXACT = CLIENT.exceptions["exact"]
WORDS = dict(re.findall(r"^ +'(-?\d+)': \w+,  # (.+)$", inspect.getsource(ccxt.bybit), re.MULTILINE))
DOCUMENTED = {
    "-1": "request expired: o@0, now[] diff[]",
    "429": "The trading service is experiencing a high server load. Please retry if you encounter this issue.",
    "10000": "Server Timeout",
    "10019": "Trade service is restarting",
    "40004": "the order is modified during the process of replacing , please check the order status again",
    "110079": "The order is processing and can not be operated, please try again later",
    "170212": "Cancel order request processing",
    "170310": "Order modification timeout",
    "170311": "Order modification failed",
    "3400214": "Server error, please try again later",
}
"""https://bybit-exchange.github.io/docs/v5/error: codes ccxt's table lacks, whose words leave open what happened."""
LEFT_OPEN = re.compile(
    r"time ?out|processing|try again|server error|internal error|system error|network error|restarting"
    r"|order failed|modification failed|has been locked|not completed|please check the order status|retry",
    re.IGNORECASE,
)
"""Words that leave open what happened."""
CLEAR = {
    "-1197": "too large, and to be sent again smaller",
    "10018": "a limit of requests: turned away at the gate",
    "10006": "a limit of requests: turned away at the gate",
    "30035": "a limit of requests: turned away at the gate",
    "110016": "a limit of risk, to be changed before trying again",
    "110040": "the order would be liquidated, and is to be sent anew",
    "140016": "a limit of risk, to be changed before trying again",
    "170197": "too large, and to be sent again smaller",
    "170198": "too large, and to be sent again smaller",
    "170199": "too large, and to be sent again smaller",
    "170200": "too large, and to be sent again smaller",
}
"""Codes whose words sound so and yet say that nothing was executed, and why."""
ELSEWHERE = ("13", "175", "176")
"""Codes of assets, leveraged tokens and loans begin so; nothing of that is ever asked for."""


def failure(code: str) -> Failure:
    """A failed call with a code of Bybit's, as ccxt knows it."""
    known = class_names(EXACT.get(code))
    return Failure(exchange="bybit", sent=True, kinds=known, known_as=known, native_code=code, http_status=200)


def row(code: str, words: str = "") -> Row:
    """What a code is read as."""
    return Bybit().row_of(code, words) or outcomes.explain(failure(code), CODES)


def test_the_words_of_ccxts_table_are_read() -> None:
    """Otherwise the tests below look at nothing."""
    assert len(WORDS) > 300
    assert "timeout" in WORDS["170146"]


@pytest.mark.parametrize("code", sorted({*EXACT, *DOCUMENTED, *CODES}))
def test_what_leaves_open_whether_an_order_executed_is_ambiguous(code: str) -> None:
    """Whatever class ccxt has for it: 170146, a timeout of the creation, is an invalid order to it."""
    words = DOCUMENTED.get(code) or WORDS.get(code, "")
    if LEFT_OPEN.search(words) and code not in CLEAR and not code.startswith(ELSEWHERE):
        assert isinstance(outcomes.placement(failure(code), row(code)), Ambiguous), words


@pytest.mark.parametrize("code", ["999999", "110999", "170999", "1"])
def test_an_unknown_code_is_ambiguous(code: str) -> None:
    """For a placement; a cancel, change or setting with it has simply failed."""
    assert isinstance(outcomes.placement(failure(code), row(code)), Ambiguous)
    assert isinstance(outcomes.cancellation(failure(code), row(code)), CallFailed)
    assert isinstance(outcomes.amendment(failure(code), row(code)), CallFailed)
    assert isinstance(outcomes.setting(failure(code), row(code)), CallFailed)


def test_every_row_has_its_source() -> None:
    """An address, ccxt's table, or an honest word."""
    assert all(each.source for each in CODES.values())
    assert len(CODES) > 200


@pytest.mark.parametrize("code", ["110001", "110008", "110010", "170213", "170139", "170142", "170143", "170190"])
def test_an_order_that_is_gone_is_to_be_looked_up(code: str) -> None:
    """After a cancel and after a change; a placement answered so may have executed."""
    assert isinstance(outcomes.cancellation(failure(code), row(code)), CancelTooLate)
    assert isinstance(outcomes.amendment(failure(code), row(code)), CancelTooLate)
    assert isinstance(outcomes.placement(failure(code), row(code)), Ambiguous)


@pytest.mark.parametrize("code", ["110072", "110030", "170141", "12141", "30001"])
def test_a_duplicate_is_there_to_be_found(code: str) -> None:
    """On swaps, on spot, and by the codes of older endpoints."""
    answer = outcomes.placement(failure(code), row(code))
    assert isinstance(answer, Ambiguous)
    assert answer.duplicate


@pytest.mark.parametrize("code", ["110043", "110025", "110026"])
def test_a_setting_that_is_so_already_is_made(code: str) -> None:
    """To ccxt 110043 is a bad request."""
    assert outcomes.setting(failure(code), row(code)) == SettingMade(changed=False)


def test_10001_is_read_by_its_words_where_they_are_certain() -> None:
    """Unchanged is a change made; everything else under it is refused."""
    for words in (
        "order not modified",
        "The order remains unchanged as the parameters entered match the existing ones.",
    ):
        assert outcomes.amendment(failure("10001"), row("10001", words)) == Amended(report=None)
        assert isinstance(outcomes.placement(failure("10001"), row("10001", words)), Ambiguous)
    for words in ("position idx not match position mode", "params error: symbol invalid", "Qty invalid", ""):
        assert row("10001", words).meaning is Meaning.REFUSED
        assert isinstance(outcomes.amendment(failure("10001"), row("10001", words)), AmendRefused)
    assert row("110001", "order not modified").meaning is Meaning.UNKNOWN_ORDER
