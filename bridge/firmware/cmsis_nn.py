"""CMSIS-NN for the dense baseline: the user's own, the one inside TFLM, or bakenn's sources."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.compile.cmsis import BASIC
from bridge.errors import ToolchainError
from bridge.firmware.tflm_library import (
    archive_for,
    cmsis_nn_commit,
    commit_of,
    defined_functions,
    library_for,
    place_of,
    tflm_commit,
)

_DOWNLOADS = "tensorflow/lite/micro/tools/make/downloads"
# Where upstream's tree has CMSIS-NN's headers, and where an installed prefix does.
_IN_TFLM = (f"{_DOWNLOADS}/cmsis_nn", "third_party/cmsis_nn", "include/third_party/cmsis_nn")
_CORE_IN_TFLM = (
    f"{_DOWNLOADS}/cmsis/CMSIS/Core/Include",
    "third_party/cmsis/CMSIS/Core/Include",
    "include/third_party/cmsis/CMSIS/Core/Include",
)


@dataclass(frozen=True)
class CmsisNN:
    """A CMSIS-NN that ``c-dense`` can be linked with.

    Attributes:
        source: the folder with ``Include`` and, where there is no library, ``Source``.
        core: the folder with the CMSIS core headers.
        version: the package's, or its commit, or its public header's revision.
        origin: where it comes from, in words.
        functions: what can be called: declared in the public header, and defined in the sources
            or in the library.
        library: an archive that holds the kernels compiled; None where they are compiled from
            the sources.
    """

    source: Path
    core: Path
    version: str
    origin: str
    functions: frozenset[str]
    library: Path | None = None

    @property
    def label(self) -> str:
        """Name, version and origin, for tables."""
        return f"CMSIS-NN {self.version} ({self.origin})"

    @property
    def options(self) -> dict[str, str]:
        """What CMake needs to know of it."""
        return {
            "CMSIS_NN_SOURCE": str(self.source),
            "CMSIS_NN_LIBRARY": str(self.library or ""),
            "CMSIS_CORE": str(self.core),
        }


def find_cmsis_nn(core: str | None = None, tflm_root: Path | None = None) -> CmsisNN:
    """The CMSIS-NN for the dense baseline.

    ``CMSIS_NN_ROOT`` comes first, with ``CMSIS_CORE_ROOT`` beside it: ``Include`` and a library
    built for the core (``lib*.a``, in it or at most two folders below), or a tree with
    ``Source``; then the TFLM library for the core, whose kernels the interpreter runs too; else
    the sources that the bakenn wheel carries.

    Args:
        core: for example ``cortex-m4``; sources alone are looked for where left out.
        tflm_root: a TFLM tree with a built library, or an installed prefix.

    Raises:
        ToolchainError: none is there, or CMSIS_NN_ROOT holds none.
    """
    root = os.environ.get("CMSIS_NN_ROOT")
    if root:
        return _own(Path(root).resolve(), core)
    if core is not None and tflm_root is not None:
        found = _inside_tflm(tflm_root, core)
        if found is not None:
            return found
    vendor = _vendor()
    if vendor is None or not (vendor / "cmsis_nn" / "Source").is_dir():
        raise ToolchainError("CMSIS-NN was not found", hint="pip install bakenn==1.0.0")
    source = vendor / "cmsis_nn"
    return _sources(source, _core(source), "bakenn wheel")


def _own(root: Path, core: str | None) -> CmsisNN:
    """The user's: built where there is a library for the core, else from its sources."""
    header = root / "Include" / "arm_nnfunctions.h"
    if not header.is_file():
        raise ToolchainError(
            f"{root} holds no CMSIS-NN: Include/arm_nnfunctions.h is missing",
            hint="point CMSIS_NN_ROOT at a CMSIS-NN tree, or unset it",
        )
    archives = sorted(a for depth in ("", "*/", "*/*/") for a in root.glob(f"{depth}lib*.a"))
    library = archive_for(archives, core) if core and archives else None
    named = os.environ.get("CMSIS_CORE_ROOT")
    headers = Path(named) if named else _core(root)
    if library is not None:
        origin = f"CMSIS_NN_ROOT, {place_of(library, root)}/{library.name}"
        offered = _declared(header) & defined_functions(library)
        return CmsisNN(root, headers, _version(root), origin, offered, library)
    if not (root / "Source").is_dir():
        told = ", ".join(str(archive) for archive in archives) or "no lib*.a at all"
        raise ToolchainError(
            f"{root} holds neither a library built for {core or 'every core'} nor Source: {told}",
            hint="build CMSIS-NN for the core into CMSIS_NN_ROOT, or point it at its sources",
        )
    return _sources(root, headers, "CMSIS_NN_ROOT")


def _sources(root: Path, headers: Path, origin: str) -> CmsisNN:
    offered = _declared(root / "Include" / "arm_nnfunctions.h") & _defined(root)
    return CmsisNN(root, headers, _version(root), origin, offered)


def _inside_tflm(tflm_root: Path, core: str) -> CmsisNN | None:
    """The kernels inside a TFLM library, where it has them and the tree their headers."""
    library = library_for(tflm_root, core)
    source = next((tflm_root / place for place in _IN_TFLM if (tflm_root / place).is_dir()), None)
    if library is None or source is None:
        return None
    header = source / "Include" / "arm_nnfunctions.h"
    if not header.is_file():
        return None
    offered = _declared(header) & defined_functions(library)
    if not offered >= BASIC:
        return None  # built with TFLM's reference kernels
    headers = next((tflm_root / p for p in _CORE_IN_TFLM if (tflm_root / p).is_dir()), None)
    return CmsisNN(
        source,
        headers or _core(source),
        cmsis_nn_commit(tflm_root) or _version(source),
        f"inside the library of {tflm_commit(tflm_root)}, {place_of(library, tflm_root)}",
        offered,
        library,
    )


def _vendor() -> Path | None:
    """Where the bakenn wheel keeps what it did not write itself."""
    spec = importlib.util.find_spec("bakenn")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "backend" / "cmsis_nn" / "vendor"


def _core(source: Path) -> Path:
    vendor = _vendor()
    return vendor / "cmsis_core" / "Include" if vendor else source


_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def _declared(header: Path) -> frozenset[str]:
    """The functions that a header declares."""
    text = _COMMENT.sub("", header.read_text(errors="replace"))
    return frozenset(re.findall(r"\b(arm_\w+)\s*\([^;{]*\)\s*;", text))


def _defined(source: Path) -> frozenset[str]:
    """The functions that the sources define."""

    def names() -> Iterator[str]:
        for file in sorted((source / "Source").rglob("*.c")):
            text = _COMMENT.sub("", file.read_text(errors="replace"))
            yield from re.findall(
                r"^\w[\w \t]*\**\b(arm_\w+)\s*\([^;{]*\)\s*\{", text, re.MULTILINE
            )

    return frozenset(names())


def _version(source: Path) -> str:
    packaged = source / "BAKENN_PROVENANCE.md"
    if packaged.is_file():
        found = re.search(r"\b(\d+\.\d+\.\d+)\b", packaged.read_text(errors="replace"))
        if found:
            return found.group(1)
    commit = commit_of(source)
    if commit:
        return commit
    header = (source / "Include" / "arm_nnfunctions.h").read_text(errors="replace")
    found = re.search(r"\$Revision:\s*V?\.?(\S+)", header)
    return f"header {found.group(1)}" if found else "unknown version"
