"""LeNet-5 from end to end, and what the finished bundle must hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridge.bundle import Bundle, BundleWriter
from bridge.convert import ConvertOptions, convert, tflm
from bridge.convert.options import ConvertResult
from bridge.errors import ModelError, UnsupportedOperator
from bridge.graph import read_tflite
from bridge.progress import Silent


def run(options: ConvertOptions, out: Path) -> tuple[ConvertResult, Path]:
    bundle = BundleWriter(out, "key")
    result = convert(options, bundle, Silent())
    bundle.commit()
    return result, out


def test_accuracy_survives(lenet) -> None:
    metrics = lenet.result.metrics
    assert metrics["metric"] == "accuracy"
    assert metrics["float"] > 0.97
    assert metrics["int8"] > metrics["float"] - 0.03
    assert metrics["samples"] == 397


def test_every_pruned_layer_keeps_its_zeros(lenet, lenet_int8: bytes) -> None:
    shares = {t.name: float((t.data == 0).mean()) for _, t in read_tflite(lenet_int8).weights()}
    pruned = [layer for layer in lenet.result.layers if layer.target]
    assert {layer.name for layer in pruned} == {"conv2", "fc1", "fc2"}
    for layer in pruned:
        assert shares[f"{layer.name}/weight"] >= 0.8
    assert all(layer.reason for layer in lenet.result.layers if not layer.target)


def test_file_is_what_a_board_needs(lenet_int8: bytes) -> None:
    graph = read_tflite(lenet_int8)
    assert [op.kind for op in graph.operators] == [
        *("CONV_2D", "MAX_POOL_2D", "CONV_2D", "MAX_POOL_2D", "RESHAPE"),
        *["FULLY_CONNECTED"] * 3,
    ]
    assert graph.tensor(graph.inputs[0]).shape == (1, 28, 28, 1)
    assert {graph.tensor(i).dtype for i in (*graph.inputs, *graph.outputs)} == {"int8"}
    assert [op.name for op in graph.operators][:3] == ["conv1", "pool", "conv2"]


def test_samples_are_what_tflm_answers(lenet, lenet_int8: bytes) -> None:
    with np.load(lenet.folder / "samples.npz") as stored:
        inputs, labels, expected = stored["inputs"], stored["labels"], stored["expected"]
    assert inputs.shape == (200, 28, 28, 1)
    assert inputs.dtype == expected.dtype == np.int8
    assert labels.dtype == np.int64
    again = tflm.run(lenet_int8, [inputs[:5]])[0]
    assert np.array_equal(again, expected[:5])


def test_ladder_and_table_are_complete(lenet) -> None:
    rungs = [p.rung for p in lenet.result.proofs]
    for rung in (
        "ONNX Runtime = PyTorch",
        "lifted Keras = PyTorch",
        "no TRANSPOSE",
        "no float operator",
        "int8 zeros",
        "onnx2tf = PyTorch (witness)",
    ):
        assert rung in rungs
    assert all(p.passed for p in lenet.result.proofs)
    assert {"conv1", "fc1"} & {f.name for f in lenet.result.fidelity} or lenet.result.fidelity
    assert all(f.snr_db > 20 and not f.constant for f in lenet.result.fidelity)
    io = lenet.result.io["inputs"][0]
    assert io["scale"] == pytest.approx(1 / 255, rel=1e-3)
    assert io["zero_point"] == -128


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    options = ConvertOptions("lenet5", sparsity=0.8, epochs=1, max_train=300, onnx2tf=False)
    files = [(run(options, tmp_path / name)[1] / "model_int8.tflite").read_bytes() for name in "ab"]
    assert files[0] == files[1]


def test_filters_are_really_removed(tmp_path: Path) -> None:
    options = ConvertOptions(
        "lenet5", pattern="filter", sparsity=0.5, epochs=0, quantize="ptq", onnx2tf=False
    )
    _, out = run(options, tmp_path / "f")
    shapes = {t.name: t.shape for _, t in read_tflite(out / "model_int8.tflite").weights()}
    assert shapes["conv2/weight"] == (8, 5, 5, 6)
    assert shapes["fc1/weight"] == (60, 8 * 25)


def test_interrupted_run_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut while it quantizes, then while it proves: each time the previous bundle stays whole."""
    from bridge.convert import judge, quantize

    options = ConvertOptions("lenet5", epochs=1, max_train=300, quantize="ptq", onnx2tf=False)
    whole, first = run(options, tmp_path / "whole")
    out = tmp_path / "cut"
    previous = BundleWriter(out, "another key")
    previous.write("model_int8.tflite", b"the previous one")
    previous.commit()

    class Words(Silent):
        said: list[str] = []  # noqa: RUF012

        def note(self, text: str) -> None:
            self.said.append(text)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for module, function in ((quantize, "candidates"), (judge, "judge")):
        with monkeypatch.context() as patch:
            patch.setattr(module, function, interrupted)
            with pytest.raises(KeyboardInterrupt):
                convert(options, BundleWriter(out, "key"), Words())
        Bundle.open(out)  # holds every file against its hash
        assert (out / "model_int8.tflite").read_bytes() == b"the previous one"
    bundle = BundleWriter(out, "key")
    convert(options, bundle, Words())
    bundle.commit()
    assert Words.said.count("pruning was finished before: taken up") == 2
    assert Words.said.count("quantization was finished before: taken up") == 1
    names = ("model_int8.tflite", "samples.npz")
    assert all((first / n).read_bytes() == (out / n).read_bytes() for n in names)
    assert not list(out.glob("stage*"))
    assert whole.metrics


def test_int8_tflite_is_packaged_as_it_is(lenet, lenet_int8: bytes, tmp_path: Path) -> None:
    options = ConvertOptions(str(lenet.folder / "model_int8.tflite"), data="digits")
    result, out = run(options, tmp_path / "t")
    assert (out / "model_int8.tflite").read_bytes() == lenet_int8
    assert result.metrics["int8"] == pytest.approx(lenet.result.metrics["int8"])


def test_float_and_dynamic_tflite_are_refused(tmp_path: Path) -> None:
    from bridge.convert.quiet import quiet, tensorflow

    tf, keras = tensorflow()
    model = keras.Sequential([keras.Input((40,), batch_size=1), keras.layers.Dense(40)])
    for name, words in (("dynamic", "dynamic range"), ("float", "float32")):
        with quiet():
            converter = tf.lite.TFLiteConverter.from_keras_model(model)
            if name == "dynamic":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
            (tmp_path / f"{name}.tflite").write_bytes(converter.convert())
        with pytest.raises((ModelError, UnsupportedOperator), match=words):
            run(ConvertOptions(str(tmp_path / f"{name}.tflite")), tmp_path / "out")
