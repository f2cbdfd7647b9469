"""What is installed, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bridge.cores import CORES
from bridge.errors import BridgeError, ToolchainError
from bridge.firmware.cmsis_nn import find_cmsis_nn
from bridge.firmware.tflm_library import LIBRARY, libraries, library_for, place_of
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
    except ImportError:  # then that is what is said to be missing
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
    """The instruction counter: whether it compiles here, and whether QEMU loads it."""
    from bridge.emulate.plugin import check_plugin

    name = "counting plugin"
    try:
        return Check(name, True, str(check_plugin()))
    except BridgeError as error:
        return Check(name, False, error.what, error.hint or "install a host C compiler")


def _cmsis_nn() -> Check:
    """What ``c-dense`` calls: one for all cores, or another where a library is built for a core."""
    name, root = "CMSIS-NN", os.environ.get("TFLM_ROOT")
    places: dict[str, list[str]] = {}
    missing: list[BridgeError] = []
    for core in CORES:
        try:
            found = find_cmsis_nn(core, Path(root) if root else None)
        except BridgeError as error:
            missing.append(error)
        else:
            places.setdefault(found.label, []).append(core)
    if not places:
        return Check(name, False, missing[0].what, missing[0].hint)
    told = [f"{label} for {', '.join(cores)}" for label, cores in places.items()]
    if len(places) == 1 and not missing:
        told = list(places)
    return Check(name, True, "; ".join([*told, *(error.what for error in missing)]))


def _tflm() -> Check:
    name, root = "TFLM_ROOT", os.environ.get("TFLM_ROOT")
    remedy = (
        "set TFLM_ROOT to a TFLite Micro tree whose static library is built for the core, "
        "to measure the stock interpreter too"
    )
    if not root:
        return Check(name, False, "not set", remedy, needed=False)
    if not Path(root).is_dir():
        return Check(name, False, f"{root} is no folder", remedy, needed=False)
    found = libraries(Path(root).resolve())
    if not found:
        return Check(name, False, f"{root} has no {LIBRARY}", remedy, needed=False)
    try:
        chosen = {core: library_for(Path(root), core) for core in CORES}
    except BridgeError as error:
        return Check(name, False, error.what, error.hint, needed=False)
    serves = []
    for library in found:
        cores = [core for core, taken in chosen.items() if taken and taken.samefile(library)]
        serves.append(f"{place_of(library, Path(root))}: {', '.join(cores) or 'for no core here'}")
    detail = f"{root} ({'; '.join(serves)})"
    if not any(chosen.values()):
        remedy = (
            "build the library for a core that bench knows, with upstream's "
            "TARGET_ARCH=cortex-m4+fp, cortex-m7+fp or cortex-m55; without +fp it is soft-float"
        )
        return Check(name, False, detail, remedy, needed=False)
    return Check(name, True, detail, needed=False)
