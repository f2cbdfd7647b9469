"""From a PyTorch network to a Cortex-M: pruned, int8, proved byte for byte, measured.

What a Python program needs stands here; each name is loaded when it is first used, so that
``import bridge`` costs nothing. ``bridge.convert``, ``bridge.package`` and ``bridge.explore`` are
packages; their functions ``convert``, ``export`` and ``explore`` are called here after what they
take: ``convert_network``, ``export_package``, ``explore_network``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.bench.engines import ENGINES, run_bench
    from bridge.bench.row import Row
    from bridge.bundle import Bundle
    from bridge.compile import compile_graph
    from bridge.compress.bundle import CompressedFile, compress_file
    from bridge.console import Terminal
    from bridge.convert.options import ConvertOptions
    from bridge.cores import CORES
    from bridge.data import Dataset
    from bridge.errors import (
        BridgeError,
        BuildError,
        BundleError,
        DataError,
        EmulationError,
        InputError,
        ModelError,
        ProofError,
        TimeLimitError,
        ToolchainError,
        UnsupportedOperator,
    )
    from bridge.explore import Exploration, Limits, Settings, Space
    from bridge.explore import explore as explore_network
    from bridge.graph import Graph, read_tflite
    from bridge.package import Exported
    from bridge.package import export as export_package
    from bridge.pipeline import convert as convert_network
    from bridge.pipeline import record_bench
    from bridge.progress import Progress

__version__ = "0.1.0"

__all__ = [
    "CORES",
    "ENGINES",
    "BridgeError",
    "BuildError",
    "Bundle",
    "BundleError",
    "CompressedFile",
    "ConvertOptions",
    "DataError",
    "Dataset",
    "EmulationError",
    "Exploration",
    "Exported",
    "Graph",
    "InputError",
    "Limits",
    "ModelError",
    "Progress",
    "ProofError",
    "Row",
    "Settings",
    "Space",
    "Terminal",
    "TimeLimitError",
    "ToolchainError",
    "UnsupportedOperator",
    "compile_graph",
    "compress_file",
    "convert_network",
    "explore_network",
    "export_package",
    "read_tflite",
    "record_bench",
    "run_bench",
]

_ROOMS = {
    "bridge.bench.engines": ("ENGINES", "run_bench"),
    "bridge.bench.row": ("Row",),
    "bridge.bundle": ("Bundle",),
    "bridge.compile": ("compile_graph",),
    "bridge.compress.bundle": ("CompressedFile", "compress_file"),
    "bridge.console": ("Terminal",),
    "bridge.convert.options": ("ConvertOptions",),
    "bridge.cores": ("CORES",),
    "bridge.data": ("Dataset",),
    "bridge.errors": (
        "BridgeError", "BuildError", "BundleError", "DataError", "EmulationError", "InputError",
        "ModelError", "ProofError", "TimeLimitError", "ToolchainError", "UnsupportedOperator",
    ),
    "bridge.explore": ("Exploration", "Limits", "Settings", "Space", "explore_network"),
    "bridge.graph": ("Graph", "read_tflite"),
    "bridge.package": ("Exported", "export_package"),
    "bridge.pipeline": ("convert_network", "record_bench"),
    "bridge.progress": ("Progress",),
}  # fmt: skip
_ROOM = {name: room for room, names in _ROOMS.items() for name in names}
_CALLED = {
    "convert_network": "convert", "export_package": "export", "explore_network": "explore",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _ROOM:
        raise AttributeError(f"module 'bridge' has no attribute {name!r}")
    value = getattr(import_module(_ROOM[name]), _CALLED.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
