"""A float32 .tflite as TFLM runs it: proved against PyTorch, and no file passes that is another."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bridge.convert import quantize
from bridge.convert.tflm import run
from bridge.errors import ProofError
from bridge.graph import read_tflite
from bridge.study.corners import PROVED, _float_file


@pytest.fixture(scope="module")
def case():
    torch.manual_seed(3)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(2, 5, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(5 * 6 * 4, 7)
    ).eval()
    data = SimpleNamespace(x_test=torch.randn(PROVED + 5, 2, 8, 6))
    return network, SimpleNamespace(data=data)


def test_it_is_float_and_what_pytorch_computes(case):
    network, trainer = case
    model, inputs = _float_file(network, trainer)
    graph = read_tflite(model)
    assert {graph.tensor(i).dtype for i in (*graph.inputs, *graph.outputs)} == {"float32"}
    weights = [t for t in graph.tensors if t.data is not None and t.data.ndim > 1]
    assert weights
    assert {t.dtype for t in weights if t.data.size > 50} == {"float32"}
    assert inputs.shape == (PROVED, 8, 6, 2), "channels last"
    with torch.no_grad():
        wanted = network(trainer.data.x_test[:PROVED]).numpy()
    found = run(model, [inputs])[0].reshape(wanted.shape)
    assert np.abs(found - wanted).max() <= 1e-5 * np.ptp(wanted)


def test_another_networks_file_is_refused(case, monkeypatch):
    network, trainer = case
    right = quantize.to_float_tflite

    def changed(model):
        kernel = model.layers[-1].weights[0]
        kernel.assign(kernel * 1.01)
        return right(model)

    monkeypatch.setattr(quantize, "to_float_tflite", changed)
    with pytest.raises(ProofError, match="float32 in TFLM = PyTorch"):
        _float_file(network, trainer)
