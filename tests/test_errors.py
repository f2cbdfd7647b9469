"""Every error says what to do next."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import bridge
from bridge import errors

ROOT = Path(bridge.__file__).parent
CLASSES = {n: c for n, c in vars(errors).items() if inspect.isclass(c)}
# A class whose hint has a default says it for every place that has nothing better to say.
ADVISED = {
    name
    for name, kind in CLASSES.items()
    if inspect.signature(kind).parameters["hint"].default.strip()
}
ROOMS = (
    "bundle", "cli/choices", "cli/compress", "cli/convert", "cli/export", "compress", "convert",
    "data", "data_standin", "data_user", "datasets", "graph", "package", "pipeline", "samples",
    "zoo",
)  # fmt: skip


def raised(file: Path) -> list[ast.Call]:
    """The calls of our own errors' classes in a file."""
    tree = ast.parse(file.read_text())
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in CLASSES
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_every_error_says_what_to_do_next(room: str) -> None:
    files = [*(ROOT / room).rglob("*.py")] or [ROOT / f"{room}.py"]
    for file in files:
        for call in raised(file):
            told = {word.arg for word in call.keywords}
            assert "hint" in told or call.func.id in ADVISED, f"{file}:{call.lineno}"


def test_what_a_class_advises() -> None:
    assert {"ProofError", "UnsupportedOperator"} == ADVISED
    assert str(errors.ProofError("a = b", "they differ")).count("→") == 1
    assert "another operator" in errors.UnsupportedOperator("ERF", "act").hint
