"""The cores: what each Cortex-M can do, and which QEMU machine runs it."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.errors import InputError


@dataclass(frozen=True)
class Core:
    """One Cortex-M as QEMU emulates it.

    Attributes:
        name: GCC's ``-mcpu`` name.
        machine: QEMU's machine.
        tick: instructions in one tick of SysTick under ``-icount shift=0``, where an
            instruction takes 1 ns: the period of the machine's clock in ns.
        ram: bytes of the board's RAM, as its linker script under ``tflm_project/boards`` uses it.
        dsp: whether it has the DSP extension (two halfwords at once, long multiply-accumulate).
        mve: whether it has the M-profile vector extension.
        note: what differs from a real part of that core.
    """

    name: str
    machine: str
    tick: float = 40
    ram: int = 4 << 20
    dsp: bool = True
    mve: bool = False
    note: str = ""


CORES = {
    core.name: core
    for core in (
        Core(
            "cortex-m0",
            "mps2-an385",
            dsp=False,
            note="ARMv6-M code on the M3 machine with unaligned access trapped: QEMU's own M0 "
            "board has 16 kB of RAM",
        ),
        Core("cortex-m3", "mps2-an385", dsp=False),
        Core("cortex-m4", "mps2-an386"),
        Core("cortex-m7", "mps2-an500"),
        Core("cortex-m33", "mps2-an505", 50, 2 << 20),
        Core("cortex-m55", "mps3-an547", 31.25, 2 << 20, mve=True),
    )
}


def core(name: str) -> Core:
    """A core by name.

    Raises:
        InputError: there is no such core.
    """
    if name not in CORES:
        raise InputError(f"unknown core {name!r}", hint=f"one of: {', '.join(CORES)}")
    return CORES[name]
