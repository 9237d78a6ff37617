"""The run: every adapter in a process of its own, with a simulated exchange, a daemon and a caller of its own.

Of each scene the steps are observed first, by an order during which nobody dies, or by the life after a first death;
then one more order is asked for at each of them.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from attrs import asdict, frozen

from app.exchanges.factory import PROFILES
from messages.market import MarketType
from tests.crash.mortal import RECORD
from tests.crash.ring import AMEND, CANCEL, PLACE, REPLACE, REPLACE_WAITING, VERBS, Ring, Verb, ring
from tests.crash.steps import Step

COLUMN_S = 3000.0
"""For one adapter, on a slow machine."""
VALIDITY_S = 1.0
"""Of a placement, instead of the declared five seconds: a hundred proofs of absence are waited for."""
TRIES = 3
"""A step of the observed order may be missing in another: what is met by chance is tried again."""


@frozen(order=True)
class Column:
    """One adapter."""

    exchange: str
    market_type: MarketType

    @property
    def name(self) -> str:
        """For the command line: ``bybit-spot``."""
        return f"{self.exchange}-{self.market_type}"

    @property
    def title(self) -> str:
        """For a table's head."""
        return f"{self.exchange}, {self.market_type}"


@frozen(kw_only=True)
class Scene:
    """One verb, and where in its first life the connector dies; None where that is what is tried.

    Attributes:
        only: Columns, by name, where it is what its title says; None for all.
    """

    title: str
    verb: Verb
    first: Step | None = None
    only: str | None = None


@frozen(kw_only=True)
class Cell:
    """What came of one death.

    Attributes:
        verdict: "equal", "not met", or what was wrong.
        answer: What the caller was told: "done", "unknown", or an error.
        certain_s: From the last death until journal and books were equal.
    """

    row: str
    verdict: str
    answer: str
    certain_s: float


EXECUTED, NOT_SENT = "first bytes of the answer", "before the request is written"
REPLACED = ((REPLACE, "binance-spot"), (REPLACE_WAITING, "binance-swap"))
"""What an exchange cannot change in place."""
SCENES: tuple[Scene, ...] = (
    *(Scene(title=verb.title, verb=verb) for verb in VERBS),
    *(
        Scene(title=f"{verb.title}, recovered from a death {words}", verb=verb, first=Step(f"{verb.call}: {before}", 1))
        for verb in (PLACE, CANCEL, AMEND)
        for before, words in ((EXECUTED, "after it executed"), (NOT_SENT, "before it was sent"))
    ),
    *(Scene(title=verb.title, verb=verb, only=name) for verb, name in REPLACED),
    *(
        Scene(title=f"{verb.title}, recovered from a death {words}", verb=verb, first=Step(before, 1), only=name)
        for verb, name in REPLACED
        for before, words in (
            (f"cancel: {EXECUTED}", "after the old one was cancelled"),
            (f"place: {NOT_SENT}", "before the new one was sent"),
            (f"place: {EXECUTED}", "after the new one was placed"),
        )
    ),
)
EQUAL, NOT_MET = "equal", "not met"

Sheet = Mapping[tuple[str, str], Sequence[Cell]]
"""By column and scene, each by its name: what was seen, in the order of the steps."""


def columns() -> tuple[Column, ...]:
    """Every adapter that is registered, swaps first."""
    found = [Column(exchange, market_type) for exchange, market_type in PROFILES]
    return tuple(sorted(found, key=lambda column: column.market_type is not MarketType.SWAP))


def played(at: Ring, scene: Scene, *, each: int = 1, begin: int = 0) -> list[Cell]:
    """One scene: every step of it, or every so many.

    Raises AssertionError where orders do not get through even without a death.
    """
    before = () if scene.first is None else (scene.first,)
    # Of two orders, so that what comes by chance (a poll of what rests) is none of their steps.
    lives = []
    for _ in range(2):
        seen = at.attack(scene.verb, before)
        assert not seen.wrong, f"{scene.title}, while nobody else dies: {seen.wrong}"
        assert seen.met, f"{scene.title} never came to {scene.first}"
        lives.append(seen.life)
    steps = [step for step in lives[0] if step in lives[1]]
    assert steps, f"{scene.title} shows no steps"
    return [_cell(at, scene, before, step) for step in steps[begin::each]]


def _cell(at: Ring, scene: Scene, before: tuple[Step, ...], step: Step) -> Cell:
    ended = at.attack(scene.verb, (*before, step))
    for _ in range(1, TRIES):
        if ended.met or ended.wrong:
            break
        ended = at.attack(scene.verb, (*before, step))
    verdict = ended.wrong or (EQUAL if ended.met else NOT_MET)
    return Cell(row=step.row, verdict=verdict, answer=ended.answer, certain_s=max(0.0, ended.certain_s))


def observe(column: Column, kept: Path | None) -> dict[str, list[Cell]]:
    """Every scene of a column, and what is wrong at its end, as a scene of that name. Keeps each in `kept` when it is
    done, and goes on from there."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # of a run that is cut short: nothing is left behind
    seen = _read(kept) if kept is not None else {}
    left = [scene for scene in SCENES if scene.title not in seen and scene.only in (None, column.name)]
    if left:
        with (
            tempfile.TemporaryDirectory(prefix="crash-") as folder,
            ring(column.exchange, column.market_type, Path(folder), validity_s=VALIDITY_S) as at,
        ):
            for scene in left:
                seen[scene.title] = played(at, scene)
                wrong = at.verdict()
                seen[scene.title] += [Cell(row="at the end", verdict=words, answer="", certain_s=0) for words in wrong]
                if kept is not None:
                    if any(cell.verdict not in (EQUAL, NOT_MET) for cell in seen[scene.title]):
                        _keep(Path(folder), kept)
                    kept.write_text(
                        json.dumps({title: [asdict(cell) for cell in cells] for title, cells in seen.items()})
                    )
    return seen


def _keep(folder: Path, kept: Path) -> None:
    """What is needed to find out why something was wrong: the log, and the steps that were passed."""
    shutil.copy(folder / "stderr.log", kept.with_suffix(".log"))
    shutil.copy(folder / "crashes" / RECORD, kept.with_suffix(".record"))
    shutil.copytree(folder / "state", kept.with_suffix(".state"), dirs_exist_ok=True, ignore=_sockets)


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_socket()]


def _read(kept: Path) -> dict[str, list[Cell]]:
    try:
        found = json.loads(kept.read_text())
    except (OSError, ValueError):
        return {}
    return {title: [Cell(**cell) for cell in cells] for title, cells in found.items()}


def run(wanted: Iterable[Column], say: Callable[[str], None], folder: Path, workers: int) -> tuple[Sheet, list[str]]:
    """All columns; also says which could not be run, and why.

    Args:
        folder: Where each keeps what it has seen; what is there already is not run again.
        workers: At once. Most of the time a column waits for what proves absence.
    """
    seen: dict[tuple[str, str], Sequence[Cell]] = {}
    lost: list[str] = []
    begin_s = time.monotonic()
    with multiprocessing.get_context("fork").Pool(workers, maxtasksperchild=1) as pool:
        asked = [(column, pool.apply_async(observe, (column, folder / f"{column.name}.json"))) for column in wanted]
        for column, answer in asked:
            try:
                for title, cells in answer.get(COLUMN_S).items():
                    seen[column.name, title] = cells
                say(f"{column.name}: {time.monotonic() - begin_s:.0f} s")
            except Exception as error:  # told: the column's cells are missing
                lost.append(f"{column.name} could not be run: {type(error).__name__}: {error}")
    return seen, lost


def to_stderr(words: str) -> None:
    """Progress."""
    print(words, file=sys.stderr, flush=True)


def only(names: Sequence[str]) -> tuple[Column, ...]:
    """Columns by name; all for none. Raises ValueError that lists them."""
    known = columns()
    unknown = set(names) - {column.name for column in known}
    if unknown:
        raise ValueError(f"There is no column {min(unknown)!r}; there are {', '.join(c.name for c in known)}.")
    return tuple(column for column in known if not names or column.name in names)
