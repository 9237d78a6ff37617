"""Writes docs/MUTATION.md from what is kept, and lists survivors."""

from __future__ import annotations

from collections import defaultdict

from benchmarks.mutation import attempt, mutants
from benchmarks.mutation.mutants import ROOT
from benchmarks.mutation.results import QUICKLY, Count, Results, explain

PAGE = ROOT / "docs" / "MUTATION.md"
HEAD = """# Do the tests of the pure core bite?

Written by `make mutation`; the verdicts are in `benchmarks/results/mutation.json`.

A mutant is `app/domain` with one thing broken on purpose: a comparison, a branch, an argument, a number, an assignment,
a `case`, by the operators of [mutmut](https://mutmut.readthedocs.io), applied everywhere, also where it itself does
not look (decorated functions, tables, classes). It is killed when a test of `tests/domain` fails, or runs endlessly.
Each is tried on the tests that run the broken line, the quick first: at first with {examples} examples of hypothesis
and {quick_s:g} s of tests, and whoever survives that on up to {full_s:g} s, with as many examples as the suite draws.
The tests of other rooms (the whole router in simulated time, the journal, real processes) are not asked.

Not broken: annotations, decorators, imports, words for people, `assert_never`, `cast`, `len`, `isinstance`, and which
fields a constructor takes. `make mutation ARGS="--module commit"` tries a module whole, `--deciding` those that decide
most, `--sample N` so many drawn by lot, `--survivors` again what survived, `--show` lists those; each goes on where the
last run stopped.

"""


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _row(name: str, count: Count) -> str:
    killed = count.killed + count.timeouts
    return (
        f"| {name} | {count.mutants} | {killed} | {count.timeouts} | {count.survived} | {count.unreached} | "
        f"{count.equivalent} | {_percent(count.share)} |"
    )


COLUMNS = (
    "| module | tried | killed | of these hung | survived | run by no test | change nothing | killed, of the rest |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|"
)


def write(results: Results) -> None:
    """The page."""
    from benchmarks.mutation.__main__ import FULL_S, QUICK_S
    from benchmarks.mutation.reach import EXAMPLES

    every = mutants.modules()
    for module in every:
        results.mutants(module)
    why = explain(results)
    explained = set(why)
    whole = [module for module in every if results.complete(module)]
    lines = [HEAD.format(examples=EXAMPLES, quick_s=QUICK_S, full_s=FULL_S)]
    tried_part = sum(part["cpu_s"] for part in results.parts)
    number = sum(verdict != attempt.SAME for verdicts in results.verdicts.values() for verdict in verdicts)
    tried = [
        (module, place)
        for module in every
        for place, verdict in enumerate(results.verdicts[module])
        if verdict not in (attempt.UNTRIED, attempt.COLD)
    ]
    lines.append(
        f"Of {number} mutants in {len(every)} modules {len(tried)} were tried, in {tried_part / 60:.0f} CPU minutes"
        f" over {len(results.parts)} runs; {len(whole)} modules are whole.\n"
    )
    sampled = _sampled(results)
    if sampled:
        count = results.count(sampled, explained)
        low, high = count.interval()
        lines.append(
            f"Drawn by lot from all modules: {count.mutants} mutants, {_percent(count.share)} killed "
            f"(95 % interval {_percent(low)} to {_percent(high)}).\n"
        )
    lines += ["## Modules tried whole", "", COLUMNS]
    total: list[tuple[str, int]] = []
    for module in whole:
        places = [(module, place) for place in range(len(results.verdicts[module]))]
        total += places
        lines.append(_row(module.removeprefix("app/domain/"), results.count(places, explained)))
    lines.append(_row("together", results.count(total, explained)))
    part = [module for module in every if module not in whole and set(results.verdicts[module]) - {attempt.UNTRIED}]
    if part:
        lines += ["", "## Modules of which some were tried", "", COLUMNS]
        for module in part:
            places = [(module, place) for place in range(len(results.verdicts[module]))]
            lines.append(_row(module.removeprefix("app/domain/"), results.count(places, explained)))
    lines += ["", "## Survivors that change nothing, and why", ""]
    by_why: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for place, words in sorted(why.items()):
        by_why[words].append(place)
    for words, places in by_why.items():
        lines.append(f"- {words}: " + "; ".join(_short(results, place) for place in places))
    lines += [
        "",
        "## Survivors",
        "",
        "What no test notices, and nobody has explained: each is a property still to be written.",
        "",
    ]
    for module in every:
        left = _left(results, module, explained)
        if left:
            lines += [f"### {module.removeprefix('app/domain/')}", ""]
            lines += [_long(results, place) for place in left] + [""]
    PAGE.write_text("\n".join(lines).rstrip() + "\n")


def _sampled(results: Results) -> list[tuple[str, int]]:
    """As many of the lot as are decided without a gap: so the whole modules do not weigh more than their part."""
    decided: list[tuple[str, int]] = []
    for module, place in results.sample(10**9):
        if results.verdicts[module][place] in (attempt.UNTRIED, attempt.COLD, QUICKLY):
            break
        decided.append((module, place))
    return decided


def _left(results: Results, module: str, explained: set[tuple[str, int]]) -> list[tuple[str, int]]:
    return [
        (module, place)
        for place, verdict in enumerate(results.verdicts[module])
        if verdict in (attempt.SURVIVED, attempt.UNREACHED, QUICKLY) and (module, place) not in explained
    ]


def _short(results: Results, place: tuple[str, int]) -> str:
    mutant = results.mutants(place[0])[place[1]]
    return f"`{mutant.module.removeprefix('app/domain/')}:{mutant.line}` `{mutant.after}`"


def _long(results: Results, place: tuple[str, int]) -> str:
    mutant = results.mutants(place[0])[place[1]]
    unreached = " (no test runs it)" if results.verdicts[place[0]][place[1]] == attempt.UNREACHED else ""
    return f"- {mutant.line}: `{mutant.before}` → `{mutant.after}`{unreached}"


def show(results: Results, modules: list[str]) -> None:
    """Survivors that are not explained, on the terminal."""
    for module in modules:
        results.mutants(module)
    explained = set(explain(results))
    for module in modules:
        count = results.count([(module, place) for place in range(len(results.verdicts[module]))], explained)
        print(f"{module}: {count.mutants} tried, {_percent(count.share)} killed, {count.equivalent} change nothing")
        for place in _left(results, module, explained):
            print("  " + _long(results, place))
