"""What stands below TFLM_ROOT: libraries, the one for a core, commits."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bridge.errors import ToolchainError
from bridge.paths import tflm_project
from bridge.toolchain import require

LIBRARY = "libtensorflow-microlite.a"
"""The name that upstream's makefile gives the library."""


def check_root(tflm_root: Path, core: str) -> None:
    """Look whether TFLM_ROOT can hold a library at all, before anything is compiled.

    Raises:
        ToolchainError: the folder is missing or has no library below it.
    """
    hint = f"set TFLM_ROOT to a TFLite Micro tree whose static library is built for {core}"
    if not tflm_root.is_dir():
        raise ToolchainError(f"TFLM_ROOT is no folder: {tflm_root}", hint=hint)
    if not libraries(tflm_root):
        raise ToolchainError(f"{tflm_root} holds no {LIBRARY}", hint=hint)


def libraries(tflm_root: Path) -> list[Path]:
    """The TFLM libraries of a tree or prefix, as ``cmake/TFLMLibrary.cmake`` looks for them."""
    patterns = (f"gen/*/lib/{LIBRARY}", f"lib/{LIBRARY}", f"lib/*/{LIBRARY}", LIBRARY)
    return sorted(place for pattern in patterns for place in tflm_root.glob(pattern))


def library_for(tflm_root: Path, core: str) -> Path | None:
    """The library below TFLM_ROOT that was compiled for a core, if there is one.

    Raises:
        ToolchainError: CMake is not installed.
    """
    definitions = {"TFLM_ROOT": str(tflm_root.resolve()), "BRIDGE_CORE": core}
    return _chosen("TFLMLibrary.cmake", "tflm-library", definitions)


def archive_for(archives: Sequence[Path], core: str) -> Path | None:
    """The first of several static libraries that was compiled for a core, if there is one.

    Raises:
        ToolchainError: CMake is not installed.
    """
    listed = ";".join(str(archive.absolute()) for archive in archives)
    return _chosen("Archive.cmake", "archive", {"BRIDGE_ARCHIVES": listed, "BRIDGE_CORE": core})


def _chosen(script: str, key: str, definitions: Mapping[str, str]) -> Path | None:
    told = subprocess.run(
        [
            str(require("cmake")), *(f"-D{name}={value}" for name, value in definitions.items()),
            "-P", str(tflm_project() / "cmake" / script),
        ],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    found = re.search(rf"^-- {key}=(.+)$", told, re.MULTILINE)
    return Path(found.group(1)) if found else None


def place_of(library: Path, root: Path) -> str:
    """The folder of a library as its root calls it, without the part that is always the same."""
    folder = library.parent.relative_to(root.resolve())
    if folder.name == "lib" and len(folder.parts) > 1:
        folder = folder.parent
    return folder.as_posix()


def defined_functions(library: Path) -> frozenset[str]:
    """The global functions that an archive defines."""
    told = subprocess.run(
        [str(require("arm-none-eabi-nm")), "--defined-only", str(library)],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    return frozenset(re.findall(r"^[0-9a-f]+ T (\w+)$", told, re.MULTILINE))


def tflm_commit(tflm_root: Path) -> str:
    """TFLM's name with its commit, as far as the tree tells."""
    commit = commit_of(tflm_root)
    return f"TFLM {commit}" if commit else "TFLM (commit unknown)"


def cmsis_nn_commit(tflm_root: Path) -> str:
    """The CMSIS-NN commit that the tree's download script pins; empty where it is not told."""
    script = tflm_root / "tensorflow/lite/micro/tools/make/ext_libs/cmsis_nn_download.sh"
    if not script.is_file():
        return ""
    pinned = re.search(r'ZIP_?PREFIX_NN="([0-9a-f]{40})"', script.read_text())
    return pinned.group(1)[:10] if pinned else ""


def tflm_version(tflm_root: Path) -> str:
    """TFLM's commit and that of the CMSIS-NN it was built with, as far as the tree tells."""
    pinned = cmsis_nn_commit(tflm_root)
    return tflm_commit(tflm_root) + (f" + CMSIS-NN {pinned}" if pinned else "")


def commit_of(folder: Path) -> str:
    """The commit of a folder that is a git checkout itself, shortened; empty without one or git."""
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "--show-toplevel", "HEAD"],
            capture_output=True, text=True, check=False,
        ).stdout.split()  # fmt: skip
    except OSError:
        return ""
    known = len(found) == 2 and Path(found[0]).resolve() == folder.resolve()
    return found[1][:10] if known else ""
