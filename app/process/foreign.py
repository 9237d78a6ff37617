"""Whether another package of the same name stands in the way of one of ours.

OrderRouter's top-level names are ordinary words: a bot may well have an `app` or `messages` of its own, and PyPI has a
`supervisor`. Python takes whichever it finds first, and what follows is an ImportError about some unrelated submodule,
or worse, foreign code that runs. So whoever starts the router asks here first, before anything of ours is imported
besides this file. It imports the standard library only and may be loaded by its path alone (`app/cli/order-router` does
that), since a foreign `app` hides this one too.
"""

import importlib.util
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

OURS = {
    "app": "app/__init__.py",
    "actors": "actors/__init__.py",
    "messages": "messages/__init__.py",
    "supervisor": "supervisor.py",
}
"""Our top-level names, and the file each must mean. A package `supervisor` beside it goes before our module."""


class ForeignPackage(ImportError):
    """Something else has the name of one of our packages; the message is one sentence for each that has."""


def our_root() -> Path:
    """The folder that holds our four: what must be on `sys.path`, before any folder with others of these names."""
    return Path(__file__).resolve().parents[2]


def foreign_packages() -> list[str]:
    """One sentence for each of our names that means something else here, with the path of what it means; imports none.

    What is imported already counts as it is; the rest as `sys.path` and the import hooks would find it.
    """
    root = our_root()
    return [sentence for name in OURS if (sentence := _judge(name, _find(name), root))]


def refuse_foreign() -> None:
    """Raises if one of our names means something else here.

    Raises:
        ForeignPackage: With the sentences of `foreign_packages`.
    """
    sentences = foreign_packages()
    if sentences:
        raise ForeignPackage("; ".join(sentences))


def hidden_by_ours(folders: Sequence[str]) -> list[str]:
    """One sentence for each package in these folders that ours hide: for the folders strategies are imported from.

    Inside the router's processes our names are ours, so a strategy's own `app` would silently not be the one it gets.
    """
    root = our_root()
    sentences = list[str]()
    for folder in folders:
        for name in OURS:
            found = _place(PathFinder.find_spec(name, [folder]))
            if found is not None and not _is_ours(found, name, root):
                sentences.append(f"{found} cannot be imported in the router, whose own {name!r} hides it: rename it")
    return sentences


def _find(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ValueError:  # imported, and without a spec: made by hand, so not ours
        return ModuleSpec(name, None, origin="something without a file")


def _place(spec: ModuleSpec | None) -> str | None:
    """The file of a module, or the folder of a package without `__init__.py`."""
    if spec is None:
        return None
    if spec.origin is not None:
        return spec.origin
    return next(iter(spec.submodule_search_locations or ()), None)


def _is_ours(place: str, name: str, root: Path) -> bool:
    return Path(place).resolve() == root / OURS[name]


def _judge(name: str, spec: ModuleSpec | None, root: Path) -> str:
    place = _place(spec)
    if place is None:
        return f"OrderRouter's own {name!r} is not found, though it should be in {root}: install order-router again"
    if _is_ours(place, name, root):
        return ""
    return (
        f"the name {name!r} means {place} here, which stands before OrderRouter's own in {root}:"
        f" rename it, or keep its folder off PYTHONPATH and sys.path"
    )
