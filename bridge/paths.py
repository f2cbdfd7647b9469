"""Where the project's C and CMake files stand: in a checkout, or inside the installed package."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def tflm_project() -> Path:
    """The folder ``tflm_project``: firmware, kernels, boards."""
    installed = _PACKAGE / "_data" / "tflm_project"
    return installed if installed.is_dir() else _PACKAGE.parent / "tflm_project"


def checkout() -> Path | None:
    """The project's folder where the package runs out of a checkout; None where installed."""
    root = _PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() else None


def cache_folder() -> Path:
    """A per-user folder for what is built once (the counting plugin) and for data sets."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "tflm-bridge"


def licence_text() -> str:
    """The licence that the project, and all C in a package, is under."""
    installed = _PACKAGE / "_data" / "LICENSE"
    file = installed if installed.is_file() else _PACKAGE.parent / "LICENSE"
    return file.read_text()
