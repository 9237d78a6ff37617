"""Markets in spite of one that cannot be read.

ccxt reads an exchange's whole list of markets or, when one row of it makes its parser fail, nothing at all: then one
botched listing would keep a daemon from starting, or from learning of any other change. So where the answers came and
reading them failed, each row is tried by itself, over the answers that are there already, and those that fail by
themselves are left out, with a line in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any

import structlog
from attrs import define, field

log = structlog.stdlib.get_logger(__name__)

KEPT_INFO = ("orderTypes",)
"""Of what an exchange itself says of a market (`info`): ccxt's binance checks an order's type by it. Nothing else reads
it for the calls we make, and it is most of what a market takes."""
TOLD_MAX = 5
"""Names of left out markets in one line of the log."""


@define
class _Heard:
    """The answers to the requests of one `fetch_markets`, by URL; `replayed` stand for them where they are given."""

    begun: int = 0
    answers: dict[str, Any] = field(factory=dict)
    replayed: Mapping[str, Any] | None = None


_HEARD: ContextVar[_Heard | None] = ContextVar("_HEARD", default=None)


class Sifting:
    """Goes before a ccxt class in the order of resolution; every method overrides one ccxt calls by itself."""

    id: str
    last_http_response: str | None
    router_market_rows: tuple[str, ...]
    """Where the list of markets is in an answer."""
    router_largest: tuple[str, ...] = ()
    """Where a market of that list tells the largest market order, if ccxt passes over it."""

    async def fetch(self, url: str, *args: Any, **kwargs: Any) -> Any:
        heard = _HEARD.get()
        if heard is None:
            return await super().fetch(url, *args, **kwargs)  # type: ignore[misc]
        if heard.replayed is not None:
            return heard.replayed[url]
        heard.begun += 1
        heard.answers[url] = answer = await super().fetch(url, *args, **kwargs)  # type: ignore[misc]
        return answer

    async def fetch_markets(self, params: Any = None) -> Any:
        heard = _Heard()
        token = _HEARD.set(heard)
        try:
            return [lean(self._sized(market)) for market in await self._read_all()]
        except Exception as error:  # raised again unless leaving out rows of complete answers helps
            if heard.begun != len(heard.answers):
                raise
            lists = {url: _at(answer, self.router_market_rows) for url, answer in heard.answers.items()}
            good = {url: [row for row in rows if await self._reads(lists, url, row)] for url, rows in lists.items()}
            bad = [row for url, rows in lists.items() for row in rows if not any(row is each for each in good[url])]
            if not bad:
                raise
            self._tell(bad, type(error).__name__)
            heard.replayed = self._replay(heard.answers, good)
            return [lean(self._sized(market)) for market in await self._read_all()]
        finally:
            _HEARD.reset(token)
            # The connection's own callbacks were made in this context, and keep it for as long as the connection lives.
            heard.answers.clear()
            heard.replayed = None
            self.last_http_response = None

    async def _read_all(self) -> Any:
        return await super().fetch_markets()  # type: ignore[misc]

    def _sized(self, market: Any) -> Any:
        if self.router_largest and isinstance(market, Mapping):
            most = market.get("info")
            for key in self.router_largest:
                most = most.get(key) if isinstance(most, Mapping) else None
            limits = market.get("limits")
            if most and isinstance(limits, Mapping):
                return {**market, "limits": {**limits, "market": {"min": None, "max": most}}}
        return market

    async def _reads(self, lists: Mapping[str, list[Any]], url: str, row: Any) -> bool:
        """Whether the parser takes this row where it is the only one."""
        heard = _HEARD.get()
        assert heard is not None
        heard.replayed = self._replay(heard.answers, {each: [row] if each == url else [] for each in lists})
        try:
            await self._read_all()
        except Exception:  # whatever it raises, it cannot read this row; all of them are told of together
            return False
        return True

    def _replay(self, answers: Mapping[str, Any], rows: Mapping[str, list[Any]]) -> dict[str, Any]:
        return {url: _with(answer, self.router_market_rows, rows[url]) for url, answer in answers.items()}

    def set_markets(self, markets: Any, currencies: Any = None) -> Any:
        """Without those that have no name: they would end the sorting of all others."""
        listed = list(markets.values()) if isinstance(markets, Mapping) else list(markets)
        good = [market for market in listed if named(market)]
        if len(good) < len(listed):
            self._tell([market for market in listed if not named(market)], "no name")
        return super().set_markets(good, currencies)  # type: ignore[misc]

    def _tell(self, bad: Iterable[Any], why: str) -> None:
        names = [_name(row) for row in bad]
        log.warning("markets.left_out", ccxt_id=self.id, count=len(names), names=names[:TOLD_MAX], why=why)


def lean(structure: Any) -> Any:
    """A market or currency structure without what the exchange itself said of it, but for what ccxt goes by."""
    if not isinstance(structure, Mapping):
        return structure
    info = structure.get("info")
    said = info if isinstance(info, Mapping) else {}
    return {**structure, "info": {key: said[key] for key in KEPT_INFO if key in said}}


def named(market: Any) -> bool:
    """Whether it is a market structure that has what others are found by."""
    return isinstance(market, Mapping) and all(isinstance(market.get(key), str) for key in ("id", "symbol", "base"))


def _name(row: Any) -> str:
    found = next((row.get(key) for key in ("symbol", "instId", "id") if row.get(key)), row) if _is_row(row) else row
    return repr(found)[:60]


def _is_row(row: Any) -> bool:
    return isinstance(row, Mapping)


def _at(answer: Any, path: tuple[str, ...]) -> list[Any]:
    """The rows at a path; of an object that has one under each name, objects of one name each."""
    for key in path:
        answer = answer.get(key) if isinstance(answer, Mapping) else None
    if isinstance(answer, Mapping):
        return [{name: row} for name, row in answer.items()]
    return answer if isinstance(answer, list) else []


def _with(answer: Any, path: tuple[str, ...], rows: list[Any]) -> Any:
    if not path:
        return {name: row for each in rows for name, row in each.items()} if isinstance(answer, Mapping) else rows
    if not isinstance(answer, Mapping) or path[0] not in answer:
        return answer
    return {**answer, path[0]: _with(answer[path[0]], path[1:], rows)}
