"""Shrinks a failing seed for people, keeps what is left as a file, and plays such a file again."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from app.fuzz import vfs
from app.fuzz.case import from_json, run_case, to_json
from app.fuzz.keep_file import EX_NO_INPUT, EX_UNAVAILABLE, EX_USAGE, Refused, must_be_writable, write_whole
from app.fuzz.prose import tell_in_sentences
from app.fuzz.shrink import shrink_seed
from app.fuzz.story import tell

TEST = '''\
def test_{name}() -> None:
    """{rule}: it held from the day on which this was mended."""
    seen, violations = run_case(from_json(CASE))
    assert not violations, tell(seen, violations)


CASE = r"""
{case}
"""
'''


def shrink_and_tell(seed: int, profile: str, *, for_s: float | None, keep: Path | None, as_json: bool) -> int:
    """Prints what is left of a failing seed: in sentences, as a timeline, and as a test to be pasted.

    Args:
        for_s: Seconds it may take; None for as long as its runs take, which are bounded.
        keep: Where the small plan is written, for `--replay-plan`; None for nowhere.

    Returns:
        1, and 0 where the seed does not fail.

    Raises:
        Refused: The file cannot be written.
    """
    if keep is not None:
        must_be_writable(keep)
    small = shrink_seed(seed, profile, for_s=float("inf") if for_s is None else for_s)
    if small is None:
        print(json.dumps({"seed": seed, "profile": profile, "ok": True}) if as_json else f"Seed {seed} does not fail.")
        return 0
    case, rule = to_json(small.case), small.case.rule
    if keep is not None:
        _keep(keep, case)
    story, timeline = tell_in_sentences(small.seen, small.violations, rule), tell(small.seen, small.violations)
    if as_json:
        facts = {"seed": seed, "profile": profile, "ok": False, "rule": rule, "before": small.before}
        facts |= {
            "after": small.after,
            "runs": small.runs,
            "bound": small.bound,
            "story": story,
            "plan": json.loads(case),
        }
        print(json.dumps(facts))
        return 1
    print(f"== seed {seed}, profile {profile}: violated: {rule} ==")
    print(
        f"{small.after} parts of {small.before} are left, after {small.runs} runs. {small.bound}".rstrip(), "", sep="\n"
    )
    print(story, "", "-- as a timeline --", "", timeline, "", sep="\n")
    if keep is not None:
        print(f"It is in {keep}: order-router fuzz --replay-plan {keep}")
    else:
        print("-- as a test: from app.fuzz.case import from_json, run_case; from app.fuzz.story import tell --", "")
        print(TEST.format(name=f"{profile}_{seed}_shrunk", rule=rule, case=case))
    return 1


def _keep(path: Path, case: str) -> None:
    try:
        write_whole(path, case + "\n")
    except Refused as refused:  # the disk filled up meanwhile: what took minutes to find is told all the same
        print(refused, "It was:", case, sep="\n", file=sys.stderr)


def replay_case(path: Path, *, as_json: bool) -> int:
    """Plays a plan that was kept, and tells it.

    Returns:
        0 when every invariant held, 1 when one did not.

    Raises:
        Refused: The file cannot be read, holds no plan, or one of a disk that cannot be simulated by this Python.
    """
    try:
        case = from_json(path.read_text())
    except OSError as error:
        raise Refused(EX_NO_INPUT, f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise Refused(EX_USAGE, f"{path}: {error}") from error
    if case.plan.disk is not None and not vfs.reachable():
        raise Refused(EX_UNAVAILABLE, f"{path} cannot be played: {vfs.OUT_OF_REACH}")
    seen, violations = run_case(case)
    if as_json:
        told = [violation.facts() for violation in violations]
        print(json.dumps({"ok": not violations, "rule": case.rule, "violations": told}))
    else:
        result = f"violated: {violations[0].rule}" if violations else "held"
        print(f"== {path.name}, found by the rule '{case.rule}': {result} ==", tell(seen, violations), sep="\n")
    return 1 if violations else 0
