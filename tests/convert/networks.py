"""Small networks, one a family of layers; heights, widths and channels all differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class Of(nn.Module):
    """A module from a function over submodules."""

    def __init__(self, forward: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.run = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *x: torch.Tensor) -> Any:
        return self.run(self, *x)


def lively(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights and statistics that move the output: no layer is near an identity."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean.copy_(torch.randn(module.num_features, generator=g) * 0.3)
                module.running_var.copy_(torch.rand(module.num_features, generator=g) + 0.5)
                module.weight.copy_(torch.rand(module.num_features, generator=g) + 0.5)
                module.bias.copy_(torch.randn(module.num_features, generator=g) * 0.3)
            if isinstance(module, nn.PReLU):
                module.weight.copy_(torch.rand(module.weight.shape, generator=g) * 0.6)
    return network.eval()


def _head(channels: int, h: int, w: int) -> nn.Linear:
    return nn.Linear(channels * h * w, 4)


def _shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def _residual(m: Any, x: torch.Tensor) -> torch.Tensor:
    x = F.relu(m.a(x))
    y = m.c(F.relu(m.b(x)))
    shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))
    return m.head(F.adaptive_avg_pool2d(F.relu(y + shortcut), 1).flatten(1))


def _squeeze(m: Any, x: torch.Tensor) -> torch.Tensor:
    x = F.hardswish(m.a(x))
    s = F.hardsigmoid(m.c(F.relu(m.b(x.mean((2, 3), keepdim=True)))))
    return m.head((x * s).flatten(1))


def _inception(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = torch.cat([m.a(x), F.relu(m.b(x)), F.max_pool2d(x, 3, 1, 1)], 1)
    return m.head(F.adaptive_avg_pool2d(y, 1).flatten(1))


def _dense(m: Any, x: torch.Tensor) -> torch.Tensor:
    x = torch.cat([x, F.relu(m.a(x))], 1)
    x = torch.cat([x, F.relu(m.b(m.n(x)))], 1)
    return m.head(x.mean((2, 3)))


def _shufflenet(m: Any, x: torch.Tensor) -> torch.Tensor:
    x = F.relu(m.stem(x))
    left, right = x.chunk(2, 1)
    right = F.relu(m.p2(m.d(F.relu(m.p1(right)))))
    x = _shuffle(torch.cat([left, right], 1), 2)
    return m.head(F.relu(m.last(x)).mean((2, 3)))


def networks() -> dict[str, tuple[nn.Module, list[tuple[int, ...]]]]:
    """Name → network and its input shapes (without the batch, channels first)."""
    c, s = nn.Conv2d, nn.Sequential
    image = [(3, 10, 14)]
    table: dict[str, tuple[nn.Module, list[tuple[int, ...]]]] = {
        "conv_pads": (
            s(
                c(3, 5, 3, padding=(1, 2)),
                nn.ReLU(),
                nn.ZeroPad2d((1, 0, 2, 1)),
                c(5, 6, (3, 2), stride=(2, 1)),
                nn.Flatten(),
                nn.Linear(6 * 6 * 16, 4),
            ),
            image,
        ),
        "dilated_grouped": (
            s(
                c(3, 6, 3, dilation=2, padding=2),
                nn.ReLU6(),
                c(6, 8, 3, groups=2, padding=1),
                nn.LeakyReLU(0.1),
                nn.Flatten(),
                _head(8, 10, 14),
            ),
            image,
        ),
        "depthwise": (
            s(
                c(3, 6, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(6),
                nn.ReLU6(),
                c(6, 12, 3, groups=6, padding=1, bias=False),
                nn.BatchNorm2d(12),
                nn.SiLU(),
                c(12, 5, 1),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Softmax(1),
            ),
            image,
        ),
        "transposed": (
            s(
                c(3, 4, 3, stride=2, padding=1),
                nn.ReLU(),
                nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1),
                nn.Tanh(),
                nn.ConvTranspose2d(6, 2, 2, stride=2, groups=2),
            ),
            image,
        ),
        "transposed_odd": (
            s(nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), nn.Sigmoid()),
            image,
        ),
        "prelu_bn_after": (
            s(c(3, 5, 3), nn.PReLU(5), nn.BatchNorm2d(5), nn.Flatten(), _head(5, 8, 12)),
            image,
        ),
        "pools": (
            s(
                nn.MaxPool2d(3, 2, 1),
                c(3, 5, 1),
                nn.AvgPool2d(3, 1, 1),
                nn.ReLU(),
                nn.AvgPool2d(2, ceil_mode=True),
                nn.MaxPool2d(2, ceil_mode=True),
                nn.Flatten(),
                nn.LazyLinear(4),
            ),
            image,
        ),
        "average_without_pads": (
            s(
                c(3, 5, 1),
                nn.AvgPool2d(3, 2, 1, count_include_pad=False),
                nn.Flatten(),
                nn.LazyLinear(4),
            ),
            image,
        ),
        "conv1d": (
            s(
                nn.Conv1d(9, 8, 5, padding=2),
                nn.BatchNorm1d(8),
                nn.ReLU(),
                nn.MaxPool1d(2),
                nn.Conv1d(8, 12, 3, stride=2, padding=1, groups=4),
                nn.Hardswish(),
                nn.AvgPool1d(3),
                nn.Flatten(),
                nn.LazyLinear(6),
                nn.LogSoftmax(1),
            ),
            [(9, 50)],
        ),
        "conv1d_global": (
            s(
                nn.Conv1d(6, 8, 3),
                nn.ReLU(),
                nn.AdaptiveAvgPool1d(1),
                nn.Flatten(),
                nn.Linear(8, 3),
            ),
            [(6, 31)],
        ),
        "mlp": (
            s(nn.Linear(12, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Dropout(), nn.Linear(20, 3)),
            [(12,)],
        ),
        "residual": (
            Of(
                _residual,
                a=c(3, 6, 3, padding=1),
                b=c(6, 10, 3, stride=2, padding=1),
                c=c(10, 10, 3, padding=1),
                head=nn.Linear(10, 4),
            ),
            [(3, 10, 15)],
        ),
        "squeeze_excite": (
            Of(_squeeze, a=c(3, 8, 3), b=c(8, 2, 1), c=c(2, 8, 1), head=_head(8, 8, 12)),
            image,
        ),
        "inception": (
            Of(_inception, a=c(3, 4, 1), b=c(3, 5, 5, padding=2), head=nn.Linear(12, 4)),
            image,
        ),
        "dense": (
            Of(
                _dense,
                a=c(3, 4, 3, padding=1),
                n=nn.BatchNorm2d(7),
                b=c(7, 5, 3, padding=1),
                head=nn.Linear(12, 4),
            ),
            image,
        ),
        "shuffle": (
            Of(
                _shufflenet,
                stem=c(3, 8, 3, stride=2, padding=1),
                p1=c(4, 4, 1),
                d=c(4, 4, 3, padding=1, groups=4),
                p2=c(4, 4, 1),
                last=c(8, 9, 1),
                head=nn.Linear(9, 4),
            ),
            image,
        ),
        "upsample": (
            Of(
                lambda m, x: m.b(
                    torch.cat(
                        [
                            F.interpolate(F.max_pool2d(m.a(x), 2), scale_factor=2.0),
                            F.interpolate(
                                F.max_pool2d(x, 2),
                                scale_factor=2.0,
                                mode="bilinear",
                                align_corners=False,
                            ),
                            F.interpolate(x, size=(10, 14), mode="bilinear", align_corners=True),
                        ],
                        1,
                    )
                ),
                a=c(3, 4, 3, padding=1),
                b=c(10, 2, 1),
            ),
            image,
        ),
        "multi_head": (
            Of(
                lambda m, x: (
                    torch.sigmoid(m.boxes(F.relu(m.a(x)))),
                    m.classes(F.relu(m.a(x)).mean((2, 3))),
                ),
                a=c(3, 6, 3, stride=2),
                boxes=c(6, 2, 1),
                classes=nn.Linear(6, 5),
            ),
            image,
        ),
        "two_inputs": (
            Of(
                lambda m, x, y: m.head(torch.cat([m.a(x).flatten(1), F.relu(m.b(y))], 1)),
                a=c(3, 2, 3, stride=2),
                b=nn.Linear(7, 6),
                head=nn.Linear(2 * 4 * 6 + 6, 4),
            ),
            [(3, 10, 14), (7,)],
        ),
        "arithmetic": (
            Of(
                lambda m, x: m.head(((m.a(x) - 0.5) * 2 - m.b(x) + (1 - m.c(x)) / 3).flatten(1)),
                a=c(3, 4, 1),
                b=c(3, 4, 1),
                c=c(3, 4, 1),
                head=_head(4, 10, 14),
            ),
            image,
        ),
        "slices_and_splits": (
            Of(
                lambda m, x: m.head(
                    torch.cat(
                        [p[:, :, 1:-1, ::2] for p in torch.split(m.a(x), [2, 3, 1], 1)][::-1], 1
                    ).flatten(1)
                ),
                a=c(3, 6, 3, padding=1),
                head=_head(6, 8, 7),
            ),
            image,
        ),
        "permute_that_vanishes": (
            Of(
                lambda m, x: m.head(
                    m.b(m.a(x.permute(0, 2, 1)).unsqueeze(2)).squeeze(2).flatten(1)
                ),
                a=nn.Conv1d(5, 6, 3),
                b=c(6, 4, (1, 3)),
                head=nn.Linear(4 * 16, 3),
            ),
            [(20, 5)],
        ),
        "adaptive_uneven": (
            s(c(3, 4, 3), nn.AdaptiveAvgPool2d((3, 5)), nn.Flatten(), _head(4, 3, 5)),
            image,
        ),
        "pixel_shuffle": (
            s(c(3, 8, 3, padding=1), nn.ReLU(), nn.PixelShuffle(2), c(2, 3, 3)),
            image,
        ),
        "borders": (
            s(
                nn.ReplicationPad2d((1, 2, 0, 1)),
                c(3, 4, 3),
                nn.Tanh(),
                nn.ReflectionPad2d(1),
                c(4, 3, 3, stride=2),
            ),
            image,
        ),
        "maximum": (
            Of(
                lambda m, x: m.head(torch.maximum(m.a(x), m.b(x)).amax((2, 3))),
                a=c(3, 4, 3),
                b=c(3, 4, 3),
                head=nn.Linear(4, 3),
            ),
            image,
        ),
        "tokens": (
            Of(
                lambda m, x: m.c(F.relu(m.b(m.a(x).flatten(2).transpose(1, 2))).mean(1)),
                a=c(3, 6, 4, stride=4),
                b=nn.Linear(6, 8),
                c=nn.Linear(8, 3),
            ),
            [(3, 12, 20)],
        ),
    }
    for network, shapes in table.values():
        network.eval()
        with torch.no_grad():
            network(*[torch.zeros(1, *shape) for shape in shapes])
        lively(network)
    return table


NAMES = sorted(networks())
