"""Real microcontrollers: what a row's modelled cycles would mean on them. Estimates, not measured.

To add one, add a line to :data:`BOARDS`. Clock and memory sizes are the datasheet's maxima;
current is its headline figure for running from flash. Where a datasheet has no such figure, the
energy is left out rather than guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.bench.row import Row


@dataclass(frozen=True)
class Board:
    """One microcontroller.

    Attributes:
        name: the part.
        core: as in ``--core``.
        mhz: highest clock in MHz.
        flash: bytes of program memory.
        ram: bytes of RAM.
        microamps_per_mhz: current while running, in µA/MHz; None where not stated.
        volts: supply that the current is stated for.
        datasheet: where the figures stand.
    """

    name: str
    core: str
    mhz: float
    flash: int
    ram: int
    microamps_per_mhz: float | None
    volts: float
    datasheet: str


KB, MB = 1024, 1024 * 1024

BOARDS: tuple[Board, ...] = (
    Board("nRF51822-QFAA", "cortex-m0", 16, 256 * KB, 16 * KB, 275, 3.0,
          "Nordic nRF51822 Product Specification, key features: 275 µA/MHz from flash"),
    Board("STM32L152RE", "cortex-m3", 32, 512 * KB, 80 * KB, 195, 3.0,
          "ST STM32L151xE/L152xE datasheet, features: 195 µA/MHz run mode"),
    Board("STM32L4R5ZI", "cortex-m4", 120, 2 * MB, 640 * KB, 110, 3.0,
          "ST DS12023, features: 110 µA/MHz run mode (LDO)"),
    Board("nRF52840", "cortex-m4", 64, 1 * MB, 256 * KB, 52, 3.0,
          "Nordic nRF52840 Product Specification, key features: 52 µA/MHz from flash"),
    Board("STM32F746NG", "cortex-m7", 216, 1 * MB, 320 * KB, None, 3.3,
          "ST DS10916; no µA/MHz figure among its features"),
    Board("STM32U575ZI", "cortex-m33", 160, 2 * MB, 786 * KB, 19.5, 3.3,
          "ST DS13737, features: 19.5 µA/MHz run mode at 3.3 V"),
    Board("Alif Ensemble E3 (HE core)", "cortex-m55", 160, 5632 * KB, 4 * MB, None, 1.8,
          "Alif Ensemble E3 datasheet; no µA/MHz figure taken"),
)  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """What one engine would take on one board, by the timing model with zero wait states.

    Attributes:
        engine: the row's engine.
        board: the part.
        milliseconds: (best, low, high) of one inference at the highest clock.
        microjoules: of one inference by the best estimate; None where the current is unknown.
        fits: whether flash and RAM of the network fit the part, all of it for the network.
    """

    engine: str
    board: Board
    milliseconds: tuple[float, float, float]
    microjoules: float | None
    fits: bool


def estimates(rows: Sequence[Row], boards: Sequence[Board] = BOARDS) -> list[Estimate]:
    """Every row that has modelled cycles, on every board with its core."""
    found = []
    for row in rows:
        for board in boards:
            if board.core != row.core or row.cycles_modelled is None:
                continue
            best, low, high = (cycles / board.mhz / 1000 for cycles in row.cycles_modelled)
            energy = None
            if board.microamps_per_mhz is not None:
                # I·V·t: the clock cancels out, a cycle costs µA/MHz · V picojoules.
                energy = row.cycles_modelled[0] * board.microamps_per_mhz * board.volts * 1e-6
            fits = (row.flash_total or 0) <= board.flash and (row.ram_total or 0) <= board.ram
            found.append(Estimate(row.engine, board, (best, low, high), energy, fits))
    return found
