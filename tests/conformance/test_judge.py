"""The matrix's own rules bite: an answer that contradicts the books is wrong, one that says less is not."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain import calls
from app.domain.calls import AmendRefused, CallFailed
from app.exchanges.adapter import CcxtPort
from app.exchanges.client import type_client
from app.exchanges.profiles.bybit import Bybit
from app.exchanges.profiles.rows import OrderRow
from app.exchanges.settings import Credentials, ExchangeSettings
from app.exchanges.symbols import Market
from app.simulator.fault_rules import Kind
from app.simulator.thread import SimulatorThread
from messages.market import MarketType
from messages.orders import LegState
from tests.conformance.cells import NOTHING, UNTESTED, Column, Key, Seen, Verdict
from tests.conformance.faults import CALLS, FAULTS, Fault, Ring, observed
from tests.conformance.judge import Truth, judged
from tests.conformance.pages import bad, differences, page, timeless
from tests.conformance.run import columns, played, rows
from tests.conformance.scenarios import SCENARIOS
from tests.conformance.stand import Stand
from tests.exchanges.desk import Desk

REPORT = calls.OrderReport(
    exchange_order_id="1", wire_id="w", symbol=None, state=LegState.OPEN, filled=None, average_price=None
)
SENTENCE = "The exchange said something."
PLACED = calls.Placed(report=REPORT)
REFUSED = calls.Refused(code="c", words=SENTENCE, native_code="1")
NOT_EXECUTED = calls.NotExecuted(code="c", words=SENTENCE)
AMBIGUOUS = calls.Ambiguous(code="c", words=SENTENCE)
FAILED = CallFailed(code="c", words=SENTENCE)
TOO_LATE = calls.CancelTooLate(native_code="1", words=SENTENCE)
NO_SUCH_THING = AmendRefused(code=calls.UNSUPPORTED, words=SENTENCE, native_code=None, unsupported=True)
NOT_AMENDED = AmendRefused(code="c", words=SENTENCE, native_code="1")
COLUMN = Column(False, "bybit", MarketType.SWAP)


@pytest.mark.parametrize(
    ("call", "result", "executed", "verdict"),
    [
        ("place", PLACED, True, Verdict.GOOD),
        ("place", PLACED, False, Verdict.WRONG),
        ("place", REFUSED, False, Verdict.GOOD),
        ("place", REFUSED, True, Verdict.WRONG),
        ("place", NOT_EXECUTED, False, Verdict.GOOD),
        ("place", NOT_EXECUTED, True, Verdict.WRONG),
        ("place", AMBIGUOUS, True, Verdict.GOOD),
        ("place", AMBIGUOUS, False, Verdict.GOOD),
        ("place", FAILED, False, Verdict.WRONG),
        ("place", ValueError("x"), False, Verdict.WRONG),
        ("place", calls.Refused(code="c", words="", native_code=None), False, Verdict.WRONG),
        ("place", calls.Refused(code="c", words="no", native_code=None), False, Verdict.WRONG),
        ("place", calls.Refused(code="", words=SENTENCE, native_code=None), False, Verdict.WRONG),
        ("cancel", calls.CancelConfirmed(final=None), True, Verdict.GOOD),
        ("cancel", calls.CancelConfirmed(final=None), False, Verdict.WRONG),
        ("cancel", TOO_LATE, False, Verdict.WRONG),
        ("cancel", FAILED, True, Verdict.GOOD),
        ("cancel", FAILED, False, Verdict.GOOD),
        ("amend", calls.Amended(report=None), True, Verdict.GOOD),
        ("amend", calls.Amended(report=None), False, Verdict.WRONG),
        ("amend", NOT_AMENDED, False, Verdict.GOOD),
        ("amend", NOT_AMENDED, True, Verdict.WRONG),
        ("amend", TOO_LATE, False, Verdict.WRONG),
        ("amend", NO_SUCH_THING, False, Verdict.REFUSED),
        ("amend", NO_SUCH_THING, True, Verdict.WRONG),
        ("look-up", calls.Found(report=REPORT), True, Verdict.GOOD),
        ("look-up", calls.NotFound(asked_s=1.0), True, Verdict.WRONG),
        ("look-up", FAILED, True, Verdict.GOOD),
    ],
)
def test_what_contradicts_the_books_is_wrong(call: str, result: Any, executed: bool, verdict: Verdict) -> None:
    """Case by case; a wrong cell says why."""
    seen = judged(call, result, Truth(executed=executed, expected=None))
    assert seen.verdict is verdict
    assert verdict is not Verdict.WRONG or seen.words


def test_a_fault_that_did_not_do_what_its_row_says_is_wrong() -> None:
    """Otherwise a simulator that executes nothing would pass."""
    seen = judged("place", AMBIGUOUS, Truth(executed=False, expected=True))
    assert seen.verdict is Verdict.WRONG


def test_less_than_the_proof_is_told_and_no_failure() -> None:
    """Ambiguous is safe always."""
    seen = judged("place", AMBIGUOUS, Truth(executed=False, expected=False, proven=True))
    assert seen.verdict is Verdict.WEAK


def test_absence_within_the_lag_is_no_claim() -> None:
    """The port knows for how long an order may be hidden."""
    seen = judged("look-up", calls.NotFound(asked_s=1.0), Truth(executed=True, expected=None, hidden=True))
    assert (seen.verdict, seen.text) == (Verdict.GOOD, "not found yet")


# ---- adapters that lie, at a real exchange ---------------------------------------------------------------------------


class Careless(Bybit):
    """Takes a failed look-up for absence, every answer to a placement for an order, and fills for something else."""

    async def find(self, *arguments: Any, **named: Any) -> OrderRow | None:
        """Swallows what went wrong."""
        try:
            found = await super().find(*arguments, **named)
        except Exception:
            return None
        return None if found is None or found.state is LegState.FILLED else found

    async def place(self, client: type_client, order: Any) -> OrderRow:
        """Believes that it worked."""
        try:
            return await super().place(client, order)
        except Exception:
            return OrderRow(
                order_id="1", wire_id=None, native_id=None, state=LegState.OPEN, filled=None, average_price=None
            )

    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """Sends nothing."""
        return None


class CarelessDesk(Desk):
    """A desk of the adapter that lies."""

    def build(self, settings: ExchangeSettings, credentials: Credentials) -> CcxtPort:
        """Of it."""
        return CcxtPort(Careless(), settings, credentials, clock=self.clock)


def test_an_adapter_that_lies_is_found_out() -> None:
    """Over the same ways as every cell of the matrix."""
    by_kind = {fault.kind: fault for fault in FAULTS}
    with SimulatorThread(["bybit"]) as sims:
        desk = CarelessDesk(sims["bybit"])
        try:
            assert desk.open() == ""
            at = Stand(desk)
            ring = Ring(at, at)

            def met(call: str, kind: Kind) -> Seen:
                seen = observed(ring, call, by_kind[kind])
                at.tidy()
                return seen

            assert met("look-up", Kind.HTTP_5XX).verdict is Verdict.WRONG
            assert met("place", Kind.DROP_BEFORE).verdict is Verdict.WRONG
            assert met("cancel", Kind.SLOW).verdict is Verdict.WRONG
            found = {scene.title: played(scene, at).verdict for scene in SCENARIOS[:4]}
            at.tidy()
        finally:
            desk.close()
    assert found["limit, GTC, rests"] is Verdict.GOOD
    assert found["limit, GTC, crosses"] is Verdict.WRONG


# ---- the page --------------------------------------------------------------------------------------------------------


def test_a_cell_that_was_not_run_is_untested_and_fails() -> None:
    """Also where a whole column is missing."""
    sheet = {Key(part, row, COLUMN): Seen(verdict=Verdict.GOOD, text="works") for part, row in rows()}
    assert bad(sheet, [COLUMN]) == []
    sheet.pop(Key("cancel", FAULTS[0].row, COLUMN))
    (words,) = bad(sheet, [COLUMN])
    assert words == f"bybit-swap, cancel, {FAULTS[0].row}: untested."
    assert page(sheet, [COLUMN], "today").count("untested |") == 2  # the summary's head, and the cell
    assert len(bad({}, [COLUMN])) == len(rows())


def test_a_page_is_compared_cell_by_cell() -> None:
    """But for when it was written."""
    sheet = {Key(part, row, COLUMN): Seen(verdict=Verdict.GOOD, text="works") for part, row in rows()}
    before = page(sheet, [COLUMN], "Monday, commit a.")
    assert differences(before, page(sheet, [COLUMN], "Friday, commit b.")) == []
    where = Key("place", FAULTS[3].row, COLUMN)
    after = page({**sheet, where: Seen(verdict=Verdict.GOOD, text="ambiguous")}, [COLUMN], "Friday")
    (words,) = differences(before, after)
    assert "Placing an order" in words
    assert words.endswith(f"{FAULTS[3].row} / bybit: works -> ambiguous")


def test_sentences_are_shown_without_what_differs_from_run_to_run() -> None:
    """So that two runs of the same code make the same page."""
    told = timeless(
        "Order 0000001a-0bde-4000-8000-0000000000a1 and cd168e06524b4780a81dcaeda3a3ef41: 10019, 0.001 BTC."
    )
    assert told == "Order … and …: 10019, 0.001 BTC."


def test_every_kind_of_fault_has_a_row() -> None:
    """A kind that the simulator learns has to be met by every adapter."""
    assert {fault.kind for fault in FAULTS} == set(Kind)
    titles = [fault.row for fault in FAULTS]
    for call in CALLS:
        met = [fault.row for fault in FAULTS if call in fault.only]
        assert len(met) == len(set(met)), titles


def test_every_registered_profile_has_a_column() -> None:
    """A new one is untested until it was run, and cannot be forgotten."""
    from app.exchanges.factory import PROFILES

    assert {(c.exchange, c.market_type) for c in columns() if not c.generic} == set(PROFILES)


def test_a_fault_that_cannot_meet_a_call_is_not_counted() -> None:
    """Its cell would be empty."""
    fault = Fault(title="x", kind=Kind.DOUBLE, executed=True, only=("place",))
    assert Ring(None, None).meet("cancel", fault) == NOTHING  # type: ignore[arg-type]
    assert UNTESTED.verdict is Verdict.UNTESTED
