"""What can be broken in a module, by mutmut's operators, always in the same order.

Left out, since a test can hardly care: annotations, decorators and imports; words for people (strings with a blank in
them, f-strings); what stands for "cannot happen" (`assert_never`), `cast`, whether a constructor takes a private field
(`init`), and, as mutmut has it, `len` and `isinstance`.
Of mutmut's three ways to change a string (marked, lower and upper case) one is tried.
"""

from __future__ import annotations

import hashlib
import pickle
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from typing import cast as type_cast

import libcst as cst
from attrs import frozen
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper
from mutmut.mutation.file_mutation import ChildReplacementTransformer  # pyright: ignore[reportMissingImports]
from mutmut.mutation.mutators import (  # pyright: ignore[reportMissingImports]
    mutation_operators,
    operator_arg_removal,
    operator_string,
)

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = ROOT / "app" / "domain"
LISTS = ROOT / ".mutation" / "lists"
NOT_CALLS = frozenset({"len", "isinstance", "cast", "assert_never", "TypeVar", "NewType"})
"""Calls whose arguments are left alone."""


@frozen(kw_only=True)
class Mutant:
    """One thing broken.

    Attributes:
        module: The file, from the root of the project.
        line: Where it is broken, from 1.
        last_line: Where the statement, or what is broken of it, ends.
        first_line: Where the statement begins.
        function: The outermost function's qualified name and first line; None outside functions.
        name: What the statement outside functions defines.
        operator: mutmut's name of the way.
        before: The line as it is.
        after: The same line broken.
        begin: First of the bytes that are replaced.
        end: Behind the last of them.
        text: What stands there instead.
        rank: A number between 0 and 1 that is drawn for it, and stays while the line stays.
    """

    module: str
    line: int
    last_line: int
    first_line: int
    function: tuple[str, int] | None
    name: str
    operator: str
    before: str
    after: str
    begin: int
    end: int
    text: str
    rank: float

    def source(self) -> str:
        """The whole module, broken."""
        whole = (ROOT / self.module).read_bytes()
        return (whole[: self.begin] + self.text.encode() + whole[self.end :]).decode()


def modules() -> list[str]:
    """Every module of the domain in which there is something to break."""
    return sorted(path.relative_to(ROOT).as_posix() for path in DOMAIN.rglob("*.py") if path.stat().st_size > 0)


def digest(module: str) -> str:
    """Changes when the module does."""
    return hashlib.sha256((ROOT / module).read_bytes()).hexdigest()[:12]


def mutants(module: str) -> list[Mutant]:
    """All of a module's; kept, since finding them takes half a minute for all modules."""
    mark = hashlib.sha256((ROOT / module).read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16]
    kept = LISTS / f"{module.replace('/', '.')}.{mark}"
    if kept.exists():
        found: list[Mutant] = pickle.loads(zlib.decompress(kept.read_bytes()))
        return found
    found = _mutants(module)
    LISTS.mkdir(parents=True, exist_ok=True)
    for old in LISTS.glob(f"{module.replace('/', '.')}.*"):
        old.unlink()
    kept.write_bytes(zlib.compress(pickle.dumps(found), 1))
    return found


def _mutants(module: str) -> list[Mutant]:
    source = (ROOT / module).read_bytes()
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    visitor = _Visitor(module, source, wrapper.module)
    wrapper.visit(visitor)
    return visitor.found


def _words(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.SimpleString):
        return " " in node.value
    return isinstance(node, cst.FormattedString | cst.ConcatenatedString)


class _Visitor(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (ByteSpanPositionProvider,)

    def __init__(self, module: str, source: bytes, tree: cst.Module) -> None:
        super().__init__()
        self.found: list[Mutant] = []
        self._module, self._source, self._tree = module, source, tree
        self._lines = source.decode().splitlines()
        self._scope: list[str] = []
        self._bodies = 0
        self._function: tuple[str, int] | None = None
        self._statements: list[cst.CSTNode] = []
        self._name = ""
        self._alike: Counter[str] = Counter()

    # ------------------------------------------------------------------------------------------- where it is

    def _span(self, node: cst.CSTNode) -> tuple[int, int]:
        span: Any = self.get_metadata(ByteSpanPositionProvider, node)
        return span.start, span.start + span.length

    def _line(self, offset: int) -> int:
        return self._source.count(b"\n", 0, offset) + 1

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom | cst.TypeAlias):
            return False
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value in NOT_CALLS:
            return False
        if isinstance(node, cst.Arg) and _how_made(node):
            return False
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._scope.append(node.name.value)
            if isinstance(node, cst.FunctionDef) and self._bodies == 0:
                first = self._line(self._span(node.decorators[0] if node.decorators else node)[0])
                self._function = (".".join(self._scope), first)
        if isinstance(node, cst.BaseSmallStatement | cst.BaseCompoundStatement):
            if not self._statements:
                self._name = _defines(node)
            self._statements.append(node)
        self._break(node)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self._scope.pop()
        if self._statements and self._statements[-1] is original_node:
            self._statements.pop()

    def on_visit_attribute(self, node: cst.CSTNode, attribute: str) -> None:
        if isinstance(node, cst.FunctionDef) and attribute == "body":
            self._bodies += 1

    def on_leave_attribute(self, original_node: cst.CSTNode, attribute: str) -> None:
        if isinstance(original_node, cst.FunctionDef) and attribute == "body":
            self._bodies -= 1

    # -------------------------------------------------------------------------------------------- breaking it

    def _break(self, node: cst.CSTNode) -> None:
        for kind, operator in mutation_operators:
            if not isinstance(node, kind):
                continue
            for broken in self._ways(node, operator(node), operator.__name__):
                self._keep(node, broken, operator.__name__)

    def _ways(self, node: cst.CSTNode, ways: Iterable[cst.CSTNode], operator: str) -> Iterator[cst.CSTNode]:
        if operator == operator_string.__name__:
            if not _words(type_cast(cst.BaseExpression, node)):
                yield from list(ways)[:1]
            return
        for broken in ways:
            if operator == operator_arg_removal.__name__ and _only_words(
                type_cast(cst.Call, node).args, type_cast(cst.Call, broken).args
            ):
                continue
            yield broken

    def _keep(self, node: cst.CSTNode, broken: cst.CSTNode, operator: str) -> None:
        begin, end = self._span(node)
        if isinstance(node, cst.BaseCompoundStatement):
            tree = self._tree.visit(ChildReplacementTransformer(node, broken))
            replaced = (0, len(self._source), tree.code)
        else:
            replaced = (begin, end, self._tree.code_for_node(broken).strip())
        source = (self._source[: replaced[0]] + replaced[2].encode() + self._source[replaced[1] :]).decode()
        line = self._line(begin)
        statement_begin, statement_end = self._span(self._statements[-1]) if self._statements else (begin, end)
        compound = bool(self._statements) and isinstance(self._statements[-1], cst.BaseCompoundStatement)
        before = self._lines[line - 1].strip()
        after = _changed(self._lines, source.splitlines())
        label = f"{self._module}|{before}|{operator}|{after}"
        self._alike[label] += 1
        drawn = hashlib.sha256(f"{label}|{self._alike[label]}".encode()).digest()
        self.found.append(
            Mutant(
                module=self._module,
                line=line,
                first_line=self._line(statement_begin),
                last_line=self._line(end if compound else max(end, statement_end)),
                function=self._function if self._bodies else None,
                name=self._name,
                operator=operator.removeprefix("operator_"),
                before=before,
                after=after,
                begin=replaced[0],
                end=replaced[1],
                text=replaced[2],
                rank=int.from_bytes(drawn[:6], "big") / 2**48,
            )
        )


def _only_words(before: Sequence[cst.Arg], after: Sequence[cst.Arg]) -> bool:
    kept = {id(arg) for arg in after}
    return all(_words(arg.value) or _how_made(arg) for arg in before if id(arg) not in kept)


def _how_made(arg: cst.Arg) -> bool:
    """Whether a constructor takes a field that nobody gives it."""
    return arg.keyword is not None and arg.keyword.value == "init"


def _defines(node: cst.CSTNode) -> str:
    if isinstance(node, cst.ClassDef | cst.FunctionDef):
        return node.name.value
    if isinstance(node, cst.AnnAssign) and isinstance(node.target, cst.Name):
        return node.target.value
    if isinstance(node, cst.Assign) and isinstance(node.targets[0].target, cst.Name):
        return node.targets[0].target.value
    return ""


def _changed(before: list[str], after: list[str]) -> str:
    """The first line that differs, as it is after; "(gone)" with the line that went, where one went."""
    for index, old in enumerate(before):
        new = after[index] if index < len(after) else ""
        if old != new:
            return (
                new.strip() if len(before) == len(after) else f"(gone: {len(before) - len(after)} lines) {new.strip()}"
            )
    return ""
