"""The wheel: what a user installs finds its networks, templates, kernels and licence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bridge

HERE = Path(__file__).resolve().parent.parent
PARTS = ("bridge", "tflm_project", "models", "LICENSE", "README.md", "pyproject.toml", ".gitignore")
LEFTOVERS = ("tflm_project/generated/net/model.c", "tflm_project/build/model.o", "models/out/m.pt")
ASK = """
import json
from pathlib import Path
import bridge
from bridge import paths, zoo
from bridge.compile.fits import CMSIS_NN, KERNELS, read_fit
from bridge.datasets import _folders
from bridge.text import environment
packages = [p.parent for p in Path(bridge.__file__).parent.rglob("templates") if p.is_dir()]
names = [".".join(p.relative_to(Path(bridge.__file__).parent.parent).parts) for p in packages]
print(json.dumps({
    "package": bridge.__file__,
    "project": str(paths.tflm_project()),
    "licence": paths.licence_text(),
    "networks": [str(e.source_path) for e in zoo.ZOO if e.source_path.is_file()],
    "checkpoints": [e.checkpoint for e in zoo.ZOO if e.checkpoint_path.is_file()],
    "templates": {name: environment(name).list_templates() for name in names},
    "fits": [len(read_fit(name).cycles) for name in (KERNELS, CMSIS_NN)],
    "data": [str(folder) for folder in _folders()],
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the installed wheel, built from a copy of the tree in which work was done."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheel; it comes with [dev]")
    folder = tmp_path_factory.mktemp("wheel")
    tree, wheels, target = folder / "tree", folder / "wheels", folder / "site-packages"
    tree.mkdir()
    for part in PARTS:
        source = HERE / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tree / part)
    for left in LEFTOVERS:
        (tree / left).parent.mkdir(parents=True, exist_ok=True)
        (tree / left).write_text("left by a run")
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "--no-input"]
    options = ["--no-deps", "--no-index"]
    wheel = wheels / f"tflm_bridge-{bridge.__version__}-py3-none-any.whl"
    for command in (
        ["wheel", "--no-build-isolation", "-w", str(wheels), str(tree)],
        ["install", "--target", str(target), str(wheel)],
    ):
        done = subprocess.run([*pip, *command, *options], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    shutil.rmtree(tree)
    return target


def run(installed: Path, command: list[str], cwd: Path) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(folder: Path) -> set[str]:
    """What is under a folder, compiled Python left out."""
    found = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return {str(p) for p in found if "__pycache__" not in p.parts}


def test_the_wheel_holds_the_tree_and_nothing_that_runs_leave(installed):
    inside = installed / "bridge" / "_data"
    for part in ("tflm_project", "models"):
        known = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", part],
            cwd=HERE,
            capture_output=True,
            text=True,
        )
        if known.returncode:
            pytest.skip("this tree is no git checkout: nothing tells its files from leftovers")
        assert {f"{part}/{f}" for f in files(inside / part)} == set(known.stdout.split())
    assert files(installed / "bridge") >= files(HERE / "bridge")


def test_the_installed_package_finds_its_files(installed, tmp_path):
    told = json.loads(run(installed, [sys.executable, "-c", ASK], tmp_path))
    inside = installed / "bridge" / "_data"
    assert Path(told["package"]) == installed / "bridge" / "__init__.py"
    assert Path(told["project"]) == inside / "tflm_project"
    assert (inside / "tflm_project" / "CMakeLists.txt").is_file()
    assert told["licence"] == (HERE / "LICENSE").read_text()
    from bridge import zoo

    assert len(told["networks"]) == len(zoo.ZOO)
    assert all(Path(file).is_relative_to(inside / "models") for file in told["networks"])
    assert told["checkpoints"] == [e.checkpoint for e in zoo.ZOO if e.checkpoint_path.is_file()]
    assert {"bridge.compile", "bridge.package", "bridge.bench"} <= set(told["templates"])
    assert all(told["templates"].values())
    assert all(told["fits"])
    # Nobody's data is looked for beside site-packages.
    assert not any(Path(folder).is_relative_to(installed.parent) for folder in told["data"])


def test_the_installed_command_runs(installed, tmp_path):
    told = run(installed, [str(installed / "bin" / "tflm-bridge"), "--version"], tmp_path)
    assert told.strip() == f"tflm-bridge {bridge.__version__}"
