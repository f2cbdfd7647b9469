"""Published results on real boards: MLPerf Tiny v1.1, mlcommons/tiny_results_v1.1."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One entry: median latencies of dense int8 networks.

    Attributes:
        board: the development board.
        core: its Cortex-M.
        mhz: clock, as the submission states it.
        software: what ran.
        milliseconds: one inference, by network.
        ours: the engine here that comes closest: the same kernels where the software's are open.
    """

    board: str
    core: str
    mhz: float
    software: str
    milliseconds: dict[str, float]
    ours: str = "tflm"

    def cycles(self, network: str) -> float:
        """Million cycles of one inference: latency times clock."""
        return self.milliseconds[network] * self.mhz / 1000


NETWORKS = ("ds_cnn", "resnet8", "mobilenet_v1_025", "fc_autoencoder")


def _entry(
    board: str, core: str, mhz: float, software: str, *times: float, ours: str = "tflm"
) -> Published:
    return Published(board, core, mhz, software, dict(zip(NETWORKS, times, strict=True)), ours)


SAME_KERNELS = _entry(
    "NUCLEO-L4R5ZI", "cortex-m4", 120, "microTVM + CMSIS-NN", 99.8, 389.6, 300.8, 8.6
)
_OPEN = "c-dense"  # no TFLM library is needed for cores where none is usual
CLOSED = (
    _entry("NUCLEO-L4R5ZI", "cortex-m4", 120, "Plumerai", 47.8, 167.8, 98.8, 4.1),
    _entry("NUCLEO-L4R5ZI", "cortex-m4", 120, "X-CUBE-AI 8.1.0", 62.9, 214.0, 118.7, 6.9),
    _entry("NUCLEO-H7A3ZI-Q", "cortex-m7", 280, "Plumerai", 13.9, 50.9, 26.8, 1.3),
    _entry("DISCO-F746NG", "cortex-m7", 216, "Plumerai", 17.7, 62.9, 34.1, 1.7),
    _entry(
        "NUCLEO-U575ZI-Q", "cortex-m33", 160, "Plumerai", 30.0, 104.3, 59.5, 3.7, ours="c-dense"
    ),
    _entry("NUCLEO-G0B1RE", "cortex-m0", 64, "Bosch", 679.3, 1669.4, 1869.2, 46.5, ours=_OPEN),
)
BEST_M4 = {"ds_cnn": 5.74, "resnet8": 20.1, "mobilenet_v1_025": 11.9, "fc_autoencoder": 0.49}
"""The least million cycles of any entry on a Cortex-M4 (NUCLEO-L4R5ZI, Plumerai)."""
