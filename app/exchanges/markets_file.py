"""An exchange's markets as one life of a connector leaves them to the next.

Loading markets takes an exchange that answers, and for seven hundred of them a good part of a second. A connector that
was restarted, and a daemon that is started while an exchange is out, need neither: they take the markets over from a
file, trade on them at once, and load them anew beside that (`app.exchanges.keeper`).

The file is two lines: a head of JSON, and the markets as ccxt keeps them, without what the exchange itself had said
of each and with equal parts once (`app.exchanges.shared_json`). A loading keeps what it reads from that same text,
1.3 KB a market, and lets go what ccxt made of the answers, which is 8. The head says for which exchange, address and
options, by which ccxt and which of our schemas, and when they were loaded, and holds a digest of the second line.
What does not match to the letter, is older than allowed or cannot be trusted (`app.process.private_file`) is not
used, with a sentence in the log that says why; then the markets are loaded as if there were no file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog
from attrs import evolve, field, frozen

from app.exchanges import shared_json
from app.exchanges.client import type_client
from app.exchanges.settings import ExchangeSettings
from app.exchanges.sift import lean, named
from app.exchanges.sizes import plain
from app.exchanges.symbols import RESIZED
from app.process.private_file import Untrusted, read_private, remove_half_written, write_private

log = structlog.stdlib.get_logger(__name__)

SCHEMA = 2
MOST_BYTES = 64 * 1024 * 1024
"""Seven hundred markets take 0.3 MB."""
MOST_FILES = 16
"""Of markets: addresses and options that are no longer used leave files behind; the oldest go, with their clocks'."""
GONE = "router_gone_s"
"""Key of a market that is not listed any more: since when."""
GONE_S = 7 * 86400.0
AHEAD_S = 60.0
"""A file from further in the future than this was dated by a clock that was wrong, and its age cannot be known."""


@frozen(kw_only=True)
class Markets:
    """An exchange's markets as ccxt keeps them: read only, since they are shared.

    Attributes:
        by_symbol: ccxt's market structures by their unified symbols.
        loaded_s: Unix seconds by the host's anchored clock.
        account: What the client had learned of the account by then (`Profile.learned`), and of which account.
    """

    by_symbol: Mapping[str, Mapping[str, Any]]
    currencies: Mapping[str, Mapping[str, Any]]
    loaded_s: float
    account: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def of(cls, client: type_client, loaded_s: float, account: Mapping[str, Any]) -> Markets:
        """What a client has loaded, which it then no longer has."""
        markets = cls(
            by_symbol=client.markets,
            currencies={code: lean(currency) for code, currency in client.currencies.items()},
            loaded_s=loaded_s,
            account=account,
        )
        cls(by_symbol={}, currencies={}, loaded_s=loaded_s).give(client)
        client.markets_loading = None  # the finished task, which holds all of it
        return markets

    def packed(self) -> Packed:
        """Their text."""
        body = {"markets": self.by_symbol, "currencies": self.currencies, "account": self.account}
        return Packed(text=shared_json.dumps(body), loaded_s=self.loaded_s)

    def after(self, before: Markets) -> Markets:
        """These, and what was listed before and is no longer, for the orders that may still rest there or be asked for.

        It stays for `GONE_S`; every exchange forgets its orders about then. It is traded on until a second list lacks
        it too: the first may have been half a list.

        What has another contract size by now stays as it was, and is not traded on (`RESIZED`): orders of ours that
        live there are counted in the contracts they were sized with.
        """
        stay = {}
        for symbol, market in before.by_symbol.items():
            gone_s = market.get(GONE, self.loaded_s)
            if symbol not in self.by_symbol:
                if self.loaded_s - gone_s < GONE_S:
                    active = market.get("active") if GONE not in market else False
                    stay[symbol] = {**market, "active": active, GONE: gone_s}
            elif (resized := _resized(market, self.by_symbol[symbol])) is not None:
                stay[symbol] = {**market, "active": False, RESIZED: resized}
                if market.get(RESIZED) != resized:
                    before_it = market.get("contractSize")
                    log.error("markets.resized", symbol=symbol, contract_size=resized, contract_size_before=before_it)
        return evolve(self, by_symbol={**self.by_symbol, **stay}) if stay else self

    def without_resized(self, but: Collection[str]) -> Markets:
        """These without what stayed as it was for its contract size alone, but for some; the next loading has it anew.

        Args:
            but: ccxt's symbols of where orders of ours live.
        """
        left = {symbol: each for symbol, each in self.by_symbol.items() if RESIZED not in each or symbol in but}
        return evolve(self, by_symbol=left) if len(left) < len(self.by_symbol) else self

    @property
    def doubtful(self) -> int:
        """How many were missing from the newest list for the first time."""
        return sum(1 for market in self.by_symbol.values() if market.get(GONE) == self.loaded_s)

    def same(self, other: Markets) -> bool:
        """Whether they are the same markets, whenever they were loaded."""
        return self.by_symbol == other.by_symbol and self.currencies == other.currencies

    def give(self, client: type_client) -> None:
        """Makes them the client's, the way ccxt shares markets between its clients: a few dictionaries by reference."""
        client.set_markets_from_exchange(_Source(client.id, self))


def _resized(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """A market's contract size by now, where it has another; None where it is the same, or was not known."""
    old, new = (_size(market.get("contractSize")) for market in (before, now))
    if not before.get("swap") or old is None or old == new:
        return None
    return "one it does not tell" if new is None else plain(new)


def _size(value: object) -> Decimal | None:
    try:
        size = Decimal(str(value))
    except ArithmeticError:
        return None
    return size if size.is_finite() and size > 0 else None


@frozen(kw_only=True)
class Packed:
    """Markets as text, beside which nothing of them need be kept."""

    text: str
    loaded_s: float

    def unpacked(self) -> Markets:
        """The markets, equal parts shared.

        Raises:
            ValueError: It is no text of markets.
        """
        body = shared_json.loads(self.text)
        if not isinstance(body, dict):
            raise ValueError("no markets")
        by_symbol, currencies, account = body.get("markets"), body.get("currencies"), body.get("account")
        if not (isinstance(by_symbol, dict) and isinstance(currencies, dict) and isinstance(account, dict)):
            raise ValueError("no markets")
        return Markets(by_symbol=by_symbol, currencies=currencies, loaded_s=self.loaded_s, account=account)


class _Source:
    """Stands for the ccxt client that once loaded the markets."""

    def __init__(self, ccxt_id: str, markets: Markets) -> None:
        by_id: dict[str, list[Any]] = {}
        for market in markets.by_symbol.values():
            by_id.setdefault(market["id"], []).append(market)
        currencies = markets.currencies
        self.id = ccxt_id
        self.options: dict[str, Any] = {}
        self.markets, self.markets_by_id = markets.by_symbol, by_id
        self.symbols, self.ids = sorted(markets.by_symbol), sorted(by_id)
        self.currencies, self.codes = currencies, sorted(currencies)
        self.currencies_by_id = {each["id"]: each for each in currencies.values()}
        self.baseCurrencies = self._named("base")
        self.quoteCurrencies = self._named("quote")

    def _named(self, part: str) -> dict[str, Any]:
        codes = {market[part] for market in self.markets.values()}
        return {code: self.currencies[code] for code in codes if code in self.currencies}

    def safe_list(self, found: Mapping[str, Any], key: str, default: Any) -> Any:
        return found.get(key, default)


class MarketsFile:
    """Where the markets of one exchange, as it is configured, are kept."""

    def __init__(self, folder: Path, settings: ExchangeSettings, *, most_age_s: float) -> None:
        """
        Args:
            folder: In the state directory; made when first written to.
            most_age_s: What was loaded longer ago is not used.
        """
        self._about = {
            "exchange": settings.name,
            "market_type": settings.market_type.value,
            "address": settings.base_url or ("its sandbox" if settings.sandbox else "its own"),
            "options": hashlib.sha256(_plain(dict(settings.options)).encode()).hexdigest()[:16],
        }
        key = hashlib.sha256(_plain(self._about).encode()).hexdigest()[:12]
        self.path = folder / f"{settings.name}-{settings.market_type.value}-{key}.json"
        self._most_age_s = most_age_s

    def read(self, now_s: float) -> Markets | None:
        """The markets, where there are some to trade on; otherwise None, and where that is strange the log says why."""
        try:
            return self._read(now_s)
        except Untrusted as error:
            log.warning("markets.not_handed_over", exchange=self._about["exchange"], words=str(error))
            return None

    def _read(self, now_s: float) -> Markets | None:
        content = read_private(self.path, MOST_BYTES)
        if content is None:
            return None
        first, _, second = content.partition(b"\n")
        head = self._parsed(first)
        expected = {**self._about, **_versions()}
        for key, value in expected.items():
            if head.get(key) != value:
                raise Untrusted(f"{self.path} was written for another {key}: {_short(head.get(key))}, not {value}.")
        loaded_s = head.get("loaded_s")
        if not isinstance(loaded_s, int | float) or loaded_s > now_s + AHEAD_S:
            raise Untrusted(f"{self.path} does not say when its markets were loaded, or says a time to come.")
        if now_s - loaded_s > self._most_age_s:
            raise Untrusted(
                f"The markets in {self.path} were loaded {(now_s - loaded_s) / 3600:.1f} hours ago, longer than"
                f" router.markets_max_age_s allows, which is {self._most_age_s:g}."
            )
        if hashlib.sha256(second).hexdigest() != head.get("digest"):
            raise Untrusted(f"{self.path} is damaged: its content is not what its head was written for.")
        try:
            markets = Packed(text=second.decode(), loaded_s=float(loaded_s)).unpacked()
        except ValueError:
            raise Untrusted(f"{self.path} holds no markets.") from None
        by_symbol = {symbol: market for symbol, market in markets.by_symbol.items() if named(market)}
        coins = markets.currencies.items()
        currencies = {code: each for code, each in coins if isinstance(each, dict) and "id" in each}
        return evolve(markets, by_symbol=by_symbol, currencies=currencies)

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Untrusted(f"{self.path} is damaged: it is not the JSON that was written there.")
        return found

    def write(self, packed: Packed) -> None:
        """Keeps them. That they cannot be kept is logged, and changes nothing else."""
        try:
            second = packed.text.encode()
            if len(second) > MOST_BYTES // 2:
                raise Untrusted(f"The markets take {len(second)} bytes, too many to keep in {self.path}.")
            head = {
                **self._about,
                **_versions(),
                "loaded_s": packed.loaded_s,
                "digest": hashlib.sha256(second).hexdigest(),
            }
            write_private(self.path, _plain(head).encode() + b"\n" + second)
            self._tidy()
        except (Untrusted, TypeError, ValueError) as error:
            log.warning("markets.not_kept", exchange=self._about["exchange"], words=str(error))

    def _tidy(self) -> None:
        folder = self.path.parent
        with contextlib.suppress(OSError):  # another connector tidies at the same time
            files = sorted(folder.glob("*.json"), key=lambda path: path.lstat().st_mtime, reverse=True)
            for path in files[MOST_FILES:]:
                path.unlink()
                path.with_suffix(".clock").unlink(missing_ok=True)
        remove_half_written(folder)


def _versions() -> dict[str, Any]:
    import ccxt  # imported by now, or about to be

    return {"schema": SCHEMA, "ccxt": ccxt.__version__}


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _short(value: Any) -> str:
    return repr(value)[:60]
