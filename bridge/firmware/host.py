"""Run generated C on the host, for proofs and tests: the same sources, the host's compiler."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from bridge.bundle import write_atomic
from bridge.compile.program import CProgram
from bridge.errors import BuildError, ModelError
from bridge.firmware.build import under_test_header
from bridge.firmware.kept import keep
from bridge.graph.model import Array
from bridge.paths import tflm_project
from bridge.toolchain import require, version

_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic")
_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")


def run_on_host(program: CProgram, inputs: Array, *, sanitize: bool = False) -> Array:
    """Run every input through the generated C.

    Args:
        program: without CMSIS-NN, whose kernels are for Cortex-M.
        inputs: int8 ``[N, …]``.
        sanitize: with AddressSanitizer and UndefinedBehaviorSanitizer; a finding is an error.

    Returns:
        int8 ``[N, output bytes]``.

    Raises:
        BuildError: it does not compile cleanly (warnings are errors).
        ModelError: it ended with an error.
    """
    if "cmsis_nn" in program.library:
        raise ModelError("engine c-dense runs on Cortex-M only", hint="use c-sparse on the host")
    compiler = str(require("gcc"))
    project = tflm_project()
    flags = (*_FLAGS, *(_SANITIZE if sanitize else ()), *(f"-D{d}" for d in program.defines))
    archive = host_library(compiler, flags)
    with tempfile.TemporaryDirectory(prefix="tflm-bridge-host-") as name:
        folder = Path(name)
        for file, content in program.files.items():
            write_atomic(folder / file, content)
        write_atomic(folder / "model_under_test.h", under_test_header(program))
        command = [
            compiler, *flags, f"-I{folder}", f"-I{project / 'sparse_nn' / 'include'}",
            str(project / "app" / "run_host.c"),
            *(str(folder / file) for file in program.files if file.endswith(".c")),
            str(archive), "-lm", "-o", str(folder / "run"),
        ]  # fmt: skip
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if built.returncode != 0:
            raise BuildError(f"the generated C does not compile:\n{built.stderr[-2000:]}")
        result = subprocess.run(
            [folder / "run"],
            input=np.ascontiguousarray(inputs).tobytes(),
            capture_output=True,
            check=False,
        )
        if result.returncode != 0:
            raise ModelError(f"the generated C failed: {result.stderr.decode()[-2000:]}")
    return np.frombuffer(result.stdout, dtype=np.int8).reshape(len(inputs), -1)


@cache
def host_library(compiler: str, flags: tuple[str, ...]) -> Path:
    """sparse_nn as a static library for the host, built once for each compiler, flags and source.

    It is kept in the user's cache.

    Args:
        compiler: its path.
        flags: for every file.

    Raises:
        BuildError: it does not compile.
    """
    root = tflm_project() / "sparse_nn"
    files = [*sorted((root / "include").glob("*.h")), *sorted((root / "src").glob("*.[ch]"))]

    def make(folder: Path) -> Path:
        sources = [file for file in files if file.suffix == ".c"]
        command = [compiler, *flags, f"-I{root / 'include'}", "-c", *map(str, sources)]
        built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if built.returncode != 0:
            raise BuildError(f"sparse_nn does not compile on this machine:\n{built.stderr[-2000:]}")
        objects = [f"{source.stem}.o" for source in sources]
        subprocess.run([require("ar"), "crs", "made.a", *objects], cwd=folder, check=True)
        return folder / "made.a"

    return keep("host", "sparse_nn", (compiler, version(compiler), flags), files, make)
