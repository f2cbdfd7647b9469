"""What a finished or a given .tflite is refused or flagged for, each by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.bundle import BundleWriter
from bridge.convert import ConvertOptions, check, convert
from bridge.convert.operators import check_operators
from bridge.errors import BridgeError, ModelError, ProofError, UnsupportedOperator
from bridge.graph import read_tflite
from bridge.graph.rewrite import pack, schema, unpack
from bridge.progress import Silent


def given(content: bytes, folder: Path) -> None:
    """Convert a user's own .tflite; nothing may be left behind if it is refused."""
    path = folder / "given.tflite"
    path.write_bytes(content)
    try:
        convert(ConvertOptions(str(path)), BundleWriter(folder / "out", "key"), Silent())
    finally:
        assert not (folder / "out").exists()


def sparse_encoded(model: Any) -> None:
    sparsity = schema().SparsityParametersT()
    sparsity.traversalOrder = [0, 1]
    next(t for t in model.subgraphs[0].tensors if b"fc1/weight" in t.name).sparsity = sparsity


def dynamic(model: Any) -> None:
    graph = model.subgraphs[0]
    tensor = graph.tensors[graph.inputs[0]]
    tensor.shapeSignature = [-1, *tensor.shape[1:]]


def batch_of_two(model: Any) -> None:
    graph = model.subgraphs[0]
    tensor = graph.tensors[graph.inputs[0]]
    tensor.shape = [2, *tensor.shape[1:]]


def newer_operator(model: Any) -> None:
    for code in model.operatorCodes:
        if code.builtinCode == schema().BuiltinOperator.CONV_2D:
            code.version = 9


def unknown_operator(model: Any) -> None:
    for code in model.operatorCodes:
        if code.builtinCode == schema().BuiltinOperator.MAX_POOL_2D:
            code.builtinCode = code.deprecatedBuiltinCode = schema().BuiltinOperator.LSTM


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (sparse_encoded, ModelError, "'fc1/weight' .* is sparse-encoded"),
        (dynamic, ModelError, r"has a dynamic shape \[-1, 28, 28, 1\]"),
        (batch_of_two, ProofError, "int8 in and out, batch 1"),
        (newer_operator, UnsupportedOperator, "CONV_2D version 9 at 'conv1'"),
        (unknown_operator, UnsupportedOperator, "LSTM at 'pool'"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_refused_by_name(
    lenet_int8: bytes,
    tmp_path: Path,
    change: Callable[[Any], None],
    kind: type[BridgeError],
    words: str,
) -> None:
    model = unpack(lenet_int8)
    change(model)
    with pytest.raises(kind, match=words) as caught:
        given(pack(model), tmp_path)
    assert caught.value.hint


def tiny(
    build: Callable[[Any, Any], Any],
    shape: tuple[int, ...],
    *,
    int8: bool = True,
    spread: float = 1.0,
) -> bytes:
    """A .tflite of a small Keras network, batch 1."""
    from bridge.convert.quantize import to_tflite
    from bridge.convert.quiet import quiet, tensorflow

    tf, keras = tensorflow()
    x = keras.Input(shape, batch_size=1, name="x")
    model = keras.Model(x, build(keras.layers, x))
    data = np.random.default_rng(0).normal(size=(32, *shape)) * spread
    data = data.astype(np.float32)
    if int8:
        return to_tflite(model, [data])
    with quiet():
        return bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())


def test_a_transpose_of_ours_is_a_defect() -> None:
    graph = read_tflite(tiny(lambda k, x: k.Permute((2, 1))(k.ReLU()(x)), (3, 5)))
    with pytest.raises(ProofError, match="no TRANSPOSE") as caught:
        check.check_structure(graph, 0)
    assert caught.value.layer
    assert check.check_structure(graph, 1)[1].passed


def test_a_float_operator_is_named() -> None:
    graph = read_tflite(tiny(lambda k, x: k.Dense(3)(x), (5,), int8=False))
    with pytest.raises(ProofError, match="no float operator") as caught:
        check.check_structure(graph, 0)
    assert "FULLY_CONNECTED stays float" in caught.value.hint
    assert caught.value.layer


def test_tflm_joins_ten_tensors_at_most() -> None:
    def join(count: int) -> bytes:
        return tiny(
            lambda k, x: k.Concatenate()([k.LeakyReLU(0.05 * i)(x) for i in range(1, count + 1)]),
            (4, 3),
        )

    assert check_operators(read_tflite(join(10))) == 11
    with pytest.raises(UnsupportedOperator, match="CONCATENATION of 11 tensors") as caught:
        check_operators(read_tflite(join(11)))
    assert "10" in caught.value.hint


def test_a_relu6_between_two_scales_is_wrong_in_tflm(monkeypatch: pytest.MonkeyPatch) -> None:
    """TFLite's converter writes it; the bridge writes QUANTIZE, and refuses it from others."""
    from bridge.convert import quantize, tflm

    def leaky(k: Any, x: Any) -> Any:
        return k.ReLU(6.0)(k.LeakyReLU(0.1)(x))

    inputs = [4 * np.random.default_rng(1).normal(size=(16, 4, 3)).astype(np.float32)]
    right = np.clip(np.where(inputs[0] > 0, inputs[0], 0.1 * inputs[0]), 0, 6)

    def noise(content: bytes) -> float:
        graph = read_tflite(content)
        got = tflm.run(content, tflm.quantize_inputs(graph, inputs))
        return float(np.abs(tflm.dequantize_outputs(graph, got)[0] - right).max())

    ours = tiny(leaky, (4, 3), spread=4.0)
    assert [op.kind for op in read_tflite(ours).operators] == ["LEAKY_RELU", "QUANTIZE"]
    assert check_operators(read_tflite(ours)) == 2
    assert noise(ours) < 0.2
    monkeypatch.setattr(quantize, "mend_relu6", lambda content: content)
    theirs = tiny(leaky, (4, 3), spread=4.0)
    assert noise(theirs) > 1.0
    with pytest.raises(UnsupportedOperator, match="RELU6 between two scales") as caught:
        check_operators(read_tflite(theirs))
    assert "ignores the output's scale" in caught.value.hint


def test_constant_and_saturated_outputs_are_flagged(lenet_int8: bytes) -> None:
    graph = read_tflite(lenet_int8)
    moving = np.random.default_rng(0).integers(-100, 100, (20, 10)).astype(np.int8)
    assert check.check_outputs(graph, [moving]) == []
    (note,) = check.check_outputs(graph, [np.repeat(moving[:1], 20, axis=0)])
    assert "constant on the test samples" in note
    (note,) = check.check_outputs(graph, [np.where(moving > 0, 127, -128).astype(np.int8)])
    assert "ends of its int8 range" in note


def test_a_conversion_with_hopeless_calibration_is_flagged(tmp_path: Path) -> None:
    """Calibrated on a thousandth of the real inputs: the outputs saturate, and it is said."""
    source = tmp_path / "net.py"
    source.write_text(
        """
import numpy as np
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 5)
    def forward(self, x):
        return self.a(x)
def data():
    x = np.random.default_rng(0).normal(size=(400, 6))
    y = np.arange(400) % 5
    return x[:300] * 1e-3, y[:300], x[300:], y[300:]
"""
    )
    options = ConvertOptions(
        f"{source}:Net",
        data=f"{source}:data",
        epochs=0,
        quantize="ptq",
        sparsity=0.0,
        onnx2tf=False,
    )
    with pytest.raises(ProofError, match="int8 on TFLM follows pruned Keras") as caught:
        convert(options, BundleWriter(tmp_path / "out", "key"), Silent())
    assert caught.value.layer == "a"
    assert "'a' has" in str(caught.value)
    assert "calibrate" in caught.value.hint
    assert not (tmp_path / "out").exists()
