"""What kind of instruction stands at an address: the ELF's code, disassembled and classified."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bridge.toolchain import require

# An encoding that objdump doesn't know has no mnemonic: it must still be one instruction here.
_LINE = re.compile(r"^\s*([0-9a-f]+):\t((?:[0-9a-f]{4} ?){1,2})\s*\t([^\s@]*)\s*([^;@<]*)")
# objdump 2.40 prints most of MVE as the coprocessor instructions that it replaced. No compiler
# for Cortex-M emits those, so the names tell MVE loads, stores and arithmetic apart.
_COPROCESSOR = re.compile(r"^(?:cdp|mcrr?|mrrc?)2?$")
_VPST = re.compile(r"^15, \d+, cr\d+, cr1, cr13, \{2\}")
_REGISTERS = re.compile(r"\b(?:r\d+|sp|lr|pc|ip|fp|sl|[sdq]\d+)\b")
_CONDITION = "(?:eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?"

# First match wins. Names: ARMv7-M and ARMv8.1-M Architecture Reference Manuals.
_KINDS = tuple(
    (kind, re.compile(rf"^(?:{pattern}){_CONDITION}(?:\.[nw]|\.[a-z]*\d+)*$"))
    for kind, pattern in (
        ("nop", "nop"),
        ("it", "it[te]{0,3}"),
        ("return", "bx"),
        ("load_multiple_return", "pop_pc"),
        ("load_pc", "ldr_pc"),
        ("call", "bl|blx"),
        ("compare_branch", "cbz|cbnz"),
        ("loop", "wls|wlstp|dls|dlstp|le|letp|lctp"),
        ("branch", "b"),
        ("table_branch", "tbb|tbh"),
        ("divide", "[su]div"),
        ("multiply_long", "smull|umull"),
        ("accumulate_long", "smlal|umlal|umaal|smlal[bt][bt]|smlaldx?|smlsldx?"),
        ("accumulate", "mla|mls"),
        ("multiply", "muls?"),
        (
            "dsp_multiply",
            "smla[dwbt]\\w*|smuad\\w*|smul[bt][bt]|smulw[bt]|smml\\w*|smmul\\w*|smusd\\w*",
        ),
        ("load_double", "ldrd"),
        ("store_double", "strd"),
        ("load_multiple", "ldmi?a?d?b?|ldmia|ldmdb|pop"),
        ("store_multiple", "stmi?a?d?b?|stmia|stmdb|push"),
        ("load", "ldr|ldrs?[bh]|ldrex[bh]?"),
        ("store", "str|str[bh]|strex[bh]?"),
        ("fp_divide", "vdiv|vsqrt"),
        ("fp_load_multiple", "vldmia|vldmdb|vpop"),
        ("fp_store_multiple", "vstmia|vstmdb|vpush"),
        ("vector_load", "vldr[bhw]|vld[24]\\d|ldc2?l?"),
        ("vector_store", "vstr[bhw]|vst[24]\\d|stc2?l?"),
        ("fp_load", "vldr"),
        ("fp_store", "vstr"),
        ("fp_accumulate", "vmla|vmls|vnml[as]|vfm[as]|vfnm[as]"),
    )
)


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        kind: its class in the timing tables; ``alu`` where no other fits.
        registers: how many it moves, for the multiple loads and stores.
        reads: registers named after the first operand.
        writes: its first operand, or an empty string.
    """

    kind: str
    registers: int = 1
    reads: frozenset[str] = frozenset()
    writes: str = ""


def classify(mnemonic: str, operands: str) -> Instruction:
    """The class of one disassembled instruction.

    Args:
        mnemonic: as objdump prints it, for example ``ldrb.w``.
        operands: the text behind it.
    """
    name = mnemonic.lower()
    text = operands.strip()
    if _COPROCESSOR.match(name):
        return Instruction("it" if _VPST.match(text) else "vector")
    if name.startswith(("pop", "ldm")) and re.search(r"\bpc\b", text):
        name = "pop_pc"
    elif name.startswith("ldr") and text.startswith("pc"):
        name = "ldr_pc"
    vector = bool(re.search(r"\bq\d", text)) or name.startswith(("vadd.i", "vmla.", "vmlad"))
    kind = next((kind for kind, pattern in _KINDS if pattern.match(name)), "")
    if not kind:
        kind = "fp" if name.startswith("v") else "alu"
    if vector and kind not in {"vector_load", "vector_store"}:
        accumulates = name.startswith(("vmla", "vmlal", "vmlad", "vmlas", "vfma"))
        kind = "vector_accumulate" if accumulates else "vector"
    found = _REGISTERS.findall(text)
    return Instruction(
        kind=kind,
        registers=_count(text) if "_multiple" in kind else 1,
        reads=frozenset(found[1:]) if kind.startswith("load") else frozenset(found),
        writes=found[0] if found else "",
    )


def _count(operands: str) -> int:
    """How many registers a list like ``{r4-r7, lr}`` has."""
    inside = operands.partition("{")[2].partition("}")[0]
    total = 0
    for part in filter(None, (piece.strip() for piece in inside.split(","))):
        first, dash, last = part.partition("-")
        total += int(last[1:]) - int(first[1:]) + 1 if dash and first[1:].isdigit() else 1
    return max(total, 1)


def disassemble(elf: Path) -> dict[int, Instruction]:
    """Every instruction of an ELF file by its address.

    Raises:
        ToolchainError: objdump is not installed.
    """
    text = subprocess.run(
        [require("arm-none-eabi-objdump"), "-d", "--section=.text", elf],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            address, _, mnemonic, operands = match.groups()
            found[int(address, 16)] = classify(mnemonic, operands)
    return found
