"""A dry request goes as far as a placement and no further: it is made and signed, and nothing arrives anywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.calls import CallFailed, DryCall, DryOk
from app.exchanges.client import TRACE, NetworkEdge, Trace
from app.exchanges.dry_run import AGE_S, WIRE_ID
from app.simulator.thread import SimulatorThread
from tests.exchanges.desk import PATIENCE_S, TIMEOUT_S, Desk


def dry(desk: Desk, *, within_s: float = PATIENCE_S) -> Any:
    """Performs one."""
    return desk.do(DryCall(deadline_s=desk.clock() + within_s))


def test_it_is_signed_and_nothing_arrives(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    client = desk.port._client
    signed: list[dict[str, Any]] = []
    real = client.sign

    def sign(*args: Any, **kwargs: Any) -> dict[str, Any]:
        signed.append(real(*args, **kwargs))
        return signed[-1]

    monkeypatch.setattr(client, "sign", sign)
    before = len(desk.truthful.requests())
    assert dry(desk) == DryOk()
    assert len(desk.truthful.requests()) == before
    (made,) = signed
    text = json.dumps(made, default=str)
    assert WIRE_ID in text, "a placement"
    assert any(word in text.lower() for word in ("sign", "authent")), "signed"
    assert AGE_S > 60, "and refused by any exchange for its age"
    assert not any(order["client_order_id"] == WIRE_ID for order in desk.truthful.truth()["orders"])


@pytest.mark.parametrize("kind", ["blackhole", "refused"])
def test_an_exchange_that_is_down_does_not_matter(desk: Desk, kind: str) -> None:
    desk.truthful.fault(kind)
    assert dry(desk) == DryOk()


def test_one_that_was_never_reached_does_not_matter(sims: SimulatorThread) -> None:
    """Without its markets no placement can be made: then any request will do."""
    desk = Desk(sims["okx"], timeout_s=TIMEOUT_S)
    desk.truthful.fault("blackhole")
    try:
        before = len(desk.truthful.requests())
        assert dry(desk) == DryOk()
        assert len(desk.truthful.requests()) == before
    finally:
        desk.truthful.clear_faults()
        desk.close()


def test_what_breaks_on_the_way_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def sign(*_args: Any, **_kwargs: Any) -> dict[str, Any]:
        raise RuntimeError("no such algorithm")

    monkeypatch.setattr(desk.port._client, "sign", sign)
    failed = dry(desk)
    assert isinstance(failed, CallFailed)
    assert "dry request" in failed.words
    late = dry(desk, within_s=-1)
    assert isinstance(late, CallFailed)
    assert late.code == "deadline_passed"


def test_a_way_around_the_edge_ends_at_the_connection(desk: Desk) -> None:
    """The second lock: should ccxt ever send by another way than its `fetch`."""
    client = desk.port._client

    async def around() -> None:
        trace = Trace(dry=True)
        token = TRACE.set(trace)
        try:
            await client.session.get(desk.sim.base_url)
        finally:
            TRACE.reset(token)

    before = len(desk.truthful.requests())
    with pytest.raises(NetworkEdge):
        desk.loop.run(around())
    assert len(desk.truthful.requests()) == before
