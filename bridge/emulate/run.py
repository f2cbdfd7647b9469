"""Run a linked firmware on an emulated core and take back its lines, outputs and counts."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bridge.cores import core as find_core
from bridge.elf import symbols
from bridge.emulate.plugin import Counts, parse_counts, plugin_library
from bridge.errors import EmulationError
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
        EmulationError: it took too long, faulted (with PC and fault registers), or ended with
            an error of its own.
    """
    qemu = require("qemu-system-arm")
    target = find_core(core)
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
            at = symbols(elf)
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
            raise EmulationError(
                f"{core} did not finish within {timeout:g} s",
                hint="allow more time with --timeout, or run fewer samples with --limit",
            ) from None
        lines = _lines(folder / "lines.txt")
        _check(result, lines, core)
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


def _check(result: subprocess.CompletedProcess[str], lines: Mapping[str, str], core: str) -> None:
    if "fault" in lines:
        registers = ", ".join(
            f"{name.upper()} {int(lines[f'fault_{name}']):#010x}"
            for name in ("pc", "lr", "cfsr", "hfsr", "address")
            if f"fault_{name}" in lines
        )
        raise EmulationError(
            f"hard fault on {core}: {registers}",
            hint="arm-none-eabi-addr2line -e firmware.elf PC shows the source line",
        )
    if result.returncode != 0:
        told = ", ".join(f"{key}={value}" for key, value in lines.items()) or result.stderr.strip()
        raise EmulationError(f"{core} ended with status {result.returncode}: {told[-500:]}")
