"""The real ccxt client, fitted so that what happened on the wire is known exactly.

ccxt tells what happened by exceptions that lose what matters: whether anything was sent, what the exchange's answer
was. So each exchange's class is extended, through hooks ccxt itself calls, to write a `Trace` of the request under way:

- whether a connection was had for it (without one, nothing can have arrived);
- the answer's status, headers and parsed body;
- the transport, so that a request given up is torn down at once and cannot be delivered late by our own kernel.

It also signs with the host's anchored clock plus the exchange's measured offset, pins the signed timestamp of a
placement to when it was committed, and passes numbers through as the exact strings they were given as (ccxt would
round them).
"""

from __future__ import annotations

import copy
import select
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import urlsplit

import aiohttp
import certifi
from attrs import define, frozen

from app.exchanges.clock_offset import ClockOffset
from app.exchanges.sift import Sifting
from messages.market import MarketType

if TYPE_CHECKING:
    import asyncio

    from app.exchanges.settings import Credentials, ExchangeSettings

KEEPALIVE_S = 20.0
"""An idle connection is kept this long: less than any exchange's own limit, so that we close first and a placement
does not meet a connection the exchange is just closing."""

MOST_BYTES = 64 * 1024 * 1024
"""Of one answer, unpacked: several times the longest list of markets any exchange has. Without a bound, one answer
without an end (or a small one that unpacks to gigabytes) takes the connector's memory, and with it the machine's."""

MAX_DEAD_CONNECTIONS = 100
"""As many as aiohttp keeps; then the next one is used as it is."""

type_client = Any
"""A ccxt client: ccxt ships no usable types."""


class NetworkEdge(Exception):
    """A dry request was stopped where it would have been sent; nothing was."""


class Unreadable(Exception):
    """An answer that does not have the shape the exchange documents; the message says what is missing."""


@frozen(kw_only=True)
class Pin:
    """When a placement was committed and when it expires, by the EXCHANGE's clock, in Unix milliseconds."""

    signed_ms: int
    expires_ms: int

    @property
    def window_ms(self) -> int:
        """From signing to expiry, at least 1."""
        return max(1, self.expires_ms - self.signed_ms)


@define
class Trace:
    """What happened to the newest request of one call.

    Attributes:
        sent: A connection was had for it.
        had_s: Since when, by the host's anchored clock; None while it was not.
        resolving: The exchange's name is being looked up.
        status: Of the answer; None while there is none.
        answer: The parsed JSON of the answer; None where it was none.
        dry: The call must not reach the network.
        requests: How many were begun.
    """

    pin: Pin | None = None
    dry: bool = False
    requests: int = 0
    sent: bool = False
    had_s: float | None = None
    resolving: bool = False
    status: int | None = None
    answer: Any = None
    headers: Mapping[str, str] | None = None
    transport: asyncio.Transport | None = None

    def begin(self) -> None:
        """A new request begins."""
        self.requests += 1
        self.sent, self.had_s, self.resolving, self.status = False, None, False, None
        self.answer, self.headers, self.transport = None, None, None

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The whole answer is here, and with it the connection is free for others."""
        self.status, self.headers, self.transport = status, headers, None

    def tear_down(self) -> None:
        """Ends the connection of a request without an answer, and with it what our kernel may still hold of it."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None


TRACE: ContextVar[Trace | None] = ContextVar("TRACE", default=None)
"""The trace of the call the running task carries out."""


class Signer(Protocol):
    """What a profile adds to a signature, and where an answer has its markets."""

    market_rows: ClassVar[tuple[str, ...]]
    largest_market_order: ClassVar[tuple[str, ...]]

    def sign_pinned(self, client: type_client, sign: Callable[[], dict[str, Any]], pin: Pin) -> dict[str, Any]:
        """Signs a placement so that the exchange refuses it after its expiry."""
        ...


class _Fitted:
    """Goes before a ccxt class in the order of resolution; every method overrides one ccxt calls by itself."""

    router_clock: Callable[[], float]
    router_offset: ClockOffset
    router_profile: Signer
    router_heard: Callable[[str, Mapping[str, str]], None] | None = None

    def milliseconds(self) -> int:
        trace = TRACE.get()
        if trace is not None and trace.pin is not None:
            return trace.pin.signed_ms
        return int((self.router_clock() + self.router_offset.value_s) * 1000)

    def seconds(self) -> int:
        return self.milliseconds() // 1000

    def microseconds(self) -> int:
        return self.milliseconds() * 1000

    async def load_time_difference(self, params: Any = None) -> int:
        # ccxt would measure it too, once and roughly, and from then on take it off a time that is the exchange's.
        return 0

    def sign(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        def plainly() -> dict[str, Any]:
            signed: dict[str, Any] = super(_Fitted, self).sign(*args, **kwargs)  # type: ignore[misc]
            return signed

        trace = TRACE.get()
        if trace is None or trace.pin is None:
            return plainly()
        return self.router_profile.sign_pinned(self, plainly, trace.pin)

    async def fetch(self, *args: Any, **kwargs: Any) -> Any:
        trace = TRACE.get()
        if trace is not None:
            if trace.dry:
                raise NetworkEdge
            trace.begin()
        answer = await super().fetch(*args, **kwargs)  # type: ignore[misc]
        if not isinstance(answer, dict | list):
            # ccxt would read an empty order, balance or ticker out of it.
            raise Unreadable("the answer is no JSON")
        return answer

    def on_rest_response(
        self, code: int, reason: str, url: str, method: str, response_headers: Any, response_body: str, *rest: Any
    ) -> str:
        trace = TRACE.get()
        if trace is not None:
            trace.answered(code, response_headers)
        if self.router_heard is not None:
            self.router_heard(url, response_headers)
        return response_body.strip()

    def parse_json(self, http_response: str) -> Any:
        parsed = super().parse_json(http_response)  # type: ignore[misc]
        trace = TRACE.get()
        if trace is not None:
            trace.answer = parsed
        return parsed

    def amount_to_precision(self, symbol: str, amount: Any) -> Any:
        # Ours come as strings, checked to be on step already; ccxt would truncate what it cannot represent.
        return amount if isinstance(amount, str) else super().amount_to_precision(symbol, amount)  # type: ignore[misc]

    def price_to_precision(self, symbol: str, price: Any) -> Any:
        return price if isinstance(price, str) else super().price_to_precision(symbol, price)  # type: ignore[misc]


class _Response(aiohttp.ClientResponse):
    """Reads no more than an answer can hold; its time is bounded by the call's deadline."""

    async def read(self) -> bytes:
        if self._body is None:
            body = bytearray()
            async for part in self.content.iter_any():
                body += part
                if len(body) > MOST_BYTES:
                    trace = TRACE.get()
                    if trace is not None:
                        trace.answered(self.status, self.headers)
                    self.close()
                    raise Unreadable(f"the answer is longer than {MOST_BYTES} bytes")
            self._body = bytes(body)
        return await super().read()


class _Connector(aiohttp.TCPConnector):
    """Tells the trace that a connection was had, and which; and hands out none that the exchange has closed already.

    A kept connection may have been closed without the event loop having had a turn to see it. What is written to it is
    lost, and nobody could prove that. Nothing was written yet, so another is taken.
    """

    def __init__(self, *, clock: Callable[[], float], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._clock = clock

    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> Any:
        trace = TRACE.get()
        if trace is None:
            return await super()._resolve_host(host, port, traces)
        trace.resolving = True  # and stays so where we give up meanwhile, which dead name servers bring about
        found = await super()._resolve_host(host, port, traces)
        trace.resolving = False
        return found

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        trace = TRACE.get()
        if trace is not None and trace.dry:  # whatever way it took past `fetch`
            raise NetworkEdge
        connection = await super().connect(req, traces, timeout)
        for _ in range(MAX_DEAD_CONNECTIONS):
            if not _has_ended(connection.transport):
                break
            connection.close()
            connection = await super().connect(req, traces, timeout)
        if trace is not None:
            trace.sent, trace.had_s, trace.transport = True, self._clock(), connection.transport
        return connection


def _has_ended(transport: Any) -> bool:
    """Whether there is something to read where nothing was asked: the connection's end, or what does not belong."""
    waiting = select.poll()
    waiting.register(transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)
    return bool(waiting.poll(0))


def _socket_maker(give_up_s: float) -> Callable[[Any], socket.socket]:
    give_up_ms = max(1, int(give_up_s * 1000))

    def make(address: Any) -> socket.socket:
        made = socket.socket(family=address[0], type=address[1], proto=address[2])
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Closing throws away what was not delivered, also when this process is killed...
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # ...and while this process is stopped, the kernel itself gives up on what nobody acknowledges.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, give_up_ms)
        return made

    return make


class Prepared(Signer, Protocol):
    """What a profile says of its client."""

    ccxt_id: ClassVar[str]
    market_type: ClassVar[MarketType]
    options: ClassVar[Mapping[str, Any]]
    client_parts: ClassVar[tuple[type, ...]]
    """Classes that go before ccxt's in the order of resolution."""

    def use_sandbox(self, client: type_client) -> None:
        """Has a client ask the exchange's own test network from now on."""
        ...


_templates: dict[tuple[str, MarketType, str], type_client] = {}
"""By ccxt's name of an exchange, what is traded there and with which options: a client without credentials, session and
markets, of which others are copies."""


def prepare(profile: Prepared | type[Prepared]) -> type_client:
    """The template of an exchange's clients, made at the first call. Imports ccxt, which takes a second the first time.

    ccxt's constructor sets a thousand names and copies every table it has. Done before a fork, that is shared: a
    connector's client then takes 0.3 ms instead of 8, and three megabytes less.
    """
    key = profile.ccxt_id, profile.market_type, repr(profile.options)
    template = _templates.get(key)
    if template is None:
        import ccxt.async_support as ccxt

        base = getattr(ccxt, profile.ccxt_id)
        fitted: Any = type(f"Fitted{profile.ccxt_id}", (_Fitted, Sifting, *profile.client_parts, base), {"number": str})
        template = fitted({"enableRateLimit": False, "options": dict(profile.options)})
        template.ssl_context = False  # its own session, which it never opens, needs none
        template.has["fetchCurrencies"] = False
        _templates[key] = template
    return template


def _copied(template: type_client) -> type_client:
    """A client that shares with the template what nothing changes."""
    client = copy.copy(template)
    for name, value in vars(template).items():
        if name in ("options", "urls", "has"):
            setattr(client, name, copy.deepcopy(value))
        elif not value and isinstance(value, dict | list | set):
            setattr(client, name, type(value)())
    client.origin = client.uuid()
    return client


def make_client(
    settings: ExchangeSettings,
    credentials: Credentials,
    *,
    profile: Prepared,
    clock: Callable[[], float],
    offset: ClockOffset,
    heard: Callable[[str, Mapping[str, str]], None] | None = None,
) -> type_client:
    """A ready client on the running event loop. Imports ccxt, which takes a second the first time.

    Retries and ccxt's rate limiter are off: what is sent again, and when, is not ccxt's to decide.

    Args:
        heard: Is given the URL and the headers of every answer.
    """
    template = prepare(profile)
    loopback = settings.base_url is not None and urlsplit(settings.base_url).scheme == "http"
    session = aiohttp.ClientSession(
        connector=_Connector(
            clock=clock,
            # aiohttp would load the system's certificates for plain HTTP as well.
            ssl=False if loopback else ssl.create_default_context(cafile=certifi.where()),
            family=socket.AF_UNSPEC,
            happy_eyeballs_delay=0,
            keepalive_timeout=KEEPALIVE_S,
            ttl_dns_cache=60,
            socket_factory=_socket_maker(settings.request_timeout_s),
        ),
        response_class=_Response,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
    # aiohttp would send GET and DELETE (a cancel on Binance) again by itself when a kept connection drops.
    session._retry_connection = False
    if settings.options:  # which may change anything: ccxt's constructor is to see them
        client = type(template)({"enableRateLimit": False, "options": {**profile.options, **settings.options}})
        client.ssl_context = False
        client.has["fetchCurrencies"] = False
    else:
        client = _copied(template)
    client.session, client.own_session = session, False
    client.apiKey, client.secret, client.password = credentials.api_key, credentials.secret, credentials.password
    client.timeout = max(1, int(settings.request_timeout_s * 1000))
    client.router_clock, client.router_offset, client.router_profile = clock, offset, profile
    client.router_heard = heard
    client.router_market_rows, client.router_largest = profile.market_rows, profile.largest_market_order
    if settings.sandbox:
        profile.use_sandbox(client)
    if settings.base_url is not None:
        client.urls["api"] = redirected(client.urls["api"], settings.base_url)
    return client


def redirected(urls: Any, base_url: str) -> Any:
    """ccxt's (nested) URLs with another scheme and host, each keeping its path."""
    if isinstance(urls, str):
        return base_url.rstrip("/") + urlsplit(urls.replace("{hostname}", "hostname")).path
    return {key: redirected(value, base_url) for key, value in urls.items()}


async def close_client(client: type_client) -> None:
    """Closes the connections. Not ccxt's `close`, which sleeps a quarter of a second for websockets we do not use."""
    session, client.session = client.session, None
    if session is not None:
        await session.close()
