"""What happens below HTTP: connections that are dead, given up, or were never had."""

import contextlib
import gzip
import json
import socket
import threading
import time

import pytest

from app.domain.calls import CallFailed, PlaceCall, Placed
from app.exchanges import client
from app.exchanges.client import redirected
from app.exchanges.factory import build_port
from app.exchanges.settings import Credentials, ExchangeSettings
from app.simulator.thread import SimulatorThread
from messages.health import ProbeKind
from messages.market import MarketType
from tests.exchanges.desk import EXCHANGES, TIMEOUT_S, Desk, probe_at, spec, until, wire_id


def test_a_kept_connection_that_ended_is_not_written_to(desk: Desk) -> None:
    """The exchange closed it while our event loop had no turn to see that; nothing is lost in it."""
    assert isinstance(desk.place(spec(), wire_id()), Placed)
    ended = desk.truthful.fault("refused")
    until(lambda: _refuses(desk.sim.base_url))
    desk.truthful.clear_fault(ended)
    assert isinstance(desk.place(spec(), wire_id()), Placed)


def test_a_request_given_up_is_reset_at_once() -> None:
    """What our kernel still holds of it is thrown away, not delivered later."""
    heard: list[bytes] = []
    ended: list[str] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(10)
            try:
                while chunk := connection.recv(65536):
                    heard.append(chunk)
                ended.append("closed")
            except ConnectionResetError:
                ended.append("reset")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        begin = time.monotonic()
        result = probe_at(f"http://127.0.0.1:{listener.getsockname()[1]}")
        assert time.monotonic() - begin < TIMEOUT_S + 1
        serving.join(5)
    assert isinstance(result, CallFailed)
    assert result.code == "timeout"
    assert heard
    assert ended == ["reset"]


def test_an_answer_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte that came as a kilobyte: what counts is what it takes here."""
    monkeypatch.setattr(client, "MOST_BYTES", 100_000)
    said = {"code": "0", "msg": "", "data": [{"ts": str(int(time.time() * 1000))}], "padding": "x" * 1_000_000}
    body = gzip.compress(json.dumps(said).encode())
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(10)
            connection.recv(65536)
            connection.sendall(head.encode() + body)
            with contextlib.suppress(OSError):
                connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        result = probe_at(f"http://127.0.0.1:{listener.getsockname()[1]}")
        serving.join(15)
    assert isinstance(result, CallFailed)
    assert (result.code, result.ill) == ("bad_response", True)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nobody_listens(scheme: str) -> None:
    """Over TLS as well."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        result = probe_at(f"{scheme}://127.0.0.1:{held.getsockname()[1]}")
    assert isinstance(result, CallFailed)
    assert (result.code, result.ill) == ("exchange_unreachable", True)


def test_a_plain_server_where_tls_was_expected_gets_nothing(sims: SimulatorThread) -> None:
    """No handshake, no request: proven not sent."""
    sim = sims["okx"]
    before = len(sim.control.requests())
    result = probe_at(sim.base_url.replace("http:", "https:"))
    assert isinstance(result, CallFailed)
    assert result.code == "exchange_unreachable"
    assert len(sim.control.requests()) == before


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_real_addresses_stand_where_no_other_is_given(name: str) -> None:
    """And every address keeps its path where one is."""
    import ccxt.async_support as ccxt

    from app.exchanges.factory import profile_of

    urls = getattr(ccxt, profile_of(name, MarketType.SWAP).ccxt_id)().urls["api"]
    moved = redirected(urls, "http://127.0.0.1:1/")
    assert moved.keys() == urls.keys()
    for key, url in moved.items():
        if isinstance(url, str):
            assert url.startswith("http://127.0.0.1:1")
            assert urls[key].endswith(url.removeprefix("http://127.0.0.1:1"))


def test_a_port_needs_no_network_to_be_made() -> None:
    """Nor ccxt, which takes a second to import."""
    port = build_port(ExchangeSettings(name="bybit_v5"), Credentials(api_key="k", secret="s"), time.time)
    assert (port.exchange, port.ready) == ("bybit", False)
    assert port.tradable("BTCUSDT") == "bybit has no linear swap BTC/USDT:USDT."
    assert port.rates.per_s(PlaceCall) > 0


def test_kinds_of_probes_are_all_known(desk: Desk) -> None:
    """None is sent as the signed one: status and market are asked by calls of their own."""
    assert {kind.value for kind in ProbeKind} == {"public", "signed", "status", "market"}
    for kind in (ProbeKind.STATUS, ProbeKind.MARKET):
        answer = desk.probe(kind)
        assert isinstance(answer, CallFailed)
        assert (answer.code, answer.ill) == ("unsupported", False)


def _refuses(base_url: str) -> bool:
    host, _, number = base_url.removeprefix("http://").partition(":")
    with socket.socket() as tried:
        return tried.connect_ex((host, int(number))) != 0
