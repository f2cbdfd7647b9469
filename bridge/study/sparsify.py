"""Train a PyTorch network to few weights: gradual pruning, feedback, distillation.

- How many weights stay rises to the target along a cubic (Zhu and Gupta 2017).
- Which ones stay is decided over the whole network by layer-adaptive magnitude (Lee et al.,
  "Layer-adaptive sparsity for the magnitude-based pruning", ICLR 2021), so that no layer's share
  is set by hand.
  Or a plan says it, where a weight's price differs from layer to layer.
- Then the mask is frozen and what stayed is trained on.
- The float network teaches (Hinton et al. 2015): its soft outputs are part of the loss.

Structured pruning removes whole channels by the size of their weights, in and out, and leaves a
smaller dense network. Both end in a network without channels that do nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.data import Array, Dataset
from bridge.study.chain import compact, weighted, with_batch_norm, without_batch_norm
from bridge.study.masks import largest, largest_of_each, rows, strongest, strongest_of_each


@dataclass(frozen=True)
class Recipe:
    """How a network is trained to few weights.

    Attributes:
        epochs: in all.
        falling: the part of them in which weights are still taken away.
        rate: of Adam, at the start; it falls to zero along a cosine.
        batch: samples a step.
        teacher: weight of the float network's soft outputs in the loss, 0 to 1.
        temperature: that softens both outputs.
        shift: images are moved by up to so many pixels.
        jitter: windows are scaled by up to this share and get a fifth of it as noise.
        mirror: half of the images are mirrored.
        every: steps between two masks.
        least: a channel with fewer weights, in and out, is removed: its bias and requantization
            would cost more than it gives.
        seed: of order and augmentation.
    """

    epochs: int
    falling: float = 0.5
    rate: float = 2e-3
    batch: int = 128
    teacher: float = 0.7
    temperature: float = 4.0
    shift: int = 0
    jitter: float = 0.0
    mirror: bool = False
    every: int = 60
    least: int = 2
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """How much stays in each layer, where what a weight costs decides.

    A weight of a convolution is used at every pixel: it takes more instructions than one of a
    dense layer, and does more with the same bytes.

    Attributes:
        channels: of each layer but the last.
        weights: of each layer.
    """

    channels: tuple[int, ...]
    weights: tuple[int, ...]


@dataclass(frozen=True)
class Samples:
    """A data set as tensors, channels first."""

    x: Any
    y: Any
    x_test: Any
    y_test: Any


def samples(data: Dataset, limit: int | None = None) -> Samples:
    """The tensors of a classification data set, of at most ``limit`` training samples."""
    import torch

    def tensor(a: Array) -> Any:
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(a, -1, 1) if a.ndim > 2 else a))

    few = data.limited(limit)
    return Samples(
        tensor(few.train_inputs[0]),
        torch.from_numpy(few.y_train),
        tensor(data.test_inputs[0]),
        torch.from_numpy(data.y_test),
    )


def accuracy(network: Any, x: Any, y: Any) -> float:
    """Share of right classes."""
    import torch

    network.eval()
    with torch.no_grad():
        right = [(network(a).argmax(1) == b).sum() for a, b in zip(x.split(500), y.split(500))]  # noqa: B905
    return float(sum(int(r) for r in right)) / len(y)


def prune_weights(
    network: Any,
    teacher: Any,
    data: Samples,
    share: float,
    recipe: Recipe,
    report: Callable[[str], None],
) -> Any:
    """Train to a share of the weights.

    Args:
        network: a chain without BatchNorm; not changed.
        teacher: the float network.
        share: of ``network``'s weights that stay, 0 to 1.

    Returns:
        the pruned network without the channels that do nothing.
    """
    weights = {n: layer.weight for n, layer in weighted(network).items()}
    total = sum(int(w.numel()) for w in weights.values())
    begin = sum(int((w != 0).sum()) for w in weights.values())

    def masks(model: Any, done: float) -> dict[str, Any]:
        keep = share * total + (begin - share * total) * (1 - done) ** 3
        return largest(model, round(keep), recipe.least)

    trained, last = _train(network, teacher, data, masks, recipe, report)
    return compact(trained, {n: rows(m) for n, m in list(last.items())[:-1]})


def prune_to_plan(
    network: Any,
    teacher: Any,
    data: Samples,
    plan: Plan,
    recipe: Recipe,
    report: Callable[[str], None],
    normalize: bool = False,
) -> Any:
    """Train to so many channels and weights in each layer.

    The weaker channels go at once, then single weights gradually, by magnitude in each layer.
    Dropout is off: so few weights learn nothing by heart.

    Args:
        normalize: train with BatchNorm behind every hidden layer; it is folded at the end.
    """
    network = compact(network, strongest_of_each(network, plan.channels))
    if normalize:
        network = with_batch_norm(network, data.x[:1000])
    for module in network.modules():
        if type(module).__name__.startswith("Dropout"):
            module.p = 0.0
    begin = {n: int((m.weight != 0).sum()) for n, m in weighted(network).items()}
    goal = dict(zip(begin, plan.weights, strict=True))

    def masks(model: Any, done: float) -> dict[str, Any]:
        rest = (1 - done) ** 3
        return largest_of_each(
            model, {n: round(g + max(0, begin[n] - g) * rest) for n, g in goal.items()}
        )

    trained, last = _train(network, teacher, data, masks, recipe, report)
    trained = without_batch_norm(trained)
    # A channel without weights that still gives a constant stays: removing it would not be exact.
    alive = {
        n: rows(m) | (layer.bias != 0)
        for (n, layer), m in zip(weighted(trained).items(), last.values(), strict=True)
    }
    return compact(trained, dict(list(alive.items())[:-1]))


def prune_channels(
    network: Any,
    teacher: Any,
    data: Samples,
    share: float,
    recipe: Recipe,
    report: Callable[[str], None],
) -> Any:
    """Train to a share of the weights by removing whole channels; a smaller dense network."""
    total = sum(int(layer.weight.numel()) for layer in weighted(network).values())

    def masks(model: Any, done: float) -> dict[str, Any]:
        return strongest(model, round(total * (share + (1 - share) * (1 - done) ** 3)))

    trained, last = _train(network, teacher, data, masks, recipe, report)
    return compact(trained, {n: rows(m) for n, m in list(last.items())[:-1]})


def _train(
    network: Any,
    teacher: Any,
    data: Samples,
    masks_at: Callable[[Any, float], dict[str, Any]],
    recipe: Recipe,
    report: Callable[[str], None],
) -> tuple[Any, dict[str, Any]]:
    """Train with masks that tighten, then with the last one."""
    import torch

    # Sums depend on how threads share them: one thread gives the same weights on any machine.
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    model = copy.deepcopy(network).train()
    layers = weighted(model)
    steps = max(1, len(data.x) // recipe.batch)
    falling = max(1, int(recipe.epochs * recipe.falling * steps))
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs * steps)
    soft = _soft(teacher, data, recipe)
    masks = masks_at(model, 0.0)
    step = 0
    frozen = False
    for epoch in range(recipe.epochs):
        total = 0.0
        order = torch.randperm(len(data.x))
        for index in range(steps):
            if (not frozen and step % recipe.every == 0) or step == falling:
                masks = masks_at(model, min(1.0, step / falling))
                frozen = step >= falling
            pick = order[index * recipe.batch : (index + 1) * recipe.batch]
            _hide(layers, masks)
            x = augmented(data.x[pick], recipe)
            loss = _loss(model(x), data.y[pick], soft(x, pick), recipe)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
            total += float(loss.detach())
        left = sum(int(m.sum()) for m in masks.values())
        report(f"epoch {epoch + 1}/{recipe.epochs}, {left} weights, loss {total / steps:.4f}")
    masks = masks if frozen else masks_at(model, 1.0)
    _hide(layers, masks)
    return model.eval(), masks


def _hide(layers: Any, masks: Any) -> None:
    """Zero what is masked, biases of idle channels too."""
    import torch

    last = list(layers)[-1]
    with torch.no_grad():
        for name, layer in layers.items():
            layer.weight.mul_(masks[name])
            if name != last:
                layer.bias.mul_(rows(masks[name]))


def _soft(teacher: Any, data: Samples, recipe: Recipe) -> Callable[[Any, Any], Any]:
    """The teacher's outputs for a batch; asked once for all where nothing is augmented."""
    import torch

    if not recipe.teacher:
        return lambda x, pick: None
    teacher.eval()
    if recipe.shift or recipe.jitter or recipe.mirror:

        def ask(x: Any, pick: Any) -> Any:
            with torch.no_grad():
                return teacher(x)

        return ask
    with torch.no_grad():
        told = torch.cat([teacher(part) for part in data.x.split(500)])
    return lambda x, pick: told[pick]


def _loss(outputs: Any, labels: Any, soft: Any, recipe: Recipe) -> Any:
    from torch.nn import functional

    plain = functional.cross_entropy(outputs, labels)
    if soft is None:
        return plain
    t = recipe.temperature
    taught = functional.kl_div(
        functional.log_softmax(outputs / t, 1),
        functional.log_softmax(soft / t, 1),
        reduction="batchmean",
        log_target=True,
    )
    return (1 - recipe.teacher) * plain + recipe.teacher * t * t * taught


def augmented(x: Any, recipe: Any) -> Any:
    """A batch ``[N, C, …]`` changed at random as ``shift``, ``mirror``, ``jitter`` say."""
    import torch
    from torch.nn import functional

    if recipe.shift:
        n, _, height, width = x.shape
        pad = recipe.shift
        padded = functional.pad(x, (pad,) * 4).permute(0, 2, 3, 1)
        rows = torch.randint(2 * pad + 1, (n, 1)) + torch.arange(height)
        columns = torch.randint(2 * pad + 1, (n, 1)) + torch.arange(width)
        sample = torch.arange(n)[:, None, None]
        x = padded[sample, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
    if recipe.mirror:
        x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
    if recipe.jitter:
        scale = 1 + recipe.jitter * (2 * torch.rand(len(x), *[1] * (x.ndim - 1)) - 1)
        x = x * scale + recipe.jitter / 5 * torch.randn_like(x)
    return x
