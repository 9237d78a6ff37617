"""What codes of Kraken prove, futures and spot: by our tables; where they have none, by ccxt, which must be safe."""

import uuid

import ccxt
import pytest

from app.domain.calls import Ambiguous, NotExecuted, Refused
from app.exchanges.codes.kraken import ACCEPTED
from app.exchanges.codes.kraken_spot import BESIDE, NOTHING_CANCELLED, known_code
from app.exchanges.outcomes import Failure, Meaning, explain, placement
from app.exchanges.profiles.base import Profile, class_names
from app.exchanges.profiles.kraken import Kraken
from app.exchanges.profiles.kraken_spot import KrakenSpot
from app.exchanges.rules import kraken as rules
from app.exchanges.rules.base import Sandbox

FUTURES = Kraken()
SPOT = KrakenSpot()
MAY_HAVE_EXECUTED = ("Server Error", "Unavailable", "unavailable", "unknownError")
"""Codes that say nothing of what happened behind the gate."""


def outcome(profile: Profile, ccxt_id: str, code: str) -> Refused | NotExecuted | Ambiguous:
    """What a placement answered by a code is."""
    known = class_names(getattr(ccxt, ccxt_id)().exceptions["exact"].get(code))
    failure = Failure(exchange=profile.name, sent=True, native_code=code, known_as=known, http_status=200)
    return placement(failure, explain(failure, profile.codes))


@pytest.mark.parametrize("code", sorted(ccxt.krakenfutures().exceptions["exact"]))
def test_every_futures_code_that_ccxt_knows_is_in_our_table(code: str) -> None:
    """And is refused only where the documentation does not leave open what happened."""
    assert code in FUTURES.codes
    assert isinstance(outcome(FUTURES, "krakenfutures", code), Ambiguous) is (code in (*MAY_HAVE_EXECUTED, "notFound"))


@pytest.mark.parametrize("code", ["brandNewStatus", "errors:13", "Internal"])
def test_a_futures_code_that_nobody_knows_proves_nothing(code: str) -> None:
    """The placement is looked up."""
    assert isinstance(outcome(FUTURES, "krakenfutures", code), Ambiguous)


# fmt: off
DOCUMENTED = (
    "placed", "partiallyFilled", "filled", "cancelled", "edited", "marketSuspended", "marketInactive", "invalidPrice",
    "invalidSize", "tooManySmallOrders", "insufficientAvailableFunds", "wouldCauseLiquidation",
    "clientOrderIdAlreadyExist", "clientOrderIdTooBig", "maxPositionViolation", "outsidePriceCollar",
    "wouldIncreasePriceDislocation", "notFound", "orderForEditNotAStop", "orderForEditNotFound", "postWouldExecute",
    "iocWouldNotExecute", "selfFill", "wouldNotReducePosition", "marketIsPostOnly", "tooManyOrders",
    "fixedLeverageTooHigh", "clientOrderIdInvalid", "cannotEditTriggerPriceOfTrailingStop",
    "cannotEditLimitPriceOfTrailingStop", "wouldProcessAfterSpecifiedTime",
)
# fmt: on
"""https://docs.kraken.com/api/docs/futures-api/trading/send-order: every status of an instruction."""


@pytest.mark.parametrize("status", DOCUMENTED)
def test_every_documented_status_is_read(status: str) -> None:
    """As what was carried out, or by the table."""
    said = FUTURES.native_code({"result": "success", "sendStatus": {"status": status}})
    if status in ACCEPTED:
        assert said is None
    elif status == "edited":
        assert FUTURES.native_code({"editStatus": {"status": status}}) is None
    else:
        assert said is not None
        assert said[0] in FUTURES.codes


def test_a_status_means_what_it_means_for_its_instruction() -> None:
    """A post-only order refused is gone; one that cannot be changed so may be there still."""
    placing = FUTURES.native_code({"sendStatus": {"status": "postWouldExecute"}})
    changing = FUTURES.native_code({"editStatus": {"status": "postWouldExecute"}})
    assert placing is not None
    assert changing is not None
    assert FUTURES.codes[placing[0]].meaning is Meaning.REFUSED
    assert FUTURES.codes[changing[0]].meaning is Meaning.AMBIGUOUS


@pytest.mark.parametrize("profile", [FUTURES, SPOT], ids=["futures", "spot"])
def test_every_row_has_a_source(profile: Profile) -> None:
    """Somebody says so, or nobody does and that is said."""
    assert [code for code, row in profile.codes.items() if not row.source] == []


# ---- spot ------------------------------------------------------------------------------------------------------------

SPOT_UNKNOWN_OUTCOME = (
    "EService:Unavailable",
    "EService:Busy",
    "EService:Timeout",
    "EGeneral:Internal error",
    "EDatabase:Internal error",
    "EOrder:Unknown order",
)


@pytest.mark.parametrize("code", sorted(ccxt.kraken().exceptions["exact"]))
def test_every_spot_code_that_ccxt_knows_is_in_our_table(code: str) -> None:
    """And proves something only where the documentation does not leave open what happened."""
    known = known_code(code)
    assert known in SPOT.codes
    assert isinstance(outcome(SPOT, "kraken", known), Ambiguous) is (known in SPOT_UNKNOWN_OUTCOME)


@pytest.mark.parametrize(
    ("said", "code", "meaning"),
    [
        (["EOrder:Insufficient funds"], "EOrder:Insufficient funds", Meaning.REFUSED),
        (["EGeneral:Internal error:1599"], "EGeneral:Internal error", Meaning.AMBIGUOUS),
        (["EGeneral:Invalid arguments:ordertype"], "EGeneral:Invalid arguments", Meaning.REFUSED),
        (["EGeneral:Invalid arguments:deadline"], "EGeneral:Invalid arguments:deadline", Meaning.NOT_EXECUTED),
        (
            ["EGeneral:Invalid arguments:cl_ord_id not unique"],
            "EGeneral:Invalid arguments:cl_ord_id not unique",
            Meaning.DUPLICATE,
        ),
        (
            ["EOrder:Invalid price:XBTUSD price can only be specified up to 1 decimals."],
            "EOrder:Invalid price",
            Meaning.REFUSED,
        ),
        (["EService:Throttled:1788406480"], "EService:Throttled", Meaning.NOT_EXECUTED),
        (["EAPI:Invalid signature"], "EAPI:Invalid signature", Meaning.NOT_EXECUTED),
        (["EAPI:Invalid nonce"], "EAPI:Invalid nonce", Meaning.NOT_EXECUTED),
        (["EOrder:Insufficient funds", "EService:Busy"], "EService:Busy", Meaning.AMBIGUOUS),
        (["WGeneral:Old", "EOrder:Invalid price"], "EOrder:Invalid price", Meaning.REFUSED),
    ],
)
def test_a_spot_word_is_read_by_its_longest_known_beginning(said: list[str], code: str, meaning: Meaning) -> None:
    """Of several words the one that proves least."""
    read = SPOT.native_code({"error": said})
    assert read is not None
    assert (read[0], SPOT.codes[read[0]].meaning) == (code, meaning)


def test_what_is_no_refusal_and_what_is_half_of_one() -> None:
    """A warning, an order beside an error, a cancel that counts none; and a new word."""
    placed = {"txid": ["OAAAAA-AAAAA-AAAAAB"], "descr": {"order": "buy"}}
    assert SPOT.native_code({"error": [], "result": placed}) is None
    assert SPOT.native_code({"error": ["WGeneral:Old"], "result": placed}) is None
    assert SPOT.native_code({"error": ["EOrder:Insufficient funds"], "result": placed}) == (
        BESIDE,
        "EOrder:Insufficient funds",
    )
    assert isinstance(outcome(SPOT, "kraken", BESIDE), Ambiguous)
    assert SPOT.native_code({"error": [], "result": {"count": 0}}) == (NOTHING_CANCELLED, "")
    assert SPOT.native_code({"error": [], "result": {"count": 0, "pending": True}}) is None
    assert SPOT.native_code({"error": [], "result": {"count": 1}}) is None
    assert SPOT.native_code({"error": [], "result": {"closed": {}, "count": 0}}) is None
    for new in ("EOrder:Brand new", "EGeneral:Something else:volume", "EWhat"):
        read = SPOT.native_code({"error": [new]})
        assert read is not None
        assert isinstance(outcome(SPOT, "kraken", read[0]), Ambiguous)


# ---- rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [FUTURES, SPOT], ids=["futures", "spot"])
def test_what_is_documented_is_what_the_profile_acts_by(profile: Profile) -> None:
    """One table for both."""
    table = rules.SWAP if profile is FUTURES else rules.SPOT
    assert (profile.proof, profile.look_back_s, profile.market_type) == (
        table.proof,
        table.look_back_s.value,
        table.market_type,
    )
    assert table.admits_id(uuid.uuid4().hex)
    assert all(rule.source for _, rule in table.rows())
    for code in table.duplicate_codes.value:
        assert profile.codes[code].meaning is Meaning.DUPLICATE
    assert bool(profile.no_sandbox) is (table.sandbox.value is Sandbox.NONE)
    assert profile.proof.clock_error_s >= profile.clock_resolution_s / 2
    assert (profile.takes_triggers, profile.attaches_exits) == (True, table.attached_exits.value)
