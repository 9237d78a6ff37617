"""What is to be thought of an answer, given what the exchange's books say: the matrix's own rules, pure.

An answer may say less than the truth, never other than the truth. And whatever is not a success is said in words.
"""

from __future__ import annotations

from attrs import frozen

from app.domain import calls
from tests.conformance.cells import Seen, Verdict

TEXTS: dict[type, str] = {
    calls.Placed: "placed",
    calls.Refused: "refused",
    calls.NotExecuted: "not executed",
    calls.Ambiguous: "ambiguous",
    calls.CancelConfirmed: "cancelled",
    calls.CancelTooLate: "too late",
    calls.Amended: "amended",
    calls.AmendRefused: "refused",
    calls.Found: "found",
    calls.NotFound: "not found",
    calls.CallFailed: "failed",
}
"""How an outcome class is written."""

SAYS_DONE = (calls.Placed, calls.CancelConfirmed, calls.Amended, calls.Found)
SAYS_NOT_DONE = (calls.Refused, calls.NotExecuted, calls.AmendRefused)
SAYS_NOTHING = (calls.Ambiguous, calls.CallFailed)
ALLOWED: dict[str, tuple[type, ...]] = {
    "place": (calls.Placed, calls.Refused, calls.NotExecuted, calls.Ambiguous),
    "cancel": (calls.CancelConfirmed, calls.CancelTooLate, calls.CallFailed),
    "amend": (calls.Amended, calls.AmendRefused, calls.CancelTooLate, calls.CallFailed),
    "look-up": (calls.Found, calls.NotFound, calls.CallFailed),
}
"""What the port's language has for each call."""


@frozen(kw_only=True)
class Truth:
    """What the exchange's books say after a call.

    Attributes:
        executed: What was asked for happened; of a look-up: the order is there.
        expected: Whether the fault lets it happen; None where that is the exchange's own affair.
        proven: The exchange told, or the network proved, that it did not happen.
        hidden: The exchange may not show yet what is there, and the port knows for how long.
    """

    executed: bool
    expected: bool | None
    proven: bool = False
    hidden: bool = False


def judged(call: str, result: object, truth: Truth) -> Seen:
    """The cell."""
    text = TEXTS.get(type(result), type(result).__name__)
    wrong = wordless(result) or _wrong(call, result, truth)
    if wrong:
        return Seen(verdict=Verdict.WRONG, text=text, words=wrong)
    if is_unsupported(result):
        return Seen(verdict=Verdict.REFUSED, text="unsupported", words=str(getattr(result, "words", "")))
    if truth.hidden and isinstance(result, calls.NotFound):
        return Seen(verdict=Verdict.GOOD, text="not found yet")
    if truth.proven and call == "place" and isinstance(result, calls.Ambiguous):
        return Seen(verdict=Verdict.WEAK, text=text, words=str(result.words))
    return Seen(verdict=Verdict.GOOD, text=text)


def _wrong(call: str, result: object, truth: Truth) -> str:
    if not isinstance(result, ALLOWED[call]):
        return f"{type(result).__name__} is no answer to a {call}."
    if is_unsupported(result):
        return "It says that this cannot be done, and it was done." if truth.executed else ""
    if truth.expected is not None and truth.executed != truth.expected:
        done = "executed" if truth.executed else "did not execute"
        return f"The row is wrong: the exchange {done} ({type(result).__name__} {getattr(result, 'words', '')})."
    if isinstance(result, calls.NotFound):
        return "" if truth.hidden or not truth.executed else "It is there, and was not found by a look-up that failed."
    if isinstance(result, calls.CancelTooLate):
        return "" if truth.executed else "The order rests, and is said to be gone."
    if isinstance(result, SAYS_DONE) and not truth.executed:
        return "It says that it was done, and it was not."
    if isinstance(result, SAYS_NOT_DONE) and truth.executed:
        return "It says that it was not done, and it was."
    return ""


def is_unsupported(result: object) -> bool:
    """Whether the port says that the exchange has no such thing."""
    if isinstance(result, calls.AmendRefused):
        return result.unsupported
    return isinstance(result, calls.CallFailed) and result.code == calls.UNSUPPORTED


def wordless(result: object) -> str:
    """What an answer that is no success lacks; empty for nothing."""
    words, code = getattr(result, "words", None), getattr(result, "code", None)
    if words is not None and not (str(words).strip().endswith((".", "!")) and len(str(words)) > 10):
        return f"{type(result).__name__} has no sentence, but {words!r}."
    if code is not None and not str(code).strip():
        return f"{type(result).__name__} has no code."
    return ""
