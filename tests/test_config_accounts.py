"""The accounts of a configuration are held together, or not at all."""

from __future__ import annotations

import secrets
import tomllib
from pathlib import Path

import pytest

from app.config import Config, ConfigError, from_mapping
from app.config.accounts import AccountLocks, account_fingerprint
from app.process.account_lock import AccountInUse


def config(tmp_path: Path, *keys: str, base_url: str = "", routed: str = "okx", text: str = "") -> Config:
    """Exchanges okx, bybit and binance with these API keys in files; okx and bybit are routed to."""
    tables = f'[router]\nprimary_exchange = "{routed}"\nfailover_exchanges = ["bybit"]\nstate_dir = "{tmp_path}"\n'
    for name, key in zip(("okx", "bybit", "binance"), keys, strict=False):
        (tmp_path / f"{name}-{key}").write_text(f"{key}\n")
        tables += f'[exchanges.{name}]\napi_key_file = "{tmp_path}/{name}-{key}"\nsecret = "never read"\n'
        if base_url and name == "okx":
            tables += f'base_url = "{base_url}"\n'
    return from_mapping(tomllib.loads(tables + text), "router.toml")


@pytest.fixture
def keys() -> list[str]:
    """Keys that no other test has."""
    return [secrets.token_hex(16) for _ in range(4)]


def test_every_account_that_trading_can_move_to_is_held(tmp_path: Path, keys: list[str]) -> None:
    """The failover exchange's too; one that is only listed is nobody's. A second state directory does not help."""
    okx, bybit, binance, other = keys
    with AccountLocks(config(tmp_path, okx, bybit, binance)) as locks:
        with pytest.raises(AccountInUse, match=r"exchanges\.okx\.api_key"):
            AccountLocks(config(tmp_path, okx, other))
        with pytest.raises(AccountInUse, match=r"exchanges\.bybit\.api_key"):
            AccountLocks(config(tmp_path, other, bybit))
        AccountLocks(config(tmp_path, other, binance)).release()
        locks.release()
        AccountLocks(config(tmp_path, okx, bybit)).release()


def test_what_was_taken_before_the_one_in_use_is_given_back(tmp_path: Path, keys: list[str]) -> None:
    """Whoever is refused holds nothing."""
    okx, bybit, other, _ = keys
    with AccountLocks(config(tmp_path, okx, bybit)):
        with pytest.raises(AccountInUse):
            AccountLocks(config(tmp_path, other, bybit))
        AccountLocks(config(tmp_path, other, keys[3])).release()


def test_a_new_configuration_takes_what_is_new_and_lets_go_of_the_rest_later(tmp_path: Path, keys: list[str]) -> None:
    """What is gone from it is held until the processes that trade there are gone too."""
    okx, bybit, new, other = keys
    with AccountLocks(config(tmp_path, okx, bybit)) as locks:
        with AccountLocks(config(tmp_path, other, new)), pytest.raises(AccountInUse):
            locks.take(config(tmp_path, okx, new))
        locks.keep_named()
        with pytest.raises(AccountInUse, match=r"exchanges\.bybit"):
            AccountLocks(config(tmp_path, other, bybit))
        locks.take(config(tmp_path, okx, new))
        for held in (bybit, new):
            with pytest.raises(AccountInUse, match=r"exchanges\.bybit"):
                AccountLocks(config(tmp_path, other, held))
        locks.keep_named()
        AccountLocks(config(tmp_path, other, bybit)).release()
        with pytest.raises(AccountInUse, match=r"exchanges\.okx"):
            AccountLocks(config(tmp_path, okx, other))


def test_simulators_have_accounts_of_their_own(tmp_path: Path, keys: list[str]) -> None:
    """The same key on two of them is two accounts; any address elsewhere is the one exchange."""

    def at(base_url: str) -> str:
        return account_fingerprint(config(tmp_path, *keys, base_url=base_url), "okx")

    real = at("")
    assert real == at("https://www.okx.com") == at("http://proxy.example:8080/okx")
    simulated = {at(f"http://{host}/okx") for host in ("127.0.0.1:4001", "127.0.0.1:4002", "localhost:4001")}
    assert len({real, *simulated}) == 4
    assert at("http://127.0.0.1:4001/other") in simulated


def test_a_key_that_cannot_be_read_is_told(tmp_path: Path, keys: list[str]) -> None:
    """As it is when a connector reads it; nothing is held then."""
    found = config(tmp_path, *keys)
    (tmp_path / f"bybit-{keys[1]}").unlink()
    with pytest.raises(ConfigError, match=r"exchanges\.bybit\.api_key_file names the file .* cannot be read"):
        AccountLocks(found)
    AccountLocks(config(tmp_path, *keys)).release()
    with pytest.raises(ConfigError, match=r"router\.toml: kraken has no api_key: set exchanges\.kraken\.api_key,"):
        AccountLocks(config(tmp_path, *keys, routed="kraken"))
    with pytest.raises(ConfigError, match="kraken has no api_key"):
        AccountLocks(config(tmp_path, *keys, routed="kraken", text="[exchanges.kraken]\n"))


def test_keys_are_compared_without_what_an_editor_left(tmp_path: Path, keys: list[str]) -> None:
    """A newline at the end of one file makes no second account."""
    found = config(tmp_path, *keys)
    before = account_fingerprint(found, "okx")
    (tmp_path / f"okx-{keys[0]}").write_text(f"  {keys[0]}")
    assert account_fingerprint(found, "okx") == before
