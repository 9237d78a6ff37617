"""[health]: when an exchange is taken for ill. The first three keys are enough on their own."""

from __future__ import annotations

import ipaddress

import attrs
from attrs import Factory, frozen

from app.config.bounds import count, number, seconds, setting
from app.config.errors import bad_value
from app.domain.health_settings import HealthSettings

MOST_WITNESSES = 8
SEED = {"health_check_interval": "health_check_interval_s", "retry_delay": "retry_delay_s"}
"""Keys whose name does not end in their unit, since they are older than that rule."""


def _witnesses(name: str, value: tuple[str, ...]) -> None:
    if len(value) > MOST_WITNESSES:
        raise bad_value(name, list(value), f"must name at most {MOST_WITNESSES} addresses")
    for target in value:
        host, _, port = target.rpartition(":")
        try:
            ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
            usable = port.isdecimal() and 0 < int(port) < 65_536
        except ValueError:
            usable = False
        if not usable:
            raise bad_value(
                name,
                target,
                'must be an IP address and a port, e.g. "192.0.2.1:443" or "[2001:db8::1]:443": a name would need the'
                " name service, whose death is one of the things to tell apart",
            )


@frozen(kw_only=True)
class Health:
    """[health]: when an exchange is taken for down. `app.domain.health` has the rules."""

    health_check_interval: float = setting(
        30.0, "seconds between rounds of probes of an exchange that is well", seconds(least=0.1)
    )
    max_retry_attempts: int = setting(
        3, "consecutive failures that make an exchange a candidate for down", count(1, 1000)
    )
    retry_delay: float = setting(5.0, "seconds between probes of an exchange that fails", seconds(least=0.01))
    rise: int = setting(2, "consecutive good rounds of probes that bring an exchange back, on trial", count(1, 1000))
    probe_timeout_s: float = setting(
        Factory(lambda self: min(5.0, self.health_check_interval), takes_self=True),
        "seconds after which a probe has failed; 5, or the interval where that is shorter",
        seconds(least=0.01),
    )
    jitter: float = setting(
        0.1, "by which part an interval between probes is drawn longer or shorter: 0.1 is 10 %", number(0, 0.5)
    )
    error_window_s: float = setting(60.0, "seconds over which errors are counted", seconds(least=1))
    error_rate: float = setting(0.5, "share of failing calls in that window that makes it suspect", number(0.01, 1))
    error_min_calls: int = setting(10, "calls in that window below which the share says nothing", count(1, 100_000))
    place_failures: int = setting(
        6, "failing orders in a row that make it down though its probes are answered", count(1, 1000)
    )
    hold_down_s: float = setting(
        Factory(lambda self: self.health_check_interval, takes_self=True),
        "seconds for which it is on trial after it was down once, longer after more; the interval",
        seconds(least=0),
    )
    hold_down_max_s: float = setting(
        Factory(lambda self: max(1800.0, self.hold_down_s), takes_self=True),
        "the longest that can become; 1800, or hold_down_s where that is longer",
        seconds(least=0),
    )
    flap_half_life_s: float = setting(
        Factory(lambda self: max(900.0, self.hold_down_s), takes_self=True),
        "seconds in which half of the memory of having been down is gone; 900, or hold_down_s where that is longer",
        seconds(least=1),
    )
    trial_calls: int = setting(3, "good signed calls (probes, orders, cancels) that end the trial", count(1, 1000))
    latency_factor: float = setting(
        5.0, "so many times its own usual latency makes it unfit: trading moves if it can", number(1.5, 1000)
    )
    latency_min_s: float = setting(
        Factory(lambda self: min(0.5, self.probe_timeout_s / 2), takes_self=True),
        "seconds below which it is quick enough in any case; 0.5, or half of probe_timeout_s where that is shorter",
        seconds(least=0.001),
    )
    latency_min_calls: int = setting(20, "calls of a kind below which latencies say nothing", count(5, 1000))
    suspicion: float = setting(
        8.0,
        "when a call without an answer makes it suspect: at 8, one in 10^8 would take as long while it is well",
        number(1, 100),
    )
    ban_tolerance_s: float = setting(30.0, "seconds of a ban that are sat out; trading leaves a longer one", seconds())
    maintenance_lead_s: float = setting(
        300.0, "seconds before an announced maintenance at which trading leaves", seconds(least=0)
    )
    stale_after_s: float = setting(
        120.0, "seconds after which prices or balances that should move, and do not, are stale", seconds(least=1)
    )
    status_interval_s: float = setting(
        60.0, "seconds between asking an exchange what it says of itself, and for a price", seconds(least=1)
    )
    witnesses: tuple[str, ...] = setting(
        (),
        "addresses to connect to, when exchanges fail, to tell their outage from our own: IP address and port",
        _witnesses,
    )

    @property
    def settings(self) -> HealthSettings:
        """As the detector takes them."""
        known = attrs.fields_dict(HealthSettings)
        keys = {SEED.get(key, key): key for key in attrs.fields_dict(type(self))}
        return HealthSettings(**{name: getattr(self, keys[name]) for name in known})
