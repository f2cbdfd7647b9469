"""Stand-in tasks: real data in the shape of another network's input.

MLPerf Tiny's speech, person and machine-sound data do not travel with the bridge. So that those
networks still have trained weights, true BatchNorm statistics and outputs that follow the input,
they are trained on other real data brought into their shape. An accuracy on a stand-in says
nothing about the benchmark's own task; its name says what the data is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bridge.data import Array, Dataset
from bridge.datasets import cifar10_subset, har_subset, interpolation

# Of the CIFAR-10 labels: bird, cat, deer, dog, frog, horse. The others are vehicles.
_ANIMALS = (2, 3, 4, 5, 6, 7)


def har_as_49x10() -> Dataset:
    """HAR windows in the shape of a keyword's features: 49 times × 10 values × 1 channel.

    Time is resampled linearly from 128 to 49 steps; the ten values are the nine sensor channels
    and the magnitude of the total acceleration. Six classes of twelve are used.
    """
    base = har_subset()
    rows = interpolation(128, 49)

    def turn(x: Array) -> Array:  # [N, 128, 9] → [N, 49, 10, 1]
        magnitude = np.linalg.norm(x[:, :, 6:], axis=2, keepdims=True)
        resampled: Array = rows @ np.concatenate([x, magnitude], axis=2)
        return resampled[..., None]

    return replace(
        base,
        name="har-as-49x10",
        x_train=turn(base.train_inputs[0]),
        x_test=turn(base.test_inputs[0]),
        note="stand-in for keyword features: " + base.note + ", resampled to 49×10",
    )


def har_as_640() -> Dataset:
    """HAR windows as 640 values to rebuild: 128 steps × (total acceleration xyz, gyro xy)."""
    base = har_subset()

    def turn(x: Array) -> Array:  # [N, 128, 9] → [N, 640], time major
        return np.ascontiguousarray(x[:, :, [6, 7, 8, 3, 4]]).reshape(len(x), 640)

    train, test = turn(base.train_inputs[0]), turn(base.test_inputs[0])
    return Dataset(
        "har-as-640",
        train,
        train,
        test,
        test,
        task="reconstruction",
        note="stand-in for machine sounds: " + base.note + ", five channels as 640 values",
    )


def cifar10_animals() -> Dataset:
    """The CIFAR-10 subset with two classes, 1 for an animal and 0 for a vehicle, 32×32×3."""
    base = cifar10_subset()
    return replace(
        base,
        name="cifar10-animals",
        y_train=np.isin(base.y_train, _ANIMALS).astype(np.int64),
        y_test=np.isin(base.y_test, _ANIMALS).astype(np.int64),
        note=base.note + ", animals against vehicles",
    )


def cifar10_animals_96x96() -> Dataset:
    """Animals against vehicles, enlarged bilinearly to 96×96×3; the first 2,000 + 1,000 images.

    Enlarged, all 20,000 would take 2.2 GB.
    """
    base = cifar10_animals()
    matrix = interpolation(32, 96)

    def turn(x: Array) -> Array:  # [N, 32, 32, 3] → [N, 96, 96, 3]
        planes = matrix @ np.moveaxis(x, 3, 1) @ matrix.T
        return np.ascontiguousarray(np.moveaxis(planes, 1, 3))

    return replace(
        base,
        name="cifar10-animals-96x96",
        x_train=turn(base.train_inputs[0][:2000]),
        y_train=base.y_train[:2000],
        x_test=turn(base.test_inputs[0][:1000]),
        y_test=base.y_test[:1000],
        note="stand-in for persons in pictures: " + base.note + ", enlarged to 96×96",
    )


STAND_INS: dict[str, Callable[[], Dataset]] = {
    "har-as-49x10": har_as_49x10,
    "har-as-640": har_as_640,
    "cifar10-animals": cifar10_animals,
    "cifar10-animals-96x96": cifar10_animals_96x96,
}
"""Every stand-in, by name."""
