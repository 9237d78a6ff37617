"""What was played is written down under the commit that it measured, and played again once that is another."""

from __future__ import annotations

import json
import subprocess
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import machine
from tests.real import __main__ as real

NOW = {"commit": "c2", "measured": "m2", "changed_since": False}


def run(seed: int, **more: Any) -> dict[str, Any]:
    """Of a seed of one profile."""
    return {"profile": "calm", "seed": seed, "bug": "", "judged": True, **NOW, **more}


def to_play(path: Path, monkeypatch: pytest.MonkeyPatch, now: dict[str, Any]) -> list[int]:
    """The seeds of the first six that are still to be played."""
    monkeypatch.setattr(real, "_commit", lambda: now)
    given = Namespace(start=0, seeds=6, profile=["calm"], bug="", results=path)
    return [seed for seed, _ in real._work(given)]


def test_a_seed_is_played_again_when_what_it_measured_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "found.json"
    of_old = {"profile": "calm", "seed": 4, "bug": "", "judged": True, "commit": "c0", "changed_since": False}
    runs = [
        run(0, commit="c1"),  # what differs is nothing that was measured
        run(1, commit="c1", measured="m1"),
        run(2, changed_since=True),
        run(3, judged=False),
        of_old,
    ]
    path.write_text(json.dumps({"runs": runs}))
    assert to_play(path, monkeypatch, NOW) == [1, 2, 3, 4, 5]
    assert to_play(path, monkeypatch, {**NOW, "changed_since": True}) == [0, 1, 2, 3, 4, 5]


def test_results_of_earlier_commits_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    path.write_text(json.dumps({"runs": [run(1, commit="c1", measured="m1"), run(1, seconds=1)]}))
    real._keep(path, run(1, seconds=2))
    kept = json.loads(path.read_text())["runs"]
    assert [(each["measured"], each.get("seconds")) for each in kept] == [("m1", None), ("m2", 2)]


def test_a_commit_is_that_of_what_was_measured(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def committed(name: str) -> str:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
        git("add", "-A")
        git("commit", "-q", "-m", name)
        return git("rev-parse", "HEAD")

    git("init", "-q")
    router = committed("app/a.py")
    player = committed("player/b.py")
    last = committed("notes.md")
    assert machine.commit(tmp_path) == {"commit": last, "measured": router, "changed_since": False}
    assert machine.commit(tmp_path, ("player",)) == {"commit": last, "measured": player, "changed_since": False}
    (tmp_path / "player" / "b.py").write_text("another")
    assert machine.commit(tmp_path)["changed_since"] is False
    assert machine.commit(tmp_path, ("player",))["changed_since"] is True
    assert "tests/real" in real.MEASURED
