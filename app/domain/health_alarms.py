"""What a person should know of our side: our own network is down, or an exchange does not take our credentials.

Neither moves trading (`network`, `leaving`), so nothing else would tell a bot why nothing happens. An alarm is told
when it begins and when it is over. That of our network is over only with the proof that it works, not as soon as
nobody can tell any more; and nothing is called our network's fault before it is (`network.judge`).
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, evolve, field

from messages.health import HealthAlarm, HealthAlarms, HealthView, Network, NetworkState

OWN_NETWORK = "own_network"
CREDENTIALS = "credentials"
"""Codes of `HealthAlarm`."""


@define
class Alarms:
    """What stands, by code and exchange: at most one of our network, and one for each exchange."""

    _standing: dict[tuple[str, str], HealthAlarm] = field(init=False, factory=dict)

    @property
    def standing(self) -> tuple[HealthAlarm, ...]:
        """Those that are not over."""
        return tuple(self._standing.values())

    def look(self, views: Iterable[HealthView], network: Network, now_s: float) -> HealthAlarms | None:
        """Judges anew; None where nothing began, and nothing is over.

        Args:
            network: Whose fault it is that the newest exchange that is down is.
        """
        before = self._standing
        found = {(alarm.code, alarm.exchange): alarm for alarm in self._found(views, network, now_s)}
        self._standing = {
            key: evolve(alarm, at_s=before[key].at_s) if key in before else alarm for key, alarm in found.items()
        }
        raised = tuple(alarm for key, alarm in found.items() if key not in before)
        over = tuple(alarm for key, alarm in before.items() if key not in found)
        return HealthAlarms(raised=raised, over=over) if raised or over else None

    def _found(self, views: Iterable[HealthView], network: Network, now_s: float) -> Iterable[HealthAlarm]:
        stood = self._standing.get((OWN_NETWORK, ""))
        if network.state is NetworkState.OURS:
            words = f"As it looks our own network is down: {network.words}. Trading stays until something answers."
            yield HealthAlarm(code=OWN_NETWORK, exchange="", words=words, at_s=now_s)
        elif stood is not None and network.state is NetworkState.UNKNOWN:
            yield stood
        for view in views:
            if view.credentials:
                words = (
                    f"{view.exchange} does not take our credentials: {view.credentials.rstrip('.')}. Put them right:"
                    " trading is not moved for that."
                )
                yield HealthAlarm(code=CREDENTIALS, exchange=view.exchange, words=words, at_s=now_s)
