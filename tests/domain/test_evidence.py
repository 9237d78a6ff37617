"""What a call says of its exchange's health, and what it does not."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve

from app.domain import calls as c
from app.domain.evidence import BAN_S, CAUSES, NOT_REACHED, evidence_of, mark_of, probe_evidence
from app.domain.health_evidence import Remarks
from app.domain.health_kinds import NO_ILLNESS
from app.domain.no_room import left_no_room, no_room
from messages.health import Cause, EvidenceKind, Maintenance, ProbeKind
from messages.market import ExchangeStatus, Ticker
from tests.domain.orders import BTC, spec

PLACE = c.PlaceCall(spec=spec(), quantity=Decimal(1), wire_id="w", committed_s=0.0, expiry_s=5.0, deadline_s=9.0)
CANCEL = c.CancelCall(symbol=BTC, wire_id="w", exchange_order_id=None, deadline_s=9.0)
READ = c.OpenOrdersCall(symbol=None, deadline_s=9.0)
PROBE = c.ProbeCall(kind=ProbeKind.PUBLIC, deadline_s=9.0)
STATUS = c.StatusCall(deadline_s=9.0)


def failed(code: str, *, native: str | None = None, ill: bool = True) -> c.CallFailed:
    """A call that failed."""
    return c.CallFailed(code=code, words=f"because of {code}", native_code=native, ill=ill)


def turned_away(code: str, *, native: str | None = None, ill: bool = True) -> c.NotExecuted:
    """A placement that was turned away."""
    return c.NotExecuted(code=code, words=f"because of {code}", native_code=native, ill=ill)


@pytest.mark.parametrize(
    ("call", "result", "speaks"),
    [
        (PLACE, c.Refused(code="funds", words="no funds", native_code="1"), True),
        (PLACE, c.Ambiguous(code="timeout", words="no answer"), False),
        (PLACE, c.Ambiguous(code="duplicate", words="known", duplicate=True), True),
        (PLACE, c.Ambiguous(code="closing", words="the router stopped"), None),
        (PLACE, c.NotExecuted(code="not_sent", words="too late to send"), None),
        (PLACE, c.NotExecuted(code="expired", words="expired before it was sent"), None),
        (PLACE, c.NotExecuted(code="deadline_passed", words="too late"), None),
        (PLACE, turned_away("exchange_unreachable"), False),
        (PLACE, turned_away("symbol_not_permitted", native="-2010", ill=False), True),
        (PLACE, turned_away("not_permitted", native="50017", ill=False), True),
        (CANCEL, c.CancelConfirmed(final=None), True),
        (CANCEL, c.CancelTooLate(native_code=None, words="gone"), True),
        (CANCEL, failed("exchange_busy", native="110079", ill=False), True),
        (CANCEL, failed("closing", ill=False), None),
        (READ, c.OpenOrders(reports=(), asked_s=1.0), True),
        (READ, left_no_room("bybit"), None),
        (READ, no_room("bybit", 0.0), None),
        (READ, c.CallFailed(code=c.UNSUPPORTED, words="there is no such thing", retryable=False), None),
        (READ, failed("maintenance"), False),
        (READ, failed("exchange_not_ready"), False),
        (PROBE, c.ProbeOk(clock_offset_s=None), None),
        (STATUS, failed("timeout"), None),
    ],
)
def test_a_code_is_an_answer_and_what_was_not_sent_says_nothing(
    call: c.Call, result: c.Result, speaks: bool | None
) -> None:
    """True: it speaks for the exchange; False: against it; None: there is no evidence."""
    evidence = evidence_of("bybit", call, result, 1.0, 3.5)
    if speaks is None:
        assert evidence is None
        return
    assert evidence is not None
    assert evidence.ok is speaks
    assert bool(evidence.words) is isinstance(result, c.Ambiguous | c.NotExecuted | c.CallFailed)
    assert (evidence.exchange, evidence.latency_s, evidence.at_s) == ("bybit", 2.5, 3.5)


@pytest.mark.parametrize(
    ("call", "kind"), [(PLACE, EvidenceKind.PLACE), (CANCEL, EvidenceKind.CANCEL), (READ, EvidenceKind.READ)]
)
def test_the_kind_is_that_of_the_call(call: c.Call, kind: EvidenceKind) -> None:
    evidence = evidence_of("bybit", call, failed("down"), 0.0, 1.0, fills=7)
    assert evidence is not None
    assert (evidence.kind, evidence.fills) == (kind, 7)
    assert evidence.symbol == (None if call is READ else BTC)


@pytest.mark.parametrize(("code", "cause"), CAUSES.items())
def test_a_cause_is_illness_or_only_told(code: str, cause: Cause) -> None:
    """Alike for placements and for anything else; what is told always has words."""
    native = None if cause is Cause.SILENT or code in NOT_REACHED else "1"
    for call, result in ((PLACE, turned_away(code, native=native)), (CANCEL, failed(code, native=native))):
        evidence = evidence_of("bybit", call, result, 0.0, 1.0)
        assert evidence is not None
        assert (evidence.cause, evidence.ok) == (cause, cause in NO_ILLNESS)
        assert evidence.words == f"because of {code}"


@pytest.mark.parametrize(
    ("code", "cause"),
    [("timeout", Cause.SILENT), ("connection_lost", Cause.CONNECTION), ("exchange_error", Cause.SERVER),
     ("maintenance", Cause.MAINTENANCE), ("bad_response", Cause.SERVER)],
)  # fmt: skip
def test_what_may_have_executed_has_a_cause_as_well(code: str, cause: Cause) -> None:
    evidence = evidence_of("bybit", PLACE, c.Ambiguous(code=code, words="no word on it"), 0.0, 1.0)
    assert evidence is not None
    assert (evidence.cause, evidence.ok) == (cause, False)


def test_that_it_timed_out_behind_its_gate_an_exchange_says_itself() -> None:
    """It is not silent, then."""
    evidence = evidence_of("bybit", CANCEL, failed("timeout", native="10000"), 0.0, 1.0)
    assert evidence is not None
    assert (evidence.cause, evidence.ok) == (Cause.SERVER, False)


@pytest.mark.parametrize(("answered_s", "cause", "ok"), [(4.9, Cause.CLOCK, True), (5.1, Cause.SILENT, False)])
def test_what_expired_while_it_was_valid_by_our_clock_is_the_clock(answered_s: float, cause: Cause, ok: bool) -> None:
    """What took longer than its validity was slow, whatever the clocks say."""
    evidence = evidence_of("bybit", PLACE, turned_away("expired", native="10002"), 0.1, answered_s)
    assert evidence is not None
    assert (evidence.cause, evidence.ok) == (cause, ok)


@pytest.mark.parametrize(
    ("silent_for_s", "cause"), [(None, Cause.RATE_LIMITED), (7.0, Cause.RATE_LIMITED), (60.0, Cause.BANNED)]
)
def test_who_must_be_silent_for_long_is_banned(silent_for_s: float | None, cause: Cause) -> None:
    """With the end, by our clock."""
    result = failed("rate_limited", native="-1003", ill=False)
    evidence = evidence_of("binance", READ, result, 0.0, 100.0, silent_for_s=silent_for_s)
    assert evidence is not None
    assert (evidence.cause, evidence.ok) == (cause, True)
    assert evidence.until_s == (None if silent_for_s is None else 100.0 + silent_for_s)


def test_what_is_not_asked_because_of_a_ban_tells_of_it() -> None:
    evidence = probe_evidence("binance", ProbeKind.SIGNED, no_room("binance", 200.0), 5.0, 5.0, silent_for_s=200.0)
    assert evidence is not None
    assert (evidence.cause, evidence.ok, evidence.until_s) == (Cause.BANNED, True, 205.0)


@pytest.mark.parametrize("call", [c.FillsCall(symbol=BTC, since_s=0.0, deadline_s=9.0), STATUS, PROBE])
def test_a_ban_is_told_by_whatever_finds_it(call: c.Call) -> None:
    """Nothing else is sent while it lasts, so nobody else would find out; what is no ban stays untold."""
    result = c.CallFailed(code="rate_limited", words="too much", native_code="-1003", retry_after_s=60.0)
    told = evidence_of("binance", call, result, 0.0, 5.0, silent_for_s=60.0)
    assert told is not None
    assert (told.kind, told.cause, told.ok, told.until_s) == (EvidenceKind.READ, Cause.BANNED, True, 65.0)
    assert evidence_of("binance", call, result, 0.0, 5.0, silent_for_s=BAN_S) is None
    assert evidence_of("binance", call, failed("exchange_error", native="1"), 0.0, 5.0, silent_for_s=60.0) is None


def test_a_probe_that_our_limiter_does_not_let_go_for_long_tells_why() -> None:
    """Whoever begins in the middle of a ban has nobody else to learn it from."""
    told = probe_evidence("binance", ProbeKind.SIGNED, no_room("binance", 0.0), 5.0, 5.0, silent_for_s=40.0)
    assert told is not None
    assert (told.cause, told.ok, told.until_s) == (Cause.BANNED, True, 45.0)
    assert probe_evidence("binance", ProbeKind.SIGNED, no_room("binance", 0.0), 5.0, 5.0, silent_for_s=BAN_S) is None


def test_a_good_answer_says_nothing_of_a_silence_that_others_were_asked_for() -> None:
    evidence = evidence_of("binance", READ, c.OpenOrders(reports=(), asked_s=1.0), 0.0, 1.0, silent_for_s=50.0)
    assert evidence is not None
    assert (evidence.ok, evidence.cause, evidence.until_s) == (True, None, None)


# ---- probes ----------------------------------------------------------------------------------------------------------


def test_a_probe_tells_what_it_read() -> None:
    """The clock of a public one, the mark of a signed one."""
    public = probe_evidence("okx", ProbeKind.PUBLIC, c.ProbeOk(clock_offset_s=0.25), 1.0, 1.5)
    signed = probe_evidence("okx", ProbeKind.SIGNED, c.ProbeOk(clock_offset_s=None, mark="ab"), 1.0, 1.5, fills=3)
    assert public is not None
    assert signed is not None
    assert (public.kind, public.ok, public.clock_offset_s, public.mark) == (EvidenceKind.PUBLIC_PROBE, True, 0.25, "")
    assert (signed.kind, signed.mark, signed.fills) == (EvidenceKind.SIGNED_PROBE, "ab", 3)


def test_a_status_probe_brings_the_notice() -> None:
    """Where the exchange tells none, it says nothing; where it is silent, that is told."""
    status = ExchangeStatus(exchange="okx", ok=True, words="soon", until_s=None, at_s=1.0)
    notice = Maintenance(begin_s=100.0, end_s=200.0, words="soon")
    told = probe_evidence("okx", ProbeKind.STATUS, c.StatusResult(status=status, notice=notice), 1.0, 1.5)
    assert told is not None
    assert (told.kind, told.ok, told.notice) == (EvidenceKind.STATUS_PROBE, True, notice)
    unsupported = c.CallFailed(code=c.UNSUPPORTED, words="none", retryable=False)
    assert probe_evidence("kraken", ProbeKind.STATUS, unsupported, 1.0, 1.5) is None
    silent = probe_evidence("okx", ProbeKind.STATUS, failed("timeout"), 1.0, 1.5)
    assert silent is not None
    assert (silent.kind, silent.ok, silent.cause) == (EvidenceKind.STATUS_PROBE, False, Cause.SILENT)


def test_a_market_probe_marks_the_price_and_not_when_it_was_told() -> None:
    """Any price that moves makes another mark; the time goes on by itself, and would hide one that stands still."""
    price = Decimal("27000.1")
    ticker = Ticker(exchange="okx", symbol=BTC, bid=price, ask=price + 1, last=price, mark=None, at_s=5.0)
    told = probe_evidence("okx", ProbeKind.MARKET, c.TickerResult(ticker=ticker), 1.0, 1.5, symbol=BTC)
    assert told is not None
    assert (told.kind, told.symbol, told.mark) == (EvidenceKind.MARKET_PROBE, BTC, mark_of(ticker))
    assert mark_of(ticker) == mark_of(evolve(ticker, exchange="other"))
    assert mark_of(ticker) == mark_of(evolve(ticker, at_s=6.0))
    moved = [evolve(ticker, bid=price - 1), evolve(ticker, ask=None), evolve(ticker, last=None)]
    assert len({mark_of(each) for each in (ticker, *moved)}) == 4


def test_a_mark_does_not_depend_on_the_order_of_names() -> None:
    assert mark_of([{"a": 1, "b": "2"}]) == mark_of([{"b": "2", "a": 1}])
    assert mark_of([{"a": 1}]) != mark_of([{"a": 2}])


def test_when_it_was_told_makes_no_mark() -> None:
    """At any depth."""
    assert mark_of([{"a": 1, "uTime": 5, "of": [{"updateTime": 7}]}]) == mark_of([{"a": 1, "of": [{}]}])
    assert mark_of([{"a": 1, "of": [{"b": 7}]}]) != mark_of([{"a": 1, "of": [{"b": 8}]}])


@pytest.mark.parametrize(
    ("deadline_s", "request_timeout_s", "speaks"),
    [(1.05, 10.0, False), (1.49, 10.0, False), (1.5, 10.0, True), (1.2, 0.2, True), (1.15, 0.2, False)],
)
def test_silence_in_no_time_says_nothing(deadline_s: float, request_timeout_s: float, speaks: bool) -> None:
    """Whoever asked in a hurry has not waited for an answer; one that came all the same counts."""
    call = evolve(PLACE, deadline_s=deadline_s)
    silent = c.Ambiguous(code="timeout", words="no answer")
    told = evidence_of("okx", call, silent, 1.0, deadline_s, request_timeout_s=request_timeout_s)
    assert (told is not None and told.cause is Cause.SILENT) == speaks
    refused = c.Refused(code="funds", words="no funds", native_code="1")
    assert evidence_of("okx", call, refused, 1.0, deadline_s, request_timeout_s=request_timeout_s) is not None
    lost = c.Ambiguous(code="connection_lost", words="it ended")
    assert evidence_of("okx", call, lost, 1.0, deadline_s, request_timeout_s=request_timeout_s) is not None


@pytest.mark.parametrize("cause", sorted(set(CAUSES.values()) - {Cause.SILENT}))
def test_a_code_for_one_order_says_what_is_our_doing_and_never_that_the_exchange_is_ill(cause: Cause) -> None:
    """Whatever the code: where the exchange answered by it, and not for illness, no illness is told of."""
    code = next(code for code, each in CAUSES.items() if each is cause)
    evidence = evidence_of("bybit", PLACE, turned_away(code, native="1", ill=False), 0.0, 1.0)
    if evidence is not None:
        assert evidence.ok
        assert evidence.cause is None or evidence.cause in NO_ILLNESS


def test_what_is_not_permitted_in_this_market_is_no_cause_against_the_key() -> None:
    here = evidence_of("bybit", PLACE, turned_away("not_permitted", native="50017", ill=False), 0.0, 1.0)
    nowhere = evidence_of("bybit", PLACE, turned_away("not_permitted", native="50017", ill=True), 0.0, 1.0)
    assert here is not None
    assert nowhere is not None
    assert (here.cause, nowhere.cause) == (None, CAUSES["not_permitted"])


def test_only_a_placement_says_that_placements_are_turned_away() -> None:
    """A probe that the rate limit turned away is another budget's."""
    refused = turned_away("rate_limited", native="10006", ill=False)
    placed = evidence_of("bybit", PLACE, refused, 0.0, 1.0)
    read = evidence_of("bybit", READ, failed("rate_limited", native="10006", ill=False), 0.0, 1.0)
    assert placed is not None
    assert read is not None
    by_place, by_read = Remarks.of(placed), Remarks.of(read)
    assert by_place is not None
    assert by_place.turned_away == "because of rate_limited"
    assert by_read is None or not by_read.turned_away
