"""What a Python program uses: every public name, loaded when it is asked for, no earlier."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import bridge
from bridge import errors

ROOT = Path(bridge.__file__).parent.parent


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", bridge.__all__)
def test_every_public_name_resolves(name: str) -> None:
    value = getattr(bridge, name)
    assert value is getattr(bridge, name)
    if callable(value):
        assert value.__doc__, f"{name} says nothing about itself"
        # Called as it is called where it stands, but for functions that share a room's name.
        assert name in (value.__name__, f"{value.__name__}_{name.rpartition('_')[2]}")


def test_the_public_names_are_those_and_no_others() -> None:
    assert list(bridge.__all__) == sorted(bridge.__all__, key=lambda n: (not n.isupper(), n))
    assert set(bridge.__all__) == set(bridge._ROOM)
    assert set(dir(bridge)) == {*bridge.__all__, "__version__"}
    tree = {c.__name__ for c in vars(errors).values() if isinstance(c, type)}
    assert tree <= set(bridge.__all__)
    with pytest.raises(AttributeError, match="no attribute 'convert_nothing'"):
        _ = bridge.convert_nothing


def test_a_room_never_takes_a_public_names_place() -> None:
    rooms = {p.stem for p in Path(bridge.__file__).parent.iterdir()}
    assert not rooms & set(bridge.__all__)


def test_importing_the_package_is_light() -> None:
    heavy = ("torch", "tensorflow", "tf_keras", "onnx", "numpy", "optuna", "jinja2", "rich")
    code = f"import sys, bridge; print([m for m in {heavy} if m in sys.modules])"
    assert python(code) == "[]"


def test_naming_what_is_public_imports_no_framework() -> None:
    heavy = ("torch", "tensorflow", "tf_keras", "onnx", "matplotlib")
    code = f"import sys; from bridge import *; print([m for m in {heavy} if m in sys.modules])"
    assert python(code) == "[]"


def test_the_readme_uses_public_names() -> None:
    text = (ROOT / "README.md").read_text()
    code = text.partition("## From Python")[2].partition("```python\n")[2].partition("```")[0]
    used = set(re.findall(r"bridge\.(\w+)", code))
    assert used
    assert used <= set(bridge.__all__)
    compile(code, "README.md", "exec")
