"""Kraken Futures: what the gateway and the engine refuse: errors of a request, and statuses of an order."""

import json
from collections.abc import Iterator
from typing import Any

import ccxt.async_support as ccxt
import pytest

from app.simulator.dialects.base import Credentials
from app.simulator.dialects.kraken import Kraken
from app.simulator.dialects.kraken_bodies import iso
from app.simulator.engine import Engine
from tests.simulator.desk import Desk

BTC = "BTC/USD:USD"
LIMIT = {
    "orderType": "lmt",
    "symbol": "PF_XBTUSD",
    "side": "buy",
    "size": "0.001",
    "limitPrice": "26000",
    "cliOrdId": "ref",
}


@pytest.fixture(scope="module")
def client_of_module() -> Iterator[Desk]:
    """The desk with its client, kept for the module."""
    desk = Desk("kraken")
    yield desk
    desk.close()


@pytest.fixture
def desk(client_of_module: Desk) -> Iterator[Desk]:
    """The desk at an exchange of its own."""
    with client_of_module.exchange() as running:
        yield running


# ---- statuses and errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"size": "0.00015"}, "invalidSize"),
        ({"size": "0"}, "invalidSize"),
        ({"size": "-1"}, "invalidSize"),
        ({"limitPrice": "26000.5"}, "invalidPrice"),
        ({"limitPrice": "0"}, "invalidPrice"),
        ({"size": "9000"}, "maxPositionViolation"),
        ({"size": "4900"}, "insufficientAvailableFunds"),
        ({"reduceOnly": "true"}, "wouldNotReducePosition"),
        ({"orderType": "post", "limitPrice": "27500"}, "postWouldExecute"),
        ({"orderType": "ioc"}, "iocWouldNotExecute"),
        ({"orderType": "fok"}, "iocWouldNotExecute"),
        ({"cliOrdId": "x" * 101}, "clientOrderIdTooLong"),
    ],
)
def test_an_order_is_refused_by_its_status(desk: Desk, changes: dict[str, str], status: str) -> None:
    """A success in HTTP and in `result`, with the reason as the status; and nothing is placed."""
    answer = desk.run(desk.client.privatePostSendorder({**LIMIT, **changes}))
    assert answer["result"] == "success"
    assert answer["sendStatus"]["status"] == status
    assert desk.truth()["orders"] == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"symbol": "PF_DOGEUSD"}, "invalidArgument: symbol"),
        ({"symbol": None}, "requiredArgumentMissing"),
        ({"side": "long"}, "invalidArgument: side"),
        ({"orderType": "market"}, "invalidArgument: orderType"),
        ({"limitPrice": None}, "requiredArgumentMissing"),
        ({"size": "much"}, "invalidArgument"),
        ({"size": None}, "requiredArgumentMissing"),
        ({"orderType": "stp"}, "requiredArgumentMissing"),
        ({"orderType": "stp", "stopPrice": "27500.5"}, "invalidArgument: stopPrice"),
        ({"processBefore": "soon"}, "invalidArgument: processBefore"),
    ],
)
def test_a_malformed_request_is_an_error(desk: Desk, changes: dict[str, str | None], error: str) -> None:
    """{"result": "error", "error": …}, which ccxt takes for a bad request."""
    asked = {k: v for k, v in {**LIMIT, **changes}.items() if v is not None}
    said = desk.refused(desk.client.privatePostSendorder(asked))
    assert isinstance(said, ccxt.BadRequest)
    assert json.loads(str(said).partition(" ")[2])["error"] == error
    assert desk.truth()["orders"] == []


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda c: c.privatePostCancelorder({}), ccxt.BadRequest, "requiredArgumentMissing"),
        (lambda c: c.privatePostCancelorder({"order_id": "77"}), ccxt.BadRequest, "invalidArgument: order_id"),
        (lambda c: c.privateGetOrdersStatus({"orderIds": ["77"]}), ccxt.BadRequest, "invalidArgument: orderIds"),
        (lambda c: c.privatePostCancelallorders({"symbol": "PF_NONE"}), ccxt.BadRequest, "invalidArgument: symbol"),
        (lambda c: c.privatePostEditorder({"size": 1}), ccxt.BadRequest, "requiredArgumentMissing"),
        (lambda c: c.privatePostBatchorder({"batchOrder": []}), ccxt.ExchangeError, "Json Parse Error"),
        (lambda c: c.publicGetTickersSymbol({"symbol": "PF_NONE"}), ccxt.BadSymbol, "contractNotFound"),
        (lambda c: c.publicGetOrderbook({"symbol": "PF_NONE"}), ccxt.BadSymbol, "contractNotFound"),
        (lambda c: c.privateGetTransfers(), ccxt.BadRequest, "notFound"),
    ],
)
def test_other_requests_are_refused(desk: Desk, call: Any, kind: type[Exception], words: str) -> None:
    """By the exchange's words."""
    error = desk.refused(call(desk.client))
    assert isinstance(error, kind)
    assert words in str(error)


def test_editing_is_refused_by_its_status(desk: Desk) -> None:
    """And leaves the order as it was."""
    desk.run(desk.client.privatePostSendorder(dict(LIMIT)))
    for changes, status in (({"size": "0.00015"}, "invalidSize"), ({"limitPrice": "26000.5"}, "invalidPrice")):
        edit = desk.run(desk.client.privatePostEditorder({"cliOrdId": "ref", **changes}))["editStatus"]
        assert edit["status"] == status
    assert (desk.order_of("ref")["qty"], desk.order_of("ref")["price"]) == ("0.001", "26000")


# ---- gateway --------------------------------------------------------------------------------------------------------


def test_the_key_and_the_signature(desk: Desk) -> None:
    """A strange key, a wrong secret: authenticationError, on both APIs; nothing is placed."""
    place = desk.client.privatePostSendorder
    desk.client.secret = "d3Jvbmc="
    assert isinstance(desk.refused(place(dict(LIMIT))), ccxt.AuthenticationError)
    assert isinstance(desk.refused(desk.client.historyGetOrders()), ccxt.AuthenticationError)
    desk.client.secret, desk.client.apiKey = desk.sim.secret, "stranger"
    assert isinstance(desk.refused(place(dict(LIMIT))), ccxt.AuthenticationError)
    desk.client.apiKey = desk.sim.api_key
    desk.run(place(dict(LIMIT)))
    assert desk.order_of("ref")["status"] == "open"


def test_the_signature_covers_query_body_nonce_and_path(desk: Desk) -> None:
    """Each changed alone is refused."""
    dialect = desk.sim.exchange.dialect
    batch = {"batchOrder": [{"order": "cancel", "cliOrdId": "none"}]}
    for path, params in (("sendorder", dict(LIMIT)), ("batchorder", batch)):
        request, matched = desk.signed(path, "private", "POST", params)
        assert dialect.admit(request, matched, request.arrived_ms) is None
        for changed in ("raw_query", "body", "path", "nonce"):
            other, _ = desk.signed(path, "private", "POST", params)
            if changed == "nonce":
                other.headers = {**other.headers, "nonce": "1"}
            elif changed == "body":
                other.body += b"&size=9"
            else:
                setattr(other, changed, getattr(other, changed) + "&size=9")
            refused = dialect.admit(other, matched, other.arrived_ms)
            assert refused is not None
            assert json.loads(refused.body)["error"] == "authenticationError"


def test_the_secret_must_be_base64() -> None:
    """A sentence when the exchange is made, not a failure of every request."""
    with pytest.raises(ValueError, match="must be base64"):
        Kraken(Engine(Kraken.markets(), Kraken.rules()), Credentials(api_key="k", secret="not base64!"))


def test_a_batch_may_be_url_encoded(desk: Desk) -> None:
    """ccxt sends the JSON as it is; other clients encode it."""
    request, matched = desk.signed("batchorder", "private", "POST", {"batchOrder": [{**LIMIT, "order": "send"}]})
    request.body = b"json=" + request.body.removeprefix(b"json=").replace(b'"', b"%22").replace(b" ", b"+")
    answer = desk.sim.exchange.dialect.execute(request, matched, request.arrived_ms)
    assert json.loads(answer.body)["batchStatus"][0]["status"] == "placed"


# ---- processBefore --------------------------------------------------------------------------------------------------


def test_an_order_past_its_time_stops_at_the_gateway(desk: Desk) -> None:
    """A status without an order id. ccxt raises nothing: an order without an id comes back."""
    late = {"processBefore": iso(desk.clock() - 100)}
    sent = desk.run(desk.client.privatePostSendorder({**LIMIT, **late}))["sendStatus"]
    assert (sent["status"], sent.get("order_id")) == ("wouldProcessAfterSpecifiedTime", None)
    made = desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, late))
    assert (made["id"], made["status"]) == (None, "rejected")
    assert desk.truth()["orders"] == []
    in_time = {"processBefore": iso(desk.clock() + 5_000)}
    assert desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, in_time))["id"]


def test_the_engine_refuses_what_the_gateway_let_in(desk: Desk) -> None:
    """Admitted in time, executed after it: refused, and nothing happens; in time it does."""
    dialect = desk.sim.exchange.dialect
    limit_ms = desk.clock() + 5_000
    place, matched = desk.signed("sendorder", "private", "POST", {**LIMIT, "processBefore": iso(limit_ms)})
    assert dialect.expiry_ms(place) == limit_ms
    assert dialect.admit(place, matched, place.arrived_ms) is None
    late = json.loads(dialect.execute(place, matched, limit_ms + 1).body)
    assert (late["result"], late["sendStatus"]["status"]) == ("success", "wouldProcessAfterSpecifiedTime")
    assert desk.truth()["orders"] == []
    assert json.loads(dialect.execute(place, matched, limit_ms).body)["sendStatus"]["status"] == "placed"
    assert desk.order_of("ref")["status"] == "open"


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("cancelorder", {"cliOrdId": "ref"}),
        ("cancelallorders", {"symbol": "PF_XBTUSD"}),
        ("editorder", {"cliOrdId": "ref", "size": "0.002"}),
    ],
)
def test_late_changes_do_nothing(desk: Desk, path: str, params: dict[str, str]) -> None:
    """A cancel or an edit past `processBefore` changes nothing, at the gateway and at the engine."""
    desk.run(desk.client.privatePostSendorder(dict(LIMIT)))
    limit_ms = desk.clock() + 5_000
    request, matched = desk.signed(path, "private", "POST", {**params, "processBefore": iso(limit_ms)})
    dialect = desk.sim.exchange.dialect
    for answer in (dialect.admit(request, matched, limit_ms + 1), dialect.execute(request, matched, limit_ms + 1)):
        assert answer is not None
        assert b"wouldProcessAfterSpecifiedTime" in answer.body
    assert (desk.order_of("ref")["status"], desk.order_of("ref")["qty"]) == ("open", "0.001")
    dialect.execute(request, matched, limit_ms)
    assert (desk.order_of("ref")["status"], desk.order_of("ref")["qty"]) != ("open", "0.001")


def test_a_batch_past_its_time_places_nothing(desk: Desk) -> None:
    """Of a batch each instruction is told."""
    late = {"batchOrder": [{**LIMIT, "order": "send"}], "processBefore": iso(desk.clock() - 100)}
    (told,) = desk.run(desk.client.privatePostBatchorder(late))["batchStatus"]
    assert told["status"] == "wouldProcessAfterSpecifiedTime"
    assert desk.truth()["orders"] == []
