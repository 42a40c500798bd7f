"""No class reaches into another's private names, by inheritance neither."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gui", "interaction", "xmem_core")
# Public by documentation: of named tuples, of enums, of operating systems. And the one operator of
# torch that runs a convolution with its activation; it has no public name.
ALLOWED = frozenset(
    {
        "_asdict",
        "_convolution_pointwise",
        "_exit",
        "_fields",
        "_make",
        "_missing_",
        "_replace",
        "_value_",
    }
)
OWN = frozenset({"self", "cls"})


class Class(NamedTuple):
    """One class of our own, and what it does with private names."""

    name: str
    place: str
    bases: tuple[str, ...]
    defined: frozenset[str]  # methods, attributes of the class, attributes set on self
    used: dict[str, int]  # of self and cls: the line


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in ALLOWED


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def name_of(node: ast.expr) -> str:
    """The last part: what generic arguments are given to does not matter."""
    if isinstance(node, ast.Subscript):
        return name_of(node.value)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def described(node: ast.ClassDef, place: str) -> Class:
    defined: set[str] = set()
    used: dict[str, int] = {}
    for part in node.body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            defined.add(part.name)
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            defined.add(part.target.id)
        elif isinstance(part, ast.Assign):
            defined |= {one.id for one in part.targets if isinstance(one, ast.Name)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and name_of(inner.value) in OWN:
            if isinstance(inner.ctx, ast.Store):
                defined.add(inner.attr)
            if is_private(inner.attr):
                used.setdefault(inner.attr, inner.lineno)
    bases = tuple(name_of(base) for base in node.bases)
    return Class(node.name, place, bases, frozenset(defined), used)


@cache
def scanned() -> tuple[dict[str, list[Class]], list[str]]:
    """All classes by name, and where one reaches into another: every module is read once."""
    found = defaultdict(list)
    reached: list[str] = []
    for place, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(described(node, place))
        reached += reaching_into_others(place, tree)
    return found, reached


def reaching_into_others(place: str, tree: ast.Module) -> Iterator[str]:
    """`x._name` where x is neither self nor another object of the same class."""
    pending: list[tuple[ast.AST, frozenset[str]]] = [(tree, frozenset())]
    while pending:
        node, own = pending.pop()  # own: names of the classes that it is in
        if isinstance(node, ast.ClassDef):
            own |= described(node, place).defined
        pending += [(part, own) for part in ast.iter_child_nodes(node)]
        if not isinstance(node, ast.Attribute) or not is_private(node.attr):
            continue
        if name_of(node.value) not in OWN and node.attr not in own:
            yield f"{place}:{node.lineno} {ast.unparse(node)}"


def test_no_class_reaches_into_another_s_private_names() -> None:
    _, reached = scanned()
    assert reached == []


def test_no_subclass_uses_its_base_s_private_names() -> None:
    classes, _ = scanned()
    found = []
    for one in (one for same in classes.values() for one in same):
        pending, seen = list(one.bases), set()
        while pending:
            base = pending.pop()
            if base in seen:
                continue
            seen.add(base)
            for other in classes.get(base, ()):
                pending += other.bases
                own = other.defined | other.used.keys()
                shared = {
                    name for name in own & (one.defined | one.used.keys()) if is_private(name)
                }
                found += [f"{one.place} {one.name}({base}).{name}" for name in sorted(shared)]
    assert found == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("def f(x):\n    return x._secret\n", 1),
        ("class A:\n    def f(self, other):\n        self._x = 1\n        return other._x\n", 0),
        ("class A:\n    def f(self):\n        return self.part._x\n", 1),
        ("def f(x):\n    return x._replace(a=1)\n", 0),
    ],
)
def test_what_the_scan_finds(source: str, count: int) -> None:
    assert len(list(reaching_into_others("here.py", ast.parse(source)))) == count
