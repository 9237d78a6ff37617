"""When to restart a child that ended, and when to give up: OTP's restart intensity as a pure machine, with a backoff.

Theory. A restart cures what was transient; a child that keeps ending has a cause that restarting does not reach, and
whoever is above must hear of it. So restarts are counted over a sliding period: with `intensity` MaxR and `period_s`
MaxT, "if more than MaxR restarts occur within MaxT seconds" the supervisor stops its children and then itself, the way
escalation goes in OTP (Erlang/OTP, module `supervisor`, "Supervisor flags"; `supervisor:add_restart/3` keeps restarts
no older than the period, the edge included). OTP restarts at once and always; here that is so for the first end within
a period, and each further one waits twice as long as the last, up to a cap, since what fails to start against a busy
host or exchange is not helped by hurry.

    | ends within the period, this one included | answer                                                        |
    | 1                                         | restart after 0 s                                             |
    | 2 … intensity                             | restart after backoff_first x 2^(n - 2), at most backoff_max  |
    | more than intensity                       | give up                                                       |

Waiting thins out the ends, so a policy whose waits fill the period could never give up: such a policy is refused.
"""

from __future__ import annotations

import math

from attrs import frozen


@frozen(kw_only=True)
class RestartPolicy:
    """How often a child may end before its supervisor gives up.

    Attributes:
        intensity: Restarts allowed within the period; 0 gives up at the first end.
        period_s: Length of the sliding period.
        backoff_first_s: Wait before the second restart within a period.
        backoff_max_s: Longest wait.
    """

    intensity: int
    period_s: float
    backoff_first_s: float
    backoff_max_s: float

    def __attrs_post_init__(self) -> None:
        """Checks the policy.

        Raises:
            ValueError: A number is negative or not finite, or the waits would keep it from ever giving up.
        """
        if self.intensity < 0:
            raise ValueError(f"intensity is {self.intensity}, and must be 0 or more restarts")
        for name, value_s, least in (
            ("period_s", self.period_s, "above 0"),
            ("backoff_first_s", self.backoff_first_s, "0 or more"),
            ("backoff_max_s", self.backoff_max_s, "0 or more"),
        ):
            if not math.isfinite(value_s) or value_s < 0 or (value_s == 0 and least == "above 0"):
                raise ValueError(f"{name} is {value_s}, and must be a number of seconds {least}")
        waits_s = sum(self.wait_s(n) for n in range(1, self.intensity + 1))
        if waits_s >= self.period_s:
            raise ValueError(
                f"the waits before {self.intensity} restarts add up to {waits_s:g} s, which is not below"
                f" period_s={self.period_s:g}: a child that ends at once would be restarted for ever"
            )

    @classmethod
    def within(cls, intensity: int, period_s: float) -> RestartPolicy:
        """A policy with waits that take at most half of the period, 5 s each at most."""
        longest_s = min(5.0, period_s / (2 * max(1, intensity)))
        return cls(
            intensity=intensity,
            period_s=period_s,
            backoff_first_s=min(0.1, longest_s),
            backoff_max_s=longest_s,
        )

    def wait_s(self, nth: int) -> float:
        """Seconds to wait before restarting after the `nth` end within a period, counted from 1."""
        if nth <= 1:
            return 0.0
        # Beyond 2^60 the cap holds whatever the first wait was; the power must not overflow.
        return min(self.backoff_max_s, self.backoff_first_s * 2.0 ** min(nth - 2, 60))


@frozen(kw_only=True)
class Restarts:
    """What a supervisor remembers of one child.

    Attributes:
        name: Of the child, for the words.
        ends_s: When it ended, oldest first, within the last period: at most `intensity` entries.
        total: Restarts since the beginning.
    """

    name: str
    policy: RestartPolicy
    ends_s: tuple[float, ...] = ()
    total: int = 0


@frozen(kw_only=True)
class Restart:
    """Start the child again.

    Attributes:
        after_s: Wait so long first.
        state: What to remember.
    """

    after_s: float
    state: Restarts


@frozen(kw_only=True)
class GiveUp:
    """Stop the children and end, so that whoever is above learns of it; `words` says why in one sentence."""

    words: str


def on_exit(state: Restarts, now_s: float) -> Restart | GiveUp:
    """The answer to a child's end at `now_s`. A clock set back counts as standing still."""
    policy = state.policy
    now_s = max((now_s, *state.ends_s))
    ends_s = (*(end_s for end_s in state.ends_s if end_s >= now_s - policy.period_s), now_s)
    if len(ends_s) > policy.intensity:
        return GiveUp(
            words=f"{state.name} ended {len(ends_s)} times within {policy.period_s:g} s,"
            f" more than the {policy.intensity} that supervision.intensity allows"
        )
    return Restart(
        after_s=policy.wait_s(len(ends_s)),
        state=Restarts(name=state.name, policy=policy, ends_s=ends_s, total=state.total + 1),
    )


def never_served(state: Restarts, ends: int) -> GiveUp | None:
    """The answer to `ends` ends in a row without having served between, however far apart; None while it may go on."""
    if ends <= state.policy.intensity:
        return None
    return GiveUp(
        words=f"{state.name} ended {ends} times in a row before it had started,"
        f" more than the {state.policy.intensity} that supervision.intensity allows"
    )
