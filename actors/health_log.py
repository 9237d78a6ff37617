"""What the health monitor writes into the log: every change with the evidence that decided it, once each.

Lines begin with ``health.``. What somebody should look at is an error: our own network, and credentials that an
exchange does not take, since trading does not leave because of them.
"""

from __future__ import annotations

import structlog
from attrs import define, field

from messages.health import HealthState, HealthView, Network, NetworkState, Witness

log = structlog.get_logger()


@define
class HealthLog:
    """What was said last."""

    _states: dict[str, HealthState] = field(init=False, factory=dict)
    _unfit: dict[str, bool] = field(init=False, factory=dict)
    _credentials: dict[str, str] = field(init=False, factory=dict)
    _network: NetworkState = field(init=False, default=NetworkState.THEIRS)

    def look(self, views: tuple[HealthView, ...], network: Network | None, witnesses: tuple[Witness, ...]) -> None:
        """Writes what is new.

        Args:
            network: Whose fault it is that an exchange is down; None while none is.
        """
        for view in views:
            self._exchange(view)
        state = NetworkState.THEIRS if network is None else network.state
        if state is not self._network:
            self._network = state
            words = "no exchange is down" if network is None else network.words
            asked = [f"{each.target}: {each.words or 'reached'}" for each in witnesses]
            write = log.error if state is NetworkState.OURS else log.warning
            write("health.network", state=state.value, words=words, witnesses=asked)

    def _exchange(self, view: HealthView) -> None:
        name = view.exchange
        before, self._states[name] = self._states.get(name, HealthState.STARTING), view.health
        if view.health is not before:
            log.info(
                "health.changed",
                exchange=name,
                state=view.health.value,
                before=before.value,
                reason=view.reason,
                evidence=view.evidence,
            )
        if bool(view.unfit) != self._unfit.get(name, False):
            self._unfit[name] = bool(view.unfit)
            if view.unfit:
                log.warning("health.unfit", exchange=name, words=view.unfit)
            else:
                log.info("health.fit", exchange=name)
        if view.credentials != self._credentials.get(name, ""):
            self._credentials[name] = view.credentials
            if view.credentials:
                log.error("health.credentials", exchange=name, words=view.credentials)
            else:
                log.info("health.credentials_taken", exchange=name)
