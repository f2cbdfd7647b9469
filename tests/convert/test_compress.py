"""Compression: patterns, zeros, left-out layers, schedules, early stop, the search, gains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bridge import data
from bridge.bundle import BundleWriter
from bridge.convert import ConvertOptions, blocks, check, prune, train
from bridge.convert.compress import compress, prune_float, pruning_base, quantize_int8
from bridge.convert.export import export
from bridge.convert.lift.lower import lift
from bridge.convert.names import with_our_names
from bridge.convert.run import Ladder
from bridge.errors import InputError, ModelError
from bridge.graph import read_tflite
from bridge.progress import Silent
from tests.convert.networks import networks
from tests.convert.small import ladder

PATTERNS = ("unstructured", "2:4", "1x4", "4x1")


def keeps(pattern: str, weights: np.ndarray, share: float) -> bool:
    """Whether an int8 weight tensor [out, …, in] has a pattern with its share of zeros."""
    zero = weights == 0
    if pattern == "2:4":
        return bool((zero.reshape(-1, 4).sum(1) >= 2).all())
    if pattern == "4x1":
        zero = np.moveaxis(zero, 0, -1)
    if pattern in ("1x4", "4x1"):
        return float(zero.reshape(-1, 4).all(1).mean()) >= share
    return float(zero.mean()) >= share


@pytest.mark.parametrize("way", ["ptq", "qat"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_and_zeros_survive_int8(small, pattern: str, way: str) -> None:
    lifted, task = small
    options = ConvertOptions("x", sparsity=0.75 if pattern != "2:4" else 0.5, pattern=pattern)
    options = ConvertOptions(
        **{**vars(options), "epochs": 2, "quantize": way, "batch_size": 32, "max_train": 300}
    )
    words = ladder()
    base, targets = pruning_base(lifted, options, words, task.inputs)
    pruned = prune_float(base, targets, task, options, words)
    content = quantize_int8(pruned, task, [a[:100] for a in task.inputs], options, words)
    content, _ = with_our_names(
        content,
        [layer.name for layer in pruned.layers],
        {layer.name: prune.kernel_of(layer).size for layer in prune.weighted_layers(pruned)},
        pruned.output_names,
        list(lifted.inputs),
        list(lifted.outputs),
    )
    graph = read_tflite(content)
    kernels = {x.name: prune.kernel_of(x) for x in prune.weighted_layers(pruned)}
    proof = check.check_kept(graph, kernels)
    assert proof.passed
    by_name = {t.name.removesuffix("/weight"): np.asarray(t.data) for _, t in graph.weights()}
    wanted = {t.name: t.sparsity for t in targets if t.sparsity}
    assert set(wanted) == {"2", "6"}
    for name, share in wanted.items():
        assert keeps(pattern, by_name[name], share)
        assert (by_name[name] != 0).any()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_without_fine_tuning(small, pattern: str) -> None:
    lifted, task = small
    share = 0.5 if pattern == "2:4" else 0.75
    options = ConvertOptions("x", sparsity=share, pattern=pattern, epochs=0)
    words = ladder()
    base, targets = pruning_base(lifted, options, words, task.inputs)
    pruned = prune_float(base, targets, task, options, words)
    for target in targets:
        if target.sparsity:
            kernel = prune.kernel_of(pruned.get_layer(target.name))
            assert keeps(pattern, np.moveaxis(kernel, -1, 0), target.sparsity)
            assert (kernel != 0).any()


def test_zeros_that_come_back_are_noticed(lenet, lenet_int8: bytes) -> None:
    from bridge.errors import ProofError

    graph = read_tflite(lenet_int8)
    kernels = {}
    for op, tensor in graph.weights():
        values = np.asarray(tensor.data, np.float32)
        order = (1, 0) if op.kind == "FULLY_CONNECTED" else (1, 2, 3, 0)
        kernels[tensor.name.removesuffix("/weight")] = values.transpose(order).copy()
    assert check.check_kept(graph, kernels).passed
    kernels["fc2"][np.nonzero(kernels["fc2"])[0][0]] = 0.0
    with pytest.raises(ProofError, match="zeros of pruned Keras") as caught:
        check.check_kept(graph, kernels)
    assert caught.value.layer == "fc2"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_gains_are_told_for_the_pattern(small, pattern: str) -> None:
    from bridge.convert.expected import expected

    lifted, _ = small
    share = 0.5 if pattern == "2:4" else 0.9
    options = ConvertOptions("x", pattern=pattern, sparsity=share)
    gains = expected(lifted.model, prune.choose(lifted.model, options), pattern, "cortex-m4")
    assert [g.name for g in gains] == ["2", "6"]
    for gain in gains:
        assert 0 < gain.sparse_cycles <= gain.dense_cycles
        assert gain.format
    if pattern != "2:4":
        assert all(g.sparse_cycles < g.dense_cycles for g in gains)
    kernel = np.random.default_rng(0).normal(size=(3, 3, 8, 12)).astype(np.float32)
    assert keeps(pattern, blocks.masked(kernel, share, pattern).transpose(3, 0, 1, 2), share)


def test_a_relu_lets_a_layer_expect_the_fast_requantization() -> None:
    from bridge.convert.expected import _weighted

    network, shapes = networks()["inverted_residual"]
    lifted = lift(export(network, shapes))
    zero_points = {
        layer.name: _weighted(layer, prune.kernel_of(layer), "cortex-m4").output_zero_point
        for layer in lifted.model.layers
        if type(layer).__name__ in ("Conv2D", "Dense")
    }
    assert zero_points == {"a.0": 0, "b.0": -128, "c.0": 0, "head": 0}


def test_a_layer_without_gain_is_told_too(tmp_path: Path) -> None:
    network, shapes = networks()["inverted_residual"]
    lifted = lift(export(network, shapes))
    options = ConvertOptions("x", sparsity=0.5, prune_all=True, epochs=0, quantize="ptq")
    inputs = lifted.to_physical([np.random.default_rng(0).normal(size=(8, *shapes[0]))])
    words = ladder()
    bundle = BundleWriter(tmp_path / "o", "key")
    compress(lifted, None, [a.astype(np.float32) for a in inputs], options, bundle, words)
    told = {n.split(" at ")[0] for n in words.notes if ": expect " in n}
    assert told == {"a.0", "b.0", "b.3", "c.0", "head"}
    assert any(n.startswith("b.3 at 0.5") and "expect no gain" in n for n in words.notes)


def test_gains_come_before_fine_tuning_on_the_chosen_core(small, tmp_path: Path) -> None:
    lifted, task = small

    class Order(Silent):
        said: list[str] = []  # noqa: RUF012

        def note(self, text: str) -> None:
            self.said.append(text)

        def stage(self, name: str) -> Any:
            self.said.append(f"stage {name}")
            return super().stage(name)

    for pattern in ("unstructured", "filter"):
        Order.said.clear()
        options = ConvertOptions(
            "x", pattern=pattern, sparsity=0.5, epochs=0, quantize="ptq", core="cortex-m7"
        )
        bundle = BundleWriter(tmp_path / pattern, "key")
        calibration = [a[:50] for a in task.inputs]
        compress(lifted, task, calibration, options, bundle, Ladder(Order(), [], []))
        told = [i for i, s in enumerate(Order.said) if "expect" in s and "cortex-m7" in s]
        assert len(told) >= 2
        assert max(told) < Order.said.index("stage prune")


def test_left_out_layers_have_reasons() -> None:
    torch.manual_seed(0)
    network, shapes = networks()["inverted_residual"]
    model = lift(export(network, shapes)).model

    def chosen(**options: Any) -> dict[str, Any]:
        return {t.name: t for t in prune.choose(model, ConvertOptions("x", **options))}

    default = chosen()
    assert {n: bool(t.sparsity) for n, t in default.items()} == {
        "a.0": False, "b.0": True, "b.3": False, "c.0": True, "head": False,
    }  # fmt: skip
    for name, word in (("a.0", "first"), ("b.3", "depthwise"), ("head", "last")):
        assert word in default[name].reason
    assert all(t.sparsity for t in chosen(prune_all=True).values())
    own = chosen(layer_sparsity={"b.0": 0.0, "a.0": 0.5})
    assert own["b.0"].reason == "left out by request"
    assert own["a.0"].sparsity == pytest.approx(0.5, abs=0.01)
    assert own["c.0"].sparsity >= 0.9
    four = chosen(pattern="1x4", prune_all=True)
    assert "multiple of 4" in four["b.0"].reason
    with pytest.raises(InputError, match=r"no layer 'b\.9'") as caught:
        chosen(layer_sparsity={"b.9": 0.5})
    assert "b.0" in caught.value.hint


def test_filters_that_meet_others_stay() -> None:
    from bridge.convert import filters

    network, shapes = networks()["inverted_residual"]
    model = lift(export(network, shapes)).model
    options = ConvertOptions("x", pattern="filter", sparsity=0.5, prune_all=True)
    targets, kept = filters.choose_filters(model, prune.choose(model, options))
    reasons = {t.name: t.reason for t in targets}
    assert set(kept) == {"b.0"}  # behind it a depthwise layer, which shrinks along
    assert "meet others" in reasons["a.0"]
    assert "output" in reasons["head"]
    smaller = filters.shrink(model, kept)
    assert prune.kernel_of(smaller.get_layer("b.0")).shape[-1] == 9
    assert prune.kernel_of(smaller.get_layer("b.3")).shape[-2] == 9
    assert prune.kernel_of(smaller.get_layer("c.0")).shape[-2] == 9


def test_a_wrongly_shrunk_network_is_caught(
    small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridge.convert import filters
    from bridge.errors import ProofError

    lifted, task = small
    options = ConvertOptions("x", pattern="filter", sparsity=0.5, prune_all=True)
    words = ladder()
    smaller, _ = pruning_base(lifted, options, words, task.inputs)
    assert prune.kernel_of(smaller.get_layer("2")).shape == (3, 3, 4, 4)
    (proof,) = words.proofs
    assert proof.rung.startswith("pruned Keras = lifted Keras")
    assert proof.passed
    right = filters._sliced

    def wrong(layer: Any, incoming: Any, own: Any) -> Any:
        return right(layer, None if incoming is None else incoming[::-1], own)

    with monkeypatch.context() as patch:
        patch.setattr(filters, "_sliced", wrong)
        with pytest.raises(ProofError, match="pruned Keras = lifted Keras"):
            pruning_base(lifted, options, ladder(), task.inputs)


def test_training_stops_early_and_keeps_the_best_epoch(small) -> None:
    lifted, task = small
    model = prune.fresh_copy(lifted.model)
    told: list[str] = []
    outcome = train.fit(
        model,
        task,
        epochs=40,
        batch_size=32,
        learning_rate=0.3,  # far too high: it gets worse, not better
        seed=0,
        report=told.append,
        patience=3,
    )
    assert outcome.epochs < 40
    assert outcome.best + 3 == outcome.epochs
    _, held_out = train.split(len(task.inputs[0]))
    logits = train.predict(model, [a[held_out] for a in task.inputs])[0]
    loss = nn.functional.cross_entropy(
        torch.tensor(logits), torch.tensor(task.targets[0][held_out])
    )
    assert float(loss) == pytest.approx(outcome.loss, rel=1e-3)
    losses = [float(line.rpartition(" ")[2]) for line in told]
    assert outcome.loss == pytest.approx(min(losses), rel=1e-3)


def test_schedules_differ_and_both_reach_the_target(small) -> None:
    lifted, task = small
    kernels = []
    for schedule in ("polynomial", "constant"):
        options = ConvertOptions(
            "x", sparsity=0.8, schedule=schedule, epochs=2, batch_size=32, max_train=300
        )
        pruned, _ = prune.prune(
            lifted.model, prune.choose(lifted.model, options), task, options, str.strip
        )
        kernels.append(prune.kernel_of(pruned.get_layer("6")))
        assert (kernels[-1] == 0).mean() >= 0.8
    assert not np.array_equal(*kernels)


@pytest.mark.slow
def test_search_finds_the_highest_sparsity_that_keeps_accuracy(small, tmp_path: Path) -> None:
    lifted, task = small
    options = ConvertOptions(
        "x", sparsity=0.98, epochs=1, batch_size=32, quantize="ptq", max_accuracy_drop=0.05
    )
    words = ladder()
    bundle = BundleWriter(tmp_path / "o", "key")
    attempt = compress(lifted, task, [a[:100] for a in task.inputs], options, bundle, words)
    tried = [n for n in words.notes if "held-out" in n]
    shares = {float(n.split()[1].rstrip(":")): n.endswith("kept") for n in tried}
    kept = [s for s, good in shares.items() if good]
    lost = [s for s, good in shares.items() if not good]
    assert attempt.options.sparsity == max(kept)
    assert all(s > max(kept) for s in lost)
    zeros = (prune.kernel_of(attempt.pruned.get_layer("6")) == 0).mean()
    assert zeros >= max(kept)


@pytest.mark.parametrize("pattern", ["unstructured", "2:4"])
def test_search_says_when_int8_alone_loses_too_much(tmp_path: Path, pattern: str) -> None:
    """One input a thousand times larger than the others: int8 can't hold both."""
    torch.manual_seed(0)
    network = nn.Linear(6, 2).eval()
    with torch.no_grad():
        network.weight.zero_()
        network.weight[0, 1] = 1.0
        network.bias.zero_()
    x = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    labels = (x[:, 1] < 0).astype(np.int64)
    x[:, 0] *= 1000
    lifted = lift(export(network, [(6,)]))
    dataset = data.Dataset("far", x, labels, x[:50], labels[:50])
    task = train.task_of(lifted, dataset, "channels-first", None)
    options = ConvertOptions("x", epochs=0, quantize="ptq", max_accuracy_drop=0.05, pattern=pattern)
    words, bundle = ladder(), BundleWriter(tmp_path / "o", "k")
    with pytest.raises(ModelError, match=r"no sparsity keeps the accuracy within 0\.05") as caught:
        compress(lifted, task, task.inputs, options, bundle, words)
    assert "--epochs" in caught.value.hint
    tried = [note.split()[1] for note in words.notes if "held-out" in note]
    assert (tried[0], tried[-1]) == ("0.500:" if pattern == "2:4" else "0.900:", "0.000:")
    assert pattern != "2:4" or len(tried) == 2  # the pattern leaves nothing between
