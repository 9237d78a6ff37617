"""Packages of others under our names: found without importing them, and told in a sentence, in real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from app.process.foreign import OURS, foreign_packages, hidden_by_ours, our_root, refuse_foreign

COMMAND = our_root() / "app" / "cli" / "order-router"
BOMB = "raise SystemExit('foreign code ran')\n"


def run(*arguments: str, path: list[Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that looks for packages in `path`, in this order."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def package(folder: Path, name: str, code: str = BOMB) -> Path:
    """A package, or a module where the name ends so, that must not be run."""
    file = folder / name if name.endswith(".py") else folder / name / "__init__.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code)
    return file


ASK = "from app.process.foreign import foreign_packages as f; print(*f(), sep='\\n')"


def test_nothing_is_foreign_here() -> None:
    """In this very process, and each of ours is where it should be."""
    assert foreign_packages() == []
    refuse_foreign()
    for file in OURS.values():
        assert (our_root() / file).is_file()


@pytest.mark.parametrize("name", ["actors", "messages", "supervisor", "supervisor.py"])
def test_foreign_package_is_named_by_its_path_and_not_run(tmp_path: Path, name: str) -> None:
    """Whether it is a package or a module."""
    file = package(tmp_path, name)
    done = run("-c", ASK, path=[tmp_path, our_root()], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"the name {name.removesuffix('.py')!r} means {file} here, which stands before OrderRouter's own in"
        f" {our_root()}: rename it, or keep its folder off PYTHONPATH and sys.path"
    ]


def test_folder_without_init_does_not_stand_in_the_way(tmp_path: Path) -> None:
    """Python prefers ours, wherever it is on the path."""
    (tmp_path / "messages").mkdir()
    assert run("-c", ASK, path=[tmp_path, our_root()], cwd=tmp_path).stdout.strip() == ""


def test_foreign_package_behind_ours_does_not_stand_in_the_way(tmp_path: Path) -> None:
    """Ours are found first."""
    folder = tmp_path / "later"
    package(folder, "messages")
    assert run("-c", ASK, path=[our_root(), folder], cwd=tmp_path).stdout.strip() == ""


def test_what_is_imported_already_counts(tmp_path: Path) -> None:
    """A bot that has imported its own `messages` keeps it, whatever the path says later."""
    file = package(tmp_path, "messages", "")
    code = f"import sys, messages; sys.path[:] = [p for p in sys.path if p not in ('', {str(tmp_path)!r})]; {ASK}"
    assert str(file) in run("-c", code, path=[tmp_path, our_root()], cwd=tmp_path).stdout
    made_by_hand = f"import sys, types; m = types.ModuleType('messages'); sys.modules['messages'] = m; {ASK}"
    assert "something without a file" in run("-c", made_by_hand, path=[our_root()], cwd=tmp_path).stdout


def test_packages_of_ours_that_are_missing_are_told(tmp_path: Path) -> None:
    """Half an installation."""
    copy = tmp_path / "app" / "process"
    copy.mkdir(parents=True)
    (tmp_path / "app" / "__init__.py").touch()
    (copy / "__init__.py").touch()
    (copy / "foreign.py").write_bytes((our_root() / "app" / "process" / "foreign.py").read_bytes())
    # -S: without site-packages, where an installed copy may be.
    done = run("-S", "-c", ASK, path=[tmp_path], cwd=tmp_path)
    assert len(done.stdout.splitlines()) == 3
    assert f"OrderRouter's own 'actors' is not found, though it should be in {tmp_path}" in done.stdout


def test_refusal_is_an_import_error_with_the_sentence(tmp_path: Path) -> None:
    """As what starts beside a foreign package fails with."""
    package(tmp_path, "messages")
    code = """
        from app.process.foreign import ForeignPackage, refuse_foreign
        try:
            refuse_foreign()
        except ImportError as error:
            assert isinstance(error, ForeignPackage)
            print(error)
    """
    done = run("-c", textwrap.dedent(code), path=[tmp_path, our_root()], cwd=tmp_path)
    assert "the name 'messages' means" in done.stdout


def test_packages_hidden_from_strategies_are_told(tmp_path: Path) -> None:
    """A strategy's own `app` is not what it gets."""
    file = package(tmp_path, "app")
    package(tmp_path, "signals")
    assert hidden_by_ours([str(tmp_path), str(our_root())]) == [
        f"{file} cannot be imported in the router, whose own 'app' hides it: rename it"
    ]


# The command


@pytest.mark.parametrize("name", ["app", "app.py", "actors", "messages", "supervisor"])
def test_command_refuses_to_start_beside_a_foreign_package(tmp_path: Path, name: str) -> None:
    """Exit code 78 and one sentence with its path, and none of its code is run: a foreign `app` hides all of ours."""
    package(tmp_path, name)
    done = run(str(COMMAND), "--version", path=[tmp_path, our_root()], cwd=tmp_path)
    assert done.returncode == 78
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"order-router: the name {name.removesuffix('.py')!r} means {tmp_path}")
    assert "foreign code ran" not in done.stderr


def test_command_without_any_app_says_so(tmp_path: Path) -> None:
    """The file was copied somewhere alone."""
    command = tmp_path / "order-router"
    command.write_bytes(COMMAND.read_bytes())
    done = run("-S", str(command), path=[], cwd=tmp_path)
    assert done.returncode == 78
    assert "the name 'app' is not found here" in done.stderr


def test_command_reaches_the_real_one(tmp_path: Path) -> None:
    """Past the check it is `app.cli.main`, with its exit code."""
    for part in ("app/process/foreign.py", *OURS.values()):
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / part).write_bytes((our_root() / part).read_bytes())
    package(tmp_path, "app/cli", "")
    (tmp_path / "app" / "cli" / "main.py").write_text("def main():\n    print('reached')\n    return 3\n")
    done = run(str(COMMAND), path=[tmp_path], cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (3, "reached\n", "")
