"""CMSIS-NN for the dense baseline: the user's own, or the sources in the bakenn wheel."""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import ToolchainError


@dataclass(frozen=True)
class CmsisNN:
    """Sources of CMSIS-NN.

    Attributes:
        source: the folder with ``Include`` and ``Source``.
        core: the folder with the CMSIS core headers.
        version: the package's, or its public header's revision, or its commit.
        origin: where it comes from, in words.
        kernel_sums: whether its fully connected kernels want sums of the weights with MVE, as
            newer ones do.
    """

    source: Path
    core: Path
    version: str
    origin: str
    kernel_sums: bool = False

    @property
    def label(self) -> str:
        """Name, version and origin, for tables."""
        return f"CMSIS-NN {self.version} ({self.origin})"


def find_cmsis_nn() -> CmsisNN:
    """The CMSIS-NN sources to compile the dense baseline from.

    ``CMSIS_NN_ROOT`` (a CMSIS-NN tree, with ``CMSIS_CORE_ROOT`` beside it) comes first, else the
    sources that the bakenn wheel carries.

    Raises:
        ToolchainError: neither is there.
    """
    spec = importlib.util.find_spec("bakenn")
    vendor = None
    if spec is not None and spec.submodule_search_locations:
        package = Path(next(iter(spec.submodule_search_locations)))
        vendor = package / "backend" / "cmsis_nn" / "vendor"
    root = os.environ.get("CMSIS_NN_ROOT")
    if root:
        source, origin = Path(root), "CMSIS_NN_ROOT"
    elif vendor is not None:
        source, origin = vendor / "cmsis_nn", "bakenn wheel"
    else:
        raise ToolchainError("CMSIS-NN was not found", hint="pip install bakenn==1.0.0")
    core = os.environ.get("CMSIS_CORE_ROOT")
    headers = Path(core) if core else (vendor / "cmsis_core" / "Include" if vendor else source)
    header = source / "Include" / "arm_nnfunctions.h"
    if not header.is_file():
        raise ToolchainError(
            f"{source} holds no CMSIS-NN: Include/arm_nnfunctions.h is missing",
            hint="point CMSIS_NN_ROOT at a CMSIS-NN tree, or unset it",
        )
    support = source / "Include" / "arm_nnsupportfunctions.h"
    sums = support.is_file() and "kernel_sum" in support.read_text(errors="replace")
    return CmsisNN(source, headers, _version(source), origin, sums)


def _version(source: Path) -> str:
    packaged = source / "BAKENN_PROVENANCE.md"
    if packaged.is_file():
        found = re.search(r"\b(\d+\.\d+\.\d+)\b", packaged.read_text(errors="replace"))
        if found:
            return found.group(1)
    header = (source / "Include" / "arm_nnfunctions.h").read_text(errors="replace")
    found = re.search(r"\$Revision:\s*V?\.?(\S+)", header)
    return f"header {found.group(1)}" if found else "unknown version"
