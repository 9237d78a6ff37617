"""The router's verbs in their blocking spelling: how a person, or a program, steers the whole of it.

Each is done once, however often it is sent: a freeze that holds is not written again, trading that is there already
does not move. With `dry_run=True` nothing is done, and `plan` has what would be. Errors of all: `InvalidRequest` for
what cannot be, `OrderRouterError` for what did not come about, `NotRunning`.
"""

from __future__ import annotations

from pathlib import Path

from app.core import shapes
from app.core.export import export_history
from app.core.settings import Settings
from app.core.waits import Waits


class Steers(Waits):
    """What moves, holds or ends trading as a whole."""

    _settings: Settings

    # ------------------------------------------------------------------------------------------------ where trading is

    def plan_failover(self, exchange: str, *, timeout_s: float | None = None) -> shapes.Steered:
        """What `manual_failover` would do: the route, each candidate and why not, orders, positions, cost."""
        return self._wait(self._requests.plan_failover(exchange, timeout_s=timeout_s))

    def failback(self, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None) -> shapes.Steered:
        """Moves trading back to the primary exchange; returns when the route is committed."""
        return self._wait(self._requests.failback(dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    def isolate(
        self, exchange: str, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> shapes.Steered:
        """Keeps an exchange out until `release`: it is no candidate, and nothing new is placed there, at once.

        Where it is in use, trading leaves it, and waits where no other exchange could take over. What protects a
        position there stays, and its positions may still be closed.
        """
        return self._wait(self._requests.isolate(exchange, dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    def release(
        self, exchange: str, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> shapes.Steered:
        """Ends the isolation of an exchange. Trading does not move by it."""
        return self._wait(self._requests.release(exchange, dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    def drain(
        self, exchange: str, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> shapes.Steered:
        """Takes orders and positions off an exchange, before its maintenance, and isolates it.

        Trading moves first, if it is there; where no other exchange could take over, nothing is done at all.
        """
        return self._wait(self._requests.drain(exchange, dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    # ------------------------------------------------------------------------------------------------ what is placed

    def freeze(self, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None) -> shapes.Steered:
        """Nothing new is placed on any exchange until `unfreeze`, and no position is moved; cancels and exits pass.

        It is in the journal when this returns, and holds whichever process of the router dies.
        """
        return self._wait(self._requests.freeze(dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    def unfreeze(self, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None) -> shapes.Steered:
        """Ends the freeze, also that of a panic; the reduce-only mode and isolations stay."""
        return self._wait(self._requests.unfreeze(dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    def reduce_only(
        self, on: bool = True, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> shapes.Steered:
        """Only orders with `reduce_only` are taken, until `reduce_only(False)`; what rests stays."""
        return self._wait(self._requests.reduce_only(on, dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    def panic(
        self, flatten: bool = False, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> shapes.Steered:
        """Freezes, and cancels every order of ours on every exchange, of every strategy, for as long as there are any.

        Also on an exchange that is down: as soon as it is back. What protects a position stays, unless `flatten`
        closes the positions too: those of the router's own orders, at the market, within the slippage allowed.
        `unfreeze` ends it. `done` says whether all of that came about by the deadline; what did not goes on.
        """
        return self._wait(self._requests.panic(flatten, dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    def resolve(
        self,
        order_id: str,
        how: str = "look",
        *,
        dry_run: bool = False,
        reason: str = "",
        timeout_s: float | None = None,
    ) -> shapes.Steered:
        """Looks at one order, of whichever strategy, and says what it is; or ends, or places, one that waits.

        Args:
            how: ``"look"``: its exchange is asked at once. ``"place"``: a parked one goes where trading is.
                ``"drop"``: one that waits is over; one that is, or may be, live is cancelled as soon as that can be.
        """
        return self._wait(self._requests.resolve(order_id, how, dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    # ------------------------------------------------------------------------------------------------ the history

    def export_history(self, path: str | Path) -> shapes.HistoryExport:
        """Writes the history to a file, a JSON object a line, after its chain of hashes was checked.

        Read from the journal itself, so no daemon need run. An export that is there already must be the beginning of
        what is written: a history that was written anew shows, and the file is left as it is.

        Raises:
            InvalidRequest: There is no journal, its history is broken, or it does not go on from the export.
        """
        return export_history(self._settings.config.router.state_dir, Path(path))
