"""OKX V5: what `sCode`, or where there is none `code`, means for a request.

Sources: DOC is OKX's own table, CCXT the table of ccxt's okx where OKX's no longer has the code. The documentation says
of 50004 and 51149 that they do not tell whether the order was placed, and of 51054 no more than that time ran out;
50001 ("Service temporarily unavailable", with a 503), 50013 and 50026 say nothing at all of it, so they stay ambiguous:
that ccxt calls the first of them maintenance, as its name here does, proves nothing of the order. A code may have a
sub-code (51008_1001), which only words differ by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from app.exchanges.outcomes import Meaning, Row

_DOC = "https://www.okx.com/docs-v5/en/#error-code"
_CCXT = "ccxt's source"


def _all(codes: str, meaning: Meaning, code: str, source: str = _DOC, *, ill: bool = False) -> Mapping[str, Row]:
    return dict.fromkeys(codes.split(), Row(meaning, code, source, ill=ill))


_GATE: tuple[Mapping[str, Row], ...] = (
    # Key, passphrase, signature, environment.
    _all(
        "50101 50103 50104 50105 50106 50107 50108 50109 50111 50112 50113 50114 50119 50008",
        Meaning.NOT_EXECUTED,
        "not_authenticated",
        ill=True,
    ),
    # What this account or key may not do.
    _all(
        "50007 50009 50012 50027 50028 50029 50030 50035 50041 50051 50059 50060 50100 50110 50118 50120 50121 51009"
        " 51024",
        Meaning.NOT_EXECUTED,
        "not_permitted",
        ill=True,
    ),
    _all("4088 51732 51733 51734", Meaning.NOT_EXECUTED, "not_permitted", _CCXT, ill=True),
    # What it may not do in this coin or market, or for the moment; the exchange is well.
    _all(
        "50017 50018 50019 50020 50021 50022 50023 50032 50033 50052 50064 50075 51155 54012",
        Meaning.NOT_EXECUTED,
        "not_permitted",
    ),
    _all("50005 50046 50062", Meaning.NOT_EXECUTED, "maintenance", ill=True),
    _all("50011 50040 50061 51113 51513", Meaning.NOT_EXECUTED, "rate_limited"),
    _all("50036 50037 50102", Meaning.NOT_EXECUTED, "expired", ill=True),
)

_OPEN: tuple[Mapping[str, Row], ...] = (
    {
        "1": Row(Meaning.AMBIGUOUS, "exchange_error", "an overall failure without the code of the order itself"),
        "2": Row(Meaning.AMBIGUOUS, "exchange_error", "a partial success without the code of the order itself"),
        "50042": Row(Meaning.AMBIGUOUS, "exchange_error", f'{_DOC}: "Repeated request", and not what became of it'),
    },
    _all("50004 51054 51149", Meaning.AMBIGUOUS, "timeout", ill=True),
    _all("50013", Meaning.AMBIGUOUS, "exchange_busy", ill=True),
    _all("50026", Meaning.AMBIGUOUS, "exchange_unavailable", ill=True),
    _all("50001", Meaning.AMBIGUOUS, "maintenance", f"{_DOC}; that it is closed then is ccxt's reading", ill=True),
    # The client order id is taken: the order is there to be found. 51065 and 51068 of algo orders.
    _all("50071 51011 51016 51065 51068", Meaning.DUPLICATE, "duplicate"),
    # Answers to a cancel, a change or a look-up. 51412 and 51416: set off already, or the cancel took too long; which
    # of them only the look-up that follows tells.
    _all(
        "51063 51400 51401 51402 51405 51410 51412 51416 51503 51509 51510 51527 51603",
        Meaning.UNKNOWN_ORDER,
        "unknown_order",
    ),
)

_REFUSED: tuple[Mapping[str, Row], ...] = (
    _all(
        "50000 50002 50006 50014 50015 50016 50024 50025 50038 50053 50067 50072 50115 51000 51002 51003 51010 51018"
        " 51019 51033 51034 51035 51041 51044 51056 51059 51066 51072 51073 51074 51076 51077 51078 51079 51080 51081"
        " 51082 51083 51084 51085 51086 51088 51089 51091 51092 51093 51094 51095 51096 51099 51100 51111 51125 51126"
        " 51128 51130 51144 51156 51159 51162 51163 51166 51175 51176 51178 51180 51181 51276 51281 51298 51317 51327"
        " 51328 51329 51330 51331 51332 51333 51407 51408 51409 51415 54005 54008 54009 54024 54025 54028 54036",
        Meaning.REFUSED,
        "invalid_request",
    ),
    _all("54072 54073 54094", Meaning.REFUSED, "invalid_request", _CCXT),
    _all("51001 51012 51014 51015 51026 51087 54007", Meaning.REFUSED, "invalid_symbol"),
    _all(
        "51005 51007 51101 51108 51112 51121 51132 51150 51185 51201 51202 51203 51207 51252 51275 51286",
        Meaning.REFUSED,
        "invalid_quantity",
    ),
    _all("51020 51120 50122", Meaning.REFUSED, "below_minimum"),
    _all("51118", Meaning.REFUSED, "below_minimum", _CCXT),
    _all("51006 51031 51116 51122 51123 51135 51136 51137 51138 51204 51250", Meaning.REFUSED, "invalid_price"),
    _all("51008 51017 51127 51131 51143 51502 59103", Meaning.REFUSED, "insufficient_funds"),
    _all("51119", Meaning.REFUSED, "insufficient_funds", _CCXT),
    _all(
        "51004 51037 51104 51105 51106 51107 51129 51186 51187 51209 51210 51211 51213 51214 54006 54018 54019 54030"
        " 54031 54035",
        Meaning.REFUSED,
        "position_limit",
    ),
    _all("51025 51102 51103 51117 51165 51174 51261 51299", Meaning.REFUSED, "too_many_orders"),
    _all(
        "51023 51043 51058 51115 51133 51134 51139 51148 51169 51170 51171 51205 51206 51521 51522",
        Meaning.REFUSED,
        "reduce_only_rejected",
    ),
    _all("51109 51140 51142", Meaning.REFUSED, "would_not_fill"),
    _all("51511", Meaning.REFUSED, "would_take"),
    _all(
        "51046 51048 51050 51052 51277 51279 51300 51303 51305 51307",
        Meaning.REFUSED,
        "invalid_take_profit",
    ),
    _all(
        "51047 51049 51051 51053 51278 51280 51302 51304 51306 51308",
        Meaning.REFUSED,
        "invalid_stop_loss",
    ),
    # Changing and cancelling.
    _all(
        "51090 51098 51403 51404 51413 51500 51501 51505 51506 51508 51512 51514 51523 51524 51525 51526 51528 51529"
        " 51530 51531 51532 51536 51537 51538 51539 51543",
        Meaning.REFUSED,
        "invalid_request",
    ),
    # Look-ups.
    _all("50039 50047 50076 50077 51406 51600 51601 51602", Meaning.REFUSED, "invalid_request"),
    # Settings of the account.
    _all("59000 59100 59101 59107", Meaning.REFUSED, "setting_in_use"),
    _all("59102 59104 59105 59108", Meaning.REFUSED, "invalid_leverage"),
    _all("51039 51070 51370", Meaning.REFUSED, "invalid_request"),
)

_CLOSED = _all(
    "51021 51022 51027 51028 51029 51030 51032 51110 51124 51196 51197 51507 54011",
    Meaning.NOT_EXECUTED,
    "market_closed",
)


def _table(groups: Iterable[Mapping[str, Row]]) -> Mapping[str, Row]:
    """One table of all; a code that two groups name would mean two things.

    Raises:
        ValueError: A code is named twice.
    """
    table: dict[str, Row] = {}
    for group in groups:
        twice = table.keys() & group.keys()
        if twice:
            raise ValueError(f"codes of OKX stand twice: {sorted(twice)}")
        table.update(group)
    return MappingProxyType(table)


CODES = _table((*_GATE, *_OPEN, *_REFUSED, _CLOSED))
"""By `sCode` of the order, or by `code`."""
