"""What exchanges promise: each profile acts by its table, each row has its source, and the page says the same."""

import re

import pytest

from app.exchanges.factory import PROFILES
from app.exchanges.outcomes import Meaning
from app.exchanges.rules.base import DECLARED, Amending, ExchangeRules, IdScope, Sandbox
from app.exchanges.rules.tables import TABLES
from messages.market import MarketType
from tests.exchanges.desk import wire_id
from tests.exchanges.promises import FACTS, PAGE, page

SOURCE = re.compile(r"https://\S+|.*\b(ccxt|declared|declares|spot|measured|we|our|nothing)\b.*", re.IGNORECASE)
"""An address, or honest words."""


@pytest.fixture(params=sorted(PROFILES), ids=lambda key: "-".join(key))
def key(request: pytest.FixtureRequest) -> tuple[str, MarketType]:
    """An exchange and what is traded there."""
    found: tuple[str, MarketType] = request.param
    return found


@pytest.fixture
def table(key: tuple[str, MarketType]) -> ExchangeRules:
    """What it promises."""
    return TABLES[key]


def test_the_profile_acts_by_its_table(key: tuple[str, MarketType], table: ExchangeRules) -> None:
    """Proof, look-back, ids, duplicates, triggers and sandbox."""
    profile = PROFILES[key]
    assert (table.exchange, table.market_type) == key
    assert profile.proof == table.proof
    assert profile.look_back_s == table.look_back_s.value
    assert profile.takes_triggers is bool(table.trigger_prices.value)
    assert profile.attaches_exits is table.attached_exits.value
    assert bool(profile.no_sandbox) is (table.sandbox.value is Sandbox.NONE)
    for code in table.duplicate_codes.value:
        assert profile.codes[code].meaning in (Meaning.DUPLICATE, Meaning.AMBIGUOUS), code


def test_a_wire_id_is_legal(table: ExchangeRules) -> None:
    """By length and alphabet; one that is longer is not."""
    assert table.admits_id(wire_id())
    assert not table.admits_id("a" * (table.id_length.value + 1))


def test_every_row_has_a_source(table: ExchangeRules) -> None:
    """What nobody documents says that it is ours."""
    assert len(dict(table.rows())) > 20
    for name, rule in table.rows():
        assert SOURCE.fullmatch(rule.source), (name, rule.source)
    assert DECLARED in {rule.source for _, rule in table.rows()}
    assert isinstance(table.id_scope.value, IdScope)
    assert table.amend.value in Amending


def test_every_fact_has_a_name_for_people() -> None:
    """And no name is left of a fact there no longer is."""
    assert set(FACTS) == {name for table in TABLES.values() for name, _ in table.rows()}


def test_the_page_says_what_the_tables_say() -> None:
    """Otherwise: make promises."""
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/EXCHANGES.md is out of date: make promises"
