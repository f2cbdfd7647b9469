"""Data in all the forms that a user's function may return."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from bridge import data
from bridge.data_user import from_user
from bridge.errors import DataError, InputError

X = np.arange(20 * 3 * 4 * 5, dtype=np.float32).reshape(20, 3, 4, 5)
Y = np.arange(20) % 4


def user(value: Any, layout: str | None = "channels-first") -> data.Dataset:
    return from_user(value, name="mine", layout=layout)


def test_arrays_channels_first_become_last() -> None:
    d = user((X, Y, X[:5], Y[:5]))
    assert d.train_inputs[0].shape == (20, 4, 5, 3)
    assert np.array_equal(d.train_inputs[0][2, 1, 3], X[2, :, 1, 3])
    assert d.task == "classification"


def test_channels_last_stay() -> None:
    d = user((X, Y, X[:5], Y[:5]), layout="channels-last")
    assert np.array_equal(d.train_inputs[0], X)


def test_layout_is_stated_never_guessed() -> None:
    with pytest.raises(DataError, match="samples of 3×4×5, and nothing says") as caught:
        user((X, Y, X, Y), layout=None)
    assert "--layout channels-first" in caught.value.hint
    stated = user({"x_train": X, "y_train": Y, "layout": "channels-first"}, layout=None)
    assert stated.train_inputs[0].shape == (16, 4, 5, 3)
    assert user((X.reshape(20, 60), Y, X[:5].reshape(5, 60), Y[:5]), layout=None).task
    with pytest.raises(InputError, match="NHWC"):
        user({"x_train": X, "layout": "NHWC"})


def test_dataset_and_loader_agree() -> None:
    pairs = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    whole = user((pairs, pairs))
    loaded = user((DataLoader(pairs, batch_size=3), DataLoader(pairs, batch_size=7)))
    assert np.array_equal(whole.train_inputs[0], loaded.train_inputs[0])
    assert np.array_equal(whole.y_train, loaded.y_test)


def test_one_part_is_split() -> None:
    d = user({"x_train": X, "y_train": Y})
    assert len(d.train_inputs[0]) == 16
    assert len(d.test_inputs[0]) == len(d.y_test) == 4


def test_without_labels() -> None:
    assert user({"x_train": X}).task == "none"
    assert user((X[:, 0, 0], X[:, 0, 0], X[:2, 0, 0], X[:2, 0, 0])).task == "reconstruction"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "NoneType"),
        ({"images": X}, "dict with"),
        ((X, Y[:7], X, Y), "training part"),
        ((X * np.nan, Y, X, Y), "NaN"),
        ((["a"], [1], ["b"], [2]), "not numbers"),
        ({"x_train": X, "y_train": Y, "task": "segmentation"}, "unknown task"),
    ],
)
def test_what_cannot_be_used(value: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        user(value)


def test_digits_are_what_they_say() -> None:
    d = data.load("digits")
    assert d.train_inputs[0].shape == (1400, 28, 28, 1)
    assert d.test_inputs[0].shape == (397, 28, 28, 1)
    assert 0 <= d.train_inputs[0].min() < d.train_inputs[0].max() <= 1
    assert set(d.y_test) == set(range(10))
