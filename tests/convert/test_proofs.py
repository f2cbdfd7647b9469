"""The ladder notices: a corrupted weight fails its rung, and names the layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bridge.convert import witness
from bridge.convert.check import check_zeros
from bridge.convert.export import export
from bridge.convert.lift.lower import lift
from bridge.convert.options import Proof
from bridge.convert.prove import prove_lift, run_torch
from bridge.errors import ProofError
from tests.convert.networks import networks


@pytest.fixture(scope="module")
def residual():
    torch.manual_seed(1)
    network, shapes = networks()["residual"]
    model = export(network, shapes)
    inputs = [np.random.default_rng(0).normal(size=(4, *shapes[0])).astype(np.float32)]
    return network, model, inputs


def test_ladder_holds(residual) -> None:
    network, model, inputs = residual
    proofs = prove_lift(network, model, lift(model), inputs)
    assert [p.rung for p in proofs] == ["ONNX Runtime = PyTorch", "lifted Keras = PyTorch"]
    assert all(p.passed and p.samples == 4 for p in proofs)


def test_corrupted_weight_names_its_layer(residual) -> None:
    network, model, inputs = residual
    lifted = lift(model)
    layer = lifted.model.get_layer("b")
    kernel, bias = layer.get_weights()
    kernel[0, 0, 0, 0] += 0.01
    layer.set_weights([kernel, bias])
    with pytest.raises(ProofError, match="lifted Keras = PyTorch") as caught:
        prove_lift(network, model, lifted, inputs)
    assert caught.value.layer == "b"
    assert "'b' differs by" in str(caught.value)
    assert "in the mean" in str(caught.value)


def test_onnx_that_differs_from_pytorch_fails(residual) -> None:
    network, model, inputs = residual
    with torch.no_grad():
        network.head.bias[0] += 0.01
    try:
        with pytest.raises(ProofError, match="ONNX Runtime = PyTorch") as caught:
            prove_lift(network, model, lift(model), inputs)
        assert caught.value.layer == "head"
        assert "'head' differs by" in str(caught.value)
    finally:
        with torch.no_grad():
            network.head.bias[0] -= 0.01


def test_witness_speaks_but_never_stops(residual) -> None:
    network, model, inputs = residual
    proof = witness.testify(model, inputs, run_torch(network, inputs), "PyTorch")
    assert isinstance(proof, Proof)
    wrong = [y + 1 for y in run_torch(network, inputs)]
    lying = witness.testify(model, inputs, wrong, "PyTorch")
    assert not lying.passed
    assert lying.detail


def test_missing_zeros_name_the_layer(lenet_int8) -> None:
    from bridge.graph import read_tflite

    graph = read_tflite(lenet_int8)
    proofs, shares = check_zeros(graph, {"conv2": 0.8})
    assert proofs[0].layer == "conv2"
    assert shares["conv2"] >= 0.8
    with pytest.raises(ProofError, match="zero") as caught:
        check_zeros(graph, {"conv2": 0.8, "conv1": 0.5})
    assert caught.value.layer == "conv1"
