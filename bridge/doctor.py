"""What is installed, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import BridgeError, ToolchainError
from bridge.firmware.cmsis_nn import find_cmsis_nn
from bridge.toolchain import PACKAGES, require, version

DISTRIBUTIONS = (
    "torch", "tensorflow", "tf_keras", "tensorflow-model-optimization", "onnx", "onnxruntime",
    "onnx2tf", "tflite_micro", "numpy",
)  # fmt: skip
"""Python packages whose versions decide a conversion's bytes."""

_TARGET_FILES = {
    "newlib for Arm": ("libc_nano.a", "libnewlib-arm-none-eabi"),
    "libstdc++ for Arm": ("libstdc++_nano.a", "libstdc++-arm-none-eabi-newlib"),
}


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
    found = [_python()]
    found += [_distribution(text) for text in _requirements()]
    found += [_program(name) for name in PACKAGES]
    found += [_target_file(name) for name in _TARGET_FILES]
    found.append(_plugin())
    found.append(_cmsis_nn())
    found.append(_tflm())
    return found


def versions() -> dict[str, str]:
    """The installed versions of what decides a conversion's bytes, for the manifest."""
    return {name: check.detail for name in DISTRIBUTIONS if (check := _distribution(name)).ok}


def _python() -> Check:
    found = ".".join(str(part) for part in sys.version_info[:3])
    fits = (3, 10) <= sys.version_info[:2] <= (3, 12)
    remedy = "Python 3.10 to 3.12: PYTHON=python3.11 bash scripts/setup.sh"
    return Check("Python", fits, found, remedy)


def _requirements() -> list[str]:
    """What the installed package asks for, as its metadata states it."""
    try:
        stated = importlib.metadata.requires("tflm-bridge") or []
    except importlib.metadata.PackageNotFoundError:
        return list(DISTRIBUTIONS)
    return [text for text in stated if "extra ==" not in text]


def _distribution(requirement: str) -> Check:
    name = re.split(r"[\s<>=!~;\[(]", requirement, maxsplit=1)[0]
    remedy = f"pip install '{requirement}'"
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", remedy)
    if not _fits(requirement, found):
        return Check(name, False, f"{found} is none of the versions that work", remedy)
    return Check(name, True, found)


def _fits(requirement: str, found: str) -> bool:
    try:
        from packaging.requirements import Requirement
    except ImportError:  # comes with matplotlib; without it that is what is said to be missing
        return True
    return Requirement(requirement).specifier.contains(found, prereleases=True)


def _program(name: str) -> Check:
    try:
        return Check(name, True, version(name))
    except BridgeError as error:
        return Check(name, False, error.what, error.hint)


def _target_file(name: str) -> Check:
    """A library of the cross compiler: it prints a path where it has one, else the bare name."""
    file, package = _TARGET_FILES[name]
    remedy = f"apt-get install {package} (as root)"
    try:
        place = subprocess.run(
            [require("arm-none-eabi-gcc"), f"-print-file-name={file}"],
            capture_output=True, text=True, check=False,
        ).stdout.strip()  # fmt: skip
    except ToolchainError as error:
        return Check(name, False, error.what, remedy)
    found = Path(place).is_file()
    detail = str(Path(place).resolve()) if found else f"{file} was not found"
    return Check(name, found, detail, remedy)


def _plugin() -> Check:
    """The instruction counter: whether it compiles here, and whether QEMU loads plugins."""
    from bridge.emulate.plugin import plugin_library

    name, remedy = "counting plugin", "install QEMU 4.2 or later, built with --enable-plugins"
    try:
        library = plugin_library()
        help_text = subprocess.run(
            [require("qemu-system-arm"), "--help"], capture_output=True, text=True, check=False
        ).stdout
    except BridgeError as error:
        return Check(name, False, error.what, error.hint or "install a host C compiler")
    loads = "-plugin" in help_text
    return Check(
        name, loads, str(library) if loads else "this QEMU was built without plugins", remedy
    )


def _cmsis_nn() -> Check:
    """What ``c-dense`` calls: one for all cores, or another where TFLM_ROOT has a library."""
    from bridge.cores import CORES

    root = os.environ.get("TFLM_ROOT")
    try:
        found = find_cmsis_nn()
        inside = [find_cmsis_nn(core, Path(root)) for core in CORES] if root else []
    except BridgeError as error:
        return Check("CMSIS-NN", False, error.what, error.hint)
    places: dict[str, list[str]] = {}
    for core, cmsis in zip(CORES, inside, strict=False):
        if cmsis.library is not None:
            places.setdefault(cmsis.label, []).append(core)
    others = [f"{label} for {', '.join(cores)}" for label, cores in places.items()]
    return Check("CMSIS-NN", True, "; ".join([found.label, *others]))


def _tflm() -> Check:
    from bridge.firmware.tflm_library import LIBRARY, libraries

    name, root = "TFLM_ROOT", os.environ.get("TFLM_ROOT")
    remedy = (
        "set TFLM_ROOT to a TFLite Micro tree whose static library is built for the core, "
        "to measure the stock interpreter too"
    )
    if not root:
        return Check(name, False, "not set", remedy, needed=False)
    if not Path(root).is_dir():
        return Check(name, False, f"{root} is no folder", remedy, needed=False)
    found = libraries(Path(root))
    if not found:
        return Check(name, False, f"{root} has no {LIBRARY}", remedy, needed=False)
    places = ", ".join(str(library.parent.relative_to(root)) for library in found)
    return Check(name, True, f"{root} ({places})", needed=False)
