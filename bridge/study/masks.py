"""Which weights stay: masks by layer-adaptive magnitude, by a plan, and of whole channels."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.study.chain import spread, weighted


def largest(network: Any, keep: int, least: int) -> dict[str, Any]:
    """Masks of the ``keep`` weights of largest layer-adaptive magnitude, without idle channels."""
    import torch

    layers = weighted(network)
    scores = {}
    for name, layer in layers.items():
        squares = layer.weight.detach().flatten().square()
        ordered, places = squares.sort()
        remaining = ordered.flip(0).cumsum(0).flip(0)
        score = torch.empty_like(squares)
        score[places] = ordered / remaining.clamp_min(1e-30)
        scores[name] = score.view_as(layer.weight)
    alive = {n: torch.ones(len(layer.weight), dtype=torch.bool) for n, layer in layers.items()}
    # Removing an idle channel frees weights for others: a few rounds settle it.
    for _ in range(4):
        masks = _threshold(layers, scores, alive, keep)
        if not _bury(layers, masks, alive, least):
            break
    return masks


def _threshold(layers: Any, scores: Any, alive: Any, keep: int) -> dict[str, Any]:
    import torch

    open_ = {n: scores[n] * _reach(layers, alive, n) for n in layers}
    pooled = torch.cat([s.flatten() for s in open_.values()])
    bound = pooled.kthvalue(max(1, len(pooled) - keep)).values
    return {n: s > bound for n, s in open_.items()}


def _reach(layers: Any, alive: Any, name: str) -> Any:
    """1 where a weight joins two living channels, 0 elsewhere, shaped like the weights."""
    import torch

    names = list(layers)
    weight = layers[name].weight
    result = torch.ones_like(weight)
    result[~alive[name]] = 0
    position = names.index(name)
    if position:
        before = names[position - 1]
        width = spread(layers[before], layers[name])
        result[:, ~alive[before].repeat_interleave(width)] = 0
    return result


def _bury(layers: Any, masks: Any, alive: Any, least: int) -> bool:
    """Mark channels that read nothing, feed nothing, or hardly anything; whether any was."""
    names = list(layers)
    found = False
    for name, after in itertools.pairwise(names):
        into = masks[name].flatten(1).sum(1)
        width = spread(layers[name], layers[after])
        out = masks[after].transpose(0, 1).flatten(1).sum(1).view(-1, width).sum(1)
        idle = alive[name] & ((into == 0) | (out == 0) | (into + out < least))
        if idle.any() and int((alive[name] & ~idle).sum()) >= 2:
            alive[name] &= ~idle
            found = True
    return found


def _strengths(network: Any) -> dict[str, Any]:
    """Of each layer's channels, the last layer's aside.

    A channel's strength is the norm of its weights times that of those which read it, in units
    of its layer's mean.
    """
    layers = weighted(network)
    strength = {}
    for name, after in itertools.pairwise(layers):
        into = layers[name].weight.detach().flatten(1).norm(dim=1)
        out = layers[after].weight.detach().transpose(0, 1).flatten(1)
        both = into * out.reshape(len(into), -1).norm(dim=1)
        strength[name] = both / both.mean().clamp_min(1e-30)
    return strength


def strongest(network: Any, keep: int) -> dict[str, Any]:
    """Masks of whole channels: the strongest of all layers that leave at most ``keep`` weights."""
    import torch

    layers = weighted(network)
    names = list(layers)
    strength = _strengths(network)
    bounds = torch.cat([s for s in strength.values()]).sort().values

    def alive_at(bound: Any) -> dict[str, Any]:
        result = {}
        for name in names:
            if name in strength:
                # Two channels at least: a layer of one carries hardly anything.
                floor = strength[name].sort(descending=True).values[min(1, len(strength[name]) - 1)]
                result[name] = strength[name] >= torch.minimum(bound, floor)
            else:
                result[name] = torch.ones(len(layers[name].weight), dtype=torch.bool)
        return result

    def size(alive: dict[str, Any]) -> int:
        return sum(int(_reach(layers, alive, n).sum()) for n in names)

    low, high = 0, len(bounds) - 1
    while low < high:
        middle = (low + high) // 2
        if size(alive_at(bounds[middle])) <= keep:
            high = middle
        else:
            low = middle + 1
    alive = alive_at(bounds[low])
    return {n: _reach(layers, alive, n) > 0 for n in names}


def largest_of_each(network: Any, keep: Mapping[str, int]) -> dict[str, Any]:
    """Masks of the largest weights of each layer, so many as ``keep`` says."""
    import torch

    masks = {}
    for name, layer in weighted(network).items():
        size = layer.weight.detach().abs().flatten()
        mask = torch.zeros(len(size), dtype=torch.bool)
        mask[size.argsort(descending=True, stable=True)[: keep[name]]] = True
        masks[name] = mask.view_as(layer.weight)
    return masks


def strongest_of_each(network: Any, channels: Sequence[int]) -> dict[str, Any]:
    """Which channels of each layer but the last stay, the strongest, so many as ``channels``."""
    import torch

    alive = {}
    for (name, strength), count in zip(_strengths(network).items(), channels, strict=True):
        alive[name] = torch.zeros(len(strength), dtype=torch.bool)
        alive[name][strength.argsort(descending=True, stable=True)[:count]] = True
    return alive


def rows(mask: Any) -> Any:
    """Which output channels have any weight."""
    return mask.flatten(1).any(1)
