"""sparse_nn as a library: strict C11 on every core, and kept between runs on the host."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bridge.compile import compile_graph
from bridge.firmware.host import host_library
from bridge.graph import read_tflite
from bridge.paths import tflm_project
from bridge.toolchain import require
from tests.compile.networks import int8_model, residual

STRICT = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic"]
CORES = {
    "cortex-m0plus": ["-mfloat-abi=soft"],
    "cortex-m3": ["-mfloat-abi=soft"],
    "cortex-m4": ["-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"],
    "cortex-m7": ["-mfpu=fpv5-d16", "-mfloat-abi=hard"],
    "cortex-m33": ["-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"],
    "cortex-m55": ["-mfloat-abi=hard"],
}


@pytest.fixture(scope="module")
def graph():
    return read_tflite(int8_model(residual, (13, 10, 3), sparsity=0.5))


@pytest.mark.emulated
@pytest.mark.parametrize("core", CORES)
def test_library_and_generated_c_are_strict_c11(graph, core, tmp_path):
    compiler = require("arm-none-eabi-gcc")
    named = "cortex-m0" if core == "cortex-m0plus" else core
    for engine in ("c-sparse", "c-float"):
        program = compile_graph(graph, engine=engine, core=named, prefix=engine.replace("-", "_"))
        for name, text in program.files.items():
            (tmp_path / name).write_text(text)
    library = tflm_project() / "sparse_nn"
    sources = [*tmp_path.glob("*.c"), *(library / "src").glob("*.c")]
    built = subprocess.run(
        [compiler, *STRICT, "-mthumb", f"-mcpu={core}", *CORES[core], f"-I{library / 'include'}",
         f"-I{tmp_path}", "-c", *map(str, sources)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr[-3000:]
    assert {path.stem for path in tmp_path.glob("*.o")} == {path.stem for path in sources}


def _libraries(folder):
    return sorted(path.name for path in (folder / "tflm-bridge" / "host").iterdir())


def test_host_library_is_built_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    host_library.cache_clear()
    try:
        compiler = str(require("gcc"))
        first = host_library(compiler, ("-O0",))
        first.write_bytes(b"what was built")  # a second build would write another
        host_library.cache_clear()
        assert host_library(compiler, ("-O0",)) == first
        assert first.read_bytes() == b"what was built"
        assert host_library(compiler, ("-O0", "-g")) != first
        assert len(_libraries(tmp_path)) == 2
    finally:
        host_library.cache_clear()


def test_processes_may_build_the_host_library_at_once(tmp_path):
    program = (
        "from bridge.firmware.host import host_library\n"
        "from bridge.toolchain import require\n"
        "print(host_library(str(require('gcc')), ('-O0',)))\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    paths = {process.communicate()[0].strip() for process in running}
    assert not any(process.returncode for process in running)
    assert len(paths) == 1
    assert _libraries(tmp_path) == [os.path.basename(paths.pop())], "nothing half built is left"
