"""Secrets: read by whoever asks for credentials, in nothing else, wherever something goes wrong."""

from __future__ import annotations

import os
import pickle
import tomllib
import traceback
from pathlib import Path

import pytest

from app.config import (
    Config,
    ConfigError,
    explain,
    from_mapping,
    load,
    read_credentials,
    require_credentials,
    warnings,
)

SECRET = "hunter2-hunter2"
INLINE = f"""
[router]
primary_exchange = "bybit_v5"
failover_exchanges = []
[exchanges.bybit_v5]
api_key = "{SECRET}-key"
secret = "{SECRET}"
"""


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "router.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_inline_secrets_are_read_by_the_connector_and_kept_by_nobody(tmp_path: Path) -> None:
    """Neither in the object, nor what is printed of it, nor what is sent of it."""
    config = load(written(tmp_path, INLINE))
    require_credentials(config)
    credentials = read_credentials(config, "bybit_v5")
    assert (credentials.api_key, credentials.secret, credentials.password) == (f"{SECRET}-key", SECRET, "")
    for text in (repr(config), str(config), repr(explain(config)), repr(credentials), str(credentials)):
        assert SECRET not in text
    assert SECRET.encode() not in pickle.dumps(config)
    assert pickle.loads(pickle.dumps(config)) == config


def test_secrets_from_variables_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """White space around is an editor's, not the exchange's; paths start from the configuration's folder."""
    monkeypatch.setenv("OKX_KEY", "the-key")
    (tmp_path / "okx.secret").write_text(f"{SECRET}\n")
    (tmp_path / "okx.secret").chmod(0o600)
    text = '[exchanges.okx]\napi_key_env = "OKX_KEY"\nsecret_file = "okx.secret"\npassword = "passphrase"\n'
    config = load(written(tmp_path, text))
    credentials = read_credentials(config, "okx")
    assert (credentials.api_key, credentials.secret, credentials.password) == ("the-key", SECRET, "passphrase")


def test_memfd_secrets_are_read_again() -> None:
    """The embedded daemon's configuration has no name, and its connectors read it anew."""
    fd = os.memfd_create("config")
    try:
        os.write(fd, INLINE.encode())
        config = load(f"/proc/self/fd/{fd}")
        assert read_credentials(config, "bybit").secret == SECRET
        assert read_credentials(config, "bybit").secret == SECRET
        assert not any("mode" in sentence for sentence in warnings(config))
    finally:
        os.close(fd)


def routed(text: str) -> Config:
    head = '[router]\nprimary_exchange = "okx"\nfailover_exchanges = []\n'
    return from_mapping(tomllib.loads(head + text), "router.toml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "router.toml: okx has no credentials: there is no table [exchanges.okx] with api_key and secret,"),
        (
            "[exchanges.okx]\nsecret = 'x'\npassword = 'x'",
            "router.toml: okx has no api_key: set exchanges.okx.api_key, api_key_env or api_key_file",
        ),
        (
            "[exchanges.okx]\nsecret = 'x'\napi_key = 'x'",
            "router.toml: okx has no password: set exchanges.okx.password, password_env or password_file",
        ),
        (
            "[exchanges.okx]\nsecret = 'x'\napi_key_env = 'NO_SUCH_VARIABLE'\npassword = 'x'",
            "router.toml: exchanges.okx.api_key_env names the environment variable NO_SUCH_VARIABLE, which is not set",
        ),
        (
            "[exchanges.okx]\nsecret = 'x'\napi_key_file = '/nonexistent/key'\npassword = 'x'",
            "router.toml: exchanges.okx.api_key_file names the file /nonexistent/key, which cannot be read: No such",
        ),
        (
            "[exchanges.okx]\nsecret = 'x'\napi_key_file = '/dev/null'\npassword = 'x'",
            "router.toml: exchanges.okx.api_key_file names the file /dev/null, which is no regular file",
        ),
    ],
)
def test_missing_credentials_name_exchange_and_key(text: str, sentence: str) -> None:
    """For the whole router and for one connector alike; loading alone does not ask for them."""
    config = routed(text)
    for ask in (require_credentials, lambda config: read_credentials(config, "okx")):
        with pytest.raises(ConfigError) as caught:
            ask(config)
        assert str(caught.value).startswith(sentence)


def test_exchanges_that_are_not_routed_need_no_credentials() -> None:
    """A table may wait for its day."""
    config = routed("[exchanges.okx]\nsecret = 'x'\napi_key = 'x'\npassword = 'x'\n[exchanges.binance]\n")
    require_credentials(config)


@pytest.mark.parametrize(
    "text",
    [
        f"[exchanges.okx]\napi_key = ['{SECRET}']",
        f"[exchanges.okx]\napi_key = '{SECRET}'\napi_key_env = 'X'",
        f"[exchanges.okx]\nsandbox = '{SECRET}'",
        f"[exchanges.okx]\noptions = '{SECRET}'",
        f"[exchanges.okx]\nmarket_type = '{SECRET}'",
        f"[exchanges.okx]\nbase_url = 'http://user:{SECRET}@host'",
        f"[exchanges.okx]\nbase_url = '{SECRET}'",
        f"[exchanges.okx]\noptions = {{ password = '{SECRET}' }}",
        f"[exchanges.okx]\noptions = {{ nested = {{ apiKey = '{SECRET}' }} }}",
        f"[exchanges.okx]\nsecrets = '{SECRET}'",
        f"[exchanges]\nokx = '{SECRET}'",
        f"[exchanges.okx]\nsecret = '{SECRET}\nx = 1",
        f"[exchanges.okx]\nsecret = {SECRET}",
    ],
)
def test_no_error_quotes_a_secret(tmp_path: Path, text: str) -> None:
    """Neither the sentence nor what Python prints of the exception and what led to it."""
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None


def test_both_spellings_of_a_secret_are_refused() -> None:
    """Which one would win is nothing to guess about."""
    with pytest.raises(ConfigError, match=r"exchanges\.okx\.secret and exchanges\.okx\.secret_env are both set"):
        from_mapping({"exchanges": {"okx": {"secret": "x", "secret_env": "Y"}}}, "x")


def test_inline_secrets_without_a_file_say_what_to_use_instead() -> None:
    """Tables made in Python have nowhere to be read from again."""
    config = from_mapping(tomllib.loads(INLINE), "the arguments of OrderRouter")
    with pytest.raises(ConfigError, match=r"cannot be read again .* use api_key_env or api_key_file instead"):
        read_credentials(config, "bybit")


def test_a_secret_taken_out_of_the_file_since_is_told(tmp_path: Path) -> None:
    """The connector restarts, and the file is another."""
    path = written(tmp_path, INLINE)
    config = load(path)
    path.write_text("[exchanges.bybit_v5]\n")
    with pytest.raises(ConfigError, match=r"exchanges\.bybit_v5\.api_key is no longer in"):
        read_credentials(config, "bybit")


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_files_with_secrets_open_to_others_are_told(tmp_path: Path, mode: int) -> None:
    """Once a file, with the command that helps."""
    path = written(tmp_path, INLINE, mode)
    told = [sentence for sentence in warnings(load(path)) if "chmod" in sentence]
    assert told == [
        f"{path} holds secrets and has mode {mode:04o}, open to other users; make it private with: chmod 600 {path}"
    ]


def test_files_without_secrets_may_be_open(tmp_path: Path) -> None:
    """Variables keep them elsewhere."""
    path = written(tmp_path, "[exchanges.bybit]\napi_key_env = 'A'\nsecret_env = 'B'\n", 0o644)
    assert not any("chmod" in sentence for sentence in warnings(load(path)))
