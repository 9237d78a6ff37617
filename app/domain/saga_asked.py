"""Who asks for a switch: a person, a program, or a verb; and what is waited for before anything is fenced for them.

A fence is a cost: until its commit no order goes anywhere, and where the switch is given up, an epoch was spent for
nothing. So whoever asks is refused before it, in words, where the answer is known already:

    | the exchange that is asked for              | what becomes of the asker                                    |
    | not configured, in use already, isolated    | refused at once                                              |
    | down, or closed for maintenance             | refused at once, also where it goes down while he waits      |
    | back, and what it did is being found out    | waits for that until its deadline, then refused              |
    | its first pre-flight not answered yet       | likewise: at a start its markets may still be on their way   |
    | anything else                               | the switch begins; its own pre-flight has the last word      |

One asker waits at a time: who asks for another exchange since takes its place, and the one before is told so.
"""

from __future__ import annotations

from attrs import define, field, frozen

from app.domain.effects import Answer, Asker
from app.domain.failback import by_person
from app.domain.saga_effects import MANUAL, CoordinatorEffect, Want
from app.domain.saga_steps import SagaSteps
from app.domain.saga_table import MOVING, Happened
from app.domain.standing import Standing
from messages.base import Failed
from messages.failover import ManualFailover, SwitchResult

BY_SOMEBODY = "somebody asked for it"
NOT_READY = "failover_failed"
"""The code of a refusal that says nothing of the request, but of its exchange: as of a switch that was given up."""
PATIENCE_S = 0.3
"""Before its deadline, whoever waits for an exchange, or for the journal, is told that it cannot be yet: an answer
takes two hops of a millisecond each, and more on a busy machine."""


@frozen(kw_only=True)
class _Waits:
    """A switch that is wanted as soon as its exchange is a candidate, and has answered whether it is ready."""

    want: Want
    deadline_s: float


@define
class SagaAsked(SagaSteps):
    """The part of the machine that hears askers."""

    _waits: _Waits | None = field(init=False, default=None)

    # ------------------------------------------------------------------------------------------------ who asks

    def manual(self, asker: Asker, request: ManualFailover, now_s: float) -> list[CoordinatorEffect]:
        """A person, or a program, wants trading moved to an exchange."""
        want = Want(
            to=(request.exchange,),
            reason=request.reason or MANUAL,
            asked=True,
            asker=asker,
            correlation_id=request.correlation_id,
            evidence=(BY_SOMEBODY,),
        )
        return self.wanted(want, request.deadline_s, now_s)

    def wanted(self, want: Want, deadline_s: float, now_s: float) -> list[CoordinatorEffect]:
        """A verb wants a switch; its asker is answered with `SwitchReply` when it is committed, or `Failed`."""
        (exchange,) = want.to
        same = [each for each in self.past if want.correlation_id and each.correlation_id == want.correlation_id]
        if same:
            return [self._how_it_ended(same[-1], want.asker, want.correlation_id)]
        if self._runs_as_asked(exchange):
            # Sent again, since the answer takes a while or a coordinator died: it is the switch that is running.
            self.asker = (want.asker, want.correlation_id)
            committed = self.switch is not None and self.switch.result is SwitchResult.COMPLETED
            return self._answer() if committed else []
        refusal = ""
        known = ", ".join(self.settings.exchanges)
        if exchange not in self.settings.exchanges:
            refusal = f"Cannot fail over to {exchange!r}: the configured exchanges are {known}."
        elif exchange == self.route.exchange:
            refusal = f"Cannot fail over to {exchange}: trading is there already."
        elif isolated := self.controls.why_isolated(exchange):
            refusal = f"Cannot fail over to {exchange}: it is isolated ({isolated.rstrip('.')}); release it first."
        if refusal:
            failed = Failed(correlation_id=want.correlation_id, code="failover_refused", words=refusal)
            return [Answer(asker=want.asker, message=failed)]
        if self.step in MOVING or self.route.exchange is None:
            return self.happened(Happened.WANTED, now_s, want)
        if gone := self.gone(exchange):
            return self._refused(want, gone, NOT_READY)
        if not self._not_yet(exchange, now_s):
            return self.happened(Happened.WANTED, now_s, want)
        out: list[CoordinatorEffect] = []
        if self._waits is not None and self._waits.want.correlation_id != want.correlation_id:
            out = self._refused(self._waits.want, f"somebody asked for {exchange} since.")
        self._waits = _Waits(want=want, deadline_s=deadline_s)
        return out + self._asked_now(now_s)

    def waiting(self) -> list[str]:
        """Whoever is asked for is asked whether it is ready, however well it is."""
        names = super().waiting()
        if self._waits is None:
            return names
        return [*names, *(name for name in self._waits.want.to if name not in names and name != self.route.exchange)]

    def _not_yet(self, exchange: str, now_s: float) -> str:
        """What an exchange is waited for, in a sentence; empty where a switch to it may begin."""
        if self.standing(exchange) in (Standing.LEFT, Standing.RETURNING):
            return self.standings.why_not(exchange, now_s)
        if self.readied.answered(exchange):
            return ""
        said = " ".join(self.readied.of(exchange).problems)
        return said or f"{exchange} has not answered yet whether it is ready."

    def _waited(self, now_s: float) -> list[CoordinatorEffect] | None:
        """Begins what somebody waits for, once its exchange can be asked; None where nobody waits for one that can."""
        if self._waits is None:
            return None
        want, deadline_s = self._waits.want, self._waits.deadline_s
        (exchange,) = want.to
        if exchange == self.route.exchange or self.controls.why_isolated(exchange):
            self._waits = None
            return self._refused(want, "trading is there already, or it is isolated by now.")
        if gone := self.gone(exchange):
            self._waits = None
            return self._refused(want, gone, NOT_READY)
        why = self._not_yet(exchange, now_s)
        if not why:
            self._waits = None
            return self.happened(Happened.WANTED, now_s, want)
        if now_s >= deadline_s - PATIENCE_S:
            self._waits = None
            return self._refused(want, why, NOT_READY)
        return None

    @staticmethod
    def _refused(want: Want, why: str, code: str = "failover_refused") -> list[CoordinatorEffect]:
        words = f"Cannot fail over to {want.to[0]} now: {why}"
        failed = Failed(correlation_id=want.correlation_id, code=code, words=words)
        return [Answer(asker=want.asker, message=failed)]

    def _runs_as_asked(self, exchange: str) -> bool:
        switch = self.switch
        if switch is None or switch.result is SwitchResult.FAILED:
            return False
        return by_person(switch) and switch.to_exchange == exchange

    # ------------------------------------------------------------------------------------------------ given elsewhere

    def _asked_now(self, now_s: float) -> list[CoordinatorEffect]:
        raise NotImplementedError
