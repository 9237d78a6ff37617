"""What one life of a connector leaves to the next: the markets it loaded, and how far the exchange's clock is off."""

from __future__ import annotations

from attrs import frozen

from app.exchanges.clock_offset import OffsetFile
from app.exchanges.markets_file import MarketsFile
from app.exchanges.settings import ExchangeSettings


@frozen(kw_only=True)
class Handover:
    """The files of one exchange."""

    markets: MarketsFile
    offset: OffsetFile

    @classmethod
    def of(cls, settings: ExchangeSettings) -> Handover | None:
        """Those of the exchange that `settings` names in the router's own spelling; None where nothing is left."""
        if settings.handover_dir is None or settings.markets_max_age_s <= 0:
            return None
        markets = MarketsFile(settings.handover_dir, settings, most_age_s=settings.markets_max_age_s)
        return cls(markets=markets, offset=OffsetFile(markets.path.with_suffix(".clock"), exchange=settings.name))
