"""A connector's word on whether orders get through it: what orders have done lately, or else what a dry request does.

The dry request is a read like any other until it is granted by the rate limiter; then the journal is asked as for a
placement, and the exchange's client makes and signs one without sending it (`app.exchanges.dry_run`). At most one is
under way.
Who decides what follows from the answer is `app.domain.order_path`.
"""

from __future__ import annotations

from actors.environment import PortRunner
from app.domain import calls as c
from app.domain.no_room import NO_ROOM
from app.journal.store import Journal, JournalError
from messages.supervision import CheckOrderPath, OrderPathChecked


class OrderPath:
    """Of one connector."""

    def __init__(self, exchange: str, journal: Journal, runner: PortRunner, stall_limit_s: float) -> None:
        self._exchange = exchange
        self._journal = journal
        self._runner = runner
        self._stall_limit_s = stall_limit_s
        self._walked_s = 0.0
        self._since_s: float | None = None
        self._routed: str | None = None

    # ---- what orders show --------------------------------------------------------------------------------------------

    def heard(self, result: c.Result, now_s: float) -> None:
        """A call came back: an exchange's own answer to a placement means that it has gone the whole way."""
        if isinstance(result, c.Placed) or (isinstance(result, c.Refused) and result.native_code is not None):
            self._walked_s = now_s

    def not_recorded(self) -> None:
        """The journal did not take what was learned: what went before proves nothing more."""
        self._walked_s = 0.0

    # ---- the dry request ---------------------------------------------------------------------------------------------

    def known(self, request: CheckOrderPath, now_s: float) -> OrderPathChecked | None:
        """The answer, where none has to be sought; None when a dry request is to go, of which the rest is told."""
        if self._since_s is not None:
            words = f"a dry request at {self._exchange} has not come back for {now_s - self._since_s:.1f} s"
            return self._told(request, words)
        if self._walked_s > request.since_s:
            try:
                self._routed = self._journal.route().exchange
            except JournalError as error:
                return self._told(request, str(error))
            return self._told(request, "", dry=False)
        self._since_s = now_s
        return None

    def committed(self) -> c.CallFailed | None:
        """Asks the journal as a placement would; why it does not take one, or None where it does."""
        try:
            self._routed = self._journal.dry_commit().exchange
        except JournalError as error:
            return c.CallFailed(code="journal_unavailable", words=str(error))
        return None

    def answer(self, request: CheckOrderPath, result: c.Result) -> OrderPathChecked:
        """A dry request has come back."""
        self._since_s = None
        if isinstance(result, c.DryOk):
            return self._told(request, "")
        failed: c.Result | None = result
        if isinstance(result, c.CallFailed) and result.code == NO_ROOM:
            # Silence that the exchange asked for, or a crowd of orders: the limiter has answered, ask the others.
            failed = self._committed_and_turning()
        if failed is None:
            return self._told(request, "")
        words = failed.words if isinstance(failed, c.CallFailed) else f"it was answered by {type(failed).__name__}"
        return self._told(request, f"a placement at {self._exchange} would not be sent: {words}")

    def _committed_and_turning(self) -> c.CallFailed | None:
        stalled_s = self._runner.stalled_s()
        if stalled_s > self._stall_limit_s:
            words = f"the event loop of {self._exchange} has stood still for {stalled_s:.1f} s"
            return c.CallFailed(code="stalled", words=words)
        return self.committed()

    def _told(self, request: CheckOrderPath, words: str, *, dry: bool = True) -> OrderPathChecked:
        return OrderPathChecked(
            correlation_id=request.correlation_id, exchange=self._exchange, routed=self._routed, words=words, dry=dry
        )
