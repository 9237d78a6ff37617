"""No secret reaches a log: by its name, by what stands before it, or by its value."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.process import redact as redaction
from app.process.redact import MAX_DEPTH, REDACTED, hide, names_a_secret, redact, redact_text

SECRET = "s3cr3t-v4lue"
NAMES = [
    "apiKey", "api_key", "API-KEY", "secret", "apiSecret", "secret_key", "password", "passwd", "passphrase",
    "signature",
    "X-MBX-APIKEY", "OK-ACCESS-KEY", "OK-ACCESS-SIGN", "OK-ACCESS-PASSPHRASE", "X-BAPI-API-KEY", "X-BAPI-SIGN", "sign",
    "API-Sign", "APIKey", "Authent", "Authorization", "Cookie", "Set-Cookie", "token", "listenKey_token", "privateKey",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_secrets_hide_their_values(name: str) -> None:
    """As a key at any depth, in a query, in a header line and in JSON inside a text."""
    assert names_a_secret(name)
    for said in (
        redact({name: SECRET}),
        redact({"request": [{"headers": {name: SECRET}}]}),
        redact(f"GET https://example.test/v1/order?symbol=BTCUSDT&{name}={SECRET}&timestamp=1"),
        redact(f"{name}: {SECRET}\nAccept: */*"),
        redact(f'body {{"symbol": "BTCUSDT", "{name}": "{SECRET}"}}'),
        redact(f"{{'{name}': '{SECRET}'}}".encode()),
    ):
        assert SECRET not in str(said)
        assert REDACTED in str(said)


@pytest.mark.parametrize(
    "name", ["symbol", "order_id", "design", "tokens", "assigned", "key", "qty", "asset", "signal"]
)
def test_ordinary_names_keep_their_values(name: str) -> None:
    """What is no secret stays readable."""
    assert not names_a_secret(name)
    assert redact({name: "value"}) == {name: "value"}
    assert redact_text(f"{name}=value {name}: value") == f"{name}=value {name}: value"


def test_the_rest_of_a_line_stays() -> None:
    """Only the value goes: neighbours are what makes a log worth reading."""
    text = "binance GET https://example.test/order?symbol=BTCUSDT&signature=ab12&timestamp=99 418"
    assert redact_text(text) == text.replace("ab12", REDACTED)
    assert redact_text("Authorization: Bearer abc.def rest") == f"Authorization: {REDACTED} rest"


def test_a_hidden_value_is_found_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange that quotes our key back in the middle of a sentence does not get it into the log."""
    monkeypatch.setattr(redaction, "_hidden", set())
    hide(SECRET)
    hide("short")
    assert redact_text(f"error sign! origin_string[1658384314791{SECRET}5000]") == (
        f"error sign! origin_string[1658384314791{REDACTED}5000]"
    )
    assert redact_text("a short word") == "a short word"


def test_depth_is_bounded() -> None:
    """A structure that contains itself ends."""
    cycle: list[Any] = []
    cycle.append(cycle)
    text = str(redact(cycle))
    assert text.count("[") == MAX_DEPTH + 2


@given(
    st.recursive(st.text() | st.binary() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.tuples(inner))
)
def test_anything_can_be_redacted(value: object) -> None:
    """No value makes logging raise, and redacting twice is redacting once."""
    once = redact(value)
    assert redact(once) == once
