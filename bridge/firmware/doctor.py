"""What is installed, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import BridgeError
from bridge.firmware.cmsis_nn import find_cmsis_nn
from bridge.firmware.toolchain import PACKAGES, version

DISTRIBUTIONS = (
    "torch", "tensorflow", "tf_keras", "tensorflow-model-optimization", "onnx", "onnxruntime",
    "onnx2tf", "tflite_micro", "numpy",
)  # fmt: skip
"""Python packages whose versions decide a conversion's bytes."""


@dataclass(frozen=True)
class Check:
    """One part that the bridge uses.

    Attributes:
        name: what it is.
        ok: whether it was found.
        detail: its version or place, or what is wrong.
        remedy: what to do when it is missing.
        needed: whether the bridge's main job fails without it.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = True


def checks() -> list[Check]:
    """Look for every part, without importing any heavy package."""
    found = [_distribution(name) for name in DISTRIBUTIONS]
    found += [_program(name) for name in PACKAGES]
    found.append(_cmsis_nn())
    found.append(_tflm())
    return found


def versions() -> dict[str, str]:
    """The installed versions of what decides a conversion's bytes, for the manifest."""
    return {name: check.detail for name in DISTRIBUTIONS if (check := _distribution(name)).ok}


def _distribution(name: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", f"pip install {name}")


def _program(name: str) -> Check:
    try:
        return Check(name, True, version(name))
    except BridgeError as error:
        return Check(name, False, error.what, error.hint)


def _cmsis_nn() -> Check:
    try:
        return Check("CMSIS-NN", True, find_cmsis_nn().label)
    except BridgeError as error:
        return Check("CMSIS-NN", False, error.what, error.hint)


def _tflm() -> Check:
    root = os.environ.get("TFLM_ROOT")
    remedy = (
        "set TFLM_ROOT to a TFLite Micro tree whose static library is built for the core, "
        "to measure the stock interpreter too"
    )
    if not root:
        return Check("TFLM_ROOT", False, "not set", remedy, needed=False)
    libraries = sorted(Path(root).rglob("libtensorflow-microlite.a")) if Path(root).is_dir() else []
    if not libraries:
        return Check(
            "TFLM_ROOT", False, f"{root} has no libtensorflow-microlite.a", remedy, needed=False
        )
    places = ", ".join(library.parent.parent.name for library in libraries)
    return Check("TFLM_ROOT", True, f"{root} ({places})", needed=False)
