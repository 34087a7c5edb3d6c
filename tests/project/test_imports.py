"""Which way imports go: `ir <- passes <- {agents, backends} <- galen`, and what is imported only when it is needed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

MAY_IMPORT = {
    "ir": {"ir"},
    "passes": {"passes", "ir"},
    "agents": {"agents", "passes", "ir"},
    "backends": {"backends", "passes", "ir"},
    "galen": {"galen", "agents", "backends", "passes", "ir"},
}
HEAVY = {"torch", "tvm", "onnxruntime", "sklearn", "matplotlib", "optuna", "onnxsim", "scipy", "ziglang", "jinja2"}
ONLY_HEAVY_FILES = ("ir/fx/", "passes/recover/")
"""Folders that are themselves imported only inside functions."""


def files(root: Path, folder: str) -> list[Path]:
    found = sorted((root / folder).rglob("*.py"))
    assert found, folder
    return found


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def package_of(name: str) -> str | None:
    """Return the folder that a dotted name lives in, None outside Galen."""
    parts = name.split(".")
    if parts[0] != "galen":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else "galen"


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_go_one_way(repository: Path, folder: str) -> None:
    wrong = [
        f"{path.relative_to(repository)}:{line} imports {name}"
        for path in files(repository, folder)
        for name, line in imported(ast.parse(path.read_text()))
        if (package := package_of(name)) is not None and package not in MAY_IMPORT[folder]
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", ["passes", "agents", "backends", "galen"])
def test_only_the_graph_knows_onnx_ir(repository: Path, folder: str) -> None:
    wrong = [
        f"{path.relative_to(repository)}:{line}"
        for path in files(repository, folder)
        for name, line in imported(ast.parse(path.read_text()))
        if name.split(".")[0] == "onnx_ir"
    ]
    assert wrong == []


def at_module_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        is_typing = isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test)
        if not is_typing:
            yield statement
            for part in ("body", "orelse", "handlers", "finalbody"):
                if isinstance(statement, ast.If | ast.Try | ast.With):
                    yield from at_module_level(getattr(statement, part, []))


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_heavy_libraries_are_imported_inside_functions(repository: Path, folder: str) -> None:
    wrong = []
    for path in files(repository, folder):
        where = str(path.relative_to(repository))
        if where.startswith(ONLY_HEAVY_FILES):
            continue
        for statement in at_module_level(ast.parse(path.read_text()).body):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                wrong += [f"{where}:{line} {name}" for name, line in imported(statement) if name.split(".")[0] in HEAVY]
    assert wrong == []


def test_this_test_would_see_a_wrong_import() -> None:
    tree = ast.parse("def f():\n    from galen.agents.searcher import Searcher\n")
    assert [package_of(name) for name, _ in imported(tree)] == ["agents"]
