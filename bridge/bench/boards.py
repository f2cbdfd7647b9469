"""Real microcontrollers: what a row's modelled cycles would mean on them. Estimates, not measured.

To add one, add an entry to :data:`BOARDS`. Clock and memory sizes are the datasheet's maxima,
current is what it gives for a core running from flash; where it is a vendor's headline only,
``remark`` says so. It also says where a figure was looked up a second time, and what it does not
cover. Where no figure fits, the energy is left out rather than guessed.
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
        microamps_per_mhz: current while running at that clock, in µA/MHz; None where the
            datasheet has no figure for it.
        volts: supply that the current is stated for.
        datasheet: where the figures stand.
        remark: what was looked up elsewhere, and what the figures leave out.
    """

    name: str
    core: str
    mhz: float
    flash: int
    ram: int
    microamps_per_mhz: float | None
    volts: float
    datasheet: str
    remark: str = ""

    @property
    def source(self) -> str:
        """Where the figures stand, and what there is to know of them."""
        return f"{self.datasheet}. {self.remark}".strip()


KB, MB = 1024, 1024 * 1024

BOARDS: tuple[Board, ...] = (
    Board(
        "nRF51822-QFAA", "cortex-m0", 16, 256 * KB, 16 * KB, 275, 3.0,
        "Nordic nRF51822 Product Specification v3.1, key features: 275 µA/MHz from flash",
        "The current was not seen in a second source.",
    ),
    Board(
        "STM32L152RE", "cortex-m3", 32, 512 * KB, 80 * KB, 195, 3.0,
        "ST DS10002 (STM32L151xE/L152xE), features: 195 µA/MHz run mode",
        "Clock, flash and RAM agree with RIOT's board page; the current was not seen in a second "
        "source.",
    ),
    Board(
        "STM32L4R5ZI", "cortex-m4", 120, 2 * MB, 640 * KB, 110, 3.0,
        "ST DS12023, features: 110 µA/MHz run mode (LDO)",
        "Clock, flash and RAM agree with RIOT's board page; Zephyr's has 100 or 110 µA/MHz by "
        "release.",
    ),
    Board(
        "nRF52840", "cortex-m4", 64, 1 * MB, 256 * KB, 52, 3.0,
        "Nordic nRF52840 Product Specification, key features: 52 µA/MHz from flash (DC/DC, 3 V)",
        "Clock, flash and RAM agree with PlatformIO's board page; 52 µA/MHz, 3.3 mA at 64 MHz, "
        "with module makers' pages.",
    ),
    Board(
        "STM32H723ZG", "cortex-m7", 550, 1 * MB, 564 * KB, 264, 3.0,
        "ST DS13313 Rev 5, table 21: 145 mA typical at 550 MHz, CoreMark from flash, caches on, "
        "all peripherals disabled",
        "3 V as stated for typical values; the same 145 mA from ITCM (table 20), and 92 mA at "
        "400 MHz (230 µA/MHz).",
    ),
    Board(
        "STM32U575ZI-Q", "cortex-m33", 160, 2 * MB, 786 * KB, 45, 3.3,
        "ST DS13737 Rev 8, supply current tables: 40 to 45 µA/MHz with SMPS in ranges 1 to 3",
        "Clock, flash and RAM agree with a distributor's page. Not the 19.5 µA/MHz of the "
        "features, which hold for a loop at 24 MHz in range 4; both figures as a design study "
        "quotes the datasheet.",
    ),
    Board(
        "Alif Balletto B1 (AB1C1F4M51820)", "cortex-m55", 160, 1843 * KB, 2 * MB, 22, 3.3,
        "Alif's product page of the Balletto family: 22 µA/MHz run current",
        "A vendor's headline, as notes on that page quote it: what runs, from which memory and at "
        "which supply is not stated; 3.3 V is that of the vendor's other figures. Clock and RAM "
        "(0.5 MB ITCM, 1.5 MB DTCM) agree with Zephyr's device tree, 1.8 MB of MRAM with Alif's "
        "tools.",
    ),
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
