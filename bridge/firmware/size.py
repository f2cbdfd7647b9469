"""What a network costs in flash and RAM: linked sections minus an empty firmware's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.elf import defined, sections

_KERNEL = re.compile(r"arm_(?!none)|snn_(?!layer_mark)|_ZN.*arm_cmsis")
_APPLICATION = re.compile(r"model\b|model_|main$|mut_|\w+_invoke$|run_c|run_tflm")


@dataclass(frozen=True)
class Sizes:
    """Bytes that a network adds to a firmware.

    Attributes:
        code: machine code and its own constants, and what start-up copies into RAM.
        weights: the constants of generated files: weights, biases, per-channel tables.
        kernels: the part of the code in kernel libraries (CMSIS-NN, sparse_nn).
        application: the part of the code in generated files.
        ram_static: .data and .bss beside the arena and the runner's buffers.
    """

    code: int
    weights: int
    ram_static: int
    kernels: int = 0
    application: int = 0


def measure(elf: Path, empty: Path) -> Sizes:
    """Compare a firmware with an empty one of the same core.

    Args:
        elf: the firmware with a network.
        empty: the same runner without one.
    """
    ours, theirs = sections(elf), sections(empty)
    return Sizes(
        code=_code(ours) - _code(theirs),
        weights=ours.get(".weights", 0),
        ram_static=_static(ours) - _static(theirs),
        kernels=_named(elf, _KERNEL),
        application=_named(elf, _APPLICATION) - _named(empty, _APPLICATION),
    )


def _named(elf: Path, pattern: re.Pattern[str]) -> int:
    """Bytes of symbols in flash whose own name or source file fits a pattern."""
    return sum(
        symbol.bytes
        for symbol in defined(elf)
        if symbol.kind in {"STT_FUNC", "STT_OBJECT"}
        and symbol.section == ".text"
        and (pattern.match(symbol.name) or pattern.match(symbol.file))
    )


def _code(found: Mapping[str, int]) -> int:
    ram = {".weights", ".bss", ".buffers"}
    return sum(size for name, size in found.items() if name not in ram)


def _static(found: Mapping[str, int]) -> int:
    return found.get(".data", 0) + found.get(".bss", 0)


_SUPPORT = re.compile(r"arm_nn_\w+|arm_mem\w+|snn_layer_mark|\w+_(?:scratch|buffer)_size(?:_\w+)?")


def linked_kernels(elf: Path) -> str:
    """The kernels that a linked file really holds, from its symbols.

    Support functions that kernels share are left out. A TFLM without CMSIS-NN has none of these.
    """
    found = sorted(
        symbol.name
        for symbol in defined(elf)
        if symbol.kind == "STT_FUNC"
        and re.match(r"arm_\w|snn_\w", symbol.name)
        and not _SUPPORT.fullmatch(symbol.name)
    )
    return " ".join(found) or "reference kernels"
