"""The dead-man switch: a countdown that cancels orders unless it is armed again in time.

What it covers (the account or one symbol, with or without waiting triggers) is the exchange's rule, in
`spec.DeadManRules`; that positions stay is common to all.
"""

from app.simulator.model import Reason, Refusal
from app.simulator.spec import DeadManRules


class DeadMan:
    """The countdowns of one account."""

    def __init__(self, rules: DeadManRules | None) -> None:
        self.rules = rules
        self.due: dict[str | None, int] = {}
        """When a countdown ends, Unix ms, by symbol; None is the account's."""

    def arm(self, symbol: str | None, timeout_ms: int, now_ms: int) -> int | None:
        """Start or restart a countdown; 0 disarms. Returns when it ends, Unix ms, or None.

        Raises Refusal UNSUPPORTED where the exchange has none, or none of that scope; BAD_QTY out of bounds.
        """
        rules = self.rules
        if rules is None or rules.per_symbol is (symbol is None):
            raise Refusal(Reason.UNSUPPORTED, "The exchange has no such countdown.", symbol=symbol)
        if timeout_ms == 0:
            self.due.pop(symbol, None)
            return None
        if not rules.min_ms <= timeout_ms <= rules.max_ms:
            raise Refusal(
                Reason.BAD_QTY, f"A countdown is {rules.min_ms} to {rules.max_ms} ms, not {timeout_ms}.", symbol=symbol
            )
        self.due[symbol] = now_ms + timeout_ms
        return self.due[symbol]

    def take(self, now_ms: int) -> list[str | None]:
        """The scopes whose countdown has ended; they are disarmed by it."""
        ended = [symbol for symbol, due_ms in self.due.items() if due_ms <= now_ms]
        for symbol in ended:
            del self.due[symbol]
        return ended

    @property
    def next_ms(self) -> int | None:
        """When the next countdown ends, Unix ms."""
        return min(self.due.values(), default=None)
