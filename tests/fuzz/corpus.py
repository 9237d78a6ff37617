"""Real bugs that were found by a seed: what had gone wrong, and a small run that still shows it.

`relapse` brings the bug back; with it the run breaks the rule, without it the run holds. The run is a case, a plan
made small and kept as a file (`app.fuzz.case`): a seed is another run after each change of what is drawn, a plan
is not.
Where a change makes a case say something else, `python -m tests.fuzz.corpus NAME` looks for a seed that finds the bug
again, makes it small and keeps it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from attrs import frozen

from app.fuzz.case import Case, case_of, from_json, run_case, to_json
from app.fuzz.run import run_seed
from app.fuzz.shrink import shrink
from tests.fuzz import relapses as r

CASES = Path(__file__).parent / "cases"
MOST_SEEDS = 3000
"""Looked through for each; before them the seed that found the bug is tried."""


@frozen
class Found:
    """One bug.

    Attributes:
        seed: That found it, when it did.
        profile: Which it was of, or where it is best looked for.
        rule: The rule that was broken, by how it begins.
    """

    seed: int
    profile: str
    rule: str
    relapse: Callable[[], AbstractContextManager[None]]
    story: str

    @property
    def name(self) -> str:
        """Of the relapse, and of the file."""
        return self.relapse.__name__

    @property
    def case(self) -> Case | None:
        """The small run; None where none has been found yet in this version of the harness."""
        path = CASES / f"{self.name}.json"
        return from_json(path.read_text()) if path.exists() else None


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
    Found(
        64,
        "disk",
        "I2 guessed",
        r.another_body_left_waiting,
        "A request that the rate limit had turned away waited to be sent again, while another with the same id and "
        "another body was accepted: at its deadline its owner heard that nothing was executed under that id.",
    ),
    Found(
        247,
        "disk",
        "I2 guessed",
        r.doubt_beside_forgotten,
        "An order was asked for twice under one id. One request was sent, and told to be unknown; the other had only "
        "ever been turned away, for a full disk, and was told that nothing was executed, while the order filled.",
    ),
    Found(
        1150,
        "sick",
        "I7 left without a reason",
        r.left_for_not_being_better,
        "A third of a backup's calls failed. That the exchange in use was not known to be better was told first, and "
        "taken for a reason to leave it: trading went to the very backup that failed.",
    ),
    Found(
        1743,
        "network",
        "I7 our own network",
        r.proof_from_before_a_second_silence,
        "Our network was back for some seconds between two outages. A witness that answered then was taken, in the "
        "second one, for a proof that the exchange in use was down by itself, and trading moved.",
    ),
    Found(
        3,
        "steering",
        "I1 another id after absence",
        r.carried_again_under_another_id,
        "An order was carried to another exchange and proven absent there. It was placed there again under another id, "
        "which nothing would have guarded, had the proof been wrong.",
    ),
)


def breaks(found: Found, case: Case) -> bool:
    """Whether a case shows a bug that is there again, by its rule."""
    with found.relapse():
        _, violations = run_case(case)
    return any(violation.rule.startswith(found.rule) for violation in violations)


def search(found: Found, profile: str, most_seeds: int = MOST_SEEDS) -> Case | None:
    """The small run of the first seed that finds a bug; None where none does."""
    with found.relapse():
        for seed in (found.seed, *range(most_seeds)):
            violations = run_seed(seed, profile).violations
            rule = next((each.rule for each in violations if each.rule.startswith(found.rule)), None)
            if rule is not None:
                small = shrink(case_of(seed, profile), rule=rule)
                return None if small is None else small.case
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when every bug that was looked for was found."""
    parser = argparse.ArgumentParser(prog="corpus", description="Finds bugs of the corpus again, and keeps small runs.")
    parser.add_argument("names", nargs="*", help="those without a small run, unless given")
    parser.add_argument("--profile", help="to look in, instead of the one that found it")
    parser.add_argument("--seeds", type=int, default=MOST_SEEDS)
    arguments = parser.parse_args(argv)
    known = {found.name: found for found in CORPUS}
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        parser.error(f"no such bug: {', '.join(unknown)}; there are {', '.join(known)}")
    missing = 0
    for name in arguments.names or [name for name, found in known.items() if found.case is None]:
        found = known[name]
        case = search(found, arguments.profile or found.profile, arguments.seeds)
        missing += case is None
        print(found.name, "not found" if case is None else "kept", flush=True)
        if case is not None:
            (CASES / f"{found.name}.json").write_text(to_json(case) + "\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
