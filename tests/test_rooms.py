"""Data flows one way through the rooms: no room imports one that comes after it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bridge

ROOT = Path(bridge.__file__).parent
ROOMS = (
    # what every room may use
    *("errors", "paths", "progress", "text", "console", "cores", "toolchain", "elf"),
    *("bundle", "data", "zoo", "graph", "samples"),
    # the way of the data
    *("encode", "compile", "convert", "emulate", "firmware", "compress", "package", "bench"),
    *("doctor", "pipeline", "explore", "study", "cli"),
)
PARTS = {"datasets": "data", "data_user": "data", "data_standin": "data"}


def room_of(name: str) -> str:
    return PARTS.get(name, name)


def imported(file: Path) -> set[str]:
    """Rooms that a file imports when it runs, inside functions too."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, *rest = node.module.split(".")
            if package == "bridge":
                found |= {rest[0]} if rest else {alias.name for alias in node.names}
    return {room_of(name) for name in found}


def files(room: str) -> list[Path]:
    names = [room, *(part for part, whole in PARTS.items() if whole == room)]
    return [f for n in names for f in ((ROOT / n).rglob("*.py"), [ROOT / f"{n}.py"]) for f in f]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_comes_before_it(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    for file in (file for file in files(room) if file.is_file()):
        assert imported(file) <= allowed, f"{file.relative_to(ROOT)} looks ahead"


def test_every_module_is_in_a_room() -> None:
    present = {p.stem for p in ROOT.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert {room_of(name) for name in present} - {"__init__", "__main__"} == set(ROOMS)
