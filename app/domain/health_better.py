"""Whether an exchange is known to be better than another one of which too many calls fail.

Theory. A line of our own that loses every fifth packet makes a fifth of all calls fail, on every exchange. The one in
use is found out first, within minutes, since it is asked most; an idle backup answers two probes in half a minute, and
looks well for an hour. Trading would move to it and gain nothing. So as soon as one exchange is unfit for its error
rate, every other one is put to the test: it is asked each `retry_delay`, and is no better until the test says so.

The test is Wald's (Ann. Math. Stat. 16, 1945), with the hypotheses of `health_rate`, 5 % against 20 %: each answer and
each failure adds its log-likelihood ratio; at -3 it is better (what fails a fifth reaches that once in twenty), and
that stands as long as the other is unfit. Eighteen answers without a failure are enough, and each failure asks for
about eight more. The score never rises above 3, so that a line that becomes good again is soon known to be good.

Every kind of call counts, the public probe too, and failures of our own side most of all: the line is what is tested.
"""

from __future__ import annotations

from app.domain.health_rate import ANSWERED, FAILED

BEGUN = 0.0
DECIDED = 3.0
"""The score from which on a test has decided: exp(-3), 5 %, of being wrong."""


def weighed(score: float | None, *, ok: bool) -> float | None:
    """The score after one more call; None where nothing is tested."""
    if score is None or score <= -DECIDED:
        return score
    return min(DECIDED, score + (ANSWERED if ok else FAILED))


def undecided(score: float | None) -> bool:
    """Whether more has to be known."""
    return score is not None and score > -DECIDED


def no_better(score: float | None, other: str) -> str:
    """Why an exchange is not known to be better than another one that is unfit; empty where it is, or nobody asks."""
    if score is None or score <= -DECIDED:
        return ""
    fails = "fails as well" if score >= DECIDED else "is not known to be better yet"
    return f"it {fails}, while of {other} too many calls fail: it may be our own network"
