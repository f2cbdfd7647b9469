"""A PyTorch network as a chain of weighted layers: which outputs feed which inputs.

Only networks whose convolutions and dense layers follow one another in the order in which they
are registered are taken (LeNet-5, the activity CNN, a plain image CNN). That is what allows a
channel to be removed exactly: its filter, its bias, and the weights that read it.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import Any

from bridge.errors import ModelError

CONVOLUTIONS = ("Conv1d", "Conv2d")
WEIGHTED = (*CONVOLUTIONS, "Linear")
NORMS = ("BatchNorm1d", "BatchNorm2d")


def weighted(network: Any) -> dict[str, Any]:
    """The convolutions and dense layers by name, first to last.

    Raises:
        ModelError: they don't form a chain.
    """
    layers = {n: m for n, m in network.named_modules() if type(m).__name__ in WEIGHTED}
    names = list(layers)
    for name, after in itertools.pairwise(names):
        out, into = layers[name].weight.shape[0], layers[after].weight.shape[1]
        if into % out:
            raise ModelError(
                f"{after!r} takes {into} channels, {name!r} gives {out}: no chain of layers",
                hint="studies prune plain networks; use tflm-bridge convert for others",
            )
    return layers


def spread(before: Any, after: Any) -> int:
    """Inputs of ``after`` that one output channel of ``before`` feeds (a flatten makes many)."""
    return int(after.weight.shape[1]) // int(before.weight.shape[0])


def parameters(network: Any) -> int:
    """Weights and biases, zeros included."""
    return sum(int(p.numel()) for p in network.parameters())


def nonzero(network: Any) -> int:
    """Weights and biases that are not zero."""
    return sum(int((p != 0).sum()) for p in network.parameters())


def fold_batch_norm(network: Any) -> Any:
    """A copy in evaluation mode with every BatchNorm folded into the layer before it."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    result = copy.deepcopy(network).eval()
    before = ""
    for name, module in list(result.named_modules()):
        if type(module).__name__ in NORMS:
            layer: Any = result.get_submodule(before)
            layer.weight, layer.bias = fuse_conv_bn_weights(
                layer.weight, layer.bias, module.running_mean, module.running_var,
                module.eps, module.weight, module.bias,
            )  # fmt: skip
            _replace(result, name, nn.Identity())
        elif type(module).__name__ in WEIGHTED:
            before = name
    return result


def with_batch_norm(network: Any, x: Any) -> Any:
    """A copy whose hidden layers are each followed by a BatchNorm that changes nothing yet.

    Args:
        network: a chain without BatchNorm.
        x: samples that its statistics are taken from.
    """
    import torch
    from torch import nn

    result = copy.deepcopy(network).eval()
    found: dict[str, Any] = {}
    hidden = dict(list(weighted(result).items())[:-1])
    hooks = [
        layer.register_forward_hook(lambda _, __, out, name=name: found.update({name: out}))
        for name, layer in hidden.items()
    ]
    with torch.no_grad():
        result(x)
    for hook in hooks:
        hook.remove()
    for name, layer in hidden.items():
        out = found[name].transpose(0, 1).flatten(1)
        kind = "BatchNorm2d" if type(layer).__name__ == "Conv2d" else "BatchNorm1d"
        norm = getattr(nn, kind)(len(out))
        norm.running_mean.copy_(out.mean(1))
        norm.running_var.copy_(out.var(1, correction=0))
        norm.weight.data.copy_((norm.running_var + norm.eps).sqrt())
        norm.bias.data.copy_(norm.running_mean)
        _replace(result, name, nn.Sequential(layer, norm))
    return result


def without_batch_norm(network: Any) -> Any:
    """A copy with what ``with_batch_norm`` added folded and taken out again."""
    result = fold_batch_norm(network)
    for name, layer in weighted(result).items():
        place, _, leaf = name.rpartition(".")
        parent = result.get_submodule(place)
        if leaf == "0" and [type(m).__name__ for m in parent] == [type(layer).__name__, "Identity"]:
            _replace(result, place, layer)
    return result


def with_widths(network: Any, state: Mapping[str, Any]) -> Any:
    """A copy whose layers have the shapes of a state dict, with its values."""
    result = copy.deepcopy(network)
    for name, layer in weighted(result).items():
        _replace(result, name, _resized(layer, state[f"{name}.weight"], state[f"{name}.bias"]))
    return result


def compact(network: Any, alive: Mapping[str, Any]) -> Any:
    """A copy without the channels that are not alive; exact where these give zeros.

    Args:
        network: a chain without BatchNorm.
        alive: bool ``[out]`` by layer; layers left out keep all.
    """
    import torch

    layers = weighted(network)
    state = {}
    incoming = None
    names = list(layers)
    for position, (name, layer) in enumerate(layers.items()):
        weight, bias = layer.weight.detach(), layer.bias.detach()
        if incoming is not None:
            weight = weight[:, incoming]
        own = alive.get(name, torch.ones(len(weight), dtype=torch.bool))
        state[f"{name}.weight"], state[f"{name}.bias"] = weight[own].clone(), bias[own].clone()
        if position + 1 < len(names):
            incoming = own.repeat_interleave(spread(layer, layers[names[position + 1]]))
    return with_widths(network, state)


def _resized(layer: Any, weight: Any, bias: Any) -> Any:
    from torch import nn

    outputs, inputs = weight.shape[:2]
    if type(layer).__name__ == "Linear":
        made: Any = nn.Linear(inputs, outputs)
    else:
        kind: Any = getattr(nn, type(layer).__name__)
        made = kind(inputs, outputs, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    made.weight.data.copy_(weight)
    made.bias.data.copy_(bias)
    return made


def _replace(network: Any, name: str, module: Any) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(parent), leaf, module)
