"""What is stored: every format gives its weights back, and damage stops the generation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bridge.bench.kernel_layers import CONNECTED, CONV, DEPTHWISE, LayerShape, bench_layer
from bridge.compile import compile_graph, weighted
from bridge.compile.choose import FORMATS, candidates, choose
from bridge.compile.direct import direct
from bridge.encode.streams import StreamError
from bridge.errors import ProofError
from bridge.graph import read_tflite
from tests.c.layers import random_layer
from tests.compile.networks import int8_model, lenet

LAYERS = (
    {"source": (11, 14, 4), "channels": 5, "stride": (2, 2)},
    {"source": (10, 20, 6), "channels": 4, "dilation": (2, 3), "stride": (1, 2)},
    {"source": (7, 9, 9), "channels": 7, "kernel": (1, 1), "density": 0.5},
    {"source": (13, 12, 9), "channels": 9, "kind": "DEPTHWISE_CONV_2D", "density": 0.7},
    {"source": (12, 9, 6), "channels": 6, "kind": "DEPTHWISE_CONV_2D", "kernel": (5, 2)},
    {
        "source": (1, 1, 530),
        "channels": 7,
        "kind": "FULLY_CONNECTED",
        "kernel": (1, 1),
        "density": 0.1,
    },
)


def test_every_format_gives_the_weights_back() -> None:
    rng = np.random.default_rng(31)
    seen = set()
    for how in LAYERS:
        layer = random_layer(rng, **how)  # type: ignore[arg-type]
        every = {**FORMATS, "direct": lambda layer, scratch: direct(layer)}
        for name, store in every.items():
            stored = store(layer, 4096)
            if stored is not None:
                seen.add(name)
                np.testing.assert_array_equal(stored.weights(), layer.weights.ravel(), name)
    assert seen == {*FORMATS, "direct"}


def test_damage_is_found_in_every_byte_of_a_stream() -> None:
    rng = np.random.default_rng(32)
    for how in LAYERS:
        layer = random_layer(rng, **how)  # type: ignore[arg-type]
        for name, store in FORMATS.items():
            stored = store(layer, 4096)
            if stored is None or "stream" not in stored.constants:
                continue
            missed = 0
            stream = stored.constants["stream"]
            places = rng.permutation(stream.size)[:40]
            for place in places:
                damaged = stream.copy()
                damaged[place] ^= 1 << int(rng.integers(8))
                other = replace(stored, constants={**stored.constants, "stream": damaged})
                try:
                    missed += np.array_equal(other.weights(), layer.weights.ravel())
                except StreamError:
                    continue
            assert missed == 0, name


@pytest.mark.parametrize("engine", ["c-sparse", "c-compact"])
@pytest.mark.parametrize("damage", ["weight", "end"])
def test_a_damaged_stream_stops_the_generation_and_names_the_layer(
    engine: str, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = read_tflite(int8_model(lenet, (20, 17, 1), sparsity=0.9), name="lenet")
    store, names = weighted._store, []

    def damaged(layer, operator, target):  # type: ignore[no-untyped-def]
        name, stored, reason = store(layer, operator, target)
        if "stream" not in stored.constants or operator.name not in (names or [operator.name]):
            return name, stored, reason
        names[:] = [operator.name]  # the first one, however often it is lowered
        stream = stored.constants["stream"].copy()
        if damage == "end":
            stream = stream[:-1]
        else:
            stream[np.flatnonzero(stream > 1)[0]] ^= 1
        constants = {**stored.constants, "stream": stream}
        return name, replace(stored, constants=constants), reason

    monkeypatch.setattr(weighted, "_store", damaged)
    with pytest.raises(ProofError) as caught:
        compile_graph(graph, engine=engine)
    assert caught.value.layer == names[0]
    assert "stored as" in caught.value.what


@pytest.mark.parametrize(
    "shape",
    [
        LayerShape("wide image", CONV, (96, 96, 16), 16, (3, 3)),
        LayerShape("many channels", CONV, (48, 48, 64), 64, (3, 3)),
        LayerShape("depthwise", DEPTHWISE, (56, 56, 96), 96, (3, 3)),
    ],
)
def test_a_walk_that_the_kernel_cannot_take_does_not_hide_those_that_it_can(
    shape: LayerShape,
) -> None:
    layer = bench_layer(shape, 0.9, "cortex-m55")
    name = "depthwise-vector" if shape.kind == DEPTHWISE else "planar-vector"
    assert choose(layer)[0] == name
    assert name in {candidate.format for candidate in candidates(layer)}


@pytest.mark.parametrize(
    ("name", "work"),
    [
        ("dual", "exact channels"),
        ("dual-dense", "exact channels"),
        ("pointwise", "exact groups"),
        ("planar-vector", "signed channels"),
    ],
)
def test_whether_outputs_stay_above_the_zero_point_is_said_by_the_activation(
    name: str, work: str
) -> None:
    """As in the kernels, whatever the zero point is."""
    shape = LayerShape("layer", CONV, (8, 8, 12), 8, (1, 1) if name == "pointwise" else (3, 3))
    layer = bench_layer(shape, 0.5, "cortex-m55")
    found = {}
    for zero_point, least in ((-128, -128), (5, 5), (5, -128)):
        other = replace(layer, output_zero_point=zero_point, activation=(least, 127))
        stored = FORMATS[name](other, 12 * 1024)
        assert stored is not None
        found[zero_point, least] = stored.work[work]
    assert found[-128, -128] == 0 == found[5, 5]
    assert found[5, -128] > 0


def test_blocks_need_not_divide_a_layer() -> None:
    shape = LayerShape("layer", CONNECTED, (1, 1, 30), 10, block=(4, 4))
    layer = bench_layer(shape, 0.5, "cortex-m4")
    assert layer.weights.shape == (10, 1, 1, 30)
    assert 0.2 < layer.sparsity < 0.8
