"""ccxt imported once, before connectors are forked: they start at once, and share its hundred megabytes.

Measured: `import ccxt.async_support` takes 1 to 2 s and 103 MB; a child forked after it, with the collector's objects
frozen, has under 1 MB of pages of its own. A connector restarted after a death needs none of that time. A client of
each exchange is prepared too, to be copied (`app.exchanges.client.prepare`).
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable

from app.domain.names import UnknownExchange
from app.exchanges.client import prepare
from app.exchanges.factory import NoSuchMarkets, profile_of
from app.process.imports import look_at_all_again
from app.process.memory import fill_holes, keep_compact
from messages.market import MarketType


def preload(exchanges: Iterable[tuple[str, MarketType]] = ()) -> None:
    """Imports the client library, and keeps the collector from touching, and so copying, what is shared by fork."""
    keep_compact()
    import ccxt.async_support  # noqa: F401

    for name, market_type in exchanges:
        with contextlib.suppress(UnknownExchange, NoSuchMarkets):  # whoever opens its port says so
            prepare(profile_of(name, market_type))
    gc.collect()
    fill_holes()
    gc.freeze()
    look_at_all_again()
