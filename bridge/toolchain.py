"""Find the programs that firmware needs, or say which package brings them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bridge.errors import ToolchainError

PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "arm-none-eabi-g++": "gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib",
    "arm-none-eabi-objdump": "binutils-arm-none-eabi",
    "arm-none-eabi-nm": "binutils-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
    "cmake": "cmake",
    "ninja": "ninja-build",
    "gcc": "gcc",
    "ar": "binutils",
}
"""Program → the Debian packages that bring it."""


def require(program: str) -> Path:
    """The path of a program.

    Raises:
        ToolchainError: it is not installed; the hint is the line that installs it.
    """
    found = shutil.which(program)
    if found is None:
        package = PACKAGES.get(program, program)
        raise ToolchainError(
            f"{program} is not installed", hint=f"apt-get install {package} (as root)"
        )
    return Path(found)


def version(program: str) -> str:
    """The first line of ``program --version``."""
    output = subprocess.run(
        [require(program), "--version"], capture_output=True, text=True, check=False
    ).stdout
    return output.splitlines()[0] if output else ""
