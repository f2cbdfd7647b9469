"""The zoo: what the registry says of each network is so."""

from __future__ import annotations

import ast
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from bridge import data, zoo
from bridge.errors import DataError, InputError

KEYS = [f"{entry.name}/{entry.dataset}" for entry in zoo.ZOO]
NETWORKS = [zoo.find(name) for name in zoo.names()]
LIMIT = 2_000_000  # bytes of a checkpoint
# What each must reach by its own goal, besides repeating the registry's figure.
GOALS = {
    "lenet5/mnist": 0.990,
    "har_cnn/har-subset": 0.92,
    "resnet8/cifar10-subset": 0.76,
    "resnet8/cifar10": 0.85,
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def counted_macs(network: nn.Module, x: torch.Tensor) -> int:
    """Multiply-accumulates of all convolutions and dense layers, from the shapes that flow."""
    total = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        per_output = layer.weight[0].numel()  # [out, in / groups, kernel …]
        total += output[0].numel() * per_output

    for layer in network.modules():
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(x)
    return total


def sample(entry: zoo.ZooEntry, count: int) -> torch.Tensor:
    return torch.rand(count, *entry.input_shape, generator=torch.Generator().manual_seed(1))


UNTRAINED = "resnet8/cifar10"  # the full data set is not everywhere, so no checkpoint ships


def trained(entry: zoo.ZooEntry) -> zoo.ZooEntry:
    """The entry; a skipped test where its checkpoint may be missing and is."""
    if not entry.checkpoint_path.is_file() and f"{entry.name}/{entry.dataset}" == UNTRAINED:
        pytest.skip(f"no checkpoint of {UNTRAINED}: train it with scripts/train_zoo.py")
    return entry


@pytest.mark.parametrize("key", KEYS)
def test_checkpoint_is_small_plain_and_fits(key):
    entry = trained(zoo.find(*key.split("/")))
    assert entry.checkpoint_path.stat().st_size < LIMIT
    state = torch.load(entry.checkpoint_path, weights_only=True)
    assert all(type(value) is torch.Tensor for value in state.values())
    assert all(torch.isfinite(value).all() for value in state.values())
    network = zoo.network(entry)
    assert not network.training
    assert set(state) == set(network.state_dict())


@pytest.mark.parametrize("key", KEYS)
def test_outputs_move_with_the_input(key):
    entry = trained(zoo.find(*key.split("/")))
    with torch.no_grad():
        outputs = zoo.network(entry)(sample(entry, 8))
    spread = outputs.std(0).max()
    assert spread > 1e-2 * outputs.abs().max()


@pytest.mark.parametrize("entry", NETWORKS, ids=lambda entry: entry.name)
def test_macs(entry):
    network = zoo.network(entry, trained=False)
    assert counted_macs(network, sample(entry, 1)) == entry.macs
    docstring = ast.get_docstring(ast.parse(entry.source_path.read_text()))
    assert f"{entry.macs:,} multiply-accumulates" in " ".join(docstring.split())


@pytest.mark.parametrize("entry", NETWORKS, ids=lambda entry: entry.name)
def test_exports_with_a_dynamic_batch(entry, tmp_path):
    network = zoo.network(trained(entry))
    file = tmp_path / "model.onnx"
    torch.onnx.export(
        network,
        (sample(entry, 2),),
        file,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    assert isinstance(inputs[0].shape[0], str)  # a name: any batch
    x = sample(entry, 3)
    (got,) = session.run(None, {inputs[0].name: x.numpy()})
    with torch.no_grad():
        wanted = network(x).numpy()
    np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("key", KEYS)
def test_expected_metric_on_the_test_part(key):
    entry = trained(zoo.find(*key.split("/")))
    try:
        dataset = data.load(entry.dataset)
    except DataError as error:
        pytest.skip(error.what)
    assert dataset.test_inputs[0].shape[1:] == (*entry.input_shape[1:], entry.input_shape[0]) or (
        dataset.test_inputs[0].shape[1:] == entry.input_shape
    )
    measured = zoo.measure(zoo.network(entry), dataset)
    # Two samples either way: another machine's sums may tip one that lies on the border.
    assert measured == pytest.approx(entry.expected, abs=2.5 / len(dataset.y_test))
    assert measured >= GOALS.get(key, 0)


def test_names_are_unique_and_files_exist():
    assert len(set(KEYS)) == len(KEYS)
    for entry in zoo.ZOO:
        assert entry.source_path.is_file()
        assert zoo.find(entry.name, entry.dataset) is entry


def test_every_checkpoint_ships_but_one():
    missing = [key for key in KEYS if not zoo.find(*key.split("/")).checkpoint_path.is_file()]
    assert set(missing) <= {UNTRAINED}


def test_the_table_in_models_says_what_the_registry_says():
    table = (zoo.models_folder() / "README.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| [`")]
    assert rows == [
        f"| [`{e.name}`]({e.file}) | `{e.dataset}` | {e.expected:.4f} {e.metric} | {e.macs:,} | "
        f"{e.paper} | {e.stand_in or '—'} |"
        for e in zoo.ZOO
    ]


def test_default_is_the_first():
    assert zoo.find("lenet5").dataset == "digits"


def test_unknown_name_lists_the_others():
    with pytest.raises(InputError, match="lenet6") as caught:
        zoo.find("lenet6")
    assert "resnet8" in caught.value.hint


def test_unknown_dataset_lists_the_others():
    with pytest.raises(InputError, match="no checkpoint") as caught:
        zoo.find("lenet5", "letters")
    assert "mnist" in caught.value.hint


def test_missing_checkpoint_says_how_to_train(monkeypatch, tmp_path):
    source = zoo.find("lenet5").source_path
    (tmp_path / "lenet5.py").write_text(source.read_text())
    monkeypatch.setattr(zoo, "models_folder", lambda: tmp_path)
    with pytest.raises(InputError, match="lenet5_digits") as caught:
        zoo.network(zoo.find("lenet5"))
    assert "train_zoo.py lenet5/digits" in caught.value.hint


def test_the_registry_imports_no_torch():
    code = "import sys, bridge.zoo; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
