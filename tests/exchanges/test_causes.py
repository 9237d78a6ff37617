"""What each exchange's troubles are evidence of: every cause, over real HTTP, for swaps and spot.

The same call is made as a placement, a cancel, a read and a probe; what the port makes of it, the connector's mapping
turns into evidence.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

import pytest

from app.domain import calls
from app.domain.evidence import evidence_of, probe_evidence
from app.domain.rate_gate import RateGate
from app.exchanges.factory import build_port
from app.exchanges.settings import Credentials, ExchangeSettings
from messages.health import Cause, Evidence, EvidenceKind, ProbeKind
from messages.market import MarketType
from tests.exchanges.desk import BTC, TIMEOUT_S, Desk, spec, until, wire_id

ILL, TOLD = False, True

TROUBLES: list[tuple[str, dict[str, Any], Cause, bool]] = [
    ("hang_before", {}, Cause.SILENT, ILL),
    ("drop_before", {"how": "rst"}, Cause.CONNECTION, ILL),
    ("http_5xx", {"status": 502}, Cause.SERVER, ILL),
    ("half_json", {"executed": False}, Cause.SERVER, ILL),
    ("html_200", {"executed": False}, Cause.SERVER, ILL),
    ("busy", {}, Cause.SERVER, ILL),
    ("timeout_unknown", {"executed": False}, Cause.SERVER, ILL),
    ("maintenance", {}, Cause.MAINTENANCE, ILL),
    ("http_429", {"retry_after_s": 3}, Cause.RATE_LIMITED, TOLD),
    ("http_418", {"retry_after_s": 1800}, Cause.BANNED, TOLD),
    ("auth", {}, Cause.CREDENTIALS, TOLD),
    ("clock", {}, Cause.CLOCK, TOLD),
]
"""Kind, parameters, cause, whether the exchange counts as one that answers."""
SILENT = ("hang_before",)
HASTY_S = 0.4
"""What is never answered is waited for so long."""


def _told(desk: Desk, kind: str, params: dict[str, Any]) -> list[Evidence]:
    """Of a placement, a cancel, a read and both probes, all at once, as a connector would tell of them."""
    soon_s = HASTY_S if kind in SILENT else TIMEOUT_S
    now_s = desk.clock()
    end_s = now_s + soon_s
    what = desk.spec()
    asked: list[tuple[calls.Call, ProbeKind | None]] = [
        (
            calls.PlaceCall(
                spec=what,
                quantity=what.quantity,
                wire_id=wire_id(),
                committed_s=now_s,
                expiry_s=now_s + 30,
                deadline_s=end_s,
            ),
            None,
        ),
        (calls.CancelCall(symbol=desk.btc, wire_id=wire_id(), exchange_order_id="1", deadline_s=end_s), None),
        (calls.BalancesCall(deadline_s=end_s), None),
        *((calls.ProbeCall(kind=each, deadline_s=end_s), each) for each in (ProbeKind.PUBLIC, ProbeKind.SIGNED)),
    ]

    async def at_once() -> list[calls.Result]:
        return await asyncio.gather(*(desk.port.perform(call) for call, _ in asked))

    desk.truthful.fault(kind, params=params)
    results = desk.loop.run(at_once())
    desk.truthful.clear_faults()
    later_s = desk.clock()
    gate, seen = RateGate(desk.port.rates), []
    for (call, probe), result in zip(asked, results, strict=True):
        gate.answered(call, result, now_s, later_s)
        silent_s = gate.silent_for_s(later_s)
        if probe is None:
            judged = partial(evidence_of, silent_for_s=silent_s, request_timeout_s=soon_s)
            seen.append(judged(desk.name, call, result, now_s, later_s))
        else:
            seen.append(probe_evidence(desk.name, probe, result, now_s, later_s, silent_for_s=silent_s))
    assert None not in seen
    return [each for each in seen if each is not None]


def _expected(desk: Desk, kind: str, cause: Cause) -> Cause:
    if desk.name == "kraken" and desk.market_type is MarketType.SWAP and kind == "maintenance":
        return Cause.SERVER  # "Unavailable", which it says when it is overloaded, too
    return cause


def _check(desk: Desk, kind: str, params: dict[str, Any], cause: Cause, told: bool) -> None:
    seen = _told(desk, kind, params)
    expected = _expected(desk, kind, cause)
    got = {each.kind.value: (each.cause, each.ok) for each in seen}
    assert got == {each.kind.value: (expected, told) for each in seen}
    assert all(each.words for each in seen)
    if cause is Cause.BANNED:
        left_s = [each.until_s - each.at_s for each in seen if each.until_s is not None]
        assert len(left_s) == len(seen)
        assert min(left_s) > 590  # its own word, or what is documented of its bans


NAMES = [kind for kind, *_ in TROUBLES]


@pytest.mark.parametrize(("kind", "params", "cause", "told"), TROUBLES, ids=NAMES)
def test_every_trouble_has_its_cause(desk: Desk, kind: str, params: dict[str, Any], cause: Cause, told: bool) -> None:
    _check(desk, kind, params, cause, told)


@pytest.mark.parametrize(("kind", "params", "cause", "told"), TROUBLES, ids=NAMES)
def test_every_trouble_has_its_cause_on_spot(
    spot_desk: Desk, kind: str, params: dict[str, Any], cause: Cause, told: bool
) -> None:
    _check(spot_desk, kind, params, cause, told)


# ---- our own side of the network -------------------------------------------------------------------------------------


def _asked(base_url: str) -> tuple[calls.Result, Evidence | None]:
    """What a signed probe of OKX gives when its address is another."""
    settings = ExchangeSettings(name="okx", base_url=base_url, request_timeout_s=TIMEOUT_S)
    port = build_port(settings, Credentials(api_key="k", secret="s", password="p"), time.time)
    call = calls.ProbeCall(kind=ProbeKind.PUBLIC, deadline_s=time.time() + 20.0)

    async def ask() -> calls.Result:
        try:
            return await port.perform(call)
        finally:
            await port.close()

    result = asyncio.run(ask())
    return result, probe_evidence("okx", ProbeKind.PUBLIC, result, 0.0, 1.0)


@pytest.mark.parametrize(
    ("base_url", "code", "cause"),
    [
        ("https://no-such-exchange.invalid", "name_not_resolved", Cause.LOCAL),
        # A TCP connection to the broadcast address is refused by our own kernel, ENETUNREACH: nothing leaves the host.
        ("http://255.255.255.255:9", "network_unreachable", Cause.LOCAL),
        ("http://127.0.0.1:9", "exchange_unreachable", Cause.CONNECTION),
    ],
)
def test_what_fails_on_our_side_is_told_apart(base_url: str, code: str, cause: Cause) -> None:
    """By what the operating system says below aiohttp and ccxt."""
    result, evidence = _asked(base_url)
    assert isinstance(result, calls.CallFailed)
    assert (result.code, result.ill) == (code, True)
    assert evidence is not None
    assert (evidence.cause, evidence.ok) == (cause, False)
    assert "okx" in evidence.words


def test_a_name_that_is_looked_up_for_too_long_is_on_our_side_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead name servers answer nothing: the call ends by its own deadline."""

    async def for_ever(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr("aiohttp.TCPConnector._resolve_host", for_ever)
    settings = ExchangeSettings(name="okx", base_url="http://127.0.0.1:9", request_timeout_s=TIMEOUT_S)
    port = build_port(settings, Credentials(api_key="k", secret="s", password="p"), time.time)

    async def ask() -> calls.Result:
        try:
            return await port.perform(calls.ProbeCall(kind=ProbeKind.PUBLIC, deadline_s=time.time() + 0.2))
        finally:
            await port.close()

    result = asyncio.run(ask())
    assert isinstance(result, calls.CallFailed)
    assert (result.code, result.words) == (
        "name_not_resolved",
        "The name of okx could not be resolved here, so the probe was not sent.",
    )


def test_who_does_not_let_us_connect_is_silent(desk: Desk) -> None:
    """Packets of new connections are dropped."""
    desk.truthful.fault("connect_hangs")
    until(lambda: getattr(_hasty(desk), "code", "") == "connect_timeout", means="an end of the kept connections")
    evidence = probe_evidence(desk.name, ProbeKind.PUBLIC, _hasty(desk), 0.0, 1.0)
    desk.truthful.clear_faults()
    assert evidence is not None
    assert (evidence.cause, evidence.ok, evidence.kind) == (Cause.SILENT, False, EvidenceKind.PUBLIC_PROBE)


def _hasty(desk: Desk) -> calls.Result:
    return desk.do(calls.ProbeCall(kind=ProbeKind.PUBLIC, deadline_s=desk.clock() + HASTY_S))


# ---- one market ------------------------------------------------------------------------------------------------------


def test_a_halted_market_is_told_with_its_symbol(desk: Desk) -> None:
    """And does not speak against the exchange."""
    desk.truthful.fault("suspended", call="place")
    call = calls.PlaceCall(
        spec=spec(),
        quantity=spec().quantity,
        wire_id=wire_id(),
        committed_s=desk.clock(),
        expiry_s=desk.clock() + 30,
        deadline_s=desk.soon(),
    )
    evidence = evidence_of(desk.name, call, desk.do(call), 0.0, 1.0)
    desk.truthful.clear_faults()
    assert evidence is not None
    assert (evidence.cause, evidence.ok, evidence.symbol) == (Cause.HALTED, True, BTC)
    assert evidence.words
