"""Training to few weights: what is kept, what is removed, and that removing is exact."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from bridge import zoo
from bridge.data import load
from bridge.errors import ModelError
from bridge.study.chain import (
    compact,
    fold_batch_norm,
    nonzero,
    parameters,
    weighted,
    with_batch_norm,
    without_batch_norm,
)
from bridge.study.masks import largest, strongest
from bridge.study.sparsify import (
    Plan,
    Recipe,
    accuracy,
    augmented,
    prune_channels,
    prune_to_plan,
    prune_weights,
    samples,
)


@pytest.fixture(scope="module")
def digits():
    return samples(load("digits"))


@pytest.fixture(scope="module")
def lenet():
    return zoo.network(zoo.find("lenet5", "digits")).eval()


def small():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 5, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(5 * 12, 4),
    )


def test_folding_batch_norm_keeps_the_function():
    network = small().train()
    for _ in range(4):
        network(torch.randn(8, 2, 7, 8) * 3 + 1)
    network[1].weight.data.uniform_(0.5, 2)
    network[1].bias.data.uniform_(-1, 1)
    network.eval()
    folded = fold_batch_norm(network)
    x = torch.randn(5, 2, 7, 8)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    torch.testing.assert_close(folded(x), network(x), rtol=1e-4, atol=1e-5)


def test_added_batch_norm_changes_nothing_until_it_is_trained():
    network = fold_batch_norm(small().eval())
    x = torch.randn(64, 2, 7, 8) * 2 + 1
    normalized = with_batch_norm(network, x)
    assert sum("BatchNorm" in type(m).__name__ for m in normalized.modules()) == 2
    torch.testing.assert_close(normalized.eval()(x), network(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(normalized.train()(x), network(x), rtol=1e-3, atol=1e-4)
    for _ in range(3):
        normalized(x * 3)
    folded = without_batch_norm(normalized)
    assert list(weighted(folded)) == list(weighted(network))
    assert not torch.allclose(folded(x), network(x), atol=1e-2)
    torch.testing.assert_close(folded(x), normalized.eval()(x), rtol=1e-4, atol=1e-4)


def test_removing_idle_channels_is_exact():
    network = fold_batch_norm(small().eval())
    alive = {
        "0": torch.tensor([1, 0, 1, 1, 0, 1]).bool(),
        "3": torch.tensor([1, 1, 0, 1, 1]).bool(),
    }
    with torch.no_grad():
        for name, kept in alive.items():
            layer = network.get_submodule(name)
            layer.weight[~kept] = 0
            layer.bias[~kept] = 0
    smaller = compact(network, alive)
    x = torch.randn(5, 2, 7, 8)
    torch.testing.assert_close(smaller(x), network(x), rtol=1e-5, atol=1e-6)
    assert [m.weight.shape[0] for m in weighted(smaller).values()] == [4, 4, 4]
    assert parameters(smaller) < parameters(network)


def test_a_network_that_is_no_chain_is_refused():
    network = nn.ModuleDict({"a": nn.Conv2d(1, 4, 3), "b": nn.Conv2d(6, 4, 3)})
    with pytest.raises(ModelError, match="no chain"):
        weighted(network)


@pytest.mark.parametrize("keep", [400, 1500, 6000])
def test_masks_keep_what_was_asked_and_no_idle_channel(lenet, keep):
    masks = largest(lenet, keep, least=4)
    kept = sum(int(m.sum()) for m in masks.values())
    assert 0.9 * keep <= kept <= keep
    names = list(masks)
    for name in names[:-1]:
        filters = masks[name].flatten(1).any(1)
        assert filters.sum() >= 2
    # A weight that reads a removed channel would be paid for and give nothing.
    filters = masks["conv1"].flatten(1).any(1)
    assert not masks["conv2"][:, ~filters].any()


def test_whole_channels_go_together(lenet):
    masks = strongest(lenet, 12000)
    assert sum(int(m.sum()) for m in masks.values()) <= 12000
    for name, before in (("conv2", "conv1"), ("fc2", "fc1")):
        out = masks[name].flatten(1).any(1)
        into = masks[before].flatten(1).any(1)
        expected = out[:, None] & into[None]
        found = masks[name].flatten(2).any(2) if masks[name].ndim > 2 else masks[name]
        assert torch.equal(found, expected)


def test_pruned_weights_keep_the_digits_apart(lenet, digits):
    recipe = Recipe(epochs=8, every=5, least=4, batch=64)
    told = []
    pruned = prune_weights(lenet, lenet, digits, 0.08, recipe, told.append)
    left = sum(int((m.weight != 0).sum()) for m in weighted(pruned).values())
    assert 0.85 * 0.08 * 61470 <= left <= 0.08 * 61470 + 1
    assert accuracy(pruned, digits.x_test, digits.y_test) > 0.95
    assert len(told) == recipe.epochs
    again = prune_weights(lenet, lenet, digits, 0.08, recipe, told.append)
    for a, b in zip(pruned.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("normalize", [False, True])
def test_a_plan_says_how_much_stays_in_each_layer(lenet, digits, normalize):
    plan = Plan((3, 8, 40, 24), (50, 400, 1500, 500, 200))
    recipe = Recipe(epochs=8, every=5, batch=64)
    pruned = prune_to_plan(lenet, lenet, digits, plan, recipe, lambda text: None, normalize)
    layers = weighted(pruned)
    assert list(layers) == list(weighted(lenet))
    for layer, most in zip(layers.values(), plan.weights, strict=True):
        assert 0.95 * most <= int((layer.weight != 0).sum()) <= most
    for layer, most in zip(layers.values(), plan.channels, strict=False):
        assert len(layer.weight) <= most
    assert accuracy(pruned, digits.x_test, digits.y_test) > 0.93


def test_pruned_channels_leave_a_small_dense_network(lenet, digits):
    recipe = Recipe(epochs=6, every=5, batch=64)
    pruned = prune_channels(lenet, lenet, digits, 0.2, recipe, lambda text: None)
    assert parameters(pruned) <= 0.22 * 61706
    assert nonzero(pruned) == parameters(pruned)
    assert accuracy(pruned, digits.x_test, digits.y_test) > 0.93


def test_augmentation_changes_what_it_names():
    torch.manual_seed(0)
    x = torch.rand(16, 1, 9, 8)
    plain = Recipe(epochs=1)
    assert augmented(x, plain) is x
    moved = augmented(x, dataclasses.replace(plain, shift=2))
    assert moved.shape == x.shape
    assert not torch.equal(moved, x)
    mirrored = augmented(x, dataclasses.replace(plain, mirror=True))
    kept = [bool(torch.equal(a, b)) for a, b in zip(x, mirrored, strict=True)]
    turned = [bool(torch.equal(a.flip(2), b)) for a, b in zip(x, mirrored, strict=True)]
    assert all(k or t for k, t in zip(kept, turned, strict=True))
    assert any(kept)
    assert any(turned)
    noisy = augmented(x, dataclasses.replace(plain, jitter=0.1))
    assert np.abs(noisy.numpy() - x.numpy()).max() < 0.3
