"""`python -m tests.fuzz.page`, or `make fuzz-page`: what docs/FUZZ.md says that the code or a result says itself.

The page is written by hand; what stands between `<!-- NAME -->` and `<!-- end -->` is written here. So is the whole of
docs/FUZZ_COVERAGE.md.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from app.fuzz.exhaust_scopes import SCOPES
from app.fuzz.profiles import PROFILES
from app.fuzz.reached import from_json, report
from tests.fuzz.corpus import CORPUS
from tests.fuzz.planted_named import NAMED

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "FUZZ.md"
COVERAGE = ROOT / "docs" / "FUZZ_COVERAGE.md"
RESULTS = ROOT / "benchmarks" / "results"
COVERAGE_HEAD = """# Where the simulated runs have been

Written by `make fuzz-page` from {runs:,} runs of `make fuzz-deep`; `order-router fuzz --coverage` says the same of its
own. A run that finds nothing may have been nowhere: so each pair that the router's tables answer is counted as it is
looked up, and each fault and death by the step at which a switch was.

**0** is a gap. A dot was not reached either, but being there would change nothing: evidence that is older than what is
known, or a step that is over before its handler is. A dash is what only a bug would bring about.
"""


def page(text: str) -> str:
    """The page with every part written anew.

    Raises:
        KeyError: It has a part that nobody writes.
    """

    def part(match: re.Match[str]) -> str:
        lines = "\n".join(PARTS[match[1]]())
        return f"<!-- {match[1]} -->\n{lines}\n<!-- end -->"

    return re.sub(r"<!-- ([a-z ]+) -->\n.*?<!-- end -->", part, text, flags=re.DOTALL)


def _profiles() -> Iterator[str]:
    yield from _table(("profile", "what happens in it"), ((f"`{name}`", p.means) for name, p in PROFILES.items()))


def _bugs() -> Iterator[str]:
    for found in CORPUS:
        again = "no small run yet" if found.case is None else f"`{found.name}.json`"
        yield f"- {found.story} (`{found.profile}`: {found.rule}; {again})"


def _deep() -> Iterator[str]:
    kept = _result("fuzz_deep.json")
    rows = [
        (
            f"{part['seeds'][0]:,} to {part['seeds'][1] - 1:,}",
            f"`{part['commit'][:9]}`",
            f"{part['orders']:,}",
            f"{part['simulated_h']:,.0f}",
            f"{part['duration_s'] / 60:,.0f}",
            str(len(part["failed"])),
        )
        for part in kept.get("parts", [])
    ]
    yield from _table(("seeds", "commit", "orders", "simulated hours", "minutes", "failed"), rows)


def _planted() -> Iterator[str]:
    kept = _result("fuzz_planted.json")
    rows = []
    for name in NAMED:
        found: dict[str, Any] | None = kept.get(name)
        if found is None:
            rows.append((name, "not looked for yet" if name not in kept else "not found", "", "", ""))
        else:
            rule, commit = f"{found['rule']} (`{found['profile']}`)", found.get("commit", "")[:7]
            rows.append((name, f"{found['seed'] + 1}", f"{found['cpu_s']:g}", rule, commit))
    yield from _table(("planted bug", "seeds until found", "CPU seconds", "by the rule", "commit"), rows)


def _real() -> Iterator[str]:
    """By profile and commit: every seed that has a verdict, and how often it is that of the harness."""
    runs = [run for run in _result("fuzz_real.json").get("runs", []) if not run["bug"]]
    rows = []
    pairs = dict.fromkeys((run["profile"], _commit(run)) for run in runs)
    for profile, commit in sorted(pairs, key=lambda pair: pair[0]):
        mine = [run for run in runs if (run["profile"], _commit(run)) == (profile, commit)]
        judged = [run for run in mine if run["judged"]]
        differ = [f"{run['seed']}" for run in judged if not run["same"]]
        rows.append(
            (
                f"`{profile}`",
                commit,
                ", ".join(f"{run['seed']}" for run in sorted(judged, key=lambda run: run["seed"])),
                f"{len(judged) - len(differ)} of {len(judged)}" + (f", not {', '.join(differ)}" if differ else ""),
                str(len(mine) - len(judged)),
                *(str(sum(run[what] for run in judged)) for what in ("orders", "deaths", "faults")),
                f"{sum(run['seconds'] for run in judged) / 60:.0f}",
            )
        )
    head = (
        "profile",
        "commit",
        "seeds",
        "same verdict",
        "not judged",
        "orders",
        "killed",
        "faulty requests",
        "minutes",
    )
    yield from _table(head, rows)


def _commit(run: Mapping[str, Any]) -> str:
    """What a run measured: the last commit that changed any of it."""
    found = run.get("measured", run.get("commit"))
    changed = ", and changes" if run.get("changed_since") else ""
    return f"`{found[:9]}`{changed}" if found else ""


def _real_planted() -> Iterator[str]:
    rows = [
        (
            run["bug"],
            f"`{run['profile']}` {run['seed']}",
            _commit(run),
            ", ".join(run["simulated"]) or "nothing",
            ", ".join(run["real"]) or "nothing",
        )
        for run in _result("fuzz_real.json").get("runs", [])
        if run["bug"] and run["judged"]
    ]
    yield from _table(("planted bug", "seed", "commit", "violated in simulation", "violated for real"), rows)


def _scopes() -> Iterator[str]:
    kept = _result("fuzz_exhaust.json").get("scopes", {})
    rows = []
    for name, scope in SCOPES.items():
        found: dict[str, Any] | None = kept.get(name)
        if found is None:
            rows.append((f"`{name}`", scope.means, f"{scope.window_s:g} s", "not searched yet", "", "", "", ""))
            continue
        how = "complete" if found["ended"] else f"unfinished: about {found['share']:.1%}"
        how = how if found["find"] is None else f"violated: {found['find']['rule']}"
        figures = (f"{found['runs']:,}", f"{found['cut']:,}", f"{found['states']:,}")
        minutes = f"{found['took_s'] / 60:,.1f}"
        rows.append((f"`{name}`", scope.means, f"{scope.window_s:g} s", how, *figures, minutes))
    head = ("scope", "what happens in it", "chosen for", "searched", "runs", "cut short", "states", "minutes")
    yield from _table(head, rows)


def _result(name: str) -> dict[str, Any]:
    path = RESULTS / name
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return kept


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


PARTS: Mapping[str, Callable[[], Iterator[str]]] = MappingProxyType(
    {
        "profiles": _profiles,
        "bugs": _bugs,
        "deep": _deep,
        "planted": _planted,
        "real": _real,
        "real planted": _real_planted,
        "scopes": _scopes,
    }
)


def coverage() -> str:
    """The page that says where runs have been."""
    kept = _result("fuzz_reached.json")
    return "\n".join([COVERAGE_HEAD.format(runs=kept.get("runs", 0)), *report(from_json(kept.get("reached", {})))])


def main() -> int:
    """Writes the pages."""
    PAGE.write_text(page(PAGE.read_text()))
    COVERAGE.write_text(coverage())
    return 0


if __name__ == "__main__":
    sys.exit(main())
