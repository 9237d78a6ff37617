"""Rate limits: weights per call, counted in fixed windows, and bans of those who go on. Pure; the time is an argument.

The numbers are the exchange's, declared as data by its dialect (`Dialect.limits`). They are enforced only when somebody
switches them on, so that a test of something else is not slowed down by them.
"""

from collections.abc import Mapping

from attrs import define, field, frozen

from app.simulator.calls import Call


@frozen(kw_only=True)
class Limit:
    """`most` units of weight in every window of `window_ms`, aligned to Unix time.

    Attributes:
        name: as the exchange calls it, for its headers.
        per_key: counted for each API key; else for each address, which here is the whole exchange.
        calls: the calls that it counts; empty: all.
        weights: units of a call; 1 unless named.
    """

    name: str
    window_ms: int
    most: int
    per_key: bool = False
    calls: frozenset[Call] = frozenset()
    weights: Mapping[Call, int] = {}


@frozen(kw_only=True)
class LimitRules:
    """The limits of an exchange.

    Attributes:
        limits: every one must be kept.
        ban_after: requests refused within one window after which the address is banned; None: there are no bans.
        ban_ms: how long the first ban lasts; each one after it twice as long, up to `longest_ban_ms`.
        lengthens: requests sent during a ban count as violations too: `ban_after` of them are the next ban. Binance
            says that bans grow "for repeat offenders" and not how many requests repeat the offence: declared by us.
    """

    limits: tuple[Limit, ...]
    ban_after: int | None = None
    ban_ms: int = 120_000
    longest_ban_ms: int = 3 * 86_400_000
    lengthens: bool = False


@frozen(kw_only=True)
class Verdict:
    """What became of a request. `refused` or `banned` with `until_ms`, when to come back; else it may pass.

    used: units by limit, this request included, for headers.
    """

    refused: bool = False
    banned: bool = False
    until_ms: int = 0
    used: Mapping[str, int] = {}

    def retry_after_s(self, now_ms: int) -> int:
        """Whole seconds to wait, at least one."""
        return max(1, -((now_ms - self.until_ms) // 1000))


FREE = Verdict()


ENDLESS = 1e12
"""A scale at which no limit is ever reached."""


@define
class RateLimits:
    """The counters of one exchange."""

    rules: LimitRules
    scale: float = 1.0
    """Share of every limit that is really granted: a small one makes a test short."""
    _counts: dict[tuple[str, str], tuple[int, int]] = field(factory=dict)
    _refusals: tuple[int, int] = (0, 0)
    _banned_until_ms: int = 0
    _bans: int = 0
    _lasts_ms: int = 0
    _asked_banned: int = 0
    """Requests sent during bans, ever."""
    _since_ban: int = 0

    def take(self, call: Call, key: str, now_ms: int) -> Verdict:
        """Count a request; a refused one is not counted, but brings the ban nearer."""
        if now_ms < self._banned_until_ms:
            self._asked_banned += 1
            self._since_ban += 1
            if self.rules.lengthens and self.rules.ban_after is not None and self._since_ban >= self.rules.ban_after:
                self.ban(now_ms + self._longer_ms(), lasts_ms=self._longer_ms())
            return Verdict(banned=True, until_ms=self._banned_until_ms)
        used: dict[str, int] = {}
        counted: list[tuple[tuple[str, str], tuple[int, int]]] = []
        for limit in self.rules.limits:
            if limit.calls and call not in limit.calls:
                continue
            slot = (limit.name, key if limit.per_key else "")
            window = now_ms // limit.window_ms
            known, units = self._counts.get(slot, (window, 0))
            units = (units if known == window else 0) + limit.weights.get(call, 1)
            used[limit.name] = units
            if units > max(1, int(limit.most * self.scale)):
                return self._refuse(now_ms, limit, (window + 1) * limit.window_ms, used)
            counted.append((slot, (window, units)))
        self._counts.update(counted)
        return Verdict(used=used)

    def _refuse(self, now_ms: int, limit: Limit, until_ms: int, used: Mapping[str, int]) -> Verdict:
        since_ms, refusals = self._refusals
        fresh = now_ms - since_ms >= limit.window_ms
        self._refusals = (now_ms if fresh else since_ms, 1 if fresh else refusals + 1)
        if self.rules.ban_after is None or self._refusals[1] < self.rules.ban_after:
            return Verdict(refused=True, until_ms=until_ms, used=used)
        self._bans += 1
        self._refusals = (0, 0)
        lasts_ms = min(self.rules.ban_ms * 2 ** (self._bans - 1), self.rules.longest_ban_ms)
        self.ban(now_ms + lasts_ms, lasts_ms=lasts_ms)
        return Verdict(banned=True, until_ms=self._banned_until_ms, used=used)

    def _longer_ms(self) -> int:
        return min(2 * (self._lasts_ms or self.rules.ban_ms), self.rules.longest_ban_ms)

    def ban(self, until_ms: int, *, lasts_ms: int = 0) -> None:
        """Ban the address until then, as if it had gone on; 0 lifts a ban. `lasts_ms`: what the next one doubles."""
        self._banned_until_ms, self._lasts_ms, self._since_ban = until_ms, lasts_ms, 0

    def shown(self) -> dict[str, object]:
        """The limits and their counters, for the control interface."""
        return {
            "scale": self.scale,
            "banned_until_ms": self._banned_until_ms,
            "asked_while_banned": self._asked_banned,
            "limits": [
                {"name": x.name, "window_ms": x.window_ms, "most": max(1, int(x.most * self.scale))}
                for x in self.rules.limits
            ],
            "used": {"/".join(s for s in slot if s): units for slot, (_, units) in self._counts.items()},
        }
