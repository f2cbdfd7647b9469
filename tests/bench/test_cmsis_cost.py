"""What CMSIS-NN is expected to cost, held against CMSIS-NN on the core, on layers of no fit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.bench.kernel_cases import Case
from bridge.bench.kernel_layers import (
    CONNECTED,
    CONV,
    DEPTHWISE,
    LayerShape,
    bench_layer,
)
from bridge.bench.kernels import baseline
from bridge.bench.kernels import measure as measure_cases
from bridge.compile.cmsis_cost import FIT, cmsis_cycles
from bridge.cores import CORES

pytestmark = pytest.mark.emulated

OTHERS = (
    LayerShape("padded", CONV, (9, 12, 24), 20, (3, 3)),
    LayerShape("strided", CONV, (19, 17, 5), 12, (5, 3), stride=2, same=False),
    LayerShape("pointwise", CONV, (7, 9, 40), 24),
    LayerShape("depthwise", DEPTHWISE, (14, 10, 24), 24, (3, 3)),
    LayerShape("connected", CONNECTED, (1, 1, 300), 50),
)


def check(core, folder):
    layers = [bench_layer(shape, 0.0, core) for shape in OTHERS]
    cases = [Case(layer, "cmsis-nn", baseline(layer)) for layer in layers]
    for shape, layer, found in zip(OTHERS, layers, measure_cases(cases, core, folder), strict=True):
        assert cmsis_cycles(layer) == pytest.approx(found.cycles, rel=0.25), shape.name


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m4"])
def test_the_wheels_cmsis_nn_costs_what_the_model_says(core, tmp_path, monkeypatch):
    monkeypatch.delenv("CMSIS_NN_ROOT", raising=False)
    check(core, tmp_path)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_tflms_cmsis_nn_costs_what_the_model_says(core, tmp_path, monkeypatch):
    """Needs the CMSIS-NN sources that upstream's makefile downloads into a TFLM tree."""
    root = os.environ.get("TFLM_ROOT")
    downloads = Path(root or "/") / "tensorflow/lite/micro/tools/make/downloads"
    if not root or not (downloads / "cmsis_nn/Source").is_dir():
        pytest.skip("TFLM_ROOT is no tree with CMSIS-NN's sources")
    monkeypatch.setenv("CMSIS_NN_ROOT", str(downloads / "cmsis_nn"))
    monkeypatch.setenv("CMSIS_CORE_ROOT", str(downloads / "cmsis/CMSIS/Core/Include"))
    check(core, tmp_path)


def test_every_core_has_its_own_line():
    assert set(FIT.cycles) == set(FIT.errors) == set(CORES)
    assert max(max(errors.values()) for errors in FIT.errors.values()) < 0.2
