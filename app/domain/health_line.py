"""What an exchange's answer is worth as a proof of our network: whether calls to it get lost on the way.

Theory. A line of our own that loses every third packet makes every exchange fail, and answer in between. Sooner or
later three failures come in a row, and the exchange in use is DOWN; the next moment another one answers, as two of
three times it would. That is no proof that our network works. What tells the two apart is what was known before: of an
exchange that is well and reached by a good line next to nothing gets lost.

So each exchange has a score as of `health_rate`, 5 % against 20 %, of calls *without an answer*: silence, a connection
that is refused or ends, no way there. Every kind of call counts, the public probe too; an answer that it is ill comes
through, and counts as one. It never falls below 0, and from `LOST` on, three failures in eight calls, the exchange is
believed as late as one that was silent together with the one that is down (`network`). It never rises above `MOST`, so
that some thirty-five answers are enough to forget whatever was. Unlike the error rate's it is kept while the exchange
is DOWN: what came back a minute ago has been lost a minute ago.

How often it holds, by simulation, where each observation is one call: 0.01 % of the time at 1 % loss, 3 % at 5 %, half
of it at 10 %, always but for 0.3 % at 20 %. The calls of one moment (`moment_s`) are one observation, which is lost in
part; order within a moment does not matter, and more that is lost never lowers the score: property tests. Numbers are
declared by us.
"""

from __future__ import annotations

import math

from attrs import frozen

from app.domain.health_rate import gain
from app.domain.health_settings import HealthSettings, moment_s
from messages.health import Cause

LOST = 3.0
"""The score from which on too much gets lost: e^3 times as likely at a fifth than at a twentieth."""
MOST = 9.0

UNHEARD = frozenset({Cause.SILENT, Cause.CONNECTION, Cause.LOCAL})
"""Nothing came back."""


@frozen
class Line:
    """The line to one exchange.

    Attributes:
        moment: Number of the newest one since time began.
        before: The score before that moment; `calls` and `lost` are of it.
    """

    moment: int = -1
    before: float = 0.0
    calls: int = 0
    lost: int = 0

    @property
    def score(self) -> float:
        """With the newest moment."""
        return min(MOST, max(0.0, self.before + gain(self.calls, self.lost))) if self.calls else self.before

    @property
    def loses(self) -> bool:
        """Whether too much gets lost."""
        return self.score >= LOST

    def seen(self, at_s: float, settings: HealthSettings, *, lost: bool) -> Line:
        """After one more call; one that is older than the newest moment is taken as of that."""
        moment = math.floor(at_s / moment_s(settings))
        if moment > self.moment:
            return Line(moment, self.score, 1, int(lost))
        return Line(self.moment, self.before, self.calls + 1, self.lost + lost)
