"""What a bot is told of our own network and of credentials: once when it begins, once when it is over."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from app.domain.health_alarms import CREDENTIALS, OWN_NETWORK, Alarms
from messages.health import HealthAlarms, HealthState, HealthView, Network, NetworkState
from tests.domain.test_network import OURS, THEIRS, UNKNOWN, WELL, seen

BYBIT, OKX = seen("bybit", WELL), seen("okx", WELL)


def network(state: NetworkState) -> Network:
    return Network(state=state, words="okx failed together with bybit")


def refused(view: HealthView, words: str = "API key is invalid.") -> HealthView:
    return evolve(view, credentials=words)


def told(news: HealthAlarms | None) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(code, exchange) of what began, and of what is over."""
    if news is None:
        return [], []
    began, over = ([(each.code, each.exchange) for each in alarms] for alarms in (news.raised, news.over))
    return began, over


def test_our_own_network_is_told_once_and_over_with_the_proof_that_it_works() -> None:
    """Not as soon as nobody can tell any more: the first to answer may be of a network that only comes back."""
    alarms = Alarms()
    found = [
        told(alarms.look((BYBIT, OKX), network(state), float(n)))
        for n, state in enumerate((UNKNOWN, OURS, OURS, UNKNOWN, OURS, UNKNOWN, THEIRS, UNKNOWN, OURS))
    ]
    mine = (OWN_NETWORK, "")
    assert found == [([], []), ([mine], []), *[([], [])] * 4, ([], [mine]), ([], []), ([mine], [])]


def test_an_alarm_says_what_it_rests_on_what_is_done_and_since_when() -> None:
    alarms = Alarms()
    news = alarms.look((refused(BYBIT), OKX), network(OURS), 7.0)
    assert news is not None
    own, key = news.raised
    assert own.words == (
        "As it looks our own network is down: okx failed together with bybit. Trading stays until something answers."
    )
    assert key.words == (
        "bybit does not take our credentials: API key is invalid. Put them right: trading is not moved for that."
    )
    alarms.look((refused(BYBIT, "other words"), OKX), network(OURS), 9.0)
    assert [each.at_s for each in alarms.standing] == [7.0, 7.0]
    assert "other words" in alarms.standing[1].words, "as of now, for whoever begins to listen now"


def test_credentials_are_told_by_exchange() -> None:
    """Also of a backup: it is not ready, which is better known before it is needed."""
    alarms = Alarms()
    pairs = [
        *((refused(BYBIT), OKX), (refused(BYBIT, "other words"), OKX), (refused(BYBIT), refused(OKX))),
        *((BYBIT, refused(OKX)), (BYBIT, OKX)),
    ]
    bybit, okx = (CREDENTIALS, "bybit"), (CREDENTIALS, "okx")
    found = [told(alarms.look(pair, network(THEIRS), float(n))) for n, pair in enumerate(pairs)]
    assert found == [([bybit], []), ([], []), ([okx], []), ([], [bybit]), ([], [okx])]


@given(st.lists(st.tuples(st.sampled_from(NetworkState), st.booleans(), st.booleans(), st.sampled_from(HealthState))))
def test_what_begins_did_not_stand_and_what_is_over_did(
    moments: list[tuple[NetworkState, bool, bool, HealthState]],
) -> None:
    """So whoever hears all of it knows what stands."""
    alarms, known = Alarms(), set[tuple[str, str]]()
    for at_s, (state, first, second, health) in enumerate(moments):
        views = [refused(BYBIT) if first else BYBIT, evolve(refused(OKX) if second else OKX, state=health)]
        began, over = told(alarms.look(views, network(state), float(at_s)))
        assert known.isdisjoint(began)
        assert known.issuperset(over)
        known = (known | set(began)) - set(over)
        assert known == {(each.code, each.exchange) for each in alarms.standing}
