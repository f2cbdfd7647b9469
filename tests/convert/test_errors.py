"""Bad input ends in one of our errors, with a hint, before anything is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bridge import data
from bridge.bundle import BundleWriter
from bridge.convert import ConvertOptions, convert
from bridge.convert.export import export
from bridge.convert.lift.lower import lift
from bridge.convert.run import Ladder, load_source, prepare
from bridge.convert.source import load_weights, open_source, shapes_of
from bridge.convert.train import TEACHER
from bridge.errors import BridgeError, DataError, InputError, ModelError, UnsupportedOperator
from bridge.progress import Silent

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.fc = nn.Linear(6, classes)
    def forward(self, x):
        return self.fc(x)
def number():
    return 3
def data():
    return None
def boom():
    raise RuntimeError("no camera")
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


def fails(kind: type[BridgeError], words: str, options: ConvertOptions) -> BridgeError:
    with pytest.raises(kind, match=words) as caught:
        open_source(options)
    assert caught.value.hint
    return caught.value


def test_constructor_arguments_and_seed(net: Path) -> None:
    options = ConvertOptions(f"{net}:Net", args={"classes": 5}, seed=3)
    first, second = open_source(options), open_source(options)
    assert first.network.fc.out_features == 5
    assert torch.equal(first.network.fc.weight, second.network.fc.weight)


def test_wrong_class_lists_what_there_is(net: Path) -> None:
    error = fails(InputError, "has no 'Nett'", ConvertOptions(f"{net}:Nett"))
    assert "Net" in error.hint
    assert error.exit_status == 2


@pytest.mark.parametrize(
    ("model", "args", "words"),
    [
        ("{tmp}/gone.py:Net", {}, "no file"),
        ("{net}:number", {}, "not an nn.Module"),
        ("{net}:Net", {"width": 3}, "can't be made"),
        ("{net}", {}, "alone doesn't say"),
        ("lenet6", {}, "no network 'lenet6'"),
    ],
)
def test_wrong_models(net: Path, tmp_path: Path, model: str, args: Any, words: str) -> None:
    fails(InputError, words, ConvertOptions(model.format(net=net, tmp=tmp_path), args=args))


@pytest.mark.parametrize("suffix", ["onnx", "pt2", "tflite"])
def test_files_that_hold_their_own_weights(tmp_path: Path, suffix: str) -> None:
    name = str(tmp_path / f"net.{suffix}")
    fails(InputError, "holds its own weights", ConvertOptions(name, weights=tmp_path / "w.pt"))
    fails(InputError, "no constructor arguments", ConvertOptions(name, args={"classes": 3}))


@pytest.mark.parametrize(
    ("suffix", "words"),
    [("onnx", "no valid ONNX model"), ("pt2", "no exported program")],
)
def test_garbage_in_place_of_a_network(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, words: str
) -> None:
    file = tmp_path / f"net.{suffix}"
    file.write_bytes(b"not a network at all")
    fails(InputError, words, ConvertOptions(str(file)))
    told = capfd.readouterr()
    assert "Traceback" not in told.out + told.err


def test_broken_python_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import nothing_of_that_name\n")
    fails(InputError, "can't be imported: ModuleNotFoundError", ConvertOptions(f"{path}:Net"))


def test_wrong_checkpoints(net: Path, tmp_path: Path) -> None:
    network = nn.Linear(6, 3)
    with pytest.raises(InputError, match="no checkpoint"):
        load_weights(network, tmp_path / "gone.pt")
    garbage = tmp_path / "garbage.pt"
    garbage.write_bytes(b"not a checkpoint at all")
    with pytest.raises(InputError, match=r"garbage\.pt is no PyTorch checkpoint"):
        load_weights(network, garbage)
    other = tmp_path / "other.pt"
    torch.save(nn.Linear(6, 4).state_dict(), other)
    with pytest.raises(InputError, match=r"weight has shape \[4, 6\] instead of \[3, 6\]"):
        load_weights(network, other)
    torch.save({"weigth": torch.zeros(3, 6)}, other)
    with pytest.raises(InputError, match="it lacks bias, weight"):
        load_weights(network, other)


def test_pickled_module_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    torch.save(nn.Linear(6, 3), path)
    with pytest.raises(InputError, match="can run any code") as caught:
        load_weights(nn.Linear(6, 3), path)
    assert "--allow-pickle" in caught.value.hint
    assert isinstance(load_weights(nn.Linear(6, 3), path, allow_pickle=True), nn.Linear)


@pytest.mark.parametrize("where", ["__main__", "net"])
def test_pickled_module_of_the_users_class(net: Path, tmp_path: Path, where: str) -> None:
    """Saved by a script that held the class, or that imported it from its file."""
    run = {"__main__": f"{NET}\n", "net": "from net import Net\n"}[where]
    run += "import torch; torch.save(Net(classes=7), 'whole.pt')"
    subprocess.run([sys.executable, "-c", run], cwd=tmp_path, check=True)
    options = ConvertOptions(f"{net}:Net", weights=tmp_path / "whole.pt", allow_pickle=True)
    before = sys.modules["__main__"]
    assert open_source(options).network.fc.out_features == 7
    assert sys.modules["__main__"] is before
    assert "net" not in sys.modules


def test_data_that_does_not_fit(net: Path) -> None:
    options = ConvertOptions("lenet5", data="har-subset")
    wrong = data.Dataset(
        "mine",
        np.zeros((4, 28, 27, 1), np.float32),
        np.zeros(4, np.int64),
        np.zeros((4, 28, 27, 1), np.float32),
        np.zeros(4, np.int64),
    )
    source = open_source(ConvertOptions("lenet5"))
    with pytest.raises(DataError, match=r"1×28×28.*1×28×27"):
        shapes_of(source, wrong, options)
    bare = open_source(ConvertOptions(f"{net}:Net"))
    with pytest.raises(DataError, match="nothing says what"):
        shapes_of(bare, None, options)


@pytest.mark.parametrize("name", ["nothing-of-that-name", "{net}:data", "{net}:boom", "{net}:gone"])
def test_unusable_data(net: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        data.load(name.format(net=net))
    assert caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {"sparsity": 1.0},
        {"pattern": "2:4", "sparsity": 0.9},
        {"pattern": "2:4", "sparsity": 0.8},
        {"sparsity": -0.1},
        {"layer_sparsity": {"fc1": "much"}},
        {"pattern": "3:4"},
        {"quantize": "int4"},
        {"layout": "NCHW"},
        {"epochs": -1},
        {"max_accuracy_drop": 2.0},
    ],
)
def test_wrong_options(change: Any) -> None:
    with pytest.raises(InputError) as caught:
        ConvertOptions("lenet5", **change)
    assert caught.value.hint


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.memory = kind(4, 6, batch_first=True)  # type: ignore[call-arg]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.memory(x)[0]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_are_refused_by_name(kind: type[nn.Module]) -> None:
    with pytest.raises(UnsupportedOperator, match=f"{kind.__name__}.*memory") as caught:
        lift(export(Recurrent(kind).eval(), [(7, 4)]))
    assert "convolution" in caught.value.hint


def test_a_recurrent_layer_in_onnx_is_refused_by_name(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shapes = {"w": (1, 24, 4), "r": (1, 24, 6), "b": (1, 48)}
    weights = [numpy_helper.from_array(np.ones(s, np.float32), n) for n, s in shapes.items()]
    node = helper.make_node("LSTM", ["x", *shapes], ["y"], name="memory", hidden_size=6)
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in (("x", [7, 1, 4]), ("y", [7, 1, 1, 6]))
    ]
    graph = helper.make_graph([node], "net", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph), tmp_path / "net.onnx")
    source = open_source(ConvertOptions(str(tmp_path / "net.onnx")))
    with pytest.raises(UnsupportedOperator, match=r"LSTM.*memory") as caught:
        lift(source.network)
    assert "convolution" in caught.value.hint


def test_unsupported_layer_is_named() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.LazyLinear(2)).eval()
    network(torch.zeros(1, 3, 8, 9))
    with pytest.raises(UnsupportedOperator) as caught:
        lift(export(network, [(3, 8, 9)]))
    assert "ReLU" in caught.value.hint


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if float(x.sum()) > 0 else -x


def test_network_that_pytorch_cannot_export() -> None:
    with pytest.raises(ModelError, match="can't export"):
        export(Branching().eval(), [(3,)])


def test_wrong_shapes_are_told_with_the_layer_that_refused_them() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()).eval()
    with pytest.raises(ModelError, match=r"inputs 8×3×9: .*to have 3 channels.*8") as caught:
        export(network, [(8, 3, 9)])
    assert "--layout" in caught.value.hint


@pytest.mark.parametrize("labels", [[0, 1, 2, 5], [-1, 0, 1, 2]])
def test_labels_that_are_no_classes_of_the_network_are_told(
    tmp_path: Path, labels: list[int]
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np, torch\n"
        "net = torch.nn.Linear(6, 3)\n"
        "x = np.random.default_rng(0).normal(size=(40, 6)).astype('f4')\n"
        f"y = np.tile({labels}, 10)\n"
        "def load(): return x, y, x, y\n"
    )
    options = ConvertOptions(f"{file}:net", data=f"{file}:load", onnx2tf=False)
    source, dataset = load_source(options)
    words = Ladder(Silent(), [], [])
    ready = prepare(source, dataset, options, words)
    assert ready.task is not None
    assert ready.task.metric == TEACHER
    assert any("load don't fit the network's outputs" in note for note in words.notes)


def test_nothing_is_written_on_failure(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with pytest.raises(InputError):
        convert(ConvertOptions("lenet6"), BundleWriter(out, "key"), Silent())
    assert not out.exists()
