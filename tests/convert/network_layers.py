"""Layers one after another: each kind of layer that the converter takes."""

from __future__ import annotations

from torch import nn

from tests.convert.network_parts import IMAGE, Table, head


def layers() -> Table:
    """Plain sequences; heights, widths and channels differ, but for one where all are equal."""
    c, s = nn.Conv2d, nn.Sequential
    return {
        "conv_pads": (
            s(
                c(3, 5, 3, padding=(1, 2)),
                nn.ReLU(),
                nn.ZeroPad2d((1, 0, 2, 1)),
                c(5, 6, (3, 2), stride=(2, 1)),
                nn.Flatten(),
                nn.Linear(6 * 6 * 16, 4),
            ),
            IMAGE,
        ),
        "dilated_grouped": (
            s(
                c(3, 6, 3, dilation=2, padding=2),
                nn.ReLU6(),
                c(6, 8, 3, groups=2, padding=1),
                nn.LeakyReLU(0.1),
                nn.Flatten(),
                head(8, 10, 14),
            ),
            IMAGE,
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
            IMAGE,
        ),
        "transposed": (
            s(
                c(3, 4, 3, stride=2, padding=1),
                nn.ReLU(),
                nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1),
                nn.Tanh(),
                nn.ConvTranspose2d(6, 2, 2, stride=2, groups=2),
            ),
            IMAGE,
        ),
        "transposed_odd": (
            s(nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), nn.Sigmoid()),
            IMAGE,
        ),
        "prelu_bn_after": (
            s(c(3, 5, 3), nn.PReLU(5), nn.BatchNorm2d(5), nn.Flatten(), head(5, 8, 12)),
            IMAGE,
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
            IMAGE,
        ),
        "average_without_pads": (
            s(
                c(3, 5, 1),
                nn.AvgPool2d(3, 2, 1, count_include_pad=False),
                nn.Flatten(),
                nn.LazyLinear(4),
            ),
            IMAGE,
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
        "adaptive_uneven": (
            s(c(3, 4, 3), nn.AdaptiveAvgPool2d((3, 5)), nn.Flatten(), head(4, 3, 5)),
            IMAGE,
        ),
        "pixel_shuffle": (
            s(c(3, 8, 3, padding=1), nn.ReLU(), nn.PixelShuffle(2), c(2, 3, 3)),
            IMAGE,
        ),
        "borders": (
            s(
                nn.ReplicationPad2d((1, 2, 0, 1)),
                c(3, 4, 3),
                nn.Tanh(),
                nn.ReflectionPad2d(1),
                c(4, 3, 3, stride=2),
            ),
            IMAGE,
        ),
        "conv1d_paddings": (
            s(
                nn.Conv1d(5, 8, 4, dilation=2, padding=3),
                nn.SiLU(),
                nn.ConstantPad1d((2, 0), 0.0),  # causal
                nn.Conv1d(8, 16, 3, groups=8),
                nn.BatchNorm1d(16),
                nn.ReLU6(),
                nn.Conv1d(16, 6, 1),
                nn.MaxPool1d(3, 2, 1),
                nn.AdaptiveAvgPool1d(5),
                nn.Flatten(),
                nn.Linear(30, 4),
            ),
            [(5, 37)],
        ),
        "conv1d_pools": (
            s(
                nn.Conv1d(4, 7, 3, stride=2),
                nn.PReLU(7),
                nn.AvgPool1d(2, 2, ceil_mode=True),
                nn.Conv1d(7, 5, 3, padding="same"),
                nn.AdaptiveMaxPool1d(1),
                nn.Flatten(),
                nn.Linear(5, 3),
            ),
            [(4, 35)],
        ),
        "conv1d_uneven": (
            s(nn.Conv1d(4, 6, 3), nn.Tanh(), nn.AdaptiveAvgPool1d(5), nn.Flatten(), head(6, 1, 5)),
            [(4, 19)],
        ),
        "adaptive_even": (
            s(c(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d((5, 2)), nn.Flatten(), head(4, 5, 2)),
            IMAGE,
        ),
        "activations": (
            s(
                *(c(3, 6, 3), nn.Hardsigmoid(), c(6, 5, 1), nn.SiLU(), c(5, 6, 1), nn.Sigmoid()),
                *(nn.Flatten(), head(6, 8, 12)),
            ),
            IMAGE,
        ),
        "more_activations": (
            s(
                *(c(3, 5, 3), nn.Hardswish(), c(5, 6, 1), nn.LeakyReLU(0.2), c(6, 5, 1)),
                *(nn.PReLU(), c(5, 4, 1), nn.Tanh(), nn.Flatten(), head(4, 8, 12)),
            ),
            IMAGE,
        ),
        "relu6_alone": (
            # Behind layers that TFLite fuses no ReLU6 into.
            s(
                *(nn.ConvTranspose2d(3, 4, 3), nn.ReLU6(), c(4, 5, 1), nn.LeakyReLU(0.1)),
                *(nn.ReLU6(), nn.MaxPool2d(2), nn.ReLU6(), nn.Flatten(), head(5, 6, 8)),
            ),
            IMAGE,
        ),
        "relu_before_bn": (
            s(
                *(c(3, 6, 3), nn.ReLU(), nn.BatchNorm2d(6), c(6, 4, 3, bias=False)),
                *(nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 60, 8)),
                *(nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 4)),
            ),
            IMAGE,
        ),
        "cube": (
            # Height = width = channels: where a wrong order fits without an error.
            s(
                *(c(8, 8, 3, padding=1), nn.ReLU(), c(8, 8, 3, padding=1, groups=8)),
                *(nn.Tanh(), nn.Flatten(), head(8, 8, 8)),
            ),
            [(8, 8, 8)],
        ),
        "strides": (
            s(
                *(c(3, 6, (3, 5), stride=(2, 1), padding=(1, 2)), nn.ReLU()),
                *(c(6, 12, 3, stride=(2, 1), groups=6, padding=1), nn.ReLU()),
                *(c(12, 4, (1, 3), stride=(1, 2)), nn.Flatten(), head(4, 3, 6)),
            ),
            IMAGE,
        ),
        "log_softmax": (
            s(c(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LogSoftmax(1)),
            IMAGE,
        ),
    }
