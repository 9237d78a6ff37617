"""What evidence proves: the tables of codes, and the rules for what no table has."""

import errno
import socket
import ssl
from decimal import Decimal
from itertools import pairwise

import ccxt
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from app.domain.calls import Ambiguous, CallFailed, CancelTooLate, NotExecuted, Refused
from app.exchanges.factory import PROFILES, profile_of
from app.exchanges.local_faults import local_fault
from app.exchanges.outcomes import Failure, Meaning, Row, cancellation, explain, placement, reading
from app.exchanges.profiles.base import class_names
from app.exchanges.profiles.rows import OrderRow, combined, from_fills
from messages.market import MarketType
from messages.orders import LegState

TABLES = {name: profile.codes for (name, _), profile in PROFILES.items()}
KNOWN_CODES = sorted({code for table in TABLES.values() for code in table})
CLASSES = sorted(
    name for name, kind in vars(ccxt).items() if isinstance(kind, type) and issubclass(kind, ccxt.BaseError)
)
NO_ANSWERS: tuple[object, ...] = (None, [], "text", {}, 5)
AMBIGUOUS_CLASSES = [
    "RequestTimeout",
    "NetworkError",
    "ExchangeNotAvailable",
    "OperationFailed",
    "BadResponse",
    "NullResponse",
    "ExchangeError",
    "BaseError",
]
"""A failed placement of none of these classes proves anything."""


def failed(
    kind: str | None = None,
    *,
    sent: bool = True,
    code: str | None = None,
    status: int | None = None,
    timed_out: bool = False,
) -> Failure:
    """A failure."""
    kinds = class_names(getattr(ccxt, kind)) if kind is not None else ()
    return Failure(exchange="bybit", sent=sent, kinds=kinds, native_code=code, http_status=status, timed_out=timed_out)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_row_has_a_source(name: str) -> None:
    """And what is ill is never a refusal of the order itself."""
    for code, row in TABLES[name].items():
        assert row.source, code
        assert row.code
        if row.meaning is Meaning.REFUSED:
            assert not row.ill, code


@pytest.mark.parametrize("kind", AMBIGUOUS_CLASSES)
@pytest.mark.parametrize("code", [None, "no-such-code"])
def test_classes_that_prove_nothing(kind: str, code: str | None) -> None:
    """With or without a code that nobody knows."""
    assert explain(failed(kind, code=code, status=200), {}).meaning is Meaning.AMBIGUOUS


@pytest.mark.parametrize("kind", CLASSES)
@given(status=st.none() | st.integers(200, 599), timed_out=st.booleans())
def test_without_a_code_only_the_gate_proves_anything(kind: str, status: int | None, timed_out: bool) -> None:
    """A class that means rejected is not believed when no code of the exchange was read."""
    row = explain(failed(kind, status=status, timed_out=timed_out), {})
    assert row.meaning in (Meaning.AMBIGUOUS, Meaning.NOT_EXECUTED)
    if row.meaning is Meaning.NOT_EXECUTED:
        assert row.code in ("rate_limited", "maintenance", "not_authenticated", "not_permitted")


@pytest.mark.parametrize(
    ("kind", "meaning"),
    [
        ("InsufficientFunds", Meaning.REFUSED),
        ("InvalidOrder", Meaning.REFUSED),
        ("OrderNotFillable", Meaning.REFUSED),
        ("BadRequest", Meaning.REFUSED),
        ("DuplicateOrderId", Meaning.DUPLICATE),
        ("OrderNotFound", Meaning.UNKNOWN_ORDER),
        ("InvalidNonce", Meaning.NOT_EXECUTED),
        ("OnMaintenance", Meaning.NOT_EXECUTED),
        ("RateLimitExceeded", Meaning.NOT_EXECUTED),
        ("PermissionDenied", Meaning.NOT_EXECUTED),
        ("ContractUnavailable", Meaning.NOT_EXECUTED),
    ],
)
def test_with_a_code_the_class_counts(kind: str, meaning: Meaning) -> None:
    """Where the table has no row for it."""
    assert explain(failed(kind, code="4711"), {}).meaning is meaning


def test_the_table_goes_before_the_class() -> None:
    """OKX's duplicate is an InvalidOrder for ccxt."""
    row = explain(failed("InvalidOrder", code="51016"), TABLES["okx"])
    assert row.meaning is Meaning.DUPLICATE


@pytest.mark.parametrize("timed_out", [True, False])
def test_what_had_no_connection_was_not_sent(timed_out: bool) -> None:
    """Whether refused or not connected in time."""
    kind = None if timed_out else "ExchangeNotAvailable"
    failure = failed(kind, sent=False, timed_out=timed_out)
    result = placement(failure, explain(failure, {}))
    assert isinstance(result, NotExecuted)
    assert (result.code, result.ill) == ("connect_timeout" if timed_out else "exchange_unreachable", True)


@pytest.mark.parametrize("code", ["name_not_resolved", "network_unreachable"])
def test_what_failed_on_our_side_was_not_sent(code: str) -> None:
    """And says so, however the exception was called and whenever we gave up."""
    for timed_out in (True, False):
        failure = evolve(failed("ExchangeNotAvailable", sent=False, timed_out=timed_out), local=code)
        result = placement(failure, explain(failure, {}))
        assert isinstance(result, NotExecuted)
        assert (result.code, result.ill) == (code, True)
        assert result.words.endswith("so the order was not sent.")


def test_where_something_was_sent_our_side_is_no_excuse() -> None:
    """It may have executed."""
    failure = evolve(failed("ExchangeNotAvailable", sent=True), local="network_unreachable")
    assert explain(failure, {}).meaning is Meaning.AMBIGUOUS


def _error(chain: list[BaseException]) -> BaseException:
    for above, below in pairwise(chain):
        above.__cause__ = below
    return chain[0]


@pytest.mark.parametrize(
    ("chain", "code"),
    [
        ([ValueError("ccxt"), socket.gaierror(-2, "Name or service not known")], "name_not_resolved"),
        ([ValueError("ccxt"), OSError(errno.ENETUNREACH, "Network is unreachable")], "network_unreachable"),
        ([ValueError("ccxt"), OSError(errno.EHOSTUNREACH, "No route to host")], "network_unreachable"),
        ([ValueError("ccxt"), OSError(errno.EMFILE, "Too many open files")], "network_unreachable"),
        ([ValueError("ccxt"), ConnectionRefusedError(errno.ECONNREFUSED, "refused")], ""),
        ([ValueError("ccxt"), ssl.SSLError(1, "wrong version"), OSError(errno.ENETUNREACH, "?")], ""),
        ([ValueError("ccxt")], ""),
    ],
)
def test_whose_fault_it_is_that_nothing_was_sent(chain: list[BaseException], code: str) -> None:
    """The number of an error of TLS is no errno: 1 is EPERM, too."""
    assert local_fault(_error(chain)) == code


def test_what_is_no_exception_of_ccxt_is_ambiguous() -> None:
    """Also where nothing seems to have been sent: a bug proves nothing."""
    for sent in (True, False):
        failure = Failure(exchange="okx", sent=sent, kinds=class_names(KeyError))
        assert isinstance(placement(failure, explain(failure, {})), Ambiguous)


def test_ccxts_own_refusal_before_sending() -> None:
    """Is a refusal: nothing was sent, and the same would be refused again."""
    failure = failed("ArgumentsRequired", sent=False)
    assert isinstance(placement(failure, explain(failure, {})), Refused)


@given(
    name=st.sampled_from(sorted(TABLES)),
    code=st.none() | st.sampled_from(KNOWN_CODES) | st.text(max_size=8),
    kind=st.none() | st.sampled_from(CLASSES),
    sent=st.booleans(),
    status=st.none() | st.integers(200, 599),
    timed_out=st.booleans(),
)
def test_every_failure_has_an_outcome_in_one_sentence(
    name: str, code: str | None, kind: str | None, sent: bool, status: int | None, timed_out: bool
) -> None:
    """Whatever comes together; and each shape of call gets a result of its own."""
    failure = failed(kind, sent=sent, code=code, status=status, timed_out=timed_out)
    row = explain(failure, TABLES[name])
    placed, cancelled, read = placement(failure, row), cancellation(failure, row), reading(failure, row, "the look-up")
    assert isinstance(cancelled, CancelTooLate | CallFailed)
    for words in (placed.words, cancelled.words, read.words):
        assert words.strip()
        assert words.endswith(".")
    if isinstance(placed, Refused | NotExecuted):
        assert code is not None or not sent or row.meaning is Meaning.NOT_EXECUTED
    assert isinstance(cancelled, CancelTooLate) == (row.meaning is Meaning.UNKNOWN_ORDER)
    assert read.retryable == (row.meaning is not Meaning.REFUSED)


@pytest.mark.parametrize(
    ("name", "answer", "code"),
    [
        ("bybit", {"retCode": 0, "result": {}}, None),
        ("bybit", {"retCode": 110007, "retMsg": "ab not enough"}, "110007"),
        ("okx", {"code": "0", "data": [{"sCode": "0", "ordId": "1"}]}, None),
        ("okx", {"code": "1", "data": [{"sCode": "51008", "sMsg": "no"}]}, "51008"),
        ("okx", {"code": "2", "data": [{"sCode": "51008"}]}, "51008"),
        ("okx", {"code": "50001", "data": [], "msg": "x"}, "50001"),
        ("okx", {"code": "1", "data": []}, "1"),
        ("binance", {"orderId": 1, "status": "NEW"}, None),
        ("binance", {"code": 200, "msg": "done"}, None),
        ("binance", {"code": -2019, "msg": "Margin is insufficient."}, "-2019"),
        ("binance", {"code": -2010, "msg": "Duplicate order sent."}, "-2010"),
        ("kraken", {"result": "success", "sendStatus": {"status": "placed"}}, None),
        ("kraken", {"result": "success", "sendStatus": {"status": "invalidSize"}}, "invalidSize"),
        ("kraken", {"result": "success", "cancelStatus": {"status": "filled"}}, "filled"),
        ("kraken", {"result": "success", "cancelStatus": {"status": "cancelled"}}, None),
        ("kraken", {"result": "error", "error": "invalidArgument: size"}, "invalidArgument"),
        ("kraken", {"result": "error", "errors": [{"code": 11, "message": "bad"}]}, "errors:11"),
        *((name, other, None) for name in sorted({name for name, _ in PROFILES}) for other in NO_ANSWERS),
    ],
)
def test_the_native_code_is_found_in_the_answer(name: str, answer: object, code: str | None) -> None:
    """Wherever each exchange puts it."""
    found = profile_of(name, MarketType.SWAP)().native_code(answer)
    assert (None if found is None else found[0]) == code


def test_retry_after() -> None:
    """In seconds; Bybit says when the limit is reset."""
    okx, bybit = profile_of("okx", MarketType.SWAP)(), profile_of("bybit", MarketType.SWAP)()
    assert okx.wait_s({"retry-after": "7"}, 0.0) == 7
    assert okx.wait_s({}, 0.0) is None
    assert okx.wait_s({"retry-after": "nan"}, 0.0) is None
    assert okx.wait_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0) is None
    reset = {"x-bapi-limit-status": "0", "x-bapi-limit-reset-timestamp": "1500"}
    assert bybit.wait_s(reset, 1.0) == pytest.approx(0.5)
    assert bybit.wait_s({**reset, "x-bapi-limit-status": "3"}, 1.0) is None


def row(order_id: str, state: LegState, filled: int, price: int | None = None) -> OrderRow:
    """An order."""
    return OrderRow(
        order_id=order_id,
        wire_id="w",
        native_id="BTCUSDT",
        state=state,
        filled=Decimal(filled),
        average_price=None if price is None else Decimal(price),
    )


def test_two_orders_under_one_wire_id_hide_no_fill() -> None:
    """The sum of what filled, live while one is live."""
    filled, live = row("1", LegState.FILLED, 2, 10), row("2", LegState.PARTIALLY_FILLED, 2, 20)
    assert combined([]) is None
    assert combined([filled, filled]) is filled
    both = combined([filled, live])
    assert both is not None
    assert (both.order_id, both.state) == ("2", LegState.PARTIALLY_FILLED)
    assert both.filled == 4
    assert both.average_price == 15


def test_fills_alone_do_not_prove_an_end() -> None:
    """But that the order exists, and how much of it."""
    assert from_fills([], "w", "BTCUSDT") is None
    found = from_fills([("1", Decimal(1), Decimal(10)), ("1", Decimal(3), Decimal(30))], "w", "BTCUSDT")
    assert found is not None
    assert found.state is LegState.PARTIALLY_FILLED
    assert found.filled == 4
    assert found.average_price == 25


def test_rows_are_frozen_data() -> None:
    """No table can be changed at run time."""
    with pytest.raises(TypeError):
        TABLES["okx"]["51016"] = Row(Meaning.REFUSED, "x")  # type: ignore[index]
