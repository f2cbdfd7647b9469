"""The instruction counter: our QEMU plugin, built once with the host compiler, and its output."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import BuildError, ToolchainError
from bridge.paths import cache_folder, tflm_project
from bridge.toolchain import require


@dataclass(frozen=True)
class Block:
    """A run of instructions that QEMU translated as one.

    Attributes:
        start: its first address.
        instructions: how many it holds.
        times: how often it was executed inside the window.
        followed: how often control went on to the next address; else a branch was taken.
    """

    start: int
    instructions: int
    times: int
    followed: int


@dataclass(frozen=True)
class Counts:
    """What the plugin saw between its two addresses.

    Attributes:
        instructions: exact total; None if the window was never closed.
        layers: the part of each layer, in order, when the build marks layers.
        blocks: every executed block.
    """

    instructions: int | None = None
    layers: tuple[int, ...] = ()
    blocks: tuple[Block, ...] = ()


def plugin_library() -> Path:
    """The plugin as a shared library, built when its source has changed.

    Raises:
        ToolchainError: there is no host compiler.
        BuildError: it does not compile.
    """
    source = tflm_project() / "plugin" / "count.c"
    key = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    library = cache_folder() / f"count-{key}.so"
    if library.is_file():
        return library
    compiler = require("gcc")
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        built = Path(folder) / "count.so"
        result = subprocess.run(
            [compiler, "-O2", "-shared", "-fPIC", "-fvisibility=hidden", source, "-o", built],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise BuildError(f"the counting plugin does not compile:\n{result.stderr}")
        os.replace(built, library)
    return library


def check_plugin() -> Path:
    """Let QEMU load the plugin, on a machine without any core.

    Returns:
        The shared library.

    Raises:
        ToolchainError: there is no host compiler, no QEMU, or QEMU refuses the plugin.
        BuildError: it does not compile.
    """
    library = plugin_library()
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [
                require("qemu-system-arm"), "-machine", "none", "-S", "-display", "none",
                "-serial", "none", "-monitor", "stdio", "-plugin", f"{library},out=counts.txt",
            ],
            input="quit\n", cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        loaded = result.returncode == 0 and (Path(folder) / "counts.txt").is_file()
    if not loaded:
        raise ToolchainError(
            f"QEMU does not load the counting plugin: {result.stderr.strip()[:300]}",
            hint="install QEMU 4.2 or later with plugins of version 1 (--enable-plugins)",
        )
    return library


def parse_counts(text: str) -> Counts:
    """Read what the plugin wrote (format: the plugin's opening comment)."""
    total: int | None = None
    layers: list[int] = []
    merged: dict[tuple[int, int], Block] = {}
    for line in text.splitlines():
        kind, *numbers = line.split()
        values = [int(number) for number in numbers]
        if kind == "total":
            total = values[0]
        elif kind == "layer":
            layers.append(values[0])
        elif kind == "block":
            start, count, times, followed = values
            before = merged.get((start, count), Block(start, count, 0, 0))
            merged[start, count] = Block(
                start, count, before.times + times, before.followed + followed
            )
    return Counts(total, tuple(layers), tuple(merged[key] for key in sorted(merged)))
