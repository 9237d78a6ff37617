"""Real bugs that were found by a seed: the seed, its profile, and what had gone wrong.

`relapse` brings the bug back; with it the seed fails, without it the seed holds. Seeds belong to this version of the
harness: where a change of it makes them say something else, `python -m tests.fuzz.corpus` finds new ones.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from attrs import frozen

from app.fuzz.run import run_seed
from tests.fuzz import relapses as r

MOST_SEEDS = 3000
"""Looked through for each; beside them the seed that found the bug is tried."""


@frozen
class Found:
    """One bug.

    Attributes:
        rule: The rule that was broken, by how it begins.
    """

    seed: int
    profile: str
    rule: str
    relapse: Callable[[], AbstractContextManager[None]]
    story: str


CORPUS = (
    Found(
        2,
        "calm",
        "actors do not raise",
        r.early_messages_handled,
        "A strategy learned of the coordinator from the directory and subscribed before the supervisor's Start was "
        "there: the coordinator died of it.",
    ),
    Found(
        9,
        "storm",
        "I1 accepted and absent",
        r.withdrawn_called_accepted,
        "A placement was lost on the way and proven absent; its owner cancelled it, then placed it again under the "
        "same id, and heard that it was accepted, though no exchange ever had it.",
    ),
    Found(
        14,
        "crashes",
        "left over",
        r.switch_resumed_as_if_trading_had_moved,
        "The coordinator died between the route's commit and its entry in the history: the switch stayed 'running' for "
        "ever; had no candidate passed, every order on the exchange trading stayed on was cancelled.",
    ),
    Found(
        47,
        "flapping",
        "failover in its own way",
        r.failover_sent_again_refused,
        "Settling took longer than three seconds, so the failover was sent again, and refused because it was running.",
    ),
    Found(
        286188,
        "flapping",
        "failover in its own way",
        r.failover_judged_when_asked_for,
        "Of two failovers the second was refused, rightly: the first, asked for a moment earlier, reached the "
        "coordinator just before it, and was running by then.",
    ),
    Found(
        1283,
        "crashes",
        "I2 not resolved",
        r.doubts_left_to_news,
        "A strategy was told unknown; the connector found the order and recorded it, but the news was lost with it.",
    ),
    Found(
        51,
        "storm",
        "I2 guessed",
        r.requests_for_one_order_apart,
        "Two requests for one order: the first was proven absent and waited for its retry, the second was accepted; at "
        "its deadline the first was told not executed.",
    ),
    Found(
        131,
        "storm",
        "I2 guessed",
        r.questions_spend_all_their_time,
        "A strategy asked after an order whose exchange did not answer: nobody told it what the journal knew, and at "
        "the deadline it heard 'refused', while the order was live.",
    ),
    Found(
        0,
        "storm",
        "left over",
        r.every_wake_up_answered,
        "Each wake-up that had been overtaken by an earlier one planned another for ever.",
    ),
    Found(
        63,
        "replacing",
        "I2 states differ",
        r.answers_held_against_the_end,
        "An order was said to rest, rightly, and was replaced after that.",
    ),
    Found(
        178,
        "guarded",
        "I1 accepted and absent",
        r.asked_again_taken_for_carried,
        "A leg that was to be carried was proven absent, so its owner asked for it anew where trading was; that "
        "exchange refused it, and it was parked as if the router had placed it: he heard that it was accepted.",
    ),
    Found(
        4615,
        "steering",
        "actors do not raise",
        r.plan_asked_between_two_exchanges,
        "A person asked what would be moved while trading was between two exchanges: the synchronizer, which did not "
        "know where to, died of the question, and with it the answers to everybody else who waited for it.",
    ),
)


AWAITED = frozenset(
    {
        r.withdrawn_called_accepted,
        r.doubts_left_to_news,
        r.requests_for_one_order_apart,
        r.asked_again_taken_for_carried,
        r.plan_asked_between_two_exchanges,
    }
)
"""Bugs whose seeds are of an earlier version of the harness: they hold, and new ones are still to be found."""


def search() -> None:
    """Prints, for each bug, the first seed that finds it."""
    for found in CORPUS:
        seed = next((s for s in (*range(MOST_SEEDS), found.seed) if finds(found, s)), None)
        print(found.relapse.__name__, found.profile, seed, flush=True)


def finds(found: Found, seed: int) -> bool:
    """Whether a seed finds a bug that is there again."""
    with found.relapse():
        verdict = run_seed(seed, found.profile)
    return any(violation.rule.startswith(found.rule) for violation in verdict.violations)


if __name__ == "__main__":
    search()
