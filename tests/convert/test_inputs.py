"""The other ways in: .onnx, .pt2, several inputs and outputs, no data at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from bridge import zoo
from bridge.bundle import BundleWriter
from bridge.convert import ConvertOptions, convert
from bridge.convert.export import export
from bridge.convert.options import ConvertResult
from bridge.convert.source import open_source
from bridge.errors import InputError
from bridge.graph import read_tflite
from bridge.progress import Silent
from tests.convert.networks import networks

FAST = {"epochs": 0, "quantize": "ptq", "onnx2tf": False, "samples": 8}


def run(model: str, out: Path, **more: object) -> tuple[ConvertResult, Path]:
    bundle = BundleWriter(out, "key")
    result = convert(ConvertOptions(model, **{**FAST, **more}), bundle, Silent())  # type: ignore[arg-type]
    bundle.commit()
    return result, out


def test_onnx(tmp_path: Path) -> None:
    network, shapes = networks()["residual"]
    onnx.save(export(network, shapes), tmp_path / "net.onnx")
    result, out = run(str(tmp_path / "net.onnx"), tmp_path / "o", sparsity=0.5)
    assert "lifted Keras = ONNX Runtime" in [p.rung for p in result.proofs]
    assert any("random inputs" in note for note in result.notes)
    assert (out / "model_int8.tflite").is_file()


def test_onnx_with_its_weights_in_another_file(tmp_path: Path) -> None:
    network, shapes = networks()["mlp"]
    path = tmp_path / "net.onnx"
    onnx.save(
        export(network, shapes),
        path,
        save_as_external_data=True,
        location="net.onnx.data",
        size_threshold=0,
    )
    _, out = run(str(path), tmp_path / "o")
    (tmp_path / "net.onnx.data").unlink()
    whole = onnx.load(out / "model.onnx")  # the bundle's own copy needs no other file
    assert sum(len(i.raw_data) for i in whole.graph.initializer) > 500
    with pytest.raises(InputError, match="is no valid ONNX model") as caught:
        run(str(path), tmp_path / "p")
    assert ".onnx.data" in caught.value.hint


def test_pt2(tmp_path: Path) -> None:
    network, shapes = networks()["mlp"]
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(
        network, (torch.zeros(2, *shapes[0]),), dynamic_shapes=({0: batch},)
    )
    torch.export.save(program, tmp_path / "net.pt2")
    result, _ = run(str(tmp_path / "net.pt2"), tmp_path / "o")
    assert all(p.passed for p in result.proofs)


@pytest.mark.parametrize("suffix", ["onnx", "pt2", "tflite"])
def test_garbage_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net.{suffix}"
    with pytest.raises(InputError):
        run(str(path), tmp_path / "o")
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError):
        run(str(path), tmp_path / "o")


def test_two_inputs_and_user_data(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text(
        """
import numpy as np, torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Conv2d(2, 3, 3), nn.Linear(7, 6), nn.Linear(3 * 4 * 5 + 6, 4)
    def forward(self, image, more):
        x = torch.relu(self.a(image)).flatten(1)
        return self.head(torch.cat([x, torch.relu(self.b(more))], 1))
def data():
    draw = np.random.default_rng(0)
    x = [draw.normal(size=(60, 2, 6, 7)), draw.normal(size=(60, 7))]
    return {"x_train": x, "y_train": draw.integers(0, 4, 60)}
"""
    )
    result, out = run(
        f"{source}:Net",
        tmp_path / "o",
        data=f"{source}:data",
        layout="channels-first",
        epochs=1,
        sparsity=0.5,
        quantize="qat",
    )
    graph = read_tflite(out / "model_int8.tflite")
    assert [graph.tensor(i).name for i in graph.inputs] == ["image", "more"]
    assert [graph.tensor(i).shape for i in graph.inputs] == [(1, 6, 7, 2), (1, 7)]
    with np.load(out / "samples.npz") as stored:
        assert stored["inputs"].shape == (8, 6, 7, 2)
        assert stored["inputs1"].shape == (8, 7)
    assert all(p.passed for p in result.proofs)


def test_two_outputs_keep_their_order(tmp_path: Path) -> None:
    network, shapes = networks()["multi_head"]
    onnx.save(export(network, shapes), tmp_path / "net.onnx")
    _, out = run(str(tmp_path / "net.onnx"), tmp_path / "o", sparsity=0.0)
    graph = read_tflite(out / "model_int8.tflite")
    assert [graph.tensor(i).shape for i in graph.outputs] == [(1, 4, 6, 2), (1, 5)]


def test_network_for_one_sample_at_a_time(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text(
        """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Linear(4 * 4 * 5, 3)
    def forward(self, x):
        return self.b(self.a(x).relu().view(1, -1))
"""
    )
    result, _ = run(
        f"{source}:Net", tmp_path / "o", input_shapes=((3, 6, 7),), onnx2tf=True, sparsity=0.5
    )
    assert any("one sample at a time" in note for note in result.notes)
    rungs = {p.rung: p for p in result.proofs}
    assert rungs["lifted Keras = PyTorch"].samples == 32
    assert "onnx2tf = PyTorch (witness)" not in rungs


def test_a_zoo_network_on_stand_in_data_says_so() -> None:
    told = open_source(ConvertOptions("ds_cnn")).remark
    assert told == f"har-as-49x10 is a stand-in: {zoo.find('ds_cnn').stand_in}"
    assert not open_source(ConvertOptions("lenet5")).remark
    own = zoo.find("ds_cnn").checkpoint_path
    assert not open_source(ConvertOptions("ds_cnn", weights=own)).remark
