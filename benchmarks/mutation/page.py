"""Writes docs/MUTATION.md from what is kept, and lists survivors."""

from __future__ import annotations

from collections import defaultdict

from benchmarks.mutation import attempt, mutants
from benchmarks.mutation.mutants import ROOT
from benchmarks.mutation.results import DECIDED, QUICKLY, Count, Results, explain

PAGE = ROOT / "docs" / "MUTATION.md"
HEAD = """# Do the tests of the pure core bite?

Every decision of the router is in `app/domain`, in plain code without I/O. A *mutant* is this code with one thing
broken on purpose: a comparison, a branch, an argument, a number, an assignment, a `case`. If no test fails then,
the tests do not care about that line; if one fails, the mutant is *killed*. The share that is killed says how much
the tests would notice of what somebody breaks by mistake.

Written by `make mutation`; the verdicts are in `benchmarks/results/mutation.json`, with commits and durations. The
ways to break are the operators of [mutmut](https://mutmut.readthedocs.io), applied everywhere, also where it itself
does not look (decorated functions, tables, classes). Nothing is written into the source: a mutant is bytecode
exchanged in, or a module imported into, a process of its own.

Each is tried on the tests that run the broken line, the quick first: with {examples} examples of hypothesis and
{quick_s:g} s of the tests of `tests/domain`; who survives that on up to {full_s:g} s, with as many examples as the
suite draws. With `--beyond` who survives that is tried on up to {beyond_s:g} s of those tests of other rooms that
run the core in one process, mostly the first seeds of the whole router in simulated time ([FUZZ.md](FUZZ.md)); what
only those notice has a column of its own. A test that kills is seen to pass on the code as it is, run in the same way.
Endless loops are stopped by CPU time, never by the clock. Real processes, real HTTP and the long runs of seeds are
not asked.

Not broken: annotations, decorators, imports, words for people (strings with a blank in them, f-strings),
`assert_never`, `cast`, `len`, `isinstance`, and which fields a constructor takes. `make mutation ARGS="--module
commit"` tries a module whole, `--deciding` those that decide most, `--sample N` so many drawn by lot, `--survivors`
again what survived, `--show` lists those; each goes on where the last run stopped. Bytecode that stays the same is
not counted.

"""

SAMPLE = """Which mutants are drawn is fixed by their lines, not by what became of others. Tests were written for what
survived of it at first: what is killed of it now says that they bite, and what was killed at first is the better guess
at all the rest."""


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _row(name: str, count: Count) -> str:
    return (
        f"| {name} | {count.mutants} | {count.dead} | {count.timeouts} | {count.beyond} | {count.survived} | "
        f"{count.unreached} | {count.equivalent} | {_percent(count.of_all)} | {_percent(count.share)} |"
    )


COLUMNS = (
    "| module | tried | killed | of these hung | of these only beyond `tests/domain` | survived | run by no test "
    "| change nothing | killed, of all | of those that change something |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)
DRAWN = """| drawn by lot from | mutants there | drawn | killed | of these only beyond `tests/domain` | survived \
| run by no test | change nothing | killed, of all | 95 % interval | of those that change something |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|
"""


def _drawn(name: str, modules: list[str], results: Results, explained: set[tuple[str, int]]) -> str:
    count = results.count(results.sampled(modules), explained)
    low, high = count.interval()
    number = sum(verdict != attempt.SAME for module in modules for verdict in results.verdicts[module])
    return (
        f"| {name} | {number} | {count.mutants} | {count.dead} | {count.beyond} | {count.survived} | "
        f"{count.unreached} | {count.equivalent} | {_percent(count.of_all)} | "
        f"{_percent(low)} to {_percent(high)} | {_percent(count.share)} |"
    )


def write(results: Results) -> None:
    """The page."""
    from benchmarks.mutation.__main__ import BEYOND_S, DECIDING, FULL_S, QUICK_S
    from benchmarks.mutation.reach import EXAMPLES

    every = mutants.modules()
    for module in every:
        results.mutants(module)
    why = explain(results)
    explained = set(why)
    whole = [module for module in every if results.verdicts[module] and results.complete(module)]
    lines = [HEAD.format(examples=EXAMPLES, quick_s=QUICK_S, full_s=FULL_S, beyond_s=BEYOND_S)]
    tried_part = sum(part["cpu_s"] for part in results.parts)
    number = sum(verdict != attempt.SAME for verdicts in results.verdicts.values() for verdict in verdicts)
    tried = [
        (module, place)
        for module in every
        for place, verdict in enumerate(results.verdicts[module])
        if verdict in DECIDED
    ]
    hours = sum(part["duration_s"] for part in results.parts) / 3600
    lines.append(
        f"Of {number} mutants in {len(every)} modules {len(tried)} were tried so far, in "
        f"{tried_part / 60:.0f} minutes of CPU and {hours:.1f} hours over "
        f"{len(results.parts)} runs; {len(whole)} modules are whole.\n"
    )
    if results.parts:
        lines.append(
            f"The last run was on the code of commit {results.parts[-1]['measured'][:7]}; what was found of a module "
            "counts until that module changes.\n"
        )
    deciding = [module for module in every if module.removeprefix("app/domain/").removesuffix(".py") in DECIDING]
    lines += ["## A sample", "", SAMPLE, ""]
    if results.first:
        was, of = results.first["killed"], results.first["drawn"]
        words = f"At first, before that (commit {results.first['commit'][:7]}), {was} of {of} drawn by lot were killed"
        lines += [f"{words}: {_percent(was / of)}.", ""]
    lines.append(DRAWN + _drawn("all of `app/domain`", every, results, explained))
    lines.append(_drawn(f"the {len(deciding)} modules that decide most", deciding, results, explained))
    lines.append("")
    if whole:
        lines += ["## Modules tried whole", "", COLUMNS]
        total: list[tuple[str, int]] = []
        for module in whole:
            places = [(module, place) for place in range(len(results.verdicts[module]))]
            total += places
            lines.append(_row(module.removeprefix("app/domain/"), results.count(places, explained)))
        lines.append(_row("together", results.count(total, explained)))
    part = [module for module in every if module not in whole and DECIDED & set(results.verdicts[module])]
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


def _left(results: Results, module: str, explained: set[tuple[str, int]]) -> list[tuple[str, int]]:
    return [
        (module, place)
        for place, verdict in enumerate(results.verdicts[module])
        if verdict in (attempt.SURVIVED, QUICKLY, attempt.UNREACHED) and (module, place) not in explained
    ]


def _short(results: Results, place: tuple[str, int]) -> str:
    mutant = results.mutants(place[0])[place[1]]
    return f"`{mutant.module.removeprefix('app/domain/')}:{mutant.line}` `{mutant.after}`"


def _long(results: Results, place: tuple[str, int]) -> str:
    mutant = results.mutants(place[0])[place[1]]
    verdict = results.verdicts[place[0]][place[1]]
    how = {attempt.UNREACHED: " (no test runs it)", QUICKLY: " (quick tests only, so far)"}.get(verdict, "")
    return f"- {mutant.line}: `{mutant.before}` → `{mutant.after}`{how}"


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
