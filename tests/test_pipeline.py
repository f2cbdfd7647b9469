"""The whole way of the data, on real digits: PyTorch to bytes that agree on an emulated core."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from bridge.bench.engines import run_bench
from bridge.bundle import Bundle
from bridge.convert.options import ConvertOptions
from bridge.errors import InputError, ProofError, UnsupportedOperator
from bridge.graph import read_tflite
from bridge.pipeline import convert, model_name
from bridge.progress import Silent

pytestmark = pytest.mark.slow

NET = '''
import torch
from torch import nn


class Net(nn.Module):
    """H, W and C all differ: 10 x 14 x 3."""

    def __init__(self, classes=4):
        super().__init__()
        torch.manual_seed(3)
        self.a = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.dw = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pw = nn.Conv2d(8, 12, 1)
        self.fc = nn.Linear(12 * 5 * 7, classes)

    def forward(self, x):
        x = torch.relu(self.bn(self.a(x)))
        x = torch.relu(self.pw(self.dw(x)))
        return self.fc(torch.flatten(x, 1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(14, 6, batch_first=True)
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        return self.fc(self.lstm(x[:, 0])[0][:, -1])


class Two(nn.Module):
    """Two inputs, two outputs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.image, self.more = nn.Conv2d(2, 3, 3), nn.Linear(7, 6)
        self.head, self.other = nn.Linear(3 * 4 * 5 + 6, 5), nn.Linear(6, 2)

    def forward(self, image, more):
        x, m = torch.relu(self.image(image)).flatten(1), torch.relu(self.more(more))
        return self.head(torch.cat([x, m], 1)), self.other(m)


class Exploding(nn.Module):
    def __init__(self):
        raise RuntimeError("no such file: weights.bin")
'''

DATA = """
import numpy as np


def load():
    random = np.random.default_rng(0)
    y = random.integers(0, 4, 500)
    slope = np.linspace(-1, 1, 3, dtype=np.float32)
    x = random.normal(0, 1, (500, 10, 14, 3)).astype(np.float32) + y[:, None, None, None] * slope
    return x[:300], y[:300], x[300:], y[300:]


def pairs():
    random = np.random.default_rng(1)
    return {"x_train": [random.normal(size=(60, 6, 7, 2)), random.normal(size=(60, 7))]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("user")
    (path / "net.py").write_text(NET)
    (path / "data.py").write_text(DATA)
    return path


def options(folder, name="Net", **changes):
    values = {
        "model": f"{folder / 'net.py'}:{name}",
        "data": f"{folder / 'data.py'}:load",
        "layout": "channels-last",
        "sparsity": 0.8,
        "epochs": 1,
        "quantize": "ptq",
    }
    return ConvertOptions(**{**values, **changes})


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    asked = ConvertOptions(
        model="lenet5", data="digits", sparsity=0.9, prune_all=True, epochs=2, quantize="qat"
    )
    return convert(asked, tmp_path_factory.mktemp("lenet") / "out")


def test_lenet_proofs_hold_and_zeros_are_kept(lenet):
    proofs = {proof["rung"]: proof for proof in lenet.manifest["proofs"]}
    assert proofs["lifted Keras = PyTorch"]["statistic"] <= 1e-5
    assert proofs["onnx2tf = PyTorch (witness)"]["passed"]
    assert proofs["sparse C on the host = TFLM"]["samples"] >= 200
    assert all(proof["passed"] for proof in lenet.manifest["proofs"])
    graph = read_tflite(lenet.path / "model_int8.tflite")
    shares = [float(np.mean(tensor.data == 0)) for _, tensor in graph.weights()]
    assert len(shares) == 5
    assert min(shares) >= 0.9
    assert "TRANSPOSE" not in {operator.kind for operator in graph.operators}
    assert {graph.tensor(i).dtype for i in (*graph.inputs, *graph.outputs)} == {"int8"}
    assert graph.tensor(graph.inputs[0]).shape == (1, 28, 28, 1)
    metrics = lenet.manifest["metrics"]
    assert metrics["float"] > 0.95
    assert {"pruned", "int8"} <= set(metrics)


@pytest.mark.emulated
def test_tflm_host_c_and_emulated_core_agree_on_200_real_images(lenet):
    rows = {row.engine: row for row in run_bench(lenet)}
    for engine in ("tflm-host", "c-dense", "c-sparse", "c-compact"):
        assert rows[engine].samples >= 200, rows[engine].note
        assert rows[engine].bit_exact is True
    assert rows["c-sparse"].accuracy == rows["tflm-host"].accuracy
    assert rows["c-float"].samples >= 200


def test_the_bundle_is_complete_and_checked(lenet):
    names = set(lenet.manifest["files"])
    wanted = {"model.onnx", "model_int8.tflite", "samples.npz", "report.html"}
    assert wanted <= names
    assert any(name.startswith("firmware/tflm/") for name in names)
    assert any(name.startswith("firmware/sparse/") for name in names)
    assert lenet.manifest["versions"]["tensorflow"]
    assert Bundle.open(lenet.path).manifest["seed"] == 0


class Impatient(Silent):
    """Interrupts, as Ctrl-C does, when a stage starts."""

    def __init__(self, stage):
        self.awaited, self.notes = stage, []

    def note(self, text):
        self.notes.append(text)

    @contextmanager
    def stage(self, title):
        if title.startswith(self.awaited):
            raise KeyboardInterrupt
        yield


def test_an_interrupted_conversion_says_that_it_goes_on(folder, tmp_path):
    early, late = Impatient("lift"), Impatient("quantize")
    for progress in (early, late):
        with pytest.raises(KeyboardInterrupt):
            convert(options(folder, onnx2tf=False), tmp_path / "out", progress=progress)
    assert not any("interrupted" in note for note in early.notes), "nothing was finished yet"
    assert str(tmp_path / "out.partial") in late.notes[-1]
    again = Impatient("nothing")
    convert(options(folder, onnx2tf=False), tmp_path / "out", progress=again)
    assert "pruning was finished before: taken up" in again.notes


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    models = [
        (convert(options(folder), tmp_path / name).path / "model_int8.tflite").read_bytes()
        for name in ("one", "two")
    ]
    assert models[0] == models[1]


def test_a_users_own_tflite_is_packaged(lenet, tmp_path):
    model = lenet.path / "model_int8.tflite"
    bundle = convert(ConvertOptions(str(model), data="digits", samples=20), tmp_path / "own")
    assert (bundle.path / "model_int8.tflite").read_bytes() == model.read_bytes()
    assert bundle.manifest["metrics"]["int8"] == lenet.manifest["metrics"]["int8"]
    assert all(proof["passed"] for proof in bundle.manifest["proofs"])
    assert {"firmware/tflm/model_int8_model_data.cc", "report.html"} <= set(
        bundle.manifest["files"]
    )


@pytest.mark.emulated
def test_several_inputs_and_outputs_reach_the_core(folder, tmp_path):
    asked = options(folder, "Two", data=f"{folder / 'data.py'}:pairs", epochs=0)
    bundle = convert(asked, tmp_path / "out")
    proofs = {proof["rung"]: proof for proof in bundle.manifest["proofs"]}
    assert proofs["sparse C on the host = TFLM"]["passed"]
    settings = (bundle.path / "firmware" / "tflm" / "two_settings.h").read_text()
    assert "TWO_INPUT1_ELEMENTS" in settings
    assert "TWO_OUTPUT1_ELEMENTS" in settings
    rows = run_bench(bundle, engines=("tflm-host", "c-sparse"))
    assert all(row.bit_exact for row in rows)
    assert all(row.samples == 12 for row in rows)


def test_recurrent_layers_are_refused_by_name(folder, tmp_path):
    with pytest.raises(UnsupportedOperator, match="LSTM"):
        convert(options(folder, "Recurrent"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "{folder}/net.py:Missing"}, "Missing"),
        ({"model": "{folder}/net.py:Exploding"}, "no such file: weights.bin"),
        ({"model": "{folder}/none.py:Net"}, "none.py"),
        ({"weights": "{folder}/data.py"}, "data.py"),
        ({"data": "{folder}/data.py:missing"}, "missing"),
        ({"data": "no-such-data"}, "no-such-data"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_wrong_user_input_is_our_error(folder, tmp_path, change, words):
    values = {
        key: Path(text.format(folder=folder)) if key == "weights" else text.format(folder=folder)
        for key, text in change.items()
    }
    with pytest.raises(InputError, match=words):
        convert(options(folder, **values), tmp_path / "out")


def test_a_wrong_lift_is_caught_and_named(folder, tmp_path, monkeypatch):
    from bridge.convert.lift import weighted

    right = weighted.linear

    def wrong(b, node, value, kernel, bias):
        right(b, node, value, kernel * np.float32(1.01), bias)

    monkeypatch.setattr(weighted, "linear", wrong)
    with pytest.raises(ProofError, match="lifted Keras") as caught:
        convert(options(folder), tmp_path / "out")
    assert caught.value.layer == "fc"


def test_the_script_does_the_same(folder, tmp_path):
    script = Path(__file__).resolve().parent.parent / "scripts" / "convert.py"
    data = ["--data", "data.py:load", "--layout", "channels-last"]
    result = subprocess.run(
        [sys.executable, script, "net.py:Recurrent", *data, "--out", "o"],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ},
    )  # fmt: skip
    assert result.returncode != 0
    assert "LSTM" in result.stderr
    assert "Traceback" not in result.stderr
    for noise in ("cuda", "absl", "oneDNN"):
        assert noise not in result.stderr


def test_model_names_are_c_identifiers():
    assert model_name("lenet5") == "lenet5"
    assert model_name("a/my-net.onnx") == "my_net"
    assert model_name("nets.py:My.Net") == "my_net"
    assert model_name("8bit.tflite") == "model_8bit"
