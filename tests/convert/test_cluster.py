"""Clustered weights: few values in the int8 file, zeros kept, codes that get shorter."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.bundle import BundleWriter
from bridge.compress import compress_model
from bridge.convert import ConvertOptions, convert
from bridge.errors import InputError
from bridge.graph import read_tflite
from bridge.progress import Silent


def converted(folder, **options):
    """LeNet-5 on few digits: what counts here is the file, not how well it was trained."""
    bundle = BundleWriter(folder, "key")
    chosen = {"sparsity": 0.8, "max_train": 200, "onnx2tf": False, **options}
    convert(ConvertOptions("lenet5", **chosen), bundle, Silent())
    return (bundle.work / "model_int8.tflite").read_bytes()


def values(model):
    """Most distinct values of a channel, of the tensor, and the zeros' share, by layer."""
    graph = read_tflite(model)
    found = {}
    for _, weights in graph.weights():
        data = np.asarray(weights.data)
        rows = data.reshape(len(data), -1)
        found[weights.name.split("/")[0]] = (
            max(len(np.unique(row)) for row in rows),
            len(np.unique(data)),
            float((data == 0).mean()),
        )
    return found


def test_few_values_and_every_zero(tmp_path):
    model = converted(tmp_path, epochs=1, clusters=8)
    found = values(model)
    assert len(found) == 5
    assert max(channel for channel, _, _ in found.values()) <= 8
    for name in ("fc1", "fc2", "fc3"):
        assert found[name][1] <= 8, "trained quantization: one scale a tensor"
    assert all(found[name][2] >= 0.8 - 1e-9 for name in ("conv2", "fc1", "fc2"))
    coded = {t.name.split("/")[0]: t for t in compress_model(model).tensors if "weight" in t.name}
    assert coded["fc1"].encoding == "huffman"
    # 0.8 zeros of one bit, and seven values of about four: 1.6 bits a weight, not 2.4.
    assert coded["fc1"].bytes_after < 0.22 * coded["fc1"].bytes_before


def test_without_training(tmp_path):
    after = values(converted(tmp_path, epochs=0, quantize="ptq", clusters=4))
    assert max(channel for channel, _, _ in after.values()) <= 4


def test_a_number_that_makes_no_sense():
    with pytest.raises(InputError, match="3 … 256"):
        ConvertOptions("lenet5", clusters=2)
