"""Run a linked firmware on an emulated core and take back its lines, outputs and counts."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bridge.cores import core as find_core
from bridge.elf import function_at, symbols
from bridge.emulate.plugin import Counts, parse_counts, plugin_library
from bridge.errors import EmulationError, TimeLimitError
from bridge.toolchain import require


@dataclass(frozen=True)
class Run:
    """What one run on an emulated core gave.

    Attributes:
        lines: the firmware's ``key=value`` lines.
        outputs: the bytes of all outputs, one inference after the other.
        counts: instructions of the first inference, exact; empty without the plugin.
        stack_bytes: high-water mark of that inference's stack.
        instructions_by_tick: the same instructions by SysTick under ``-icount``, for a run
            without the plugin; true to within a tick (31 to 50 instructions).
    """

    lines: Mapping[str, str]
    outputs: bytes
    counts: Counts = field(default_factory=Counts)
    stack_bytes: int | None = None
    instructions_by_tick: int | None = None

    @property
    def instructions(self) -> int | None:
        """Instructions of one inference, exact."""
        return self.counts.instructions

    @property
    def layers(self) -> tuple[int, ...]:
        """The same by layer, when the build marks layers."""
        return self.counts.layers


def run(
    elf: Path,
    core: str,
    *,
    inputs: bytes = b"",
    timeout: float = 60,
    count: bool = True,
    files: Mapping[str, bytes] | None = None,
) -> Run:
    """Run a firmware to its end.

    Args:
        elf: a firmware of ours; it reads ``inputs.bin`` and writes ``outputs.bin`` on the host.
        core: for example ``cortex-m4``.
        inputs: the inputs' bytes, one inference after the other.
        timeout: seconds of wall time.
        count: count instructions between ``bench_begin`` and ``bench_end`` with the plugin;
            else SysTick counts them under ``-icount``, within a tick.
        files: further host files that the firmware finds, name → content.

    Raises:
        ToolchainError: QEMU is not installed.
        BuildError: there is no such file, it is no ELF, or its symbols were stripped.
        TimeLimitError: it took too long.
        EmulationError: it faulted (with fault registers and the function), its stack was too
            small, or it ended with an error of its own.
    """
    target = find_core(core)
    at = symbols(elf)
    qemu = require("qemu-system-arm")
    with tempfile.TemporaryDirectory(prefix="tflm-bridge-run-") as name:
        folder = Path(name)
        for file, content in {"inputs.bin": inputs, **(files or {})}.items():
            (folder / file).write_bytes(content)
        command = [
            str(qemu), "-machine", target.machine, "-display", "none", "-serial", "none",
            "-monitor", "none", "-semihosting-config", "enable=on,target=native",
            "-kernel", str(elf.resolve()),
        ]  # fmt: skip
        if count:
            places = {"begin": "bench_begin", "end": "bench_end", "mark": "snn_layer_mark"}
            arguments = [f"{key}={at[symbol]:#x}" for key, symbol in places.items() if symbol in at]
            command += ["-plugin", ",".join([str(plugin_library()), *arguments, "out=counts.txt"])]
        else:
            command += ["-icount", "shift=0"]
        try:
            result = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise TimeLimitError(
                f"{core} did not finish within {timeout:g} s",
                hint="allow more time with --timeout, or run fewer samples with --limit",
            ) from None
        lines = _lines(folder / "lines.txt")
        _check(result, lines, core, elf)
        counts = parse_counts((folder / "counts.txt").read_text()) if count else Counts()
        outputs = folder / "outputs.bin"
        return Run(
            lines,
            outputs.read_bytes() if outputs.is_file() else b"",
            counts,
            int(lines["stack"]) if "stack" in lines else None,
            round(int(lines["ticks"]) * target.tick) if not count and "ticks" in lines else None,
        )


def _lines(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    pairs = (line.partition("=") for line in file.read_text(errors="replace").splitlines())
    return {key: value for key, _, value in pairs}


_CAUSES = {
    0: "instruction fetch not allowed", 1: "data access not allowed", 3: "bad stack on return",
    4: "bad stack on entry", 8: "instruction fetch from no memory", 9: "no memory there",
    10: "no memory there, told late", 11: "bad stack on return", 12: "bad stack on entry",
    16: "undefined instruction", 17: "no Thumb state", 18: "bad return from an exception",
    19: "no such coprocessor", 20: "stack limit", 24: "unaligned access", 25: "division by zero",
}  # fmt: skip
"""Bits of the Configurable Fault Status Register (ARMv8-M Architecture Reference Manual)."""

_ENDINGS = {
    1: "it can't read or write its files on the host",
    2: "the network gave up with a status of its own",
    4: "TFLite Micro can't allocate the network's tensors",
    5: "a virtual function without a body was called",
    6: "its stack overflowed",
}
"""What a runner's exit status means (tflm_project/app)."""


def _check(
    result: subprocess.CompletedProcess[str], lines: Mapping[str, str], core: str, elf: Path
) -> None:
    if "fault" in lines:
        raise EmulationError(
            f"hard fault on {core}: {_fault(lines, elf)}",
            hint="the same network on another core or engine tells a kernel's defect from the "
            "network's",
        )
    status = result.returncode
    if status == 0:
        return
    ending, hint = _ENDINGS.get(status, ""), ""
    if not ending or not lines.keys() & {"error", "invoke_status", "stack_bytes"}:
        # A firmware of somebody else, or QEMU's own end, for example a lockup: it says so first.
        told = ", ".join(f"{key}={value}" for key, value in lines.items())
        said = (result.stderr.strip() or told)[:300]
        raise EmulationError(f"{core} ended with status {status}: {said}")
    if "stack_bytes" in lines:
        ending += f": one inference takes more than {int(lines['stack_bytes']):,} bytes"
        hint = "a kernel keeps too much on the stack; STACK_BYTES in tflm_project/boards sets it"
    told = ", ".join(f"{key}={lines[key]}" for key in ("error", "invoke_status") if key in lines)
    raise EmulationError(f"{core}: {ending}" + (f" ({told})" if told else ""), hint=hint)


def _fault(lines: Mapping[str, str], elf: Path) -> str:
    """Fault registers, the cause by CFSR first, and the functions that they point into."""
    found = {
        name: int(lines[f"fault_{name}"])
        for name in ("cfsr", "pc", "lr", "sp", "hfsr", "address")
        if f"fault_{name}" in lines
    }
    causes = {text: None for bit, text in _CAUSES.items() if found.get("cfsr", 0) >> bit & 1}
    told = []
    for name, value in found.items():
        text = f"{name.upper()} {value:#010x}"
        inside = function_at(elf, value & ~1) if name in {"pc", "lr"} else ""
        if name == "cfsr" and causes:
            text += f" ({', '.join(causes)})"
        elif name == "sp":
            text += " (outside the stack, so PC is not known)"
        told.append(text + (f" in {inside}" if inside else ""))
    return ", ".join(told)
