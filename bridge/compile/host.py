"""Run generated C on the host, for proofs and tests: the same sources, the host's compiler."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from bridge.bundle import write_atomic
from bridge.compile.program import CProgram
from bridge.errors import BuildError, ModelError
from bridge.firmware.build import under_test_header
from bridge.firmware.toolchain import require
from bridge.graph.model import Array
from bridge.paths import tflm_project

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
    archive = _library(compiler, project / "sparse_nn", flags)
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
def _library(compiler: str, root: Path, flags: tuple[str, ...]) -> Path:
    """sparse_nn as a static library for the host, built once a process and kept until its end."""
    folder = Path(tempfile.mkdtemp(prefix="tflm-bridge-host-library-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    sources = sorted((root / "src").glob("*.c"))
    command = [
        compiler,
        *flags,
        f"-I{root / 'include'}",
        "-c",
        *(str(source) for source in sources),
    ]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise BuildError(f"sparse_nn does not compile on this machine:\n{built.stderr[-2000:]}")
    archive = folder / "libsparse_nn.a"
    objects = [f"{source.stem}.o" for source in sources]
    subprocess.run(["ar", "crs", archive.name, *objects], cwd=folder, check=True)
    return archive
