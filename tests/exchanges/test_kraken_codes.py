"""What codes of Kraken prove, futures and spot: by our tables; where they have none, by ccxt, which must be safe."""

import ccxt
import pytest

from app.domain.calls import Ambiguous, NotExecuted, Refused
from app.exchanges.codes.kraken import ACCEPTED
from app.exchanges.outcomes import Failure, Meaning, explain, placement
from app.exchanges.profiles.base import Profile, class_names
from app.exchanges.profiles.kraken import Kraken

FUTURES = Kraken()
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


@pytest.mark.parametrize("profile", [FUTURES], ids=["futures"])
def test_every_row_has_a_source(profile: Profile) -> None:
    """Somebody says so, or nobody does and that is said."""
    assert [code for code, row in profile.codes.items() if not row.source] == []
