"""Reading the parameters of Kraken Futures requests: times, batches, and what is mandatory."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, unquote_plus

from app.simulator.dialects.base import NativeError, Request
from app.simulator.dialects.wire import flat

MAX_BATCH = 100
"""Instructions in one batch; more are refused."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")


def need(params: Mapping[str, str], name: str) -> str:
    """A mandatory parameter."""
    given = params.get(name)
    if not given:
        raise NativeError("requiredArgumentMissing", "")
    return given


def uuid_or_none(params: Mapping[str, str], name: str) -> str | None:
    """An order id, or None if there is none. Anything but a UUID is an invalid argument."""
    given = params.get(name)
    if not given:
        return None
    if not _UUID.match(given):
        raise NativeError(f"invalidArgument: {name}", "")
    return given


def time_ms(raw: str) -> int:
    """An ISO 8601 time, of UTC unless it says otherwise, as Unix ms. Raises ValueError for anything else."""
    parsed = datetime.fromisoformat(raw)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    try:
        return (parsed - _EPOCH) // timedelta(milliseconds=1)
    except OverflowError as error:
        raise ValueError(f"{raw!r} is no time of this era.") from error


def values(request: Request, name: str) -> list[str]:
    """Every value of a parameter that may be repeated, in the query or a form body."""
    body = request.body.decode("utf-8", "replace")
    return [v for raw in (request.raw_query, body) for k, v in parse_qsl(raw) if k == name]


def batch_of(request: Request) -> list[dict[str, str]]:
    """The instructions of a /batchorder; empty if it is nothing of the kind."""
    found = _batch_body(request).get("batchOrder")
    return [flat(i) for i in found if isinstance(i, dict)] if isinstance(found, list) else []


def process_before(request: Request) -> str | None:
    """`processBefore` as it came: a parameter, or of a batch a member of its object (ccxt can put it only there)."""
    given = request.params.get("processBefore")
    if given is None and request.path.endswith("/batchorder"):
        given = flat(_batch_body(request)).get("processBefore")
    return given or None


def _batch_body(request: Request) -> dict[str, object]:
    """The body of a /batchorder is `json=` and a JSON object, encoded or (as ccxt sends it) not."""
    raw = request.body.decode("utf-8", "replace").removeprefix("json=")
    for text in (raw, unquote_plus(raw)):
        try:
            body = json.loads(text)
        except ValueError:
            continue
        return body if isinstance(body, dict) else {}
    return {}
