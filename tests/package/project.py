"""A user's firmware project outside the repository: start-up, linker script, build, run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.paths import tflm_project

TFLM_ROOT = os.environ.get("TFLM_ROOT", "")
needs_tflm = pytest.mark.skipif(not TFLM_ROOT, reason="TFLM_ROOT names no TFLite Micro tree")
BOARDS = {"cortex-m0": "mps2-an385", "cortex-m4": "mps2-an386", "cortex-m55": "mps3-an547"}

_HEAD = """
cmake_minimum_required(VERSION 3.20)
project(firmware C CXX)
set(CMAKE_CXX_STANDARD 17)
add_compile_options({level} -ffunction-sections -fdata-sections
  $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti> $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>
  $<$<COMPILE_LANGUAGE:CXX>:-fno-threadsafe-statics>)
{tflm}
add_library(board OBJECT startup.c semihost.c runtime.cpp)
add_link_options(-nostartfiles --specs=nano.specs -Wl,--gc-sections
  -Wl,--no-warn-rwx-segments -L${{CMAKE_SOURCE_DIR}} -T${{CMAKE_SOURCE_DIR}}/{board}.ld)
include(application.cmake)
"""
_RUNTIME = """
extern "C" {
void *__dso_handle;
int __aeabi_atexit(void *, void (*)(void *), void *) { return 0; }
void __cxa_pure_virtual() { for (;;) {} }
}
"""


def call(*command, cwd=None):
    """Run a command that must end well; what it printed."""
    result = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stderr}{result.stdout}"
    return result.stdout


def lay_out(folder, core, *, tflm, level="-Os"):
    """What a firmware project has before the application: board, toolchain, TFLM as a target."""
    project = tflm_project()
    for name in ("startup.c", "semihost.c", "semihost.h", "firmware.ld", f"{BOARDS[core]}.ld"):
        shutil.copy(project / "boards" / name, folder)
    shutil.copy(project / "cmake/arm-none-eabi.cmake", folder)
    (folder / "runtime.cpp").write_text(_RUNTIME)
    found = f"include({project / 'cmake/FindTFLM.cmake'})" if tflm else ""
    (folder / "CMakeLists.txt").write_text(
        _HEAD.format(level=level, tflm=found, board=BOARDS[core])
    )


def build(folder, core):
    """The linked firmware."""
    call(
        "cmake", "-S", ".", "-B", "build", "-G", "Ninja", "--toolchain", "arm-none-eabi.cmake",
        f"-DBRIDGE_CORE={core}", f"-DTFLM_ROOT={TFLM_ROOT}", cwd=folder,
    )  # fmt: skip
    call("cmake", "--build", "build", cwd=folder)
    return Path(folder) / "build/firmware"
