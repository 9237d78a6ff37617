"""What a run of the matrix observes: columns, rows, and what was seen where they meet."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from attrs import frozen

from messages.market import MarketType


class Verdict(StrEnum):
    """What is to be thought of a cell.

    Attributes:
        GOOD: What the port said agrees with the exchange's books.
        REFUSED: Nothing was done, and the port said so in words.
        WEAK: True, but less than what could be known: ambiguous where the exchange had given proof.
        WRONG: What the port said contradicts the exchange's books, or it did not say it as it must.
        UNTESTED: Nobody looked.
        NONE: There is nothing to look at.
    """

    GOOD = "good"
    REFUSED = "refused"
    WEAK = "weak"
    WRONG = "wrong"
    UNTESTED = "untested"
    NONE = "none"


@frozen(kw_only=True)
class Seen:
    """One cell.

    Attributes:
        text: What the table shows.
        words: The port's own sentence where it refused; what is wrong where something is.
    """

    verdict: Verdict
    text: str
    words: str = ""


UNTESTED = Seen(verdict=Verdict.UNTESTED, text="untested")
NOTHING = Seen(verdict=Verdict.NONE, text="-")


@frozen(order=True)
class Column:
    """One adapter.

    Attributes:
        generic: The profile for exchanges the router has none of, at an exchange it knows.
    """

    generic: bool
    exchange: str
    market_type: MarketType

    @property
    def name(self) -> str:
        """For the command line: ``bybit-spot``, ``generic-bybit-swap``."""
        return f"{'generic-' if self.generic else ''}{self.exchange}-{self.market_type}"

    @property
    def title(self) -> str:
        """For a table's head."""
        return f"generic({self.exchange})" if self.generic else self.exchange

    @property
    def group(self) -> str:
        """What stands in one table."""
        return f"Generic adapter, {self.market_type}" if self.generic else str(self.market_type).capitalize()


@frozen(order=True)
class Key:
    """Where a cell is.

    Attributes:
        part: "calls", or the call that meets the faults: "place", "cancel", "amend", "look-up".
    """

    part: str
    row: str
    column: Column


Sheet = Mapping[Key, Seen]
