"""Graphs: branches that meet, several inputs and outputs, elements that move."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from tests.convert.network_parts import IMAGE, Of, Table, head


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


def graphs() -> Table:
    """Every form of graph; heights, widths and channels all differ."""
    c = nn.Conv2d
    return {
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
            Of(_squeeze, a=c(3, 8, 3), b=c(8, 2, 1), c=c(2, 8, 1), head=head(8, 8, 12)),
            IMAGE,
        ),
        "inception": (
            Of(_inception, a=c(3, 4, 1), b=c(3, 5, 5, padding=2), head=nn.Linear(12, 4)),
            IMAGE,
        ),
        "dense": (
            Of(
                _dense,
                a=c(3, 4, 3, padding=1),
                n=nn.BatchNorm2d(7),
                b=c(7, 5, 3, padding=1),
                head=nn.Linear(12, 4),
            ),
            IMAGE,
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
            IMAGE,
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
            IMAGE,
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
            IMAGE,
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
                head=head(4, 10, 14),
            ),
            IMAGE,
        ),
        "slices_and_splits": (
            Of(
                lambda m, x: m.head(
                    torch.cat(
                        [p[:, :, 1:-1, ::2] for p in torch.split(m.a(x), [2, 3, 1], 1)][::-1], 1
                    ).flatten(1)
                ),
                a=c(3, 6, 3, padding=1),
                head=head(6, 8, 7),
            ),
            IMAGE,
        ),
        "slice_before_linear": (
            Of(
                lambda m, x: m.head(m.a(x)[:, 1:-1, -6:, :5].flatten(1)),
                a=c(3, 6, 3),
                head=nn.Linear(4 * 6 * 5, 3),
            ),
            IMAGE,
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
        "maximum": (
            Of(
                lambda m, x: m.head(torch.maximum(m.a(x), m.b(x)).amax((2, 3))),
                a=c(3, 4, 3),
                b=c(3, 4, 3),
                head=nn.Linear(4, 3),
            ),
            IMAGE,
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
        "inverted_residual": (
            Of(
                lambda m, x: m.head(F.relu6(m.a(x) + m.c(m.b(m.a(x)))).mean((2, 3))),
                a=nn.Sequential(c(3, 6, 3, stride=2, bias=False), nn.BatchNorm2d(6)),
                b=nn.Sequential(
                    *(c(6, 18, 1, bias=False), nn.BatchNorm2d(18), nn.ReLU6()),
                    *(c(18, 18, 3, padding=1, groups=18, bias=False), nn.BatchNorm2d(18)),
                    nn.ReLU6(),
                ),
                c=nn.Sequential(c(18, 6, 1, bias=False), nn.BatchNorm2d(6)),
                head=nn.Linear(6, 4),
            ),
            IMAGE,
        ),
        "broadcasts": (
            Of(
                lambda m, x: m.head(
                    (m.a(x) + m.b(x).mean((2, 3), keepdim=True) - m.c(x).mean(1, keepdim=True))
                    .mul(m.scale.view(1, 4, 1, 1))
                    .mean(3)
                    .flatten(1)
                ),
                a=c(3, 4, 3),
                b=c(3, 4, 1),
                c=c(3, 5, 3),
                head=head(4, 8, 1),
                scale=nn.Parameter(torch.tensor([0.5, -1.5, 2.0, 0.75])),
            ),
            IMAGE,
        ),
        "channel_shuffle_1d": (
            Of(
                lambda m, x: m.b(
                    torch.cat(
                        m.a(x)
                        .view(-1, 3, 2, 23)
                        .transpose(1, 2)
                        .reshape(-1, 6, 23)
                        .chunk(2, 1)[::-1],
                        1,
                    )
                ).mean(2),
                a=nn.Conv1d(4, 6, 3),
                b=nn.Conv1d(6, 5, 3, groups=1),
            ),
            [(4, 25)],
        ),
        "two_in_two_out": (
            Of(
                lambda m, x, y: (m.a(F.relu(m.b(x)) + y), m.c(y).mean((2, 3))),
                a=c(4, 2, 3),
                b=c(3, 4, 1),
                c=c(4, 3, 1),
            ),
            [(3, 10, 14), (4, 10, 14)],
        ),
        "sizes_that_do_not_divide": (
            Of(
                lambda m, x: m.b(
                    F.interpolate(m.a(x), size=(11, 17))
                    + F.interpolate(x[:, :1], size=(11, 17), mode="bilinear", align_corners=False)
                ),
                a=c(3, 4, 3),
                b=c(4, 2, 3),
            ),
            IMAGE,
        ),
    }
