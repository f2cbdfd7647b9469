"""int8: where the ranges come from, and which of two ways is kept; finished stages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from bridge.bundle import BundleWriter
from bridge.convert import ConvertOptions, prune, qat, quantize
from bridge.convert.compress import quantize_int8
from bridge.convert.export import export
from bridge.convert.lift.lower import lift
from tests.convert.small import ladder


def test_a_stage_is_taken_up_on_the_same_weights_and_data_alone(small, tmp_path: Path) -> None:
    from dataclasses import replace

    from bridge.convert import resume

    lifted, task = small
    start = resume.basis(lifted.model, task)
    bundle = BundleWriter(tmp_path / "o", "key")
    resume.keep(bundle, "prune", resume.weights_of(lifted.model), start)
    again = BundleWriter(tmp_path / "o", "key")
    assert resume.taken_up(again, "prune", start) is not None
    assert resume.taken_up(again, "quantize", start) is None
    other = prune.fresh_copy(lifted.model)
    other.layers[1].set_weights([w + 1 for w in other.layers[1].get_weights()])
    assert resume.taken_up(again, "prune", resume.basis(other, task)) is None
    shifted = replace(task, targets=[t[::-1] for t in task.targets])
    assert resume.taken_up(again, "prune", resume.basis(lifted.model, shifted)) is None
    again.path("stage-prune.npz").write_bytes(b"cut")
    assert resume.taken_up(again, "prune", start) is None


def test_the_better_calibration_wins(small) -> None:
    """Both ways of taking ranges are tried, and the one with more signal to noise is kept."""
    lifted, task = small
    inputs = [a[:100] for a in task.inputs]
    made = quantize.candidates(lifted.model, inputs, trained=False)
    assert {c.name for c in made} == {"true extremes", "histograms"}
    assert made[0].model != made[1].model
    words = ladder()
    options = ConvertOptions("x", quantize="ptq")
    chosen = quantize_int8(lifted.model, task, inputs, options, words)
    best = max(made, key=lambda c: c.snr_db)
    assert chosen == best.model
    assert any(f"ranges from {best.name}" in note for note in words.notes)


def test_a_histogram_leaves_rare_extremes_out() -> None:
    from bridge.convert import ranges

    values = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    values = np.abs(values)  # as after a ReLU
    values[0] = 40.0
    assert ranges.extremes(values)[1] == 40.0
    low, high = ranges.histogram(values)
    assert low == 0.0
    assert 4.0 < high < 38.0


def test_prelu_is_quantized_after_training_and_says_so(small) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.PReLU(4), nn.Flatten(), nn.Linear(168, 4))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    lifted = lift(export(network.eval(), [(1, 8, 9)]))
    assert qat.refusal(lifted.model) == "1"
    words = ladder()
    _, task = small
    options = ConvertOptions("x", quantize="qat", epochs=1)
    quantize_int8(lifted.model, task, [a[:20] for a in task.inputs], options, words)
    assert any("'1'" in n or "1 can't be trained quantized" in n for n in words.notes)
