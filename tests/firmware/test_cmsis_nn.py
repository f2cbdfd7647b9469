"""Which CMSIS-NN the dense engine is compiled from: the wheel's, or the user's own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bridge.compile import compile_graph
from bridge.emulate import run
from bridge.errors import ToolchainError
from bridge.firmware.build import build_c
from bridge.firmware.cmsis_nn import find_cmsis_nn
from bridge.graph import read_tflite
from tests.compile.networks import int8_model, lenet, random_inputs, run_tflm


@pytest.fixture
def own_tree(tmp_path, monkeypatch):
    """A tree of a newer CMSIS-NN, as far as its version is read from it."""
    include = tmp_path / "nn" / "Include"
    include.mkdir(parents=True)
    (include / "arm_nnfunctions.h").write_text("/* $Revision:    V.19.1.0 */\n")
    (include / "arm_nnsupportfunctions.h").write_text("void f(const int *kernel_sum);\n")
    monkeypatch.setenv("CMSIS_NN_ROOT", str(include.parent))
    return include.parent


def test_the_wheels_sources_are_the_default(monkeypatch):
    monkeypatch.delenv("CMSIS_NN_ROOT", raising=False)
    found = find_cmsis_nn()
    assert found.label == "CMSIS-NN 4.0.0 (bakenn wheel)"
    assert not found.kernel_sums


def test_a_tree_of_ones_own_comes_first(own_tree):
    found = find_cmsis_nn()
    assert found.source == own_tree
    assert found.label == "CMSIS-NN header 19.1.0 (CMSIS_NN_ROOT)"
    assert found.kernel_sums


def test_a_root_without_headers_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("CMSIS_NN_ROOT", str(tmp_path))
    with pytest.raises(ToolchainError, match=r"arm_nnfunctions\.h is missing"):
        find_cmsis_nn()


@pytest.mark.emulated
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_the_kernels_inside_tflm_called_directly(core, monkeypatch, tmp_path):
    """Needs the CMSIS-NN sources that upstream's makefile downloads into a TFLM tree."""
    root = os.environ.get("TFLM_ROOT")
    downloads = Path(root or "/") / "tensorflow/lite/micro/tools/make/downloads"
    if not root or not (downloads / "cmsis_nn/Source").is_dir():
        pytest.skip("TFLM_ROOT is no tree with CMSIS-NN's sources")
    monkeypatch.setenv("CMSIS_NN_ROOT", str(downloads / "cmsis_nn"))
    monkeypatch.setenv("CMSIS_CORE_ROOT", str(downloads / "cmsis/CMSIS/Core/Include"))
    shape = (20, 17, 1)
    model = int8_model(lenet, shape)
    inputs = random_inputs(shape, count=100)
    program = compile_graph(read_tflite(model), engine="c-dense", core=core)
    firmware = build_c(program, core, tmp_path / "run")
    outputs = run(firmware.elf, core, inputs=inputs.tobytes()).outputs
    assert outputs == run_tflm(model, inputs).tobytes()
    assert "CMSIS_NN_ROOT" in firmware.kernels
    assert np.frombuffer(outputs, np.int8).std() > 1
