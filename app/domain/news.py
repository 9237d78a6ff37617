"""The numbered news of one strategy, as one session hears them: each once, in order, without a gap.

Connectors tell what they record, each from a process of its own, so that number 8 may come before number 7; and what a
connector recorded just before it died is told by nobody. But the numbers are given by the journal, without a gap. So a
session that hears 8 after 6 waits a moment for 7, and then asks the journal for what follows 6, by any connector
(`CatchUp`). And whoever tells also says, whenever a session subscribes or renews, which number was given last: so a
hole at the end is noticed too, when a connector is back, or ten seconds later at the latest.

Nothing is ever kept that could not be read again: what comes ahead of a hole waits in a buffer with a bound, and beyond
that it is dropped, since the journal has it.

    begins at           a facade's session: what is told from its first subscription on
                        a strategy that runs in the daemon: behind what its hooks have heard, in whichever life
    hole                `PATIENCE_S`, then a question, and another after `AGAIN_S` for as long as nobody answers; after
                        the last of them, whatever is told next begins anew
    too far behind      more than `MAX_BEHIND`: the rest is told, and how much is not

Besides, a session owes its owner the end of what it called unknown. Who settles a doubt by an answer, and finds no news
of it in the journal, tells the answer itself, with the number 0.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field

from app.domain.order_life import unproven
from app.domain.session_effects import FillTold, NewsBegin, NewsEffect, OrderTold
from messages.executions import CatchUp, CaughtUp, OrderFilled
from messages.orders import OrderChanged, OrderView

PATIENCE_S = 0.2
"""How long a hole may be news that come in another order."""

AGAIN_S = (0.5, 1.0, 2.0, 5.0, 5.0)
"""Between questions while nobody answers."""

ANSWER_S = 3.0
"""How long an answer may take."""

PAGE = 50
"""News in one answer: reading them holds up a connector for some milliseconds."""

MAX_AHEAD = 1000
"""News that wait behind a hole."""

MAX_BEHIND = 10_000
"""News that are made up for; of more the newest are told."""

MARK = "/news/"

Told = OrderChanged | OrderFilled


@define
class News:
    """Of one session.

    Attributes:
        heard: The number told to the owner last; None while it is not known where to begin.
    """

    session_id: str
    strategy: str
    resumes: bool = False
    heard: int | None = field(init=False, default=None)
    _open: bool = field(init=False)
    _anything: bool = field(init=False, default=False)
    _latest: int = field(init=False, default=0)
    _ahead: dict[int, Told] = field(init=False, factory=dict)
    _owed: dict[str, tuple[OrderView, int]] = field(init=False, factory=dict)
    _ask_s: float | None = field(init=False, default=None)
    _asked: str = field(init=False, default="")
    _questions: int = field(init=False, default=0)
    _failures: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._open = not self.resumes
        self._ask_s = 0.0 if self.resumes else None

    # ------------------------------------------------------------------------------------------------ in

    def listen(self, now_s: float) -> list[NewsEffect]:
        """An owner who resumes can be told from now on; anybody else could from the start.

        To be called once `heard` is known: what is told meanwhile waits, and a new strategy that had placed something
        before it was known where to begin could not tell its own news from older ones.
        """
        self._open = True
        return self._flushed(now_s)

    def told(self, news: Told, now_s: float) -> list[NewsEffect]:
        """A connector says so."""
        if news.number == 0:
            return [_effect(news, resolved=self._resolves(news))]
        self._latest = max(self._latest, news.number)
        self._keep(news)
        return self._flushed(now_s)

    def up_to(self, latest: int, now_s: float) -> list[NewsEffect]:
        """A connector says which number was given last."""
        self._latest = max(self._latest, latest)
        out: list[NewsEffect] = []
        if not self.resumes and (self.heard is None or (latest < self.heard and not self._anything)):
            # Of those who are asked at the beginning one may answer late, and tell what came between in between.
            self.heard = min([latest, *(number - 1 for number in self._ahead)])
            out.append(NewsBegin(number=self.heard))
        elif self.heard is None and not self._asked and self._ask_s is None:
            self._ask_s = now_s  # where to begin could not be read before
        return out + self._flushed(now_s)

    def owes(self, order: OrderView, now_s: float, number: int = 0) -> list[NewsEffect]:
        """What its owner was told that nobody can know is known by now, and is to be told.

        Args:
            number: Of the news that says so; 0 where it was an answer, of which the journal may have no news.
        """
        if self.heard is None and not self.resumes:
            return [OrderTold(order=order, sequence=0, resolved=True)]  # it has heard of nobody who tells
        self._owed[order.order_id] = order, number
        if number == 0 or (self.heard is not None and number <= self.heard):
            self._ask_s = now_s
        return []

    # ------------------------------------------------------------------------------------------------ asking

    def due(self, now_s: float) -> CatchUp | None:
        """The question it is time for."""
        if now_s < self.next_s():
            return None
        self._questions += 1
        self._ask_s = None
        self._asked = f"{self.session_id}{MARK}{self._questions}"
        return CatchUp(
            correlation_id=self._asked,
            deadline_s=now_s + ANSWER_S,
            strategy=self.strategy,
            after=self.heard,
            limit=PAGE,
        )

    def about(self, correlation_id: str) -> bool:
        """Whether that is the question asked last."""
        return correlation_id == self._asked

    def next_s(self) -> float:
        """When a question is due next."""
        beginning = self.resumes and self.heard is None
        return float("inf") if self._asked or self._ask_s is None or not (self._open or beginning) else self._ask_s

    def answered(self, outcome: Any, now_s: float) -> list[NewsEffect]:
        """What came of it; anything but a `CaughtUp` is none, and it is asked again."""
        self._asked = ""
        if not isinstance(outcome, CaughtUp):
            return self._ask_later(now_s)
        out = self._begun(outcome)
        assert self.heard is not None
        before = self.heard
        self._latest = max(self._latest, outcome.latest)
        for news in outcome.news:
            self._keep(news)
        first = min(self._ahead, default=self._latest + 1)
        missed = self._latest - MAX_BEHIND - self.heard
        if outcome.after == self.heard and outcome.news:
            missed = max(missed, first - 1 - self.heard)  # the journal has lost some itself
        if missed > 0:
            self.heard += missed
            out.append(NewsBegin(number=self.heard, missed=missed))
        if not self._open:
            return out
        out += self._flushed(now_s)
        if self._latest > self.heard:
            if self.heard == before:
                return out + self._ask_later(now_s)
            self._ask_s = now_s
        self._failures = 0
        return out + self._pay() if self._latest <= self.heard and self._ask_s is None else out

    def _begun(self, outcome: CaughtUp) -> list[NewsEffect]:
        # Where less was told than we asked for it is another journal, as after a copy was put back: numbers begin anew.
        if self.heard is not None and outcome.latest >= outcome.after:
            return []
        if self.heard is not None:
            self._ahead.clear()
        self.heard = min(outcome.after, outcome.latest)
        self._latest = max([outcome.latest, *self._ahead])
        return [NewsBegin(number=self.heard)]

    def _ask_later(self, now_s: float) -> list[NewsEffect]:
        self._failures += 1
        if self._failures <= len(AGAIN_S):
            self._ask_s = now_s + AGAIN_S[self._failures - 1]
            return []
        self._failures = 0  # nobody can read the journal now: whoever can will say how far it is
        self._ask_s = None
        return self._pay()

    # ------------------------------------------------------------------------------------------------ pieces

    def _keep(self, news: Told) -> None:
        number = news.number
        if self.heard is not None and number <= self.heard:
            return
        self._ahead[number] = news
        if len(self._ahead) > MAX_AHEAD:
            del self._ahead[max(self._ahead)]  # the journal has it

    def _flushed(self, now_s: float) -> list[NewsEffect]:
        """What is next; and in how long to ask for what is missing before the rest."""
        if self.heard is None or not self._open:
            return []
        out: list[NewsEffect] = []
        while (news := self._ahead.pop(self.heard + 1, None)) is not None:
            self.heard += 1
            self._anything = True
            out.append(_effect(news, resolved=self._resolves(news)))
        if self._ahead and min(self._ahead) <= self.heard:
            self._ahead = {number: news for number, news in self._ahead.items() if number > self.heard}
        if self._latest <= self.heard:
            if not self._owed:
                self._ask_s = None
        elif not self._asked and (self._ask_s is None or out):
            self._ask_s = now_s + PATIENCE_S
        return out

    def _resolves(self, news: Told) -> bool:
        """Whether it is what its owner is owed."""
        order, number = self._owed.get(news.order.order_id, (None, 0))
        if (
            order is None
            or isinstance(news, OrderFilled)
            or news.number < number
            or (number == 0 and unproven(news.order))
        ):
            return False
        del self._owed[news.order.order_id]
        return True

    def _pay(self) -> list[NewsEffect]:
        """Everything was told that the journal has: what is owed still is told now."""
        owed, self._owed = self._owed, {}
        return [OrderTold(order=order, sequence=0, resolved=True) for order, _ in owed.values()]


def _effect(news: Told, *, resolved: bool) -> OrderTold:
    order, sequence, number = news.order, news.sequence, news.number
    if isinstance(news, OrderFilled):
        return FillTold(order=order, sequence=sequence, number=number, execution=news.execution)
    known = news.resolved or resolved
    return OrderTold(order=order, sequence=sequence, number=number, resolved=known, grew=news.grew, total=news.total)
