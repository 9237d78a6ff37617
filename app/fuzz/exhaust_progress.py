"""How far exhaustive searches have come, and the file in which that is kept until they are gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from attrs import asdict, define, field, frozen
from cattrs import ClassValidationError, transform_error
from cattrs.preconf.json import make_converter

import app
from app.fuzz.exhaust_search import Counts, Node
from app.fuzz.keep_file import EX_NO_INPUT, EX_USAGE, Refused, write_whole

_CONVERTER = make_converter(forbid_extra_keys=True)


@frozen
class State:
    """Where a search stopped; see `app.fuzz.exhaust_search.Search`."""

    path: list[Node]
    known: set[str]


@frozen(kw_only=True)
class Find:
    """A run that violated something.

    Attributes:
        choices: By which it is replayed, made as few as can be.
        first: As it was found.
    """

    choices: str
    first: str
    rule: str
    words: str


@define(kw_only=True)
class Progress:
    """How far a scope was searched.

    Attributes:
        outcomes: What runs came to, as digests.
        took_s: In all, over every time it was gone on with.
        find: What ended it before it was complete, which it stays ended by; None where nothing was violated.
        state: Where to go on; None where it is complete, or was not begun.
    """

    scope: str
    counts: Counts = field(factory=Counts)
    outcomes: set[str] = field(factory=set)
    share: float = 0.0
    took_s: float = 0.0
    find: Find | None = None
    state: State | None = None

    @property
    def ended(self) -> bool:
        """Whether every run within the scope was run."""
        return self.share >= 1.0

    def facts(self) -> dict[str, object]:
        """For programs."""
        counts = self.counts
        return {
            "ended": self.ended,
            "share": round(self.share, 4),
            "runs": counts.runs,
            "cut": counts.cut,
            "states": counts.states,
            "depth": counts.depth,
            "outcomes": len(self.outcomes),
            "took_s": round(self.took_s, 1),
            "find": None if self.find is None else asdict(self.find),
        }

    def words(self) -> str:
        """For people."""
        counts = self.counts
        if self.find is not None:
            how = f"VIOLATED: {self.find.rule}"
        else:
            how = "complete" if self.ended else f"unfinished, about {self.share:.1%} of it"
        return (
            f"{self.scope:9} {counts.runs:7,} runs {counts.cut:8,} cut {counts.states:10,} states "
            f"{len(self.outcomes):6,} outcomes {self.took_s:8,.1f} s  {how}"
        )

    def as_json(self) -> dict[str, Any]:
        """To be kept, and gone on with."""
        kept: dict[str, Any] = _CONVERTER.unstructure(self)
        return kept

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Progress:
        """As it was kept.

        Raises:
            ValueError: It was not kept so; the text says what is wrong with it.
        """
        if not isinstance(kept, dict):
            raise ValueError(f"a search is an object, and this is {type(kept).__name__}")
        try:
            return _CONVERTER.structure(kept, cls)
        except ClassValidationError as error:
            raise ValueError(transform_error(error)[0]) from error


@cache
def code() -> str:
    """A digest of all code by which a run is what it is: a search is gone on with by the code that it was left by."""
    root = Path(app.__file__).resolve().parent.parent
    sources = [root / "supervisor.py"]
    for package in ("app", "actors", "messages"):
        sources += sorted((root / package).rglob("*.py"))
    found = hashlib.sha256()
    for source in sources:
        text = source.read_bytes()
        found.update(f"{source.relative_to(root)} {len(text)}\n".encode() + text)
    return found.hexdigest()[:16]


def read_searches(path: Path) -> dict[str, Progress]:
    """The searches in a file, by scope; none where there is no such file.

    Raises:
        Refused: It holds none, or was left by other code.
    """
    try:
        kept = json.loads(path.read_text()) if path.exists() else {"code": code(), "scopes": {}}
        if not (isinstance(kept, dict) and isinstance(kept.get("scopes"), dict) and "code" in kept):
            raise ValueError("it has no 'code' and 'scopes'")
        if kept["code"] != code():
            raise Refused(EX_USAGE, f"{path} was left by other code, which has other runs: remove it to search anew.")
        return {name: Progress.of(each) for name, each in kept["scopes"].items()}
    except OSError as error:
        raise Refused(EX_NO_INPUT, f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        words = f"{path} holds no search that can be gone on with: {error}; remove it to search anew."
        raise Refused(EX_USAGE, words) from error


def write_searches(path: Path, searches: Mapping[str, Progress]) -> None:
    """Keeps searches for `read_searches`.

    Raises:
        Refused: The file cannot be written.
    """
    scopes = {name: progress.as_json() for name, progress in searches.items()}
    write_whole(path, json.dumps({"code": code(), "scopes": scopes}))
