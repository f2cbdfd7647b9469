"""Run generated C on the host, for proofs and tests: the same sources, the host's compiler."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from bridge.bundle import write_atomic
from bridge.compile.program import CProgram
from bridge.errors import BuildError, ModelError
from bridge.firmware.build import under_test_header
from bridge.firmware.toolchain import require
from bridge.graph.model import Array
from bridge.paths import tflm_project

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
    compiler = require("gcc")
    project = tflm_project()
    with tempfile.TemporaryDirectory(prefix="tflm-bridge-host-") as name:
        folder = Path(name)
        for file, content in program.files.items():
            write_atomic(folder / file, content)
        write_atomic(folder / "model_under_test.h", under_test_header(program))
        command = [
            str(compiler), "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic",
            *(_SANITIZE if sanitize else ()), *(f"-D{define}" for define in program.defines),
            f"-I{folder}", f"-I{project / 'sparse_nn' / 'include'}",
            str(project / "app" / "run_host.c"),
            *(str(folder / file) for file in program.files if file.endswith(".c")),
            *(str(source) for source in sorted((project / "sparse_nn" / "src").glob("*.c"))),
            "-lm", "-o", str(folder / "run"),
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
