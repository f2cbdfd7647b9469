"""The lift: every family of layers agrees with PyTorch, without a transpose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bridge.convert.export import export
from bridge.convert.lift.lower import lift
from bridge.convert.prove import FLOAT_BOUND, relative_difference, run_lifted, run_torch
from tests.convert.network_parts import samples
from tests.convert.networks import NAMES, networks


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_pytorch(name: str) -> None:
    torch.manual_seed(1)
    network, shapes = networks()[name]
    layout = "channels-last" if name == "permute_that_vanishes" else "channels-first"
    lifted = lift(export(network, shapes), network_layout=layout)
    inputs = samples(shapes, 3)
    expected = run_torch(network, inputs)
    assert relative_difference(run_lifted(lifted, inputs), expected) <= FLOAT_BOUND
    for e in expected:  # it depends on the input, not on the bias alone
        assert np.ptp(e, axis=0).max() > 0.01 * np.abs(e).max()
    assert lifted.transposes == ()
    kinds = {type(layer).__name__ for layer in lifted.model.layers}
    assert "TFOpLambda" not in kinds
    weighted = [layer for layer in lifted.model.layers if layer.weights]
    assert weighted
    assert all(layer.trainable_weights or "WithConstant" in str(type(layer)) for layer in weighted)
