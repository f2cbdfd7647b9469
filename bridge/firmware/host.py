"""Run generated C on the host, for proofs and tests: the same sources, the host's compiler."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np

from bridge.bundle import write_atomic
from bridge.compile.program import CProgram
from bridge.errors import BuildError, ModelError
from bridge.firmware.build import under_test_header
from bridge.graph.model import Array
from bridge.paths import cache_folder, tflm_project
from bridge.toolchain import require, version

_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic")
_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
_MONTH = 30 * 24 * 3600.0


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

    It is kept in the user's cache. Processes may build it at the same time: each builds beside
    and renames.

    Args:
        compiler: its path.
        flags: for every file.

    Raises:
        BuildError: it does not compile.
    """
    root = tflm_project() / "sparse_nn"
    files = [*sorted((root / "include").glob("*.h")), *sorted((root / "src").glob("*.[ch]"))]
    key = hashlib.sha256(repr((compiler, version(compiler), flags)).encode())
    for file in files:
        key.update(file.name.encode() + file.read_bytes())
    archive = _writable(cache_folder() / "host") / f"sparse_nn-{key.hexdigest()[:24]}.a"
    if archive.is_file():
        os.utime(archive)
        return archive
    with tempfile.TemporaryDirectory(dir=archive.parent) as name:
        sources = [file for file in files if file.suffix == ".c"]
        command = [compiler, *flags, f"-I{root / 'include'}", "-c", *map(str, sources)]
        built = subprocess.run(command, cwd=name, capture_output=True, text=True, check=False)
        if built.returncode != 0:
            raise BuildError(f"sparse_nn does not compile on this machine:\n{built.stderr[-2000:]}")
        objects = [f"{source.stem}.o" for source in sources]
        subprocess.run([require("ar"), "crs", archive.name, *objects], cwd=name, check=True)
        os.replace(Path(name) / archive.name, archive)
    _forget(archive.parent)
    return archive


def _writable(folder: Path) -> Path:
    """The folder, or one for this process alone where the user has no place for a cache."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    own = Path(tempfile.mkdtemp(prefix="tflm-bridge-host-"))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return own


def _forget(folder: Path) -> None:
    """Remove libraries of sources that nobody has used for a month."""
    for archive in folder.glob("sparse_nn-*.a"):
        with contextlib.suppress(OSError):
            if archive.stat().st_mtime < time.time() - _MONTH:
                archive.unlink()
